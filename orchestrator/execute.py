"""What happens inside a run, and to it: the jobs CodePipeline gives us, and what people order.

A job comes with ``UserParameters`` that say what to do: ``results`` hands a state machine's output to the actions
that follow, ``accept`` does what an approval granted, ``verify`` compares a stage with the truth. Every job is
answered; a failure carries the reason a person needs. Jobs that are the work of others (``provision``) are handed in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.aws import Aws
from orchestrator.errors import AwsFailed, BadRequest, Conflict, OrchestratorError
from orchestrator.runs import Run, Waiting, actions, pipeline_state, runs, waiting
from orchestrator.stack_sets import members
from orchestrator.verify import verify

LONGEST_FAILURE_MESSAGE = 5000
LONGEST_SUMMARY = 512
ANSWERED_ALREADY = frozenset({"ApprovalAlreadyCompletedException", "InvalidApprovalTokenException"})
ANSWERED_JOB = frozenset({"InvalidJobStateException", "JobNotFoundException"})
ENDED_ALREADY = frozenset({"ExecutionDoesNotExist"})


@dataclass(frozen=True, slots=True)
class Job:
    """One invocation by CodePipeline."""

    id: str
    do: str
    arguments: Mapping[str, Any]
    token: str = ""
    inputs: tuple[tuple[str, str], ...] = ()
    """Bucket and key of each artifact that the action was given."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a job went: ``variables`` for later actions; ``again`` asks CodePipeline to call once more."""

    summary: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    again: bool = False


class JobFailed(OrchestratorError):
    """The job was done and its answer is no: the action fails with this message."""

    title = "The action failed"


# ---- inside a run ----


def read_job(event: Mapping[str, Any]) -> Job:
    """The job in a ``CodePipeline.job`` event. Raises BadRequest when it is not one of ours."""
    try:
        job = event["CodePipeline.job"]
        data = job["data"]
        arguments = json.loads(data["actionConfiguration"]["configuration"]["UserParameters"])
        places = [artifact["location"]["s3Location"] for artifact in data.get("inputArtifacts", [])]
        inputs = tuple((place["bucketName"], place["objectKey"]) for place in places)
        return Job(job["id"], arguments.pop("do"), arguments, data.get("continuationToken", ""), inputs)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadRequest(
            f"The CodePipeline job carries no UserParameters of ours: {error!r}.",
            hint='UserParameters must be a JSON object with "do".',
        ) from error


def run_job(
    event: Mapping[str, Any], aws: Aws, others: Mapping[str, Callable[[Job], Done]] | None = None
) -> Done | JobFailed:
    """Do the job and tell CodePipeline. Returns what was told; raises only when it could not be told.

    ``others`` are jobs that somebody else does, by their names.
    """
    try:
        job = read_job(event)
        outcome: Done | JobFailed = others[job.do](job) if others and job.do in others else _do(job, aws)
    except JobFailed as failure:
        outcome = failure
    except OrchestratorError as error:
        outcome = JobFailed(error.message, hint=error.hint)
    _tell(str(event["CodePipeline.job"]["id"]), outcome, aws)
    return outcome


def _do(job: Job, aws: Aws) -> Done:
    work = JOBS.get(job.do)
    if work is None:
        raise JobFailed(f"The orchestrator does not know the job {job.do!r}; it knows {', '.join(JOBS)}.")
    try:
        return work(job.arguments, aws)
    except KeyError as error:
        raise JobFailed(f"The job {job.do!r} needs {error} in its UserParameters.") from error


def _tell(job_id: str, outcome: Done | JobFailed, aws: Aws) -> None:
    operation, answer = _answer_of(outcome)
    try:
        aws.call("codepipeline", operation, jobId=job_id, **answer)
    except AwsFailed as error:  # Lambda may deliver an event twice, and a stopped run asks no more
        if error.code not in ANSWERED_JOB:
            raise


def _answer_of(outcome: Done | JobFailed) -> tuple[str, dict[str, Any]]:
    if isinstance(outcome, JobFailed):
        message = outcome.message[:LONGEST_FAILURE_MESSAGE] or outcome.title
        return "put_job_failure_result", {"failureDetails": {"type": "JobFailed", "message": message}}
    answer: dict[str, Any] = {}
    if outcome.variables:
        answer["outputVariables"] = dict(outcome.variables)
    if outcome.summary:
        answer["executionDetails"] = {"summary": outcome.summary[:LONGEST_SUMMARY]}
    if outcome.again:
        answer["continuationToken"] = "again"
    return "put_job_success_result", answer


def _results(arguments: Mapping[str, Any], aws: Aws) -> Done:
    """The members of a state machine's output object, as output variables."""
    arn = arguments["execution"]
    account, region = place_of(arn)
    execution = aws.call("stepfunctions", "describe_execution", account=account, region=region, executionArn=arn)
    if execution["status"] != "SUCCEEDED":
        raise JobFailed(f"The state machine's run {arn} is {execution['status']}; it has no results.")
    output = json.loads(execution.get("output") or "{}")
    if not isinstance(output, dict):
        raise JobFailed(f"The state machine's run {arn} returned no object, so its results have no names.")
    variables = {
        name: value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))
        for name, value in output.items()
        if value is not None
    }
    return Done(", ".join(sorted(variables)), variables)


def _accept(arguments: Mapping[str, Any], aws: Aws) -> Done:
    what = arguments["what"]
    if what not in ACCEPTS:
        raise JobFailed(f"The orchestrator does not know how to accept {what!r}; it knows {', '.join(ACCEPTS)}.")
    return ACCEPTS[what](arguments["results"], aws)


def _approve_model_package(results: Mapping[str, str], aws: Aws) -> Done:
    arn = results["ModelPackageArn"]
    account, region = place_of(arn)
    aws.call(
        "sagemaker",
        "update_model_package",
        account=account,
        region=region,
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription="Approved by a person in the review of the pipeline's run.",
    )
    return Done(f"{arn} is Approved", {"ModelPackageArn": arn})


def _verify(arguments: Mapping[str, Any], aws: Aws) -> Done:
    account, region, stack = arguments["account"], arguments["region"], arguments["stack"]
    if arguments.get("stack_set"):
        stack = _stack_of(aws, arguments["stack_set"], account, region)
    verdict = verify(aws, account, region, stack)
    if verdict.problems:
        raise JobFailed(" ".join(verdict.problems))
    if not verdict.settled:
        return Done(f"waiting for {', '.join(verdict.checked)}", again=True)
    return Done(f"true: {', '.join(verdict.checked)}" if verdict.checked else "nothing here can lie")


def _stack_of(aws: Aws, stack_set: str, account: str, region: str) -> str:
    """The name of the stack that a stack set holds in an account."""
    for member in members(aws, stack_set):
        if (member.account, member.region) == (account, region) and member.stack:
            return member.stack
    raise JobFailed(
        f"The stack set {stack_set} holds no stack in account {account}: the account is not in the organizational unit"
        " that the stage names, or it is the organization's management account."
    )


JOBS: Mapping[str, Callable[[Mapping[str, Any], Aws], Done]] = {
    "results": _results,
    "accept": _accept,
    "verify": _verify,
}
ACCEPTS: Mapping[str, Callable[[Mapping[str, str], Aws], Done]] = {"approve_model_package": _approve_model_package}


# ---- what people order ----


def approve(aws: Aws, project: str, stage: str = "", summary: str = "") -> Waiting:
    """Approve what waits: ``stage`` names it (``prod``, ``registry``), and may be left out when only one waits.

    Raises NotFound for an unknown project, Conflict when nothing (or more than one thing) of that name waits.
    """
    return _answer(aws, project, stage, "Approved", summary or "Approved.")


def reject(aws: Aws, project: str, stage: str, reason: str) -> Waiting:
    """Reject what waits; a reason must be given, for whoever reads the run later. Raises as ``approve``."""
    if not reason.strip():
        raise BadRequest("A rejection needs a reason.", hint='Say why: `mlops reject ... --reason "..."`.')
    return _answer(aws, project, stage, "Rejected", reason)


def _answer(aws: Aws, project: str, stage: str, status: str, summary: str) -> Waiting:
    approval = _the_one(waiting(pipeline_state(aws, project)), project, stage)
    try:
        aws.call(
            "codepipeline",
            "put_approval_result",
            pipelineName=project,
            stageName=approval.stage,
            actionName=approval.action,
            token=approval.token,
            result={"summary": summary[:LONGEST_SUMMARY], "status": status},
        )
    except AwsFailed as error:
        if error.code in ANSWERED_ALREADY:
            raise Conflict(f"{approval.name} was answered by someone else.", hint="See `mlops status`.") from error
        raise
    return approval


def _the_one(found: tuple[Waiting, ...], project: str, stage: str) -> Waiting:
    fitting = [one for one in found if not stage or stage in (one.name, one.action, one.stage)]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(one.name for one in found)
    if len(fitting) > 1:
        raise Conflict(f"Several approvals of {project} wait: {names}.", hint="Say which one.")
    hint = f"These wait: {names}." if found else "`mlops status` shows where the run is."
    raise Conflict(f"Nothing in {project} waits for an approval{f' called {stage}' if stage else ''}.", hint=hint)


def start(aws: Aws, project: str) -> str:
    """Start a run of what is provisioned; its id. Raises NotFound."""
    pipeline_state(aws, project)
    return str(aws.call("codepipeline", "start_pipeline_execution", name=project)["pipelineExecutionId"])


def stop(aws: Aws, project: str, reason: str = "") -> tuple[Run, ...]:
    """Stop every run of the project that goes on, and its jobs. Raises Conflict when none does."""
    going = tuple(run for run in runs(aws, project) if run.status == "InProgress")
    if not going:
        raise Conflict(f"No run of {project} is going on.", hint="`mlops status` shows the last one.")
    for run in going:
        try:
            aws.call(
                "codepipeline",
                "stop_pipeline_execution",
                pipelineName=project,
                pipelineExecutionId=run.id,
                abandon=True,
                reason=reason[:200] or "Stopped by a person.",
            )
        except AwsFailed as error:  # it ended, or was stopped, between the two calls
            if error.code not in ("PipelineExecutionNotStoppableException", "DuplicatedStopRequestException"):
                raise
        stop_jobs(aws, project, run.id)
    return going


def stop_jobs(aws: Aws, project: str, run: str) -> tuple[str, ...]:
    """Stop the state machines a run started, and with them their jobs; stopped ones stay so. Their ARNs."""
    stopped = []
    for action in actions(aws, project, run):
        if action.provider != "StepFunctions" or not action.external_id or action.status in ("Succeeded", "Failed"):
            continue
        account, region = place_of(action.external_id)
        try:
            aws.call(
                "stepfunctions",
                "stop_execution",
                account=account,
                region=region,
                role="pipeline-action",
                executionArn=action.external_id,
                error="RunStopped",
                cause="The run of the pipeline was stopped.",
            )
        except AwsFailed as error:
            if error.code not in ENDED_ALREADY:
                raise
            continue
        stopped.append(action.external_id)
    return tuple(stopped)


def retry(aws: Aws, project: str) -> str:
    """Run the failed actions of the failed stage again, in the same run; the run's id. Raises Conflict when none."""
    for stage in pipeline_state(aws, project)["stageStates"]:
        latest = stage.get("latestExecution", {})
        if latest.get("status") == "Failed":
            answer = aws.call(
                "codepipeline",
                "retry_stage_execution",
                pipelineName=project,
                stageName=stage["stageName"],
                pipelineExecutionId=latest["pipelineExecutionId"],
                retryMode="FAILED_ACTIONS",
            )
            return str(answer["pipelineExecutionId"])
    raise Conflict(f"No stage of {project} has failed.", hint="`mlops start` begins a new run.")


def place_of(arn: str) -> tuple[str, str]:
    """Account and region of an ARN. Raises BadRequest for what is none."""
    parts = arn.split(":")
    if len(parts) < 6 or parts[0] != "arn":
        raise BadRequest(f"{arn!r} is not an ARN.")
    return parts[4], parts[3]
