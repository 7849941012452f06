"""Stack sets of an AWS organization: what the stack around one is told, and which stack it made in a stage's account.

With ``deployment: stackset`` CodePipeline deploys a small stack in the hub (``templates/stack_set.yaml.j2``). It holds
one service-managed stack set, which makes the pipeline's own stack in exactly one account. The template of that stack
lies in the blueprint bucket under a key of its content: a template that travels with the request may have 51,200 bytes
only, and an older run that is brought back finds its own again.
Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-stackset.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.aws import Aws
from orchestrator.errors import AwsFailed, BlueprintBroken
from orchestrator.model import StackPlan
from orchestrator.settings import Settings

TEMPLATE = "stack_set.yaml.j2"
FILE = "stack_set.yaml"
"""The end of the template's name in a bundle; by it a stack that holds a stack set is known again."""
FOLDER = "blueprints"
"""Of the blueprint bucket; what the stages may read of it."""
LONGEST_NAME = 128 - len("StackSet--00000000-0000-0000-0000-000000000000")
"""Stacks of a set are called ``StackSet-<its name>-<uuid>``, and the name of a stack has up to 128 characters."""
ABSENT = frozenset({"StackSetNotFoundException", "StackSetNotFound"})


@dataclass(frozen=True, slots=True)
class Member:
    """The stack that a stack set holds in an account; ``stack`` is its name, empty while there is none."""

    account: str
    region: str
    stack: str


def template_key(project: str, template: bytes) -> str:
    """Where the template of a stack set's stacks lies in the blueprint bucket."""
    return f"{FOLDER}/{project}/{hashlib.sha256(template).hexdigest()}.json"


def template_url(settings: Settings, key: str) -> str:
    """The URL by which CloudFormation finds it."""
    suffix = "amazonaws.com.cn" if settings.partition == "aws-cn" else "amazonaws.com"
    return f"https://{settings.blueprint_bucket}.s3.{settings.region}.{suffix}/{key}"


def parameters_of(stack: StackPlan, url: str, settings: Settings) -> dict[str, str]:
    """What the stack around the stack set is told: the pipeline's own parameters, and those of the stack set."""
    own = {
        "StackSetName": stack.stack_set,
        "StackSetUnit": stack.stage.organizational_unit,
        "StackSetAccount": stack.stage.account,
        "StackSetRegion": stack.stage.region,
        "StackSetTemplateUrl": url,
        "StackSetCallAs": settings.stack_sets_call_as,
    }
    taken = sorted(own.keys() & stack.parameters.keys())
    if taken:
        raise BlueprintBroken(f"{stack.stack_name}: the parameter {taken[0]} is that of the stack set around the stack")
    return {**stack.parameters, **own}


def members(aws: Aws, name: str) -> tuple[Member, ...]:
    """The stacks of a stack set, none when there is no such set. Raises AwsFailed."""
    try:
        found = list(
            aws.items(
                "cloudformation",
                "list_stack_instances",
                "Summaries",
                StackSetName=name,
                CallAs=aws.settings.stack_sets_call_as,
            )
        )
    except AwsFailed as error:
        if error.code in ABSENT:
            return ()
        raise
    return tuple(_member(summary) for summary in found)


def _member(summary: Mapping[str, Any]) -> Member:
    path = summary.get("StackId", "").partition(":stack/")[2]
    return Member(summary["Account"], summary["Region"], path.partition("/")[0])
