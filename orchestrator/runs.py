"""What CodePipeline says about a project: its runs, its actions, the stacks it deploys, who waits for an approval.

Read-only, and without judgement: ``status`` tells people what it means, ``execute`` acts on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from orchestrator.aws import Aws
from orchestrator.errors import AwsFailed, NotFound
from orchestrator.model import SEPARATE
from orchestrator.stack_sets import FILE, members

FRAME = "mlops:frame-digest"
"""A tag that CodePipelines' stacks have, and those of pipelines have not."""
RUNNING = frozenset({"InProgress", "Stopping"})
ACCOUNT_OF_ROLE = re.compile(r"^arn:[^:]+:iam::(\d{12}):role/")
RECENT_RUNS = 20


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of the project's pipeline; ``rollback_to`` is the run whose release a rollback brings back."""

    id: str
    status: str
    started: datetime | None = None
    trigger: str = ""
    reason: str = ""
    rollback_to: str = ""

    @property
    def running(self) -> bool:
        return self.status in RUNNING


@dataclass(frozen=True, slots=True)
class Target:
    """A stack the pipeline deploys, and where. ``stage`` is the pipeline's own stage (``Deploy-dev``, ``training``).

    ``stack_set`` is the stack set that this stack holds or, once it is followed (``followed``), is a stack of.
    """

    stage: str
    account: str
    region: str
    stack: str
    stack_set: str = ""

    @property
    def name(self) -> str:
        """The stack's name as it was planned; the stack of a stack set is called otherwise."""
        return self.stack_set or self.stack


@dataclass(frozen=True, slots=True)
class Waiting:
    """An approval that waits for a person; ``token`` is what answers it."""

    stage: str
    action: str
    run: str
    token: str
    since: datetime | None = None

    @property
    def name(self) -> str:
        """The word people use: ``prod`` for the stage's review, ``registry`` for a pipeline's."""
        return self.action.removeprefix("Approve-")


@dataclass(frozen=True, slots=True)
class ActionRun:
    """One action of one run, as it went."""

    id: str
    stage: str
    name: str
    provider: str
    status: str
    external_id: str = ""
    message: str = ""
    link: str = ""
    updated: datetime | None = None
    configuration: Mapping[str, str] | None = None
    variables: Mapping[str, str] | None = None


def pipeline_stack(aws: Aws, project: str) -> dict[str, Any] | None:
    """The stack of the project's CodePipeline, or None when there is none."""
    for name in (project + SEPARATE, project):
        try:
            stack: dict[str, Any] = aws.call("cloudformation", "describe_stacks", StackName=name)["Stacks"][0]
        except AwsFailed as error:
            if error.code != "ValidationError":
                raise
        else:
            return stack if name != project or FRAME in tags_of(stack) else None
    return None


def is_pipeline_stack(stack: Mapping[str, Any]) -> bool:
    """Whether a stack is that of a project's CodePipeline, and not one that a CodePipeline deploys."""
    project, name = tags_of(stack).get("mlops:project", ""), stack["StackName"]
    return bool(project) and (name == project + SEPARATE or (name == project and FRAME in tags_of(stack)))


def tags_of(stack: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a stack."""
    return {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])}


def pipeline_state(aws: Aws, project: str) -> dict[str, Any]:
    """GetPipelineState. Raises NotFound when the project has no pipeline."""
    try:
        return aws.call("codepipeline", "get_pipeline_state", name=project)
    except AwsFailed as error:
        raise _absent(error, project) from error


def runs(aws: Aws, project: str, limit: int = RECENT_RUNS) -> tuple[Run, ...]:
    """The latest runs, newest first. Raises NotFound when the project has no pipeline."""
    try:
        answer = aws.call("codepipeline", "list_pipeline_executions", pipelineName=project, maxResults=limit)
    except AwsFailed as error:
        raise _absent(error, project) from error
    return tuple(_run(summary) for summary in answer.get("pipelineExecutionSummaries", []))


def actions(aws: Aws, project: str, run: str) -> tuple[ActionRun, ...]:
    """Every action of one run, oldest first; a retried action appears once for each attempt."""
    found = aws.items(
        "codepipeline",
        "list_action_executions",
        "actionExecutionDetails",
        pipelineName=project,
        filter={"pipelineExecutionId": run},
    )
    return tuple(reversed([_action(detail) for detail in found]))


def targets(aws: Aws, project: str) -> tuple[Target, ...]:
    """The stacks the pipeline deploys, in its order, read from its definition."""
    try:
        pipeline = aws.call("codepipeline", "get_pipeline", name=project)["pipeline"]
    except AwsFailed as error:
        raise _absent(error, project) from error
    found: dict[tuple[str, str], Target] = {}
    for stage in pipeline["stages"]:
        for action in stage["actions"]:
            configuration = action.get("configuration", {})
            if action["actionTypeId"]["provider"] == "CloudFormation" and not stage["name"].startswith("Review-"):
                role = ACCOUNT_OF_ROLE.match(action.get("roleArn", ""))
                account = role[1] if role else aws.settings.account
                region = action.get("region") or aws.settings.region
                stack = configuration["StackName"]
                holds = configuration.get("TemplatePath", "").endswith(f"/{FILE}")
                target = Target(stage["name"], account, region, stack, stack if holds else "")
                found.setdefault((stage["name"], stack), target)  # an action that executes a change set says less
    return tuple(found.values())


def followed(aws: Aws, found: Iterable[Target]) -> tuple[Target, ...]:
    """The stacks with the pipelines' own resources: of a stack set, its stack in the stage's account, once there."""
    return tuple(
        replace(target, account=member.account, region=member.region, stack=member.stack) if member else target
        for target in found
        for member in (members(aws, target.stack_set) if target.stack_set else (None,))
        if member is None or member.stack
    )


def in_stages(found: Iterable[Target]) -> tuple[Target, ...]:
    """Those that stand in the workload's stages; the others, in the hub, train and register but serve nothing."""
    return tuple(target for target in found if target.stage.startswith("Deploy-"))


def waiting(state: Mapping[str, Any]) -> tuple[Waiting, ...]:
    """The approvals that wait, from a GetPipelineState answer. Only an approval has a token."""
    found = []
    for stage in state["stageStates"]:
        for action in stage.get("actionStates", []):
            latest = action.get("latestExecution", {})
            if latest.get("status") == "InProgress" and latest.get("token"):
                run, since = stage.get("latestExecution", {}), latest.get("lastStatusChange")
                name = run.get("pipelineExecutionId", "")
                found.append(Waiting(stage["stageName"], action["actionName"], name, latest["token"], since))
    return tuple(found)


def _absent(error: AwsFailed, project: str) -> Exception:
    if error.code == "PipelineNotFoundException":
        return NotFound(f"There is no pipeline {project}.", hint="`mlops list` shows the projects.")
    return error


def _run(summary: Mapping[str, Any]) -> Run:
    return Run(
        id=summary["pipelineExecutionId"],
        status=summary["status"],
        started=summary.get("startTime"),
        trigger=summary.get("trigger", {}).get("triggerType", ""),
        reason=summary.get("stopTrigger", {}).get("reason", "") or summary.get("statusSummary", ""),
        rollback_to=summary.get("rollbackMetadata", {}).get("rollbackTargetPipelineExecutionId", ""),
    )


def _action(detail: Mapping[str, Any]) -> ActionRun:
    given, output = detail.get("input", {}), detail.get("output", {})
    result = output.get("executionResult", {})
    return ActionRun(
        id=detail["actionExecutionId"],
        stage=detail["stageName"],
        name=detail["actionName"],
        provider=given.get("actionTypeId", {}).get("provider", ""),
        status=detail["status"],
        external_id=result.get("externalExecutionId", ""),
        message=result.get("errorDetails", {}).get("message", "") or result.get("externalExecutionSummary", ""),
        link=result.get("externalExecutionUrl", ""),
        updated=detail.get("lastUpdateTime"),
        configuration=given.get("resolvedConfiguration") or given.get("configuration") or {},
        variables=output.get("outputVariables", {}),
    )
