"""Provisioning: the bundle goes to S3, the CodePipeline stack to CloudFormation; nothing else is done here.

The order makes every crash harmless. The bundle is written before the stack that reads it; what was written is
recognised by its digest (metadata of the object, tag of the stack), so the next identical request does only what is
still missing. A changed bundle starts a run by itself (an EventBridge rule in the stack watches its key), a changed
frame does so through ``RestartExecutionOnUpdate``; an unchanged config writes nothing and starts nothing.

Calls: 3 for a first provision (one more for a frame over 51,200 bytes), 2 for an unchanged one, at most 4 for a
changed one; with stack sets, one more for each template that they take from the blueprint bucket.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.aws import ABSENT_OBJECT, Aws
from orchestrator.errors import AwsFailed, Conflict
from orchestrator.model import CHANGE_SETS, Bundle, Outcome, Plan, Receipt, Rendering

BUNDLES = "mlops_provisioned_pipelines"
LARGEST_TEMPLATE_BODY = 51_200
"""Bytes; a larger template must come from S3 (CloudFormation API, ``TemplateBody``)."""
LONGEST_WAIT_SECONDS = 20.0
"""For a dead stack to go away; API Gateway cuts a request after 29 seconds."""
NEVER_LIVED = frozenset({"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"})
TURNING_BACK = ("ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK", "DELETE_", "REVIEW_")
LOST_RACE = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
NO_UPDATES = "No updates are to be performed"
"""The one answer of AWS told apart by its text: it comes as a plain ValidationError and has no code of its own."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """What stands there now, and what provisioning would make of it. ``bundle`` is empty when there is none."""

    outcome: Outcome
    stack_status: str = ""
    frame_changes: bool = False
    bundle: bytes = b""


@dataclass(frozen=True, slots=True)
class _Stack:
    """The CodePipeline stack as it stands."""

    id: str
    status: str
    frame: str
    parameters: Mapping[str, str]
    deployment: str = CHANGE_SETS  # of a stack whose tags name none

    @property
    def busy(self) -> bool:
        return self.status.endswith("_IN_PROGRESS")


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is to be: the plan, the files, and the digest of everything the CodePipeline stack is made of."""

    plan: Plan
    rendering: Rendering
    bundle: Bundle
    frame: str
    tags: Mapping[str, str]


def provision(plan: Plan, rendering: Rendering, bundle: Bundle, aws: Aws) -> Receipt:
    """Make AWS hold this bundle and this pipeline.

    Idempotent, and safe against the same request at the same time. Raises Conflict when the stack is in a state
    that must end first, or when another request changed the project meanwhile; AwsFailed for what AWS refuses.
    """
    wish = _wish(plan, rendering, bundle)
    stack = _describe(aws, plan.pipeline_stack)
    if stack is not None and stack.status in NEVER_LIVED:
        _clear(aws, stack, plan.pipeline_stack)
        stack = None
    if stack is None:
        _write_first(aws, wish)
        created = _create(aws, wish)
        if created:
            return _receipt(wish, "created", created)
        stack = _describe(aws, plan.pipeline_stack)  # someone else was faster
        if stack is None:
            raise _changed_meanwhile(plan.project)
    return _bring_up_to_date(aws, wish, stack)


def deployed(plan: Plan, rendering: Rendering, bundle: Bundle, aws: Aws) -> Deployed:
    """What provisioning would find and do; nothing is changed."""
    wish = _wish(plan, rendering, bundle)
    stack = _describe(aws, plan.pipeline_stack)
    if stack is None or stack.status in NEVER_LIVED:
        return Deployed("created", stack.status if stack else "")
    _require_the_same_way(plan, stack)
    # A workload's bundle lies at a key of its frame, so the deployed one may have another key than the new one.
    prefix = f"{BUNDLES}/{plan.project}/"
    keys = [
        value for value in stack.parameters.values() if value.startswith(prefix) and value.endswith("/template.zip")
    ]
    data = _read(aws, keys[0] if keys else plan.bundle_key)
    frame_changes = stack.frame != wish.frame
    same = hashlib.sha256(data).hexdigest() == bundle.digest and not frame_changes
    return Deployed("unchanged" if same else "updated", stack.status, frame_changes, data)


def _wish(plan: Plan, rendering: Rendering, bundle: Bundle) -> _Wish:
    tags = {**plan.tags, "mlops:project": plan.project, "mlops:model-name": plan.model_name}
    if plan.deployment != CHANGE_SETS:
        tags["mlops:deployment"] = plan.deployment
    frame = json.dumps([rendering.pipeline_template, dict(plan.pipeline_parameters), tags], sort_keys=True)
    digest = hashlib.sha256(frame.encode()).hexdigest()
    return _Wish(plan, rendering, bundle, digest, {**tags, "mlops:frame-digest": digest})


def _bring_up_to_date(aws: Aws, wish: _Wish, stack: _Stack) -> Receipt:
    _require_the_same_way(wish.plan, stack)
    if stack.status.startswith(TURNING_BACK) and stack.status != "UPDATE_ROLLBACK_COMPLETE":
        raise _not_now(wish.plan.project, stack)
    written = _head(aws, wish)
    same_bundle = written is not None and written[0] == wish.bundle.digest
    # After a rollback the tags may be the failed update's or the ones before it: CloudFormation says what differs.
    same_frame = stack.frame == wish.frame and stack.status != "UPDATE_ROLLBACK_COMPLETE"
    if same_bundle and same_frame:
        return _receipt(wish, "unchanged", stack.id)
    if stack.busy:
        raise _not_now(wish.plan.project, stack)
    outcome: Outcome = "unchanged"
    if not same_bundle:
        _write_templates(aws, wish)
    if not same_bundle and _write(aws, wish, {"IfMatch": written[1]} if written else {"IfNoneMatch": "*"}):
        outcome = "updated"
    if not same_frame and _update(aws, wish):
        outcome = "updated"
    return _receipt(wish, outcome, stack.id)


# ---- the bundle ----


def _head(aws: Aws, wish: _Wish) -> tuple[str, str] | None:
    """Digest and ETag of the bundle that lies there, or None."""
    try:
        answer = aws.call("s3", "head_object", Bucket=aws.settings.assets_bucket, Key=wish.plan.bundle_key)
    except AwsFailed as error:
        if error.code in ABSENT_OBJECT:
            return None
        raise
    return answer.get("Metadata", {}).get("bundle-digest", ""), answer["ETag"]


def _read(aws: Aws, key: str) -> bytes:
    try:
        answer = aws.call("s3", "get_object", Bucket=aws.settings.assets_bucket, Key=key)
    except AwsFailed as error:
        if error.code in ABSENT_OBJECT:
            return b""
        raise
    return bytes(answer["Body"].read())


def _write_templates(aws: Aws, wish: _Wish) -> None:
    """What stack sets will look for, before the bundle that sends them there; a key is of its content."""
    for key, body in wish.rendering.templates.items():
        bucket = aws.settings.blueprint_bucket
        aws.call("s3", "put_object", Bucket=bucket, Key=key, Body=body, ContentType="application/json")


def _write_first(aws: Aws, wish: _Wish) -> None:
    """Write the bundle of a project that has no pipeline yet; what an earlier attempt left is replaced."""
    _write_templates(aws, wish)
    if _write(aws, wish, {"IfNoneMatch": "*"}, lost_race_is_fatal=False):
        return
    written = _head(aws, wish)
    if written is None or written[0] != wish.bundle.digest:
        _write(aws, wish, {"IfMatch": written[1]} if written else {"IfNoneMatch": "*"})


def _write(aws: Aws, wish: _Wish, condition: dict[str, str], *, lost_race_is_fatal: bool = True) -> bool:
    """Write the bundle unless another request was faster; whether it was this one that wrote."""
    try:
        aws.call(
            "s3",
            "put_object",
            Bucket=aws.settings.assets_bucket,
            Key=wish.plan.bundle_key,
            Body=wish.bundle.data,
            ContentType="application/zip",
            Metadata={"bundle-digest": wish.bundle.digest},
            **condition,
        )
    except AwsFailed as error:
        if error.code not in LOST_RACE:
            raise
        if lost_race_is_fatal:
            written = _head(aws, wish)
            if written is None or written[0] != wish.bundle.digest:
                raise _changed_meanwhile(wish.plan.project) from error
        return False
    return True


# ---- the stack ----


def _describe(aws: Aws, name: str) -> _Stack | None:
    """The stack, or None when there is none (a stack unknown by name is a plain ValidationError on AWS)."""
    try:
        stack = aws.call("cloudformation", "describe_stacks", StackName=name)["Stacks"][0]
    except AwsFailed as error:
        if error.code == "ValidationError":
            return None
        raise
    if stack["StackStatus"] == "DELETE_COMPLETE":
        return None
    tags = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])}
    parameters = {one["ParameterKey"]: one.get("ParameterValue", "") for one in stack.get("Parameters", [])}
    deployment = tags.get("mlops:deployment", CHANGE_SETS)
    return _Stack(stack["StackId"], stack["StackStatus"], tags.get("mlops:frame-digest", ""), parameters, deployment)


def _create(aws: Aws, wish: _Wish) -> str:
    """Start the stack's creation; its id, or "" when it exists already."""
    try:
        return str(aws.call("cloudformation", "create_stack", **_stack_request(aws, wish))["StackId"])
    except AwsFailed as error:
        if error.code == "AlreadyExistsException":
            return ""
        raise


def _update(aws: Aws, wish: _Wish) -> bool:
    """Start the stack's update; whether there was anything to update."""
    try:
        aws.call("cloudformation", "update_stack", **_stack_request(aws, wish))
    except AwsFailed as error:
        if error.code != "ValidationError":
            raise
        if NO_UPDATES in error.aws_message:
            return False
        stack = _describe(aws, wish.plan.pipeline_stack)
        if stack is None or not stack.busy:
            raise
        if stack.frame != wish.frame:  # another update runs; with our frame it is the same request, sent twice
            raise _not_now(wish.plan.project, stack) from error
        return False
    return True


def _stack_request(aws: Aws, wish: _Wish) -> dict[str, Any]:
    template = wish.rendering.pipeline_template
    request: dict[str, Any] = {
        "StackName": wish.plan.pipeline_stack,
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": value} for key, value in wish.plan.pipeline_parameters.items()
        ],
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
        "RoleARN": aws.settings.cloudformation_role_arn,
        "Tags": [{"Key": key, "Value": value} for key, value in wish.tags.items()],
        # One token a request: it makes botocore's retries harmless and never meets the token of an older request.
        "ClientRequestToken": f"mlops-{uuid.uuid4()}",
    }
    if len(template.encode()) <= LARGEST_TEMPLATE_BODY:
        return {**request, "TemplateBody": template}
    return {**request, "TemplateURL": _upload_template(aws, wish)}


def _upload_template(aws: Aws, wish: _Wish) -> str:
    settings = aws.settings
    key = f"{BUNDLES}/{wish.plan.project}/frames/{wish.frame[:32]}.json"
    body = wish.rendering.pipeline_template.encode()
    aws.call("s3", "put_object", Bucket=settings.assets_bucket, Key=key, Body=body, ContentType="application/json")
    suffix = "amazonaws.com.cn" if settings.partition == "aws-cn" else "amazonaws.com"
    return f"https://{settings.assets_bucket}.s3.{settings.region}.{suffix}/{key}"


def _clear(aws: Aws, stack: _Stack, name: str) -> None:
    """Delete a stack whose creation failed: it never lived, and its name is needed. By id, so no other can be hit."""
    aws.call("cloudformation", "delete_stack", StackName=stack.id)
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while True:
        remains = _describe(aws, stack.id)
        if remains is None:
            return
        if remains.status == "DELETE_FAILED" or time.monotonic() > deadline:
            raise Conflict(
                f"The stack {name} failed to be created and is still being removed (it is {remains.status}).",
                hint="Repeat the request in a minute; when it stays so, look at the stack's events.",
            )
        time.sleep(0.5)


# ---- answers ----


def _receipt(wish: _Wish, outcome: Outcome, stack_id: str) -> Receipt:
    stack = wish.plan.pipeline_stack
    messages = {
        "created": "success: stack creation started",
        "updated": f"Pipeline {stack} is already provisioned. Updating template parameters.",
        "unchanged": f"Pipeline {stack} is already provisioned. No updates are to be performed.",
    }
    return Receipt(outcome, wish.plan.project, stack_id, wish.bundle.digest, messages[outcome])


def _require_the_same_way(plan: Plan, stack: _Stack) -> None:
    """Two ways would make two stacks of everything in each stage, and the endpoints' names are taken."""
    if stack.deployment != plan.deployment:
        raise Conflict(
            f"The stages of {plan.project} are deployed by {stack.deployment}, and cannot change over to"
            f" {plan.deployment} where they stand.",
            hint=f"Leave `deployment` at {stack.deployment}, or delete the project (`mlops delete`) and provision it"
            " again.",
        )


def _not_now(project: str, stack: _Stack) -> Conflict:
    if stack.status in ("DELETE_FAILED", "UPDATE_ROLLBACK_FAILED", "REVIEW_IN_PROGRESS"):
        hint = "Repair or delete this stack in CloudFormation, then repeat the request."
    else:
        hint = "Repeat the request when the stack has settled, usually within a minute."
    return Conflict(f"The pipeline stack of {project} is {stack.status}.", hint=hint)


def _changed_meanwhile(project: str) -> Conflict:
    return Conflict(
        f"Another request changed {project} at the same time.", hint="Look at `mlops status`, then repeat the request."
    )
