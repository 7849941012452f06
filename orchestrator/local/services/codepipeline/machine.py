"""How executions move through a pipeline: pure functions that change a scene until nothing more can happen.

The rules are AWS's, https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works.html: a stage
belongs to one execution at a time; actions of one run order run together; an execution waits before a stage that is
held or whose inbound transition is disabled, in line (QUEUED) or overtaken by newer ones (SUPERSEDED). A stage whose
conditions an execution does not meet is skipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from orchestrator.local.services.codepipeline.conditions import ERRORED, evaluate, rules_of
from orchestrator.local.services.codepipeline.definition import artifact_store
from orchestrator.local.services.codepipeline.scene import (
    ABANDONED,
    CANCELLED,
    FAILED,
    IN_PROGRESS,
    ROLLBACK,
    SKIPPED,
    STANDARD,
    STOPPED,
    SUCCEEDED,
    SUPERSEDED,
    Scene,
)
from orchestrator.local.services.codepipeline.variables import (
    EXECUTION_NAMESPACE,
    EXECUTION_VARIABLE,
    PIPELINE_NAMESPACE,
    Unresolved,
    resolve,
)
from orchestrator.local.store import Document

AUTOMATIC_RETRIES = 1
FAILED_ACTIONS = "FAILED_ACTIONS"


def advance(scene: Scene) -> None:
    """Do everything that can be done now: settle actions, begin actions, leave and enter stages, end executions."""
    while True:
        moved = [_step(scene, execution) for execution in scene.active()]
        if not any([*moved, _admit(scene)]):
            return


def add_execution(
    scene: Scene, identity: str, trigger: Document, stage: str, variables: Mapping[str, str], **more: object
) -> Document:
    """A new execution, waiting before ``stage``."""
    scene.pipeline["counter"] += 1
    execution: Document = {
        "id": identity,
        "version": scene.pipeline["version"],
        "mode": scene.mode,
        "type": STANDARD,
        "trigger": trigger,
        "status": IN_PROGRESS,
        "started": scene.now,
        "updated": scene.now,
        "order": scene.pipeline["counter"],
        "attempt": 1,
        "variables": dict(variables),
        "sourceRevisions": {},
        "revisions": [],
        "artifacts": {},
        "outputs": {},
        "stage": stage,
        "entered": False,
        "stages": {},
        "stop": None,
        **more,
    }
    scene.executions[identity] = execution
    scene.pipeline["active"].append(identity)
    scene.note_pipeline(execution, "STARTED")
    return execution


def add_rollback(scene: Scene, identity: str, trigger: Document, stage: str, target: Document) -> Document:
    """An execution that brings a stage back to what ``target`` had deployed: its artifacts and its variables."""
    carried = {name: target[name] for name in ("revisions", "artifacts", "outputs")}
    more = {"type": ROLLBACK, "rollbackTarget": target["id"], **carried}
    return add_execution(scene, identity, trigger, stage, target["variables"], **more)


def reset_actions(scene: Scene, execution: Document, mode: str) -> None:
    """Forget the actions of the present stage that are to run again: those that failed, or all."""
    record = execution["stages"][execution["stage"]]
    if mode == FAILED_ACTIONS:
        record["actions"] = {
            name: identity
            for name, identity in record["actions"].items()
            if scene.actions[identity]["status"] not in (FAILED, ABANDONED)
        }
    else:
        record["actions"] = {}
    record["status"] = IN_PROGRESS
    if (record.get("entry") or {}).get("status") == ERRORED:
        record["entry"] = None  # it has not entered yet: its conditions are asked again
    scene.note_stage(execution, "RESUMED")


def is_outdated(scene: Scene, execution: Document) -> bool:
    """Whether the pipeline was updated since the execution began; such an execution does not go on."""
    return bool(execution["version"] != scene.pipeline["version"])


# --- one execution --------------------------------------------------------------------------------------------------


def _step(scene: Scene, execution: Document) -> bool:
    """Move one execution on; whether anything happened."""
    if not execution["entered"]:
        return _step_waiting(scene, execution)
    if rules_of(scene.stage(execution)) and not execution["stages"][execution["stage"]]["entry"]:
        return _ask_conditions(scene, execution)
    actions = scene.current_actions(execution)
    _abandon_unwanted(scene, execution, actions)
    settled = [_settle(scene, execution, action) for action in actions]
    if any(action["status"] == IN_PROGRESS for action in actions):
        return any(settled)
    stage = scene.stage(execution)
    group = _next_group(execution, stage)
    ends = {action["status"] for action in actions}
    if execution["stop"] and (group or ends - {SUCCEEDED}):
        _leave(scene, execution, STOPPED)
        _finish(scene, execution, STOPPED)
    elif FAILED in ends:
        _fail(scene, execution, stage)
    elif is_outdated(scene, execution) and (group or ABANDONED in ends):
        _leave(scene, execution, CANCELLED)
        _finish(scene, execution, CANCELLED)
    elif not group:
        _succeed(scene, execution)
    else:
        for declaration in group:
            _begin(scene, execution, declaration)
    return True


def _step_waiting(scene: Scene, execution: Document) -> bool:
    if execution["stop"]:
        _finish(scene, execution, STOPPED)
    elif is_outdated(scene, execution):
        _finish(scene, execution, CANCELLED)
    else:
        return False
    return True


def _ask_conditions(scene: Scene, execution: Document) -> bool:
    """Evaluate the stage's conditions: let the execution go on in the stage, skip it, or fail for want of a value."""
    stage = scene.stage(execution)
    record = execution["stages"][stage["name"]]
    record["entry"] = entry = evaluate(stage, _namespaces(execution), scene.now, scene.new_id)
    record["rules"].extend(entry["rules"])
    if entry["status"] == ERRORED:
        execution["summary"] = entry["summary"]
        _fail(scene, execution, stage)
    elif entry["status"] == FAILED:
        _leave(scene, execution, SKIPPED)
        _go_on(scene, execution, stage["name"])
    return True


def _abandon_unwanted(scene: Scene, execution: Document, actions: list[Document]) -> None:
    """Stop waiting for actions: for all when the stop says so, for approvals when the pipeline has changed."""
    stop = execution["stop"]
    for action in actions:
        approval = action["declaration"]["actionTypeId"]["category"] == "Approval"
        unwanted = (stop and stop["abandon"]) or (approval and is_outdated(scene, execution))
        if action["status"] == IN_PROGRESS and unwanted:
            action.update(status=ABANDONED, updated=scene.now)


def _settle(scene: Scene, execution: Document, action: Document) -> bool:
    """Take over what a finished action has produced, once."""
    if action["status"] == IN_PROGRESS or action.get("settled"):
        return False
    action["settled"] = True
    if action["status"] == SUCCEEDED:
        revision = action.get("revision")
        for name, location in action["outputs"].items():
            execution["artifacts"][name] = {**location, "revision": revision["revisionId"]} if revision else location
        if namespace := action["declaration"].get("namespace"):
            execution["outputs"][namespace] = action.get("variables", {})
        if revision:
            others = [each for each in execution["revisions"] if each["actionName"] != action["action"]]
            execution["revisions"] = [*others, {**revision, "actionName": action["action"]}]
    execution["updated"] = scene.now
    scene.note_action(execution, action, action["status"])
    return True


def _next_group(execution: Document, stage: Document) -> list[Document]:
    """The actions that come next: of the lowest run order that has actions not yet begun."""
    begun = execution["stages"][stage["name"]]["actions"]
    left = [action for action in stage["actions"] if action["name"] not in begun]
    order = min((action["runOrder"] for action in left), default=0)
    return [action for action in left if action["runOrder"] == order]


def _begin(scene: Scene, execution: Document, declaration: Document) -> None:
    identity, stage = scene.new_id(), execution["stage"]
    definition = scene.definitions[execution["version"]]
    region = declaration.get("region") or scene.pipeline["region"]
    action: Document = {
        "id": identity,
        "execution": execution["id"],
        "version": execution["version"],
        "stage": stage,
        "action": declaration["name"],
        "declaration": declaration,
        "region": region,
        "role": declaration.get("roleArn") or definition["roleArn"],
        "pipelineRole": definition["roleArn"],
        "status": IN_PROGRESS,
        "started": scene.now,
        "updated": scene.now,
        "inputs": {each["name"]: execution["artifacts"][each["name"]] for each in declaration["inputArtifacts"]},
        "outputs": {
            each["name"]: _location(scene, definition, region, each["name"], identity)
            for each in declaration["outputArtifacts"]
        },
        "memory": {},
    }
    if revision := execution["sourceRevisions"].get(declaration["name"]):
        action["sourceRevision"] = revision
    try:
        action["configuration"] = resolve(declaration["configuration"], _namespaces(execution))
    except Unresolved as problem:
        error = {"code": "ConfigurationError", "message": str(problem)}
        action.update(status=FAILED, configuration=declaration["configuration"], error=error)
    scene.actions[identity] = action
    scene.begun.append(identity)
    execution["stages"][stage]["actions"][declaration["name"]] = identity
    scene.place(stage)["actions"][declaration["name"]] = f"{execution['id']}/{identity}"
    scene.note_action(execution, action, "STARTED")


def _namespaces(execution: Document) -> dict[str, dict[str, str]]:
    return {
        **execution["outputs"],
        PIPELINE_NAMESPACE: execution["variables"],
        EXECUTION_NAMESPACE: {EXECUTION_VARIABLE: execution["id"]},
    }


def _location(scene: Scene, definition: Document, region: str, artifact: str, identity: str) -> Document:
    """Where an output artifact will lie, in the form AWS uses; chosen before the action begins, so never twice."""
    store = artifact_store(definition, region)
    digest = hashlib.sha256(f"{identity}/{artifact}".encode()).hexdigest()[:7]
    location = {"bucket": store["location"], "key": f"{scene.name[:20]}/{artifact[:10]}/{digest}"}
    if key := store.get("encryptionKey"):
        location["encryptionKey"] = key["id"]
    return location


# --- ends -----------------------------------------------------------------------------------------------------------


def _succeed(scene: Scene, execution: Document) -> None:
    stage = execution["stage"]
    if execution["type"] == STANDARD:
        scene.place(stage)["succeeded"] = {"execution": execution["id"], "version": execution["version"]}
    _leave(scene, execution, SUCCEEDED)
    _go_on(scene, execution, stage)


def _go_on(scene: Scene, execution: Document, stage: str) -> None:
    """From a stage that is done to the next one, or to the end."""
    names = [each["name"] for each in scene.definitions[execution["version"]]["stages"]]
    following = names[names.index(stage) + 1 :]
    if execution["stop"]:
        _finish(scene, execution, STOPPED)
    elif execution["type"] == ROLLBACK or not following:
        _finish(scene, execution, SUCCEEDED)
    else:
        execution.update(stage=following[0], entered=False)


def _fail(scene: Scene, execution: Document, stage: Document) -> None:
    """A failed stage is tried again once, or rolled back, where it says so; else the execution has failed."""
    record = execution["stages"][stage["name"]]
    on_failure = stage.get("onFailure", {})
    retry = on_failure.get("result") == "RETRY" and record["automaticRetries"] < AUTOMATIC_RETRIES
    if retry and not is_outdated(scene, execution):
        record["automaticRetries"] += 1
        record["retryTrigger"] = "AutomatedStageRetry"
        mode = on_failure.get("retryConfiguration", {}).get("retryMode", FAILED_ACTIONS)
        reset_actions(scene, execution, mode)
        return
    _leave(scene, execution, FAILED)
    _finish(scene, execution, FAILED)
    if on_failure.get("result") == ROLLBACK and execution["type"] == STANDARD:
        _roll_back(scene, execution, stage["name"])


def _roll_back(scene: Scene, execution: Document, stage: str) -> None:
    """Only to the stage's last success under the present structure; without one there is nothing to go back to."""
    succeeded = scene.place(stage)["succeeded"]
    if not succeeded or succeeded["version"] != scene.pipeline["version"] or is_outdated(scene, execution):
        return
    target = scene.executions.get(succeeded["execution"]) or scene.past(succeeded["execution"])
    if target:
        detail = f'{{"FailedPipelineExecutionId":"{execution["id"]}"}}'
        trigger = {"triggerType": "AutomatedRollback", "triggerDetail": detail}
        add_rollback(scene, scene.new_id(), trigger, stage, target)


def _leave(scene: Scene, execution: Document, status: str) -> None:
    """End the present stage and give it free."""
    execution["stages"][execution["stage"]]["status"] = status
    scene.note_stage(execution, status)
    place = scene.place(execution["stage"])
    if place["holder"] == execution["id"]:
        place["holder"] = None


def _finish(scene: Scene, execution: Document, status: str) -> None:
    execution.update(status=status, updated=scene.now)
    scene.pipeline["active"].remove(execution["id"])
    scene.note_pipeline(execution)


# --- stages ---------------------------------------------------------------------------------------------------------


def _admit(scene: Scene) -> bool:
    """Let executions into stages; whether anything happened."""
    moved = False
    for stage in (each["name"] for each in scene.definition["stages"]):
        waiting = [
            each
            for each in scene.active()
            if not each["entered"] and each["stage"] == stage and not each["stop"] and not is_outdated(scene, each)
        ]
        rollbacks = [each for each in waiting if each["type"] == ROLLBACK]
        line = [each for each in waiting if each["type"] != ROLLBACK]
        if scene.mode == SUPERSEDED.upper():
            for overtaken in line[:-1]:
                _finish(scene, overtaken, SUPERSEDED)
                moved = True
            line = line[-1:]
        if not is_open(scene, stage):
            line = []
        for execution in [*rollbacks, *line]:  # a rollback enters before all others, whatever the transition says
            if scene.mode == "PARALLEL" or not scene.place(stage)["holder"]:
                _enter(scene, execution)
                moved = True
    return moved


def is_open(scene: Scene, stage: str) -> bool:
    """Whether the transition into a stage is enabled: inbound here, and outbound at the stage before."""
    names = [each["name"] for each in scene.definition["stages"]]
    before = names[names.index(stage) - 1] if names.index(stage) else ""
    disabled = scene.pipeline["transitions"]
    return f"{stage}/Inbound" not in disabled and f"{before}/Outbound" not in disabled


def _enter(scene: Scene, execution: Document) -> None:
    stage = execution["stage"]
    place = scene.place(stage)
    place["latest"] = execution["id"]
    if scene.mode != "PARALLEL":
        place["holder"] = execution["id"]
    execution.update(entered=True, updated=scene.now)
    execution["stages"][stage] = {
        "status": IN_PROGRESS,
        "actions": {},
        "entry": None,
        "rules": [],
        "automaticRetries": 0,
        "manualRetries": 0,
    }
    scene.note_stage(execution, "STARTED")
