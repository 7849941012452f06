"""SQS queues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.local.services.events.arn import Arn
from orchestrator.local.services.events.target import Delivery, Target


class Queue(Target):
    """The event is the message; a FIFO queue drops a message that is delivered twice."""

    service = "sqs"
    resource = r"[A-Za-z0-9\-_]+(\.fifo)?"
    parameters = frozenset({"SqsParameters"})

    def fault(self, arn: Arn, target: Mapping[str, Any]) -> str:
        group = target.get("SqsParameters", {}).get("MessageGroupId")
        if arn.resource.endswith(".fifo") and not group:
            return "a FIFO queue needs SqsParameters.MessageGroupId"
        return ""

    def send(self, delivery: Delivery) -> None:
        more = {}
        if delivery.arn.resource.endswith(".fifo"):
            group = delivery.target["SqsParameters"]["MessageGroupId"]
            more = {"MessageGroupId": group, "MessageDeduplicationId": delivery.token}
        client = delivery.client("sqs")
        client.send_message(QueueUrl=queue_url(client, delivery.arn), MessageBody=delivery.body, **more)


def queue_url(client: Any, arn: Arn) -> str:
    """The URL of the queue with this ARN."""
    return str(client.get_queue_url(QueueName=arn.resource, QueueOwnerAWSAccountId=arn.account)["QueueUrl"])


TARGET = Queue
