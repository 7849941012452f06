"""Why something failed, dug out of where AWS hides it: the job behind the state machine, the resource in the stack."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.aws import Aws
from orchestrator.errors import AwsFailed, Failure
from orchestrator.runs import ActionRun, Target

STACK_BEGINS = frozenset({"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "REVIEW_IN_PROGRESS"})
JOB_NAMES = ("TrainingJobName", "ProcessingJobName", "TransformJobName", "HyperParameterTuningJobName")
LONGEST_REASON = 2000


def of_action(aws: Aws, action: ActionRun, targets: Iterable[Target]) -> Failure:
    """Why an action failed. What cannot be read any more leaves the reason CodePipeline itself gives."""
    where = f"{action.stage}/{action.name}"
    told = action.message or "CodePipeline gives no reason."
    try:
        if action.provider == "StepFunctions" and action.external_id.startswith("arn:"):
            return of_execution(aws, action.external_id, where)
        if action.provider == "CloudFormation":
            stack = (action.configuration or {}).get("StackName", "")
            for target in targets:
                if target.stack == stack:
                    return of_stack(aws, stack, target.account, target.region, where, told)
    except AwsFailed as error:
        return Failure(where, told, f"More could not be read: {error.message}")
    if action.provider == "Manual":
        reason = told if told.startswith("Rejected") else f"Rejected: {told}"
        return Failure(where, reason, "Change the config and provision again, or `mlops start` a new run.")
    hint = "Repair what it names, then `mlops start`." if action.provider == "Lambda" else ""
    return Failure(where, told[:LONGEST_REASON], hint)


def of_execution(aws: Aws, arn: str, where: str) -> Failure:
    """Why a state machine's run failed: the job's own FailureReason when a job was the cause."""
    account, region = arn.split(":")[4], arn.split(":")[3]
    execution = aws.call("stepfunctions", "describe_execution", account=account, region=region, executionArn=arn)
    error, cause = execution.get("error", ""), execution.get("cause", "")
    details: dict[str, Any] = {"execution": arn}
    job = _object(cause)
    name = next((str(job[key]) for key in JOB_NAMES if job.get(key)), "")
    if name:
        details["job"] = name
        reason = str(job.get("FailureReason") or f"the job ended {_job_status(job)} and gives no reason")
        return Failure(where, f"Job {name} failed: {reason}"[:LONGEST_REASON], "`mlops logs` shows its log.", details)
    reason = str(job.get("errorMessage") or cause or error or f"it ended {execution['status']}")
    return Failure(where, f"{error}: {reason}"[:LONGEST_REASON] if error and reason != error else reason, "", details)


def of_stack(aws: Aws, stack: str, account: str, region: str, where: str, told: str = "") -> Failure:
    """Why a stack's last operation failed: the first resource that did, whatever was cancelled after it."""
    first: Mapping[str, Any] | None = None
    events = aws.items(
        "cloudformation", "describe_stack_events", "StackEvents", account=account, region=region, StackName=stack
    )
    for event in events:  # newest first, back to where the operation began
        own = event.get("PhysicalResourceId") == event["StackId"]
        if own and event["ResourceStatus"] in STACK_BEGINS:
            break
        if event["ResourceStatus"].endswith("_FAILED") and not (own and first):
            first = event
    if first is None:
        return Failure(where, told or "CloudFormation gives no reason.", "", {"stack": stack, "account": account})
    reason = first.get("ResourceStatusReason") or "CloudFormation gives no reason"
    name = f"{first['LogicalResourceId']} ({first['ResourceType']})"
    details = {"stack": stack, "account": account, "region": region, "resource": first["LogicalResourceId"]}
    return Failure(where, f"{name} in {stack}: {reason}"[:LONGEST_REASON], "", details)


def _object(text: str) -> dict[str, Any]:
    """The JSON object in a cause, or an empty one; Step Functions puts the whole description of a job there."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _job_status(job: Mapping[str, Any]) -> str:
    return next((str(value) for key, value in job.items() if key.endswith("JobStatus")), "Failed")
