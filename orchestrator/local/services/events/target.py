"""What a kind of target is: which ARNs it takes, and how an event is handed over to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from orchestrator.local.services.events.arn import Arn
from orchestrator.local.store import Document
from orchestrator.local.world import World

Forward = Callable[[Arn, Document], None]
"""Puts an event, as it is, on another bus."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to one target. ``token`` is the same however often it is delivered."""

    world: World
    arn: Arn
    target: Mapping[str, Any]
    rule_arn: str
    event: Document
    body: str
    token: str
    forward: Forward

    def client(self, service: str) -> Any:
        """A client where the target lives, as the target's role if it has one, else for the rule."""
        role = self.target.get("RoleArn", "")
        return self.world.client(service, self.arn.account, self.arn.region, role, source="" if role else self.rule_arn)


class Target(ABC):
    """One kind of target. A subclass per file in ``targets/``, offered there as ``TARGET``."""

    service: ClassVar[str]
    """The service in the ARN."""
    resource: ClassVar[str]
    """A regular expression for the resource in the ARN."""
    needs_role: ClassVar[bool] = False
    parameters: ClassVar[frozenset[str]] = frozenset()
    """Members of a target that only this kind has."""

    def fault(self, arn: Arn, target: Mapping[str, Any]) -> str:  # noqa: ARG002
        """What is wrong with a target beyond its ARN, or ''."""
        return ""

    @abstractmethod
    def send(self, delivery: Delivery) -> None:
        """Hand the event over; raises botocore's ClientError when the target refuses."""
