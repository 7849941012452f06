"""Lambda functions, invoked asynchronously."""

from __future__ import annotations

from orchestrator.local.services.events.target import Delivery, Target


class Function(Target):
    """The event is the function's event."""

    service = "lambda"
    resource = r"function:[A-Za-z0-9\-_]+(:[A-Za-z0-9\-_$]+)?"

    def send(self, delivery: Delivery) -> None:
        delivery.client("lambda").invoke(
            FunctionName=str(delivery.arn), InvocationType="Event", Payload=delivery.body.encode()
        )


TARGET = Function
