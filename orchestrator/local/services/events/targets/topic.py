"""SNS topics."""

from __future__ import annotations

from orchestrator.local.services.events.target import Delivery, Target


class Topic(Target):
    """The event is the message."""

    service = "sns"
    resource = r"[A-Za-z0-9\-_]+(\.fifo)?"

    def send(self, delivery: Delivery) -> None:
        more = {}
        if delivery.arn.resource.endswith(".fifo"):
            more = {"MessageGroupId": delivery.event["id"], "MessageDeduplicationId": delivery.token}
        delivery.client("sns").publish(TopicArn=str(delivery.arn), Message=delivery.body, **more)


TARGET = Topic
