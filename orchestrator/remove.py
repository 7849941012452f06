"""Removing a project: its stages' stacks first, last deployed first, then its pipeline, then its bundles and templates.

The pipeline's definition is what names the stacks, so it goes last but one: an interrupted removal is repeated and
goes on where it was. Data, models, model packages and logs stay; they belong to the user, not to the pipeline.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestrator.aws import Aws
from orchestrator.errors import AwsFailed, Conflict, NotFound
from orchestrator.model import SEPARATE
from orchestrator.runs import pipeline_stack, targets
from orchestrator.stack_sets import FOLDER

LONGEST_WAIT_SECONDS = 1800.0
"""For one stack: an endpoint with many instances takes minutes to go."""


@dataclass(frozen=True, slots=True)
class Removed:
    """One thing that is gone (``removed``) or was not there (``absent``)."""

    what: str
    name: str
    account: str
    region: str
    outcome: str


def remove(aws: Aws, project: str, *, confirmed: bool, wait: Callable[[float], None] = time.sleep) -> Iterator[Removed]:
    """Delete the project, reporting each part when it is gone.

    Raises Conflict when not confirmed, or when a stack cannot be deleted (the rest is still there, and the next call
    goes on); NotFound when nothing of the project is there.
    """
    if not confirmed:
        raise Conflict(f"Deleting {project} was not confirmed; nothing was deleted.", hint="Confirm it with `--yes`.")
    return _remove(aws, project, wait)


def _remove(aws: Aws, project: str, wait: Callable[[float], None]) -> Iterator[Removed]:
    settings = aws.settings
    try:
        places = targets(aws, project)
    except NotFound:  # an earlier removal came this far, or the pipeline was never made
        places = ()
    by_sets = bool(settings.blueprint_bucket) and (not places or any(place.stack_set for place in places))
    found = False
    for place in reversed(places):
        outcome = _remove_stack(aws, place.stack, place.account, place.region, wait)
        found = found or outcome == "removed"
        yield Removed("stack", place.stack, place.account, place.region, outcome)
    standing = pipeline_stack(aws, project)
    stack = standing["StackName"] if standing else project + SEPARATE
    outcome = _remove_stack(aws, stack, settings.account, settings.region, wait)
    yield Removed("pipeline", stack, settings.account, settings.region, outcome)
    bundles = [
        *_remove_objects(aws, "bundle", settings.assets_bucket, f"mlops_provisioned_pipelines/{project}/"),
        *(_remove_objects(aws, "template", settings.blueprint_bucket, f"{FOLDER}/{project}/") if by_sets else ()),
    ]
    yield from bundles
    if not found and outcome == "absent" and not bundles:
        raise NotFound(f"There is no project {project}.", hint="`mlops list` shows the projects.")


def _remove_stack(aws: Aws, stack: str, account: str, region: str, wait: Callable[[float], None]) -> str:
    """Delete a stack and wait until it is gone."""
    where = {"account": account, "region": region, "role": "pipeline-action"}
    stack_id, status, _ = _look(aws, stack, where)
    if status == "DELETE_COMPLETE":
        return "absent"
    if status != "DELETE_IN_PROGRESS":
        aws.call("cloudformation", "delete_stack", StackName=stack_id, **where)
    pause, waited = 0.5, 0.0
    while True:
        _, status, reason = _look(aws, stack_id, where)
        if status == "DELETE_COMPLETE":
            return "removed"
        if status == "DELETE_FAILED" and waited:
            raise Conflict(
                f"The stack {stack} in account {account} could not be deleted: {reason}",
                hint="Remove what holds it, then delete the project again; it goes on where it stopped.",
            )
        if waited > LONGEST_WAIT_SECONDS:
            raise Conflict(
                f"The stack {stack} in account {account} is still {status}.", hint="Delete the project again."
            )
        wait(pause)
        waited, pause = waited + pause, min(10.0, pause * 1.5)


def _look(aws: Aws, stack: str, where: dict[str, str]) -> tuple[str, str, str]:
    """Id, status and reason of a stack; one that is not there is DELETE_COMPLETE."""
    try:
        found = aws.call("cloudformation", "describe_stacks", StackName=stack, **where)["Stacks"][0]
    except AwsFailed as error:
        if error.code == "ValidationError":
            return stack, "DELETE_COMPLETE", ""
        raise
    return found["StackId"], found["StackStatus"], found.get("StackStatusReason", "")


def _remove_objects(aws: Aws, what: str, bucket: str, prefix: str) -> Iterator[Removed]:
    """Delete what a project has below a prefix; the bucket's versioning keeps it for whoever must look back."""
    settings = aws.settings
    objects = aws.items("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix)
    for key in [each["Key"] for each in objects]:
        aws.call("s3", "delete_object", Bucket=bucket, Key=key)
        yield Removed(what, f"s3://{bucket}/{key}", settings.account, settings.region, "removed")
