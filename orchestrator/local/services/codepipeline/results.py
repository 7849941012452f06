"""Operations by which people and functions tell how an action ended: approvals and jobs."""

from __future__ import annotations

from typing import Any

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.codepipeline.actions.lambda_invoke import job_data
from orchestrator.local.services.codepipeline.engine import ACTION_TASK, pipeline_arn
from orchestrator.local.services.codepipeline.operations import Operations, caller, find_stage
from orchestrator.local.services.codepipeline.scene import IN_PROGRESS
from orchestrator.local.services.codepipeline.work import Work
from orchestrator.local.store import Document, Key

LARGEST_VARIABLES = 122_880
"""Bytes, https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html."""


class ResultOperations(Operations):
    """The part of the API that ends approvals and jobs."""

    def PutApprovalResult(self, call: Call, parameters: Document) -> Document:
        key = self.pipeline_key(call, parameters["pipelineName"])
        stage, action, token = parameters["stageName"], parameters["actionName"], parameters["token"]
        now = self.world.now()
        with self.store.transaction():
            definition = self.engine.definition(key, self.engine.pipeline(key)["version"])
            declared = find_stage(definition, stage)["actions"]
            if not any(each["name"] == action for each in declared):
                message = f"Stage '{stage}' of pipeline '{key.name}' does not have an action '{action}'"
                raise ServiceError("ActionNotFoundException", message)
            asked = [
                each
                for each in self.engine.actions(key)
                if (each["stage"], each["action"]) == (stage, action) and each["memory"].get("token") == token
            ]
            if not asked:
                raise ServiceError("InvalidApprovalTokenException", "The approval token is not valid.")
            execution = asked[0]
            if execution["status"] != IN_PROGRESS or "answer" in execution["memory"]:
                raise ServiceError("ApprovalAlreadyCompletedException", "The approval has already been completed.")
            name = f"{key.name}/{execution['execution']}/{execution['id']}"
            answer = {"answer": parameters["result"], "answeredBy": caller(call)}
            self._tell_action(key._replace(type="ActionExecution", name=name), answer)
        return {"approvedAt": now}

    def PutJobSuccessResult(self, call: Call, parameters: Document) -> None:
        variables = parameters.get("outputVariables", {})
        size = sum(len(text.encode()) for pair in variables.items() for text in pair)
        if size > LARGEST_VARIABLES:
            message = f"Output variables have {size} bytes; {LARGEST_VARIABLES} is the limit."
            raise ServiceError("OutputVariablesSizeExceededException", message)
        details = parameters.get("executionDetails", {})
        result = {
            "status": "Succeeded",
            "outputVariables": variables,
            "continuationToken": parameters.get("continuationToken"),
            "summary": details.get("summary", ""),
            "external": details.get("externalExecutionId", ""),
        }
        self._end_job(call, parameters["jobId"], result)

    def PutJobFailureResult(self, call: Call, parameters: Document) -> None:
        details = parameters["failureDetails"]
        result = {
            "status": "Failed",
            "type": details["type"],
            "message": details["message"],
            "external": details.get("externalExecutionId", ""),
        }
        self._end_job(call, parameters["jobId"], result)

    def GetJobDetails(self, call: Call, parameters: Document) -> Document:
        key, document = self._job(call, parameters["jobId"])
        work = Work(self.world, key, document)
        context = {
            "pipelineName": work.pipeline,
            "stage": {"name": work.stage},
            "action": {"name": work.action, "actionExecutionId": work.id},
            "pipelineArn": pipeline_arn(key, work.pipeline),
            "pipelineExecutionId": work.execution,
        }
        data = {**job_data(work), "actionTypeId": work.declaration["actionTypeId"], "pipelineContext": context}
        return {"jobDetails": {"id": parameters["jobId"], "accountId": call.account, "data": data}}

    def _end_job(self, call: Call, job: str, result: Document) -> None:
        with self.store.transaction():
            key, document = self._job(call, job)
            memory = document["memory"]
            if document["status"] != IN_PROGRESS or memory.get("job") != job or memory.get("result"):
                raise ServiceError("InvalidJobStateException", f"Job {job} is not in progress.")
            self._tell_action(key, {"result": result, "answered": self.world.now()})

    def _job(self, call: Call, job: str) -> tuple[Key, Document]:
        known = self.store.get(self.key(call, "Job", job))
        key = self.key(call, "ActionExecution", known["action"]) if known else None
        document = self.store.get(key) if key else None
        if key is None or document is None:
            raise ServiceError("JobNotFoundException", f"There is no job {job}.")
        return key, document

    def _tell_action(self, key: Key, members: dict[str, Any]) -> None:
        """Leave something in an action's memory and wake it; part of the caller's transaction."""

        def change(document: Document) -> None:
            document["memory"] |= members

        self.store.update(key, change)
        self.tasks.schedule(ACTION_TASK, key)
