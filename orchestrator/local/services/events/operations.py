"""What the groups of API operations share: the router, the clock, names of buses, pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.local.service import Call, Service, ServiceError
from orchestrator.local.services.events.router import Router
from orchestrator.local.services.events.schedules import Clock
from orchestrator.local.services.events.targets import find_targets
from orchestrator.local.store import Document, Key
from orchestrator.local.trust import Trust

MOST_TAGS = 50
PRINCIPAL = "events.amazonaws.com"


class Operations(Service):
    """The ground of the service's operations."""

    name = "events"

    def register_tasks(self) -> None:
        self.router = Router(self.world, find_targets())
        self.clock = Clock(self.router)
        self.trust = Trust(self.world)

    def bus_name(self, call: Call, parameters: Document, member: str = "EventBusName") -> str:
        """The bus that a call names, by name or ARN; raises ResourceNotFoundException."""
        given = parameters.get(member, "default")
        name = str(given).rpartition(":event-bus/")[2]
        foreign = given.startswith("arn:") and given.split(":")[3:5] != [call.region, call.account]
        if foreign or not self.router.has_bus(call.account, call.region, name):
            raise ServiceError("ResourceNotFoundException", f"Event bus {name} does not exist.")
        return name

    def rule_key(self, call: Call, bus: str, rule: str) -> Key:
        """The key of a rule on a bus of the caller's."""
        return self.key(call, "Rule", f"{bus}/{rule}")


def page(items: Sequence[Any], parameters: Document) -> tuple[list[Any], dict[str, str]]:
    """One page of a list, and the ``NextToken`` member when there is more."""
    token = parameters.get("NextToken", "0")
    if not token.isdigit():
        raise ServiceError("ValidationException", "Parameter NextToken is not valid.")
    start = int(token)
    end = start + parameters.get("Limit", 100)
    return list(items[start:end]), {"NextToken": str(end)} if end < len(items) else {}


def tags_of(given: Sequence[Document], old: Document | None = None) -> Document:
    """Tags as name -> value, the old ones included; raises LimitExceededException."""
    tags = {**(old or {}), **{tag["Key"]: tag["Value"] for tag in given}}
    if len(tags) > MOST_TAGS:
        raise ServiceError("LimitExceededException", f"A resource can have at most {MOST_TAGS} tags.")
    return tags
