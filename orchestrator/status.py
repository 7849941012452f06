"""What is true now, in one vocabulary: projects, runs, stages, approvals that wait, failures, endpoints.

States of a project: ``provisioning``, ``broken`` (its pipeline stack failed), ``idle`` (never ran), ``running``,
``waiting`` (for an approval), ``stopping``, ``stopped``, ``failed``, ``rolled back``, ``succeeded``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.aws import Aws
from orchestrator.deployed import Endpoint
from orchestrator.deployed import endpoints as endpoints_of
from orchestrator.errors import AwsFailed, Conflict, Failure, NotFound
from orchestrator.reasons import of_action, of_stack
from orchestrator.runs import (
    ActionRun,
    Run,
    Target,
    Waiting,
    actions,
    followed,
    in_stages,
    is_pipeline_stack,
    pipeline_stack,
    pipeline_state,
    runs,
    tags_of,
    targets,
    waiting,
)

METRICS = "Metrics"
"""The result that says how good a model is: a JSON list of MetricName and Value."""
REVIEW_CHANGE_SET = "mlops-review"
NOT_YET = "pipeline cloudformation stack has not provisioned the pipeline yet."
ENDED = {"Succeeded": "succeeded", "Failed": "failed", "Stopped": "stopped", "Stopping": "stopping"}
UNREADABLE = frozenset({"ChangeSetNotFound", "ChangeSetNotFoundException", "ValidationError", "ValidationException"})


@dataclass(frozen=True, slots=True)
class Project:
    """A project in the list: its CodePipeline stack and its latest run."""

    project: str
    model_name: str
    state: str
    stack_status: str
    run: Run | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """An action as the latest run of its stage left it."""

    name: str
    state: str
    summary: str = ""
    changed: datetime | None = None
    link: str = ""


@dataclass(frozen=True, slots=True)
class StageState:
    """A stage of the pipeline; ``run`` is the run that was last in it."""

    name: str
    state: str
    run: str
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Approval:
    """What waits for a person, and what to look at: the results of a job, or what would change in a stage."""

    name: str
    stage: str
    action: str
    run: str
    message: str
    link: str = ""
    since: datetime | None = None
    results: Mapping[str, str] = dataclasses.field(default_factory=dict)
    changes: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ProjectStatus:
    """Everything true about one project."""

    project: str
    model_name: str
    state: str
    stack_status: str
    bundle_digest: str = ""
    run: Run | None = None
    stages: tuple[StageState, ...] = ()
    approvals: tuple[Approval, ...] = ()
    failure: Failure | None = None
    endpoints: tuple[Endpoint, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The status as JSON; times in ISO form."""
        document: dict[str, Any] = as_json(self)
        return document


def as_json(value: Any) -> Any:
    """A value of this module as plain JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: as_json(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(member) for member in value]
    return value.isoformat() if isinstance(value, datetime) else value


# ---- all projects ----


def projects(aws: Aws) -> tuple[Project, ...]:
    """Every project of this orchestrator, by name."""
    found = []
    for stack in aws.items("cloudformation", "describe_stacks", "Stacks"):
        tags = tags_of(stack)
        if is_pipeline_stack(stack):
            latest = _latest(aws, tags["mlops:project"])
            run = latest[0] if latest else None
            state = _state(stack["StackStatus"], run, latest is not None)
            found.append(
                Project(tags["mlops:project"], tags.get("mlops:model-name", ""), state, stack["StackStatus"], run)
            )
    return tuple(sorted(found, key=lambda project: project.project))


def find(aws: Aws, name: str) -> str:
    """The project a person means: its name, or the model's when it has one project.

    Raises NotFound with the names there are, Conflict when the model has several projects.
    """
    known = projects(aws)
    if name in {project.project for project in known}:
        return name
    fitting = [project.project for project in known if project.model_name.lower() == name.lower()]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise Conflict(f"The model {name} has several projects.", hint=f"Say which: {', '.join(fitting)}.")
    names = ", ".join(project.project for project in known) or "none yet"
    raise NotFound(f"There is no project {name}.", hint=f"Projects: {names}.")


# ---- one project ----


def project_status(aws: Aws, project: str) -> ProjectStatus:
    """The whole truth about a project. Raises NotFound."""
    stack = _stack(aws, project)
    tags, stack_status = tags_of(stack), stack["StackStatus"]
    model_name = tags.get("mlops:model-name", "")
    found = _latest(aws, project)
    if found is None:
        failure = None
        if "FAILED" in stack_status or "ROLLBACK" in stack_status:
            failure = of_stack(aws, stack["StackId"], aws.settings.account, aws.settings.region, stack["StackName"])
        return ProjectStatus(project, model_name, _state(stack_status, None, False), stack_status, failure=failure)
    state = pipeline_state(aws, project)
    places = targets(aws, project)
    run = found[0] if found else None
    done = actions(aws, project, run.id) if run else ()
    approvals = tuple(_approval(aws, one, done, places) for one in waiting(state))
    word = "waiting" if approvals and run and run.status == "InProgress" else _state(stack_status, run, True)
    return ProjectStatus(
        project,
        model_name,
        word,
        stack_status,
        _bundle_digest(aws, done),
        run,
        tuple(_stage(stage, run, done) for stage in state["stageStates"]),
        approvals,
        _failure(aws, project, found, done, places),
        endpoints_of(aws, followed(aws, in_stages(places))),
    )


def endpoints(aws: Aws, project: str) -> tuple[Endpoint, ...]:
    """The endpoints of all stages, in the order of deployment. Raises NotFound for an unknown project."""
    return endpoints_of(aws, followed(aws, in_stages(targets(aws, project))))


def old_pipeline_state(aws: Aws, pipeline_id: str) -> dict[str, Any] | str:
    """GetPipelineState of the pipeline in a stack, or a sentence while the stack has none (the old API's answer)."""
    resources = aws.items("cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=pipeline_id)
    names = [
        resource.get("PhysicalResourceId", "")
        for resource in resources
        if resource["ResourceType"] == "AWS::CodePipeline::Pipeline"
    ]
    if not names or not names[-1]:
        return NOT_YET
    return aws.call("codepipeline", "get_pipeline_state", name=names[-1])


# ---- the parts ----


def _stack(aws: Aws, project: str) -> dict[str, Any]:
    stack = pipeline_stack(aws, project)
    if stack is None:
        raise NotFound(f"There is no project {project}.", hint="`mlops list` shows the projects.")
    return stack


def _latest(aws: Aws, project: str) -> tuple[Run, ...] | None:
    """The latest runs, or None when the pipeline is not there."""
    try:
        return runs(aws, project)
    except NotFound:
        return None


def _state(stack_status: str, run: Run | None, has_pipeline: bool) -> str:
    if not has_pipeline:
        return "broken" if "FAILED" in stack_status or "ROLLBACK" in stack_status else "provisioning"
    if run is None:
        return "idle"
    if run.rollback_to and run.status == "Succeeded":
        return "rolled back"
    return ENDED.get(run.status, "running" if run.running else run.status.lower())


def _stage(stage: Mapping[str, Any], run: Run | None, done: Iterable[ActionRun]) -> StageState:
    """A stage; where the latest run is in it, what an earlier run did there is not told as this one's."""
    latest = stage.get("latestExecution", {})
    started = {action.name for action in done if action.stage == stage["stageName"]}
    current = run is not None and latest.get("pipelineExecutionId") == run.id
    return StageState(
        stage["stageName"],
        latest.get("status", "NotStarted"),
        latest.get("pipelineExecutionId", ""),
        tuple(
            Action(action["actionName"], "NotStarted")
            if current and action["actionName"] not in started
            else _action(action)
            for action in stage.get("actionStates", [])
        ),
    )


def _action(action: Mapping[str, Any]) -> Action:
    latest = action.get("latestExecution", {})
    return Action(
        action["actionName"],
        latest.get("status", "NotStarted"),
        latest.get("errorDetails", {}).get("message", "") or latest.get("summary", ""),
        latest.get("lastStatusChange"),
        latest.get("externalExecutionUrl", "") or action.get("entityUrl", ""),
    )


def _approval(aws: Aws, one: Waiting, done: Iterable[ActionRun], places: Iterable[Target]) -> Approval:
    configuration: Mapping[str, str] = {}
    results: dict[str, str] = {}
    changes: list[Mapping[str, str]] = []
    of_stacks = {place.stack: place for place in places}
    for action in done:
        if METRICS in (action.variables or {}):  # of the training, which has a stage of its own
            results.setdefault(METRICS, (action.variables or {})[METRICS])
        if action.name == f"Results-{one.name}":  # of the pipeline under review, in the stage before
            results |= dict(action.variables or {})
        if action.stage != one.stage:
            continue
        if action.name == one.action:
            configuration = action.configuration or {}
        elif action.provider == "CloudFormation":
            place = of_stacks.get((action.configuration or {}).get("StackName", ""))
            changes += _changes(aws, place) if place else []
    return Approval(
        one.name,
        one.stage,
        one.action,
        one.run,
        configuration.get("CustomData", ""),
        configuration.get("ExternalEntityLink", ""),
        one.since,
        results,
        tuple(changes),
    )


def _changes(aws: Aws, place: Target) -> list[Mapping[str, str]]:
    """What the reviewed change set would do; one already executed or replaced says nothing."""
    try:
        change_set = aws.call(
            "cloudformation",
            "describe_change_set",
            account=place.account,
            region=place.region,
            StackName=place.stack,
            ChangeSetName=REVIEW_CHANGE_SET,
        )
    except AwsFailed as error:
        if error.code in UNREADABLE:
            return []
        raise
    return [
        {
            "stack": place.stack,
            "action": change["ResourceChange"]["Action"],
            "resource": change["ResourceChange"]["LogicalResourceId"],
            "type": change["ResourceChange"]["ResourceType"],
            "replacement": change["ResourceChange"].get("Replacement", ""),
        }
        for change in change_set.get("Changes", [])
    ]


def _failure(
    aws: Aws, project: str, found: tuple[Run, ...], done: tuple[ActionRun, ...], places: tuple[Target, ...]
) -> Failure | None:
    """Why the latest run failed; of a rollback, why the run before it did."""
    if not found:
        return None
    run = found[0]
    if run.rollback_to:
        run = next((older for older in found[1:] if not older.rollback_to), run)
        done = actions(aws, project, run.id)
    if run.status == "Stopped":
        return Failure("run", run.reason or "Stopped.", "`mlops start` begins a new run.")
    if run.status != "Failed":
        return None
    failed = [action for action in done if action.status == "Failed"]
    if failed:
        return of_action(aws, failed[-1], places)
    return Failure("run", run.reason or "CodePipeline gives no reason.")


def _bundle_digest(aws: Aws, done: Iterable[ActionRun]) -> str:
    """The digest of the bundle the run works on, from the version its source action took."""
    for action in done:
        configuration, variables = action.configuration or {}, action.variables or {}
        if action.provider == "S3" and configuration.get("S3ObjectKey"):
            version = {"VersionId": variables["VersionId"]} if variables.get("VersionId") else {}
            try:
                answer = aws.call(
                    "s3",
                    "head_object",
                    Bucket=configuration.get("S3Bucket", ""),
                    Key=configuration["S3ObjectKey"],
                    **version,
                )
            except AwsFailed:
                return ""
            return str(answer.get("Metadata", {}).get("bundle-digest", ""))
    return ""
