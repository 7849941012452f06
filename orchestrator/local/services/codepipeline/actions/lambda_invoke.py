"""Invoke/Lambda: hands a job to a function and waits for PutJobSuccessResult or PutJobFailureResult.

https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-Lambda.html
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orchestrator.local.services.codepipeline.action import DAY, Action, ActionFailed, Success
from orchestrator.local.store import Document

if TYPE_CHECKING:
    from orchestrator.local.services.codepipeline.work import Work

CONTINUE_AFTER_SECONDS = 1.0
"""How soon a job that asked to be continued is invoked again; AWS takes longer."""


class LambdaInvoke(Action):
    """A result with a continuation token is not the end: the function is invoked again, as a new job."""

    category = "Invoke"
    provider = "Lambda"
    required = frozenset({"FunctionName"})
    optional = frozenset({"UserParameters"})
    inputs = (0, 5)
    outputs = (0, 5)
    timeout = DAY

    def advance(self, work: Work) -> float | Success:
        result = work.memory.get("result")
        if result is None:
            return self._invoke(work)
        if result["status"] == "Failed":
            raise ActionFailed(result["message"], result["type"], result.get("external", ""))
        if token := result.get("continuationToken"):
            wait = work.memory["answered"] + CONTINUE_AFTER_SECONDS - work.world.now()
            if wait > 0:
                return float(wait)
            work.remember(result=None, job=None, invoked=False, continuationToken=token)
            return self._invoke(work)
        return Success(
            summary=result.get("summary", ""),
            external=result.get("external", ""),
            variables=result.get("outputVariables", {}),
        )

    def _invoke(self, work: Work) -> float:
        if not work.memory.get("job"):
            self._open_job(work)
        if not work.memory.get("invoked"):
            job = {"id": work.memory["job"], "accountId": work.account, "data": job_data(work)}
            work.client("lambda").invoke(
                FunctionName=work.configuration["FunctionName"],
                InvocationType="Event",
                Payload=json.dumps({"CodePipeline.job": job}).encode(),
            )
            work.remember(invoked=True)
        return self.timeout

    def _open_job(self, work: Work) -> None:
        job = work.new_id()
        with work.world.store.transaction():
            work.remember(job=job)
            work.world.store.create(work.key._replace(type="Job", name=job), {"action": work.key.name})


def job_data(work: Work) -> Document:
    """The ``data`` of the event a function gets, and of GetJobDetails."""
    credentials = work.credentials()
    data: Document = {
        "actionConfiguration": {"configuration": work.configuration},
        "inputArtifacts": _artifacts(work.inputs),
        "outputArtifacts": _artifacts(work.outputs),
        "artifactCredentials": {
            "accessKeyId": credentials.access_key,
            "secretAccessKey": credentials.secret_key,
            "sessionToken": credentials.session_token,
        },
    }
    if token := work.memory.get("continuationToken"):
        data["continuationToken"] = token
    keys = [location["encryptionKey"] for location in work.outputs.values() if "encryptionKey" in location]
    if keys:
        data["encryptionKey"] = {"id": keys[0], "type": "KMS"}
    return data


def _artifacts(locations: dict[str, Document]) -> list[Document]:
    return [
        {
            "name": name,
            "revision": location.get("revision"),
            "location": {
                "type": "S3",
                "s3Location": {"bucketName": location["bucket"], "objectKey": location["key"]},
            },
        }
        for name, location in locations.items()
    ]


ACTION = LambdaInvoke
