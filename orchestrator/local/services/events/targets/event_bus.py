"""Other event buses, of any account and region: the event goes there as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.local.services.events.arn import Arn
from orchestrator.local.services.events.target import Delivery, Target


class EventBus(Target):
    """AWS does not transform an event between buses."""

    service = "events"
    resource = r"event-bus/[/.\-_A-Za-z0-9]+"

    def fault(self, arn: Arn, target: Mapping[str, Any]) -> str:  # noqa: ARG002
        given = sorted({"Input", "InputPath", "InputTransformer"} & target.keys())
        return f"an event bus takes no {', '.join(given)}" if given else ""

    def send(self, delivery: Delivery) -> None:
        delivery.forward(delivery.arn, delivery.event)


TARGET = EventBus
