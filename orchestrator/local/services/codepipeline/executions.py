"""Operations on executions: start, stop, retry, roll back, read."""

from __future__ import annotations

import uuid

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.codepipeline import commands
from orchestrator.local.services.codepipeline.operations import RULE_HEADER, Operations, caller, find_stage, page
from orchestrator.local.services.codepipeline.views import (
    action_detail,
    execution_detail,
    execution_summary,
    rule_detail,
)
from orchestrator.local.store import Document

TOKENS = uuid.UUID("7d0c5b0e-7d0a-5f3c-9a55-3c1b7f0a4b52")
"""Execution ids are made from client request tokens: the same token finds the same execution."""


class ExecutionOperations(Operations):
    """The part of the API that is about executions."""

    def StartPipelineExecution(self, call: Call, parameters: Document) -> Document:
        key = self.pipeline_key(call, parameters["name"])
        token = parameters.get("clientRequestToken", call.request_id)
        identity = str(uuid.uuid5(TOKENS, "/".join([*key, token])))
        rule = call.headers.get(RULE_HEADER)
        trigger = (
            {"triggerType": "CloudWatchEvent", "triggerDetail": rule}
            if rule
            else {"triggerType": "StartPipelineExecution", "triggerDetail": caller(call)}
        )
        with self.engine.scene(key) as scene:
            if scene.past(identity) is None:
                variables = parameters.get("variables", [])
                commands.start(scene, identity, trigger, variables, parameters.get("sourceRevisions", []))
        return {"pipelineExecutionId": identity}

    def StopPipelineExecution(self, call: Call, parameters: Document) -> Document:
        identity = parameters["pipelineExecutionId"]
        with self.engine.scene(self.pipeline_key(call, parameters["pipelineName"]), identity) as scene:
            commands.stop(
                scene,
                scene.executions[identity],
                abandon=parameters.get("abandon", False),
                reason=parameters.get("reason", ""),
            )
        return {"pipelineExecutionId": identity}

    def RetryStageExecution(self, call: Call, parameters: Document) -> Document:
        identity = parameters["pipelineExecutionId"]
        with self.engine.scene(self.pipeline_key(call, parameters["pipelineName"]), identity) as scene:
            find_stage(scene.definition, parameters["stageName"])
            commands.retry(scene, scene.executions[identity], parameters["stageName"], parameters["retryMode"])
        return {"pipelineExecutionId": identity}

    def RollbackStage(self, call: Call, parameters: Document) -> Document:
        target = parameters["targetPipelineExecutionId"]
        with self.engine.scene(self.pipeline_key(call, parameters["pipelineName"]), target) as scene:
            find_stage(scene.definition, parameters["stageName"])
            execution = commands.roll_back(
                scene, str(uuid.uuid4()), parameters["stageName"], scene.executions[target], caller(call)
            )
        return {"pipelineExecutionId": execution["id"]}

    def GetPipelineExecution(self, call: Call, parameters: Document) -> Document:
        key = self.pipeline_key(call, parameters["pipelineName"])
        self.engine.pipeline(key)
        return execution_detail(key.name, self.engine.execution(key, parameters["pipelineExecutionId"]))

    def ListPipelineExecutions(self, call: Call, parameters: Document) -> Document:
        key = self.pipeline_key(call, parameters["pipelineName"])
        self.engine.pipeline(key)
        executions = self.engine.executions(key)
        if wanted := parameters.get("filter", {}).get("succeededInStage", {}).get("stageName"):
            executions = [each for each in executions if each["stages"].get(wanted, {}).get("status") == "Succeeded"]
        shown, more = page(executions, parameters)
        return {"pipelineExecutionSummaries": [execution_summary(each) for each in shown], **more}

    def ListActionExecutions(self, call: Call, parameters: Document) -> Document:
        key = self.pipeline_key(call, parameters["pipelineName"])
        self.engine.pipeline(key)
        wanted = parameters.get("filter", {})
        latest = wanted.get("latestInPipelineExecution", {})
        identity = wanted.get("pipelineExecutionId") or latest.get("pipelineExecutionId", "")
        if identity:
            self.engine.execution(key, identity)
        actions = self.engine.actions(key, identity)
        if latest.get("startTimeRange") == "Latest":
            current = self._current_actions(key.name, self.engine.execution(key, identity))
            actions = [action for action in actions if action["id"] in current]
        shown, more = page(actions, parameters)
        return {"actionExecutionDetails": [action_detail(each) for each in shown], **more}

    def ListRuleExecutions(self, call: Call, parameters: Document) -> Document:
        key = self.pipeline_key(call, parameters["pipelineName"])
        self.engine.pipeline(key)
        wanted = parameters.get("filter", {})
        latest = wanted.get("latestInPipelineExecution", {})
        identity = wanted.get("pipelineExecutionId") or latest.get("pipelineExecutionId", "")
        only_latest = latest.get("startTimeRange") == "Latest"
        executions = [self.engine.execution(key, identity)] if identity else self.engine.executions(key)
        rules = [
            rule_detail(execution, stage, rule)
            for execution in executions
            for stage, record in reversed(execution["stages"].items())
            for rule in reversed(_evaluated(record, only_latest=only_latest))
        ]
        shown, more = page(rules, parameters)
        return {"ruleExecutionDetails": shown, **more}

    def _current_actions(self, pipeline: str, execution: Document) -> set[str]:
        """The action executions of the latest attempt at each stage."""
        if not execution["stages"]:
            raise ServiceError("ValidationException", f"The execution has not entered a stage of '{pipeline}' yet.")
        return {identity for record in execution["stages"].values() for identity in record["actions"].values()}


def _evaluated(record: Document, *, only_latest: bool) -> list[Document]:
    """The rule executions of a stage in an execution: of all evaluations of its condition, or of the latest."""
    rules: list[Document] = (record.get("entry") or record)["rules"] if only_latest else record["rules"]
    return rules
