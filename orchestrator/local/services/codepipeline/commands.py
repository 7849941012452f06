"""What people and services ask of executions: start, stop, retry, roll back, open and close transitions.

Pure functions on a scene; they refuse what AWS refuses, with AWS's codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.local.service import ServiceError
from orchestrator.local.services.codepipeline.machine import (
    add_execution,
    add_rollback,
    is_outdated,
    reset_actions,
)
from orchestrator.local.services.codepipeline.scene import (
    FAILED,
    IN_PROGRESS,
    ROLLBACK,
    SKIPPED,
    STOPPED,
    STOPPING,
    SUCCEEDED,
    Scene,
)
from orchestrator.local.store import Document

LONGEST_LINE = 50
"""Executions of one pipeline at a time, https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html."""


def start(
    scene: Scene,
    identity: str,
    trigger: Document,
    variables: Sequence[Mapping[str, str]] = (),
    revisions: Sequence[Mapping[str, str]] = (),
) -> Document:
    """A new execution with the given id, waiting before the first stage."""
    if scene.mode != "SUPERSEDED" and len(scene.pipeline["active"]) >= LONGEST_LINE:
        raise ServiceError(
            "ConcurrentPipelineExecutionsLimitExceededException",
            f"The pipeline has reached the limit of {LONGEST_LINE} concurrent executions.",
        )
    return add_execution(
        scene,
        identity,
        trigger,
        scene.definition["stages"][0]["name"],
        _pipeline_variables(scene, variables),
        sourceRevisions=_source_revisions(scene, revisions),
    )


def _pipeline_variables(scene: Scene, given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    declared = {variable["name"]: variable.get("defaultValue") for variable in scene.definition.get("variables", [])}
    values = {variable["name"]: variable["value"] for variable in given}
    if unknown := sorted(values.keys() - declared.keys()):
        raise ServiceError("ValidationException", f"The pipeline declares no variable(s) {', '.join(unknown)}.")
    merged = {**declared, **values}
    if missing := sorted(name for name, value in merged.items() if value is None):
        raise ServiceError("ValidationException", f"Pipeline variable(s) without a value: {', '.join(missing)}.")
    return {name: str(value) for name, value in merged.items()}


def _source_revisions(scene: Scene, given: Sequence[Mapping[str, str]]) -> dict[str, Document]:
    sources = {action["name"]: action for action in scene.definition["stages"][0]["actions"]}
    revisions: dict[str, Document] = {}
    for revision in given:
        source = sources.get(revision["actionName"])
        if source is None:
            raise ServiceError("ValidationException", f"There is no source action {revision['actionName']!r}.")
        kind = revision["revisionType"]
        if kind not in ("S3_OBJECT_VERSION_ID", "S3_OBJECT_KEY"):
            raise ServiceError("ValidationException", f"Revision type {kind} does not fit action {source['name']!r}.")
        if kind == "S3_OBJECT_KEY" and source["configuration"].get("AllowOverrideForS3ObjectKey") != "true":
            message = f"Action {source['name']!r} does not allow to override the S3 object key."
            raise ServiceError("ValidationException", message)
        revisions.setdefault(source["name"], {})[kind] = revision["revisionValue"]
    return revisions


def stop(scene: Scene, execution: Document, *, abandon: bool, reason: str) -> None:
    """Stop after the actions in progress, or at once without waiting for them."""
    if execution["status"] == STOPPING and (execution["stop"]["abandon"] or not abandon):
        raise ServiceError("DuplicatedStopRequestException", "The pipeline execution is already being stopped.")
    if execution["status"] not in (IN_PROGRESS, STOPPING):
        message = f"Pipeline execution {execution['id']} is {execution['status']} and cannot be stopped."
        raise ServiceError("PipelineExecutionNotStoppableException", message)
    execution.update(stop={"abandon": abandon, "reason": reason}, status=STOPPING, updated=scene.now)
    scene.note_pipeline(execution)
    if execution["entered"]:
        execution["stages"][execution["stage"]]["status"] = STOPPING
        scene.note_stage(execution, STOPPING)


def retry(scene: Scene, execution: Document, stage: str, mode: str) -> None:
    """Run a stage that failed or was stopped again: its failed actions or all of them."""
    record = execution["stages"].get(stage)
    place = scene.place(stage)
    reason = ""
    if is_outdated(scene, execution):
        reason = "the pipeline structure has changed since"
    elif not record or record["status"] not in (FAILED, STOPPED) or execution["status"] not in (FAILED, STOPPED):
        reason = "it has not failed in this execution"
    elif scene.mode != "PARALLEL" and (place["holder"] or place["latest"] != execution["id"]):
        reason = "another execution has entered it since"
    if reason:
        raise ServiceError(
            "StageNotRetryableException", f"Unable to retry. Stage '{stage}' can't be retried: {reason}."
        )
    execution.update(status=IN_PROGRESS, stop=None, stage=stage, entered=True, updated=scene.now)
    execution["attempt"] += 1
    record["manualRetries"] += 1
    record["retryTrigger"] = "ManualStageRetry"
    scene.pipeline["active"].append(execution["id"])
    if scene.mode != "PARALLEL":
        place["holder"] = execution["id"]
    scene.note_pipeline(execution, "RESUMED")
    reset_actions(scene, execution, mode)


def roll_back(scene: Scene, identity: str, stage: str, target: Document, who: str) -> Document:
    """Bring a stage back to what an earlier execution had deployed; returns the new execution."""
    reason = ""
    place = scene.place(stage)
    latest = scene.past(place["latest"]) if place["latest"] else None
    if scene.mode == "PARALLEL":
        reason = "rollback is not available in PARALLEL mode"
    elif stage == scene.definition["stages"][0]["name"]:
        reason = "the source stage cannot be rolled back"
    elif target["version"] != scene.pipeline["version"]:
        reason = "the pipeline version has changed since the target execution"
    elif target["type"] == ROLLBACK or target["stages"].get(stage, {}).get("status") != SUCCEEDED:
        reason = f"execution {target['id']} did not succeed in the stage as a standard execution"
    elif place["holder"]:
        reason = "the stage is currently running"
    elif latest and latest["stages"][stage]["status"] == SKIPPED:
        reason = "the stage was skipped"
    if reason:
        raise ServiceError("UnableToRollbackStageException", f"Unable to roll back stage '{stage}': {reason}.")
    trigger = {"triggerType": "ManualRollback", "triggerDetail": who}
    return add_rollback(scene, identity, trigger, stage, target)


def close_transition(scene: Scene, stage: str, kind: str, reason: str, who: str) -> None:
    """Keep executions from entering (Inbound) or leaving (Outbound) a stage."""
    scene.pipeline["transitions"][f"{stage}/{kind}"] = {"reason": reason, "by": who, "at": scene.now}


def open_transition(scene: Scene, stage: str, kind: str) -> None:
    """Let executions pass again."""
    scene.pipeline["transitions"].pop(f"{stage}/{kind}", None)
