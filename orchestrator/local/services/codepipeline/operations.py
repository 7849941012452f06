"""What the groups of API operations share: the engine, keys, names of callers, pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.local.service import Call, Service, ServiceError
from orchestrator.local.services.codepipeline.actions import find_actions
from orchestrator.local.services.codepipeline.engine import Engine
from orchestrator.local.services.codepipeline.polling import Poller
from orchestrator.local.store import Document, Key

RULE_HEADER = "x-embedded-aws-rule"
"""Set by EventBridge when a rule starts a pipeline; AWS knows the rule from the caller."""


class Operations(Service):
    """The ground of the service's operations."""

    name = "codepipeline"

    def register_tasks(self) -> None:
        self.engine = Engine(self.world, find_actions())
        self.poller = Poller(self.engine)

    def pipeline_key(self, call: Call, name: str) -> Key:
        """The key of a pipeline of the caller's account and region."""
        return self.key(call, "Pipeline", name)


def find_stage(definition: Document, stage: str) -> Document:
    """The declaration of a stage; raises StageNotFoundException."""
    stages: list[Document] = definition["stages"]
    found = next((each for each in stages if each["name"] == stage), None)
    if found is None:
        raise ServiceError("StageNotFoundException", f"Pipeline '{definition['name']}' has no stage '{stage}'")
    return found


def caller(call: Call) -> str:
    """Who calls, as an ARN."""
    return f"arn:aws:iam::{call.account}:root"


def page(items: Sequence[Any], parameters: Document, default: int = 100) -> tuple[list[Any], dict[str, str]]:
    """One page of a list, and the ``nextToken`` member when there is more."""
    token = parameters.get("nextToken", "0")
    if not token.isdigit():
        raise ServiceError("InvalidNextTokenException", "The next token is not valid.")
    start = int(token)
    end = start + parameters.get("maxResults", default)
    return list(items[start:end]), {"nextToken": str(end)} if end < len(items) else {}
