"""What each role needs, derived: from our own calls, from the resource types of the templates, from state machines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from orchestrator.local.authorization.asked import asked
from orchestrator.local.authorization.kinds import Place
from orchestrator.local.authorization.s3_asked import asked_of_s3
from orchestrator.local.messages import Request
from orchestrator.local.protocol.models import service_model
from orchestrator.local.services.states.integrations import resolve
from tests.fidelity.used import uses

SOMEWHERE = Place("111111111111", "us-east-1")


def actions_of(service: str, operation: str) -> set[str]:
    """The actions that an operation asks for in any case; more may hang on its parameters."""
    if service != "s3":
        return {one.action for one in asked(SOMEWHERE, service, operation, {"Entries": [{}]})}
    model = service_model("s3").operation_model(operation)
    target: str = model.http["requestUri"]
    if (
        "Bucket" in model.input_shape.members and "{Bucket}" not in target
    ):  # a client of boto3 was here: it takes it out
        target = "/{Bucket}" + target
    target = target.replace("{Bucket}", "bucket").replace("{Key+}", "key")
    return {one.action for one in asked_of_s3(Request(model.http["method"], target, ()))}


@cache
def _calls() -> list[tuple[str, tuple[str, ...]]]:
    return [(name, tuple(parts)) for (group, name), parts in uses().items() if group == "API operations"]


def of_our_calls(part: str) -> set[str]:
    """The actions of the calls that a part of the product makes, found in its files."""
    found = [name for name, parts in _calls() if part in parts]
    return {action for name in found for action in actions_of(*name.split(":"))}


WITHOUT_HANDLERS = {
    "AWS::CodeBuild::Project": {
        f"codebuild:{verb}" for verb in ("BatchGetProjects", "CreateProject", "DeleteProject", "UpdateProject")
    },
}
"""Types of which the registry's schema does not say what making them needs."""


@cache
def of_resource_type(kind: str) -> frozenset[str]:
    """What CloudFormation may need for a resource type: ``handlers`` of its schema in the registry."""
    if kind in WITHOUT_HANDLERS:
        return frozenset(WITHOUT_HANDLERS[kind])
    handlers: Any = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["handlers"]
    return frozenset(action for handler in handlers.values() for action in handler["permissions"])


INTEGRATION = re.compile(r"arn:[\w-]+:states:::([A-Za-z0-9:.-]+)")
EVENTS = {"events:DescribeRule", "events:PutRule", "events:PutTargets"}


def integrations(definition: Any) -> Iterator[str]:
    """The service integrations of a state machine: ``sagemaker:createTrainingJob.sync``."""
    yield from sorted(set(INTEGRATION.findall(json.dumps(definition))))


def of_integration(name: str) -> set[str]:
    """What the role of a state machine needs for a task.

    https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
    https://docs.aws.amazon.com/step-functions/latest/dg/connect-codebuild.html
    """
    resource = f"arn:aws:states:::{name}"
    found = resolve(resource)
    needed = actions_of(found.service, found.operation)
    if not name.endswith(".sync"):
        return needed
    for action in set(needed):
        prefix, _, verb = action.partition(":")
        if prefix == "codebuild":
            return needed | {"codebuild:BatchGetBuilds", "codebuild:StopBuild"} | EVENTS
        if verb.startswith("Create"):
            thing = verb.removeprefix("Create")
            needed |= {f"{prefix}:Describe{thing}", f"{prefix}:Stop{thing}"}
    return needed | EVENTS
