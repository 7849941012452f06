"""Taking an installation away: what goes, what stays, and what must go first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import Conflict
from orchestrator.infra.installation import HUB_STACK, STAGE_STACK, Accounts, describe, settle, translated

KEPT = frozenset(
    {
        "AWS::ApiGateway::Account",
        "AWS::ECR::Repository",
        "AWS::KMS::Key",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::SageMaker::ModelPackageGroup",
        "AWS::SQS::Queue",
    }
)
"""Types of resources that the launch templates keep when a stack goes; a test holds it to the templates."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A resource that stays when the stack goes, by its name or id."""

    type: str
    name: str
    account: str


@dataclass(frozen=True, slots=True)
class Removal:
    """What taking the installation away means: the stacks that go, last the hub's, and what stays."""

    stacks: tuple[tuple[str, str], ...]
    leftovers: tuple[Leftover, ...]


def plan(accounts: Accounts, others: tuple[str, ...]) -> Removal:
    """Look what there is. ``others`` are the stage accounts whose stacks were made from here."""
    stacks, leftovers = [], []
    for account, stack in [*((account, STAGE_STACK) for account in others), (accounts.hub, HUB_STACK)]:
        client = accounts.client("cloudformation", account)
        with translated(f"look at {stack} in {account}"):
            if describe(client, stack) is None:
                continue
            stacks.append((account, stack))
            leftovers += [Leftover(kind, name, account) for kind, name in _kept(client, stack)]
    return Removal(tuple(stacks), tuple(sorted(leftovers, key=lambda one: (one.type, one.name))))


def _kept(client: Any, stack: str) -> Iterator[tuple[str, str]]:
    for page in client.get_paginator("list_stack_resources").paginate(StackName=stack):
        for resource in page["StackResourceSummaries"]:
            if resource["ResourceType"] in KEPT and not resource["ResourceStatus"].startswith("DELETE"):
                yield resource["ResourceType"], resource.get("PhysicalResourceId", "")


def remove(accounts: Accounts, removal: Removal) -> Iterator[tuple[str, str]]:
    """Delete the stacks, one after the other; yields each as it is gone.

    Raises Conflict when a stack does not go, with what CloudFormation says.
    """
    for account, stack in removal.stacks:
        client = accounts.client("cloudformation", account)
        with translated(f"delete {stack} in {account}"):
            found = describe(client, stack)
            if found is None:
                continue
            client.delete_stack(StackName=found["StackId"])
            settled = settle(client, found["StackId"], account)
        if settled["StackStatus"] != "DELETE_COMPLETE":
            raise Conflict(
                f"The stack {stack} in account {account} is {settled['StackStatus']}:"
                f" {settled.get('StackStatusReason', 'CloudFormation gives no reason.')}",
                hint="Repair what it names and destroy again.",
            )
        yield account, stack
