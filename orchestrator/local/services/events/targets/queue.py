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
        url = delivery.world.queue_url(str(delivery.arn))
        delivery.client("sqs").send_message(QueueUrl=url, MessageBody=delivery.body, **more)


TARGET = Queue
