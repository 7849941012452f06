"""The modes that work on a stack directly: CREATE_UPDATE, REPLACE_ON_FAILURE, DELETE_ONLY.

Before each call that changes something the memory says what is about to happen, so that a step that runs again
after a crash adopts an operation its earlier self has begun.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from orchestrator.local.services.codepipeline.action import ActionFailed, Success
from orchestrator.local.services.codepipeline.actions.cloudformation.request import stack_request
from orchestrator.local.services.codepipeline.work import zipped
from orchestrator.local.store import Document

if TYPE_CHECKING:
    from orchestrator.local.services.codepipeline.work import Work

BROKEN = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED")
"""States in which REPLACE_ON_FAILURE deletes the stack and makes it anew."""
GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")
NO_UPDATES = "No updates are to be performed"
"""CloudFormation has no error code for this; its message is all there is."""
BEGINNINGS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")


def create_or_update(work: Work) -> float | Success:
    """Create the stack, or update the one that is there; an update without changes succeeds."""
    if "external" not in work.memory:
        stack = describe(work, work.configuration["StackName"])
        if _request(work, stack):
            return succeeded(work, stack or {}, "has no changes")
    return wait(work, work.memory["external"])


def replace_on_failure(work: Work) -> float | Success:
    """As ``create_or_update``, but a stack in a failed state is deleted first."""
    if "doomed" not in work.memory and "operation" not in work.memory:
        stack = describe(work, work.configuration["StackName"])
        work.remember(doomed=stack["StackId"] if stack and stack["StackStatus"] in BROKEN else "")
    if work.memory.get("doomed"):
        if not _is_gone(work, work.memory["doomed"]):
            return work.pause()
        work.remember(doomed="", asked=False)
    return create_or_update(work)


def delete(work: Work) -> float | Success:
    """Delete the stack; that there is none is fine."""
    if "doomed" not in work.memory:
        stack = describe(work, work.configuration["StackName"])
        work.remember(doomed=stack["StackId"] if stack else "")
    name, doomed = work.configuration["StackName"], work.memory["doomed"]
    if doomed and not _is_gone(work, doomed):
        return work.pause()
    return Success(summary=f"Stack {name} was deleted." if doomed else f"Stack {name} did not exist.", external=doomed)


def describe(work: Work, stack: str) -> Document | None:
    """The stack by name or id; None when there is none (AWS calls that a ValidationError)."""
    try:
        answer: Document = work.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as problem:
        if problem.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return answer


def wait(work: Work, stack_id: str) -> float | Success:
    """Until the operation on the stack is over."""
    stack = describe(work, stack_id)
    if stack is None:
        raise ActionFailed(f"Stack {work.configuration['StackName']} is gone.", external=stack_id)
    status = stack["StackStatus"]
    if status.endswith("_IN_PROGRESS"):
        return work.pause()
    if status not in GOOD:
        raise ActionFailed(failure(work, stack), external=stack_id)
    return succeeded(work, stack, "was created" if status == "CREATE_COMPLETE" else "was updated")


def succeeded(work: Work, stack: Document, what: str) -> Success:
    """Success with the stack's outputs as variables, and in the output artifact where one is wanted."""
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    if work.outputs:
        text = json.dumps(outputs, indent=1, sort_keys=True)
        work.write(next(iter(work.outputs)), zipped(work.configuration["OutputFileName"], text))
    summary = f"Stack {work.configuration['StackName']} {what}."
    return Success(summary=summary, external=stack.get("StackId", ""), variables=outputs)


def failure(work: Work, stack: Document) -> str:
    """What went wrong: the state of the stack and the first resource that failed in the latest operation."""
    message = f"Stack {stack['StackName']} is in the state {stack['StackStatus']}"
    if reason := stack.get("StackStatusReason"):
        message += f": {reason}"
    first: Document | None = None
    for event in _events(work, stack["StackId"]):  # newest first
        itself = event.get("PhysicalResourceId") == stack["StackId"]
        if itself and event["ResourceStatus"] in BEGINNINGS:
            break
        if not itself and event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason"):
            first = event
    if first:
        message += f" [{first['LogicalResourceId']} ({first['ResourceType']}): {first['ResourceStatusReason']}]"
    return message[:5000]


def _events(work: Work, stack_id: str) -> list[Document]:
    try:
        pages = work.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack_id)
        return [event for page in pages for event in page["StackEvents"]]
    except ClientError:  # the role need not be allowed to read events
        return []


def _request(work: Work, stack: Document | None) -> bool:
    """Ask for the stack; True when there is nothing to update. The memory's ``external`` is then the stack's id."""
    resumed = "operation" in work.memory
    if not resumed:
        work.remember(operation="update" if stack else "create")
    client = work.client("cloudformation")
    request = {**stack_request(work), "ClientRequestToken": work.id}
    if work.memory["operation"] == "create":
        adopted = stack if resumed else None  # created by this action, before a crash
        work.remember(external=(adopted or client.create_stack(**request))["StackId"])
        return False
    if stack is None:
        raise ActionFailed(f"Stack {work.configuration['StackName']} is gone.")
    if not (resumed and stack["StackStatus"].endswith("_IN_PROGRESS")):
        try:
            client.update_stack(**request)
        except ClientError as problem:
            if NO_UPDATES in problem.response["Error"]["Message"]:
                return True
            raise
    work.remember(external=stack["StackId"])
    return False


def _is_gone(work: Work, stack_id: str) -> bool:
    """Ask once for the stack's deletion; whether it is complete."""
    client = work.client("cloudformation")
    if not work.memory.get("asked"):
        more = {"RoleARN": work.configuration["RoleArn"]} if "RoleArn" in work.configuration else {}
        client.delete_stack(StackName=stack_id, ClientRequestToken=f"{work.id}-delete", **more)
        work.remember(asked=True)
    stack = describe(work, stack_id)
    if stack and stack["StackStatus"] == "DELETE_FAILED":
        raise ActionFailed(failure(work, stack), external=stack_id)
    return stack is None or stack["StackStatus"] == "DELETE_COMPLETE"
