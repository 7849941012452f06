"""An installation that is looked at before it is done: change sets first, their execution when somebody agrees."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.blueprint import default_root
from orchestrator.errors import Conflict
from orchestrator.infra.installation import (
    HUB_STACK,
    LONGEST_WAIT_SECONDS,
    STAGE_ACCOUNT,
    STAGE_STACK,
    Accounts,
    Prepared,
    at_rest,
    deploy,
    describe,
    first_failure,
    outputs_of,
    settle,
    stage_parameters,
    template_text,
    translated,
    with_local_url,
)

CHANGE_SET = "mlops-deploy"
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
"""How CloudFormation says that a change set is empty; it has no code for it."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one resource: ``action`` is Add, Modify, Replace, Remove or Import."""

    action: str
    type: str
    name: str


@dataclass(frozen=True, slots=True)
class StackPlan:
    """What becomes of one stack: ``action`` is create, update or unchanged. ``change_set`` is "" where none could be
    made yet: a stage's stack needs what the hub's stack will give out."""

    account: str
    stack: str
    action: str
    changes: tuple[Change, ...] = ()
    change_set: str = ""


def plan(accounts: Accounts, prepared: Prepared) -> tuple[StackPlan, ...]:
    """Make the change sets. Nothing changes by that. Raises AwsFailed or Conflict for what CloudFormation refuses."""
    hub = _change_set(accounts, accounts.hub, HUB_STACK, prepared.place, prepared.parameters)
    standing = describe(accounts.client("cloudformation", accounts.hub), HUB_STACK)
    outputs = outputs_of(standing or {})
    stages = []
    for account in prepared.others:
        if "ArtifactKeyArn" in outputs:
            wanted = stage_parameters(accounts, prepared, outputs)
            body = {"TemplateBody": template_text(STAGE_ACCOUNT)}
            stages.append(_change_set(accounts, account, STAGE_STACK, body, wanted))
        else:
            stages.append(StackPlan(account, STAGE_STACK, "create", _all_of(STAGE_ACCOUNT)))
    return (hub, *stages)


def _all_of(template: str) -> tuple[Change, ...]:
    """Every resource of a launch template, as it would be added."""
    document = json.loads((default_root() / "templates/launch" / template).read_text())
    return tuple(Change("Add", body["Type"], name) for name, body in sorted(document["Resources"].items()))


def _change_set(
    accounts: Accounts, account: str, stack: str, place: Mapping[str, str], parameters: Mapping[str, str]
) -> StackPlan:
    client = accounts.client("cloudformation", account)
    with translated(f"plan {stack} in {account}"):
        found = at_rest(client, stack, account)
        request: dict[str, Any] = {
            "StackName": stack,
            "ChangeSetName": CHANGE_SET,
            "ChangeSetType": "UPDATE" if found else "CREATE",
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
            **place,
        }
        if not accounts.endpoint:  # buckets and logs that an earlier installation left are taken up again
            request["ImportExistingResources"] = True
        if found:
            client.delete_change_set(StackName=stack, ChangeSetName=CHANGE_SET)
        made = client.create_change_set(**request)["Id"]
        described = _made(client, made, account)
        if described["Status"] == "FAILED":
            client.delete_change_set(ChangeSetName=made)
            reason = str(described.get("StatusReason", ""))
            if any(words in reason for words in NO_CHANGES):
                return StackPlan(account, stack, "unchanged")
            raise Conflict(f"CloudFormation refuses the change of {stack} in account {account}: {reason}")
        return StackPlan(account, stack, "update" if found else "create", _changes(client, made), made)


def _made(client: Any, change_set: str, account: str) -> dict[str, Any]:
    pause, waited = 0.2, 0.0
    while True:
        described: dict[str, Any] = client.describe_change_set(ChangeSetName=change_set)
        if described["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            return described
        if waited > LONGEST_WAIT_SECONDS:
            raise Conflict(f"CloudFormation is still making a change set in account {account}.")
        time.sleep(pause)
        waited, pause = waited + pause, min(5.0, pause * 1.3)


def _changes(client: Any, change_set: str) -> tuple[Change, ...]:
    found = []
    for page in client.get_paginator("describe_change_set").paginate(ChangeSetName=change_set):
        for change in page["Changes"]:
            resource = change["ResourceChange"]
            action = "Replace" if resource.get("Replacement") == "True" else resource["Action"]
            found.append(Change(action, resource["ResourceType"], resource["LogicalResourceId"]))
    return tuple(sorted(found, key=lambda one: (one.name, one.action)))


def discard(accounts: Accounts, plans: Sequence[StackPlan]) -> None:
    """Forget the change sets; a stack that only a change set had made goes too."""
    for one in plans:
        if not one.change_set:
            continue
        client = accounts.client("cloudformation", one.account)
        with translated(f"forget the plan of {one.stack}"):
            client.delete_change_set(ChangeSetName=one.change_set)
            found = describe(client, one.stack)
            if found and found["StackStatus"] == "REVIEW_IN_PROGRESS":
                client.delete_stack(StackName=one.stack)


def apply(accounts: Accounts, prepared: Prepared, plans: Sequence[StackPlan]) -> dict[str, str]:
    """Do what was planned: the hub first, then the stages. Returns the hub's outputs.

    Raises Conflict with the first failed resource when a stack does not come up.
    """
    hub, *stages = plans
    outputs = outputs_of(_executed(accounts, hub))
    for one in stages:
        if one.change_set or one.action == "unchanged":
            _executed(accounts, one)
        else:
            wanted = stage_parameters(accounts, prepared, outputs)
            deploy(accounts, one.account, STAGE_STACK, {"TemplateBody": template_text(STAGE_ACCOUNT)}, wanted)
    return with_local_url(accounts, outputs)


def _executed(accounts: Accounts, one: StackPlan) -> dict[str, Any]:
    client = accounts.client("cloudformation", one.account)
    with translated(f"deploy {one.stack} in {one.account}"):
        if one.change_set:
            client.execute_change_set(ChangeSetName=one.change_set)
        found = describe(client, one.stack)
        settled = settle(client, found["StackId"], one.account) if found else {"StackStatus": "absent", "StackId": ""}
        if settled["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"):
            raise Conflict(
                f"The stack {one.stack} in account {one.account} is {settled['StackStatus']}:"
                f" {first_failure(client, settled['StackId'])}",
                hint="Repair what it names and deploy again.",
            )
    return settled
