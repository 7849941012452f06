"""Events that were decided together with a change, sent afterwards in order: never lost, never before the change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.local.protocol.models import service_model
from orchestrator.local.store import Document, Key
from orchestrator.local.world import World

SOURCE = "aws.sagemaker"


def event(detail_type: str, operation: str, document: Document, arn: str) -> dict[str, Any]:
    """An event whose detail is what the Describe operation would answer, times in milliseconds.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
    """
    shape = service_model("sagemaker").operation_model(operation).output_shape
    detail = _along(shape, document)
    tags = {tag["Key"]: tag["Value"] for tag in document.get("Tags", [])}
    return {"detail_type": detail_type, "detail": {**detail, "Tags": tags}, "resources": [arn]}


def _along(shape: Any, value: Any) -> Any:
    """The members the shape knows; a time as an event shows it."""
    if shape.type_name == "structure":
        return {
            name: _along(member, value[name]) for name, member in shape.members.items() if value.get(name) is not None
        }
    if shape.type_name == "list":
        return [_along(shape.member, element) for element in value]
    return int(value * 1000) if shape.type_name == "timestamp" else value


class Sender:
    """The task that empties an outbox."""

    def __init__(self, world: World) -> None:
        self._world = world

    def step(self, key: Key) -> float | None:
        """Send the oldest event, then forget it; a crash between the two sends it again, as EventBridge may."""
        kept = self._world.store.get(key)
        if kept is None:
            return None
        if not kept["events"]:
            self._world.store.delete(key)
            return None
        first: Mapping[str, Any] = kept["events"][0]
        self._world.emit(key.account, key.region, SOURCE, first["detail_type"], first["detail"], first["resources"])
        self._world.store.update(key, _without_first)
        return 0.0


def _without_first(document: Document) -> Document:
    return {**document, "events": document["events"][1:]}
