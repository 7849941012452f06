"""The modes that work through a change set: CHANGE_SET_REPLACE makes it, CHANGE_SET_EXECUTE carries it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from orchestrator.local.services.codepipeline.action import ActionFailed, Success
from orchestrator.local.services.codepipeline.actions.cloudformation.request import stack_request
from orchestrator.local.services.codepipeline.actions.cloudformation.stacks import (
    NO_UPDATES,
    describe,
    succeeded,
    wait,
)
from orchestrator.local.store import Document

if TYPE_CHECKING:
    from orchestrator.local.services.codepipeline.work import Work

EMPTY = (NO_UPDATES, "didn't contain changes")
ABSENT = ("ChangeSetNotFound", "ChangeSetNotFoundException", "ValidationError")
BEING_DELETED = ("DELETE_PENDING", "DELETE_IN_PROGRESS")
UNFINISHED = ("CREATE_PENDING", "CREATE_IN_PROGRESS", *BEING_DELETED)


def replace_change_set(work: Work) -> float | Success:
    """Make the change set, in place of one of the same name; that it is empty is fine."""
    if "changeSet" not in work.memory:
        if not _is_cleared(work):
            return work.pause()
        stack = describe(work, work.configuration["StackName"])
        new = stack is None or stack["StackStatus"] == "REVIEW_IN_PROGRESS"
        answer = work.client("cloudformation").create_change_set(
            **stack_request(work),
            ChangeSetName=work.configuration["ChangeSetName"],
            ChangeSetType="CREATE" if new else "UPDATE",
            ClientToken=work.id,
        )
        work.remember(changeSet=answer["Id"])
    change_set = _describe(work, work.memory["changeSet"])
    if change_set is None:
        raise ActionFailed(f"Change set {work.configuration['ChangeSetName']} is gone.")
    if change_set["Status"] in UNFINISHED:
        return work.pause()
    if change_set["Status"] == "FAILED" and not _is_empty(change_set):
        raise ActionFailed(_reason(change_set), external=change_set["ChangeSetId"])
    stack = describe(work, change_set["StackId"])
    return succeeded(work, stack or {}, f"has the change set {change_set['ChangeSetName']}")


def execute_change_set(work: Work) -> float | Success:
    """Carry out the change set and wait for the stack; an empty one needs nothing."""
    if "external" not in work.memory:
        change_set = _describe(work, work.configuration["ChangeSetName"])
        if change_set is None:
            raise ActionFailed(f"ChangeSet [{work.configuration['ChangeSetName']}] does not exist")
        if _is_empty(change_set):
            return succeeded(work, describe(work, change_set["StackId"]) or {}, "has no changes")
        if change_set["Status"] != "CREATE_COMPLETE":
            raise ActionFailed(_reason(change_set), external=change_set["ChangeSetId"])
        work.remember(external=change_set["StackId"], changeSet=change_set["ChangeSetId"])
    change_set = _describe(work, work.memory["changeSet"])
    if not work.memory.get("executed"):
        if change_set and change_set["ExecutionStatus"] == "AVAILABLE":  # else carried out before a crash
            work.client("cloudformation").execute_change_set(
                ChangeSetName=work.memory["changeSet"], ClientRequestToken=work.id
            )
        work.remember(executed=True)
        return work.pause()
    if change_set and change_set["ExecutionStatus"] in ("AVAILABLE", "EXECUTE_IN_PROGRESS"):
        return work.pause()
    return wait(work, work.memory["external"])


def _is_cleared(work: Work) -> bool:
    """Ask once that an older change set of this name be deleted; whether there is none any more."""
    old = _describe(work, work.configuration["ChangeSetName"])
    if old is None or old["ExecutionStatus"].startswith("EXECUTE_"):  # one that was executed is not in the way
        return True
    if old["Status"] not in BEING_DELETED:
        work.client("cloudformation").delete_change_set(ChangeSetName=old["ChangeSetId"])
    return _describe(work, work.configuration["ChangeSetName"]) is None


def _describe(work: Work, change_set: str) -> Document | None:
    """The change set by name or id; None when there is none, or no stack to have one."""
    client = work.client("cloudformation")
    more = {} if change_set.startswith("arn:") else {"StackName": work.configuration["StackName"]}
    try:
        answer: Document = client.describe_change_set(ChangeSetName=change_set, **more)
    except ClientError as problem:
        if problem.response["Error"]["Code"] in ABSENT:
            return None
        raise
    return answer


def _is_empty(change_set: Document) -> bool:
    reason = change_set.get("StatusReason", "")
    return change_set["Status"] == "FAILED" and any(phrase in reason for phrase in EMPTY)


def _reason(change_set: Document) -> str:
    name, status = change_set["ChangeSetName"], change_set["Status"]
    return f"Change set {name} is in the state {status}: {change_set.get('StatusReason', 'no reason given')}"
