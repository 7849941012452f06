"""How documents look in answers: GetPipelineState, execution summaries, action and rule execution details."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.local.services.codepipeline.conditions import rules_of
from orchestrator.local.services.codepipeline.scene import FAILED, IN_PROGRESS, ROLLBACK
from orchestrator.local.store import Document


def pipeline_state(
    pipeline: Document,
    definition: Document,
    active: list[Document],
    execution: Callable[[str], Document | None],
    action: Callable[[str], Document | None],
) -> Document:
    """The answer of GetPipelineState.

    ``active`` are the executions that are not over; ``execution`` and ``action`` load documents by the names the
    pipeline remembers. An action that has not run in a stage's latest execution still shows its last run, as on AWS.
    """
    stages = []
    for stage in definition["stages"]:
        place = pipeline["stages"].get(stage["name"], {"latest": None, "actions": {}})
        state: Document = {
            "stageName": stage["name"],
            "inboundTransitionState": _transition(pipeline, stage["name"]),
            "actionStates": [
                _action_state(each, action(place["actions"].get(each["name"], ""))) for each in stage["actions"]
            ],
        }
        latest = execution(place["latest"]) if place["latest"] else None
        if latest:
            record = latest["stages"][stage["name"]]
            state["latestExecution"] = _stage_execution(latest, record["status"])
            if record.get("retryTrigger"):
                state["retryStageMetadata"] = _retries(record)
        if rules := rules_of(stage):
            entry = latest["stages"][stage["name"]]["entry"] if latest else None
            state["beforeEntryConditionState"] = _condition_state(rules, entry)
        waiting = [each for each in active if not each["entered"] and each["stage"] == stage["name"]]
        if waiting:
            state["inboundExecutions"] = [_stage_execution(each, each["status"]) for each in waiting]
            state["inboundExecution"] = state["inboundExecutions"][0]
        stages.append(state)
    return {
        "pipelineName": pipeline["name"],
        "pipelineVersion": pipeline["version"],
        "stageStates": stages,
        "created": pipeline["created"],
        "updated": pipeline["updated"],
    }


def _stage_execution(execution: Document, status: str) -> Document:
    return {"pipelineExecutionId": execution["id"], "status": status, "type": execution["type"]}


def _transition(pipeline: Document, stage: str) -> Document:
    disabled = pipeline["transitions"].get(f"{stage}/Inbound")
    if not disabled:
        return {"enabled": True}
    return {
        "enabled": False,
        "disabledReason": disabled["reason"],
        "lastChangedBy": disabled["by"],
        "lastChangedAt": disabled["at"],
    }


def _retries(record: Document) -> Document:
    counts = {
        "autoStageRetryAttempt": record["automaticRetries"],
        "manualStageRetryAttempt": record["manualRetries"],
    }
    return {**{name: count for name, count in counts.items() if count}, "latestRetryTrigger": record["retryTrigger"]}


def _action_state(declaration: Document, action: Document | None) -> Document:
    state: Document = {"actionName": declaration["name"]}
    if action is None:
        return state
    latest: Document = {
        "actionExecutionId": action["id"],
        "status": action["status"],
        "lastStatusChange": action["updated"],
        "summary": action.get("summary"),
        "externalExecutionId": action.get("external") or action["memory"].get("external"),
        "errorDetails": action.get("error"),
        "lastUpdatedBy": action["memory"].get("answeredBy"),
    }
    if action["status"] == IN_PROGRESS:
        latest["token"] = action["memory"].get("token")
    state["latestExecution"] = _given(latest)
    if revision := action.get("revision"):
        state["currentRevision"] = {
            "revisionId": revision["revisionId"],
            "revisionChangeId": revision["revisionId"],
            "created": revision["created"],
        }
    return state


def _condition_state(rules: list[Document], entry: Document | None) -> Document:
    """The condition before a stage, as its latest evaluation left it."""
    if entry is None:
        return {"conditionStates": [{"ruleStates": [{"ruleName": rule["name"]} for rule in rules]}]}
    status = _given({"status": entry["status"], "summary": entry["summary"]})
    states = [{"ruleName": rule["name"], "latestExecution": _rule_execution(rule)} for rule in entry["rules"]]
    condition = {"latestExecution": {**status, "lastStatusChange": entry["updated"]}, "ruleStates": states}
    return {"latestExecution": status, "conditionStates": [condition]}


def _rule_execution(rule: Document) -> Document:
    return _given({
        "ruleExecutionId": rule["id"],
        "status": rule["status"],
        "summary": rule.get("summary"),
        "lastStatusChange": rule["updated"],
        "errorDetails": rule.get("error"),
    })  # fmt: skip


def rule_detail(execution: Document, stage: str, rule: Document) -> Document:
    """An entry of ListRuleExecutions."""
    result = {"externalExecutionSummary": rule.get("summary"), "errorDetails": rule.get("error")}
    return {
        "pipelineExecutionId": execution["id"],
        "ruleExecutionId": rule["id"],
        "pipelineVersion": execution["version"],
        "stageName": stage,
        "ruleName": rule["name"],
        "startTime": rule["started"],
        "lastUpdateTime": rule["updated"],
        "status": rule["status"],
        "input": {
            "ruleTypeId": rule["declaration"]["ruleTypeId"],
            "configuration": rule["declaration"]["configuration"],
            "resolvedConfiguration": rule["configuration"],
        },
        "output": {"executionResult": _given(result)},
    }


def execution_summary(execution: Document) -> Document:
    """An entry of ListPipelineExecutions."""
    summary = {
        "pipelineExecutionId": execution["id"],
        "status": execution["status"],
        "statusSummary": execution.get("summary"),
        "startTime": execution["started"],
        "lastUpdateTime": execution["updated"],
        "sourceRevisions": [
            {name: revision[name] for name in ("actionName", "revisionId", "revisionSummary")}
            for revision in execution["revisions"]
        ],
        "trigger": execution["trigger"],
        "stopTrigger": {"reason": execution["stop"]["reason"]} if execution["stop"] else None,
        "executionMode": execution["mode"],
        "executionType": execution["type"],
        "rollbackMetadata": _rollback(execution),
    }
    return _given(summary)


def execution_detail(name: str, execution: Document) -> Document:
    """The answer of GetPipelineExecution."""
    detail = {
        "pipelineName": name,
        "pipelineVersion": execution["version"],
        "pipelineExecutionId": execution["id"],
        "status": execution["status"],
        "statusSummary": execution.get("summary"),
        "artifactRevisions": [
            {member: value for member, value in revision.items() if member != "actionName"}
            for revision in execution["revisions"]
        ],
        "variables": [{"name": variable, "resolvedValue": value} for variable, value in execution["variables"].items()],
        "trigger": execution["trigger"],
        "executionMode": execution["mode"],
        "executionType": execution["type"],
        "rollbackMetadata": _rollback(execution),
    }
    return {"pipelineExecution": _given(detail)}


def _rollback(execution: Document) -> Document | None:
    if execution["type"] != ROLLBACK:
        return None
    return {"rollbackTargetPipelineExecutionId": execution["rollbackTarget"]}


def action_detail(action: Document) -> Document:
    """An entry of ListActionExecutions."""
    declaration = action["declaration"]
    result = {
        "externalExecutionId": action.get("external") or action["memory"].get("external"),
        "externalExecutionSummary": action.get("error", {}).get("message") or action.get("summary"),
        "errorDetails": action.get("error") if action["status"] == FAILED else None,
    }
    inputs = {
        "actionTypeId": declaration["actionTypeId"],
        "configuration": declaration["configuration"],
        "resolvedConfiguration": action["configuration"],
        "roleArn": declaration.get("roleArn"),
        "region": action["region"],
        "inputArtifacts": _artifacts(action["inputs"]),
        "namespace": declaration.get("namespace"),
    }
    done = action["status"] not in (IN_PROGRESS, FAILED)
    output = {
        "outputArtifacts": _artifacts(action["outputs"]) if done else [],
        "executionResult": _given(result),
        "outputVariables": action.get("variables", {}),
    }
    return _given({
        "pipelineExecutionId": action["execution"],
        "actionExecutionId": action["id"],
        "pipelineVersion": action["version"],
        "stageName": action["stage"],
        "actionName": action["action"],
        "startTime": action["started"],
        "lastUpdateTime": action["updated"],
        "updatedBy": action["memory"].get("answeredBy"),
        "status": action["status"],
        "input": _given(inputs),
        "output": output,
    })  # fmt: skip


def _artifacts(locations: Mapping[str, Document]) -> list[Document]:
    return [
        {"name": name, "s3location": {"bucket": location["bucket"], "key": location["key"]}}
        for name, location in locations.items()
    ]


def _given(members: Mapping[str, Any]) -> Document:
    """Only the members that have a value."""
    return {name: value for name, value in members.items() if value is not None and value != ""}
