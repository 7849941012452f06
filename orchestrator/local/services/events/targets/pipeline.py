"""CodePipeline pipelines: an event starts an execution."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

from orchestrator.local.services.events.target import Delivery, Target

RULE_HEADER = "x-embedded-aws-rule"
"""Tells CodePipeline which rule starts the execution; AWS knows it from the caller."""
STARTING = threading.local()
"""``rule`` is the rule for which this thread is starting a pipeline, as clients are shared between threads."""


class Pipeline(Target):
    """A transformed input may carry ``variables`` and ``sourceRevisions`` for the execution."""

    service = "codepipeline"
    resource = r"[A-Za-z0-9.@\-_]+"
    needs_role = True

    def send(self, delivery: Delivery) -> None:
        client = delivery.client("codepipeline")
        event_name = "before-call.codepipeline.StartPipelineExecution"
        client.meta.events.register(event_name, _name_rule, unique_id="embedded-aws-rule")
        STARTING.rule = delivery.rule_arn
        try:
            client.start_pipeline_execution(
                name=delivery.arn.resource, clientRequestToken=delivery.token, **_overrides(delivery)
            )
        finally:
            STARTING.rule = None


def _name_rule(params: Mapping[str, Any], **_: object) -> None:
    if rule := getattr(STARTING, "rule", None):
        params["headers"][RULE_HEADER] = rule


def _overrides(delivery: Delivery) -> dict[str, Any]:
    if not {"Input", "InputTransformer"} & delivery.target.keys():
        return {}
    given = json.loads(delivery.body)
    if not isinstance(given, dict):
        return {}
    return {name: given[name] for name in ("variables", "sourceRevisions") if name in given}


TARGET = Pipeline
