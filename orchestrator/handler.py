"""The Lambda's door: every kind of event becomes a call of ``flow`` or of a room, and every outcome an answer.

API Gateway (``POST /provisionpipeline``, ``POST /pipelinestatus``, ``GET /health``) · S3 (a config was dropped) ·
CodeCommit (a config was pushed) · CodePipeline (a job of a run; a run was stopped) · direct invocation with a config.

Logs are one JSON object a line and carry no payloads: a config may hold what is nobody's business.
"""

from __future__ import annotations

import base64
import json
import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

from orchestrator import __version__, execute, flow, settings
from orchestrator.aws import Aws
from orchestrator.blueprint import Catalog, load_catalog
from orchestrator.commits import CONFIG_FILE, Commit, parse
from orchestrator.errors import AwsFailed, BadRequest, ConfigInvalid, Conflict, OrchestratorError
from orchestrator.settings import Settings
from orchestrator.sources import with_uploaded_sources
from orchestrator.status import old_pipeline_state

Event = Mapping[str, Any]
RESULT_SUFFIX = ".result.json"
STOPPED = frozenset({"STOPPING", "STOPPED"})
LONGEST_SUBJECT = 100

WRONG_PATH = "Unacceptable event path. Path must be /provisionpipeline or /pipelinestatus"
WRONG_EVENT = (
    "Bad request format. Expected httpMethod or pipeline_type, received none. "
    "Check documentation for API & config formats."
)
WRONG_TYPE = "Bad request format. Pipeline type not supported. Check documentation for API & config formats"
MISSING = "Bad request. API body does not have the necessary parameter: {}"


def handler(event: Event, context: Any) -> dict[str, Any] | None:
    """The entry point of the Lambda function."""
    return _orchestrator().handle(event, getattr(context, "aws_request_id", ""))


@cache
def _orchestrator() -> Orchestrator:
    """Made at the first event and kept while the Lambda's process lives."""
    found = settings.from_environment(os.environ)
    return Orchestrator(found, Aws(found), load_catalog())


@dataclass(frozen=True, slots=True)
class Orchestrator:
    """The orchestrator with what it needs; the Lambda has one, tests make their own."""

    settings: Settings
    aws: Aws
    catalog: Catalog

    def handle(self, event: Event, request_id: str = "") -> dict[str, Any] | None:
        """Find out what the event is and do it. Raises what an asynchronous event could not have done."""
        route, work = self._route(event)
        started, outcome = time.monotonic(), "failed"
        try:
            answer = work(event, request_id)
            outcome = str(answer.get("statusCode", "done")) if answer else "done"
            return answer
        finally:
            _log(route=route, outcome=outcome, request_id=request_id, ms=round(1000 * (time.monotonic() - started)))

    def _route(self, event: Event) -> tuple[str, Callable[[Event, str], dict[str, Any] | None]]:
        if "httpMethod" in event:
            return f"{event['httpMethod']} {event.get('path', '')}"[:80], self._api
        if "CodePipeline.job" in event:
            return "job", self._job
        if isinstance(event.get("Records"), list) and event["Records"]:
            return "s3", self._dropped
        if event.get("source") == "aws.codecommit":
            return "commit", self._pushed
        if event.get("source") == "aws.codepipeline":
            return "run", self._run_changed
        return "direct", self._direct

    # ---- API Gateway and direct invocation: every outcome is an answer ----

    def _api(self, event: Event, request_id: str) -> dict[str, Any]:
        method, path = event["httpMethod"], str(event.get("path", "")).rstrip("/")
        if method == "GET" and path == "/health":
            return _answer(200, {"status": "ok", "version": __version__})
        routes = {"/provisionpipeline": self._provision, "/pipelinestatus": self._status}

        def work() -> dict[str, Any]:
            if method != "POST":
                raise BadRequest(WRONG_EVENT)
            if path not in routes:
                raise BadRequest(WRONG_PATH)
            return routes[path](_body(event), request_id)

        return self._answered(work, request_id)

    def _direct(self, event: Event, request_id: str) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            if "pipeline_type" not in event and "pipelines" not in event:
                raise BadRequest(WRONG_EVENT)
            return self._provision(dict(event), request_id)

        return self._answered(work, request_id)

    def _provision(self, body: Any, request_id: str) -> dict[str, Any]:
        try:
            receipt = flow.provision_config(body, self.aws, self.settings, self.catalog)
        except ConfigInvalid as error:
            _log_error(error, request_id)
            document = error_body(error, request_id, detailed=self.settings.detailed_errors)
            if "detailedMessage" in document:
                document["detailedMessage"] = old_text(error, body)
            return _answer(error.status, document)
        _log(project=receipt.project, provisioned=receipt.outcome, bundle=receipt.bundle_digest[:12])
        return _answer(
            200,
            {
                "message": receipt.message,
                "pipeline_id": receipt.pipeline_id,
                "project": receipt.project,
                "outcome": receipt.outcome,
                "bundle_digest": receipt.bundle_digest,
            },
        )

    def _status(self, body: Any, _request_id: str) -> dict[str, Any]:
        pipeline_id = body.get("pipeline_id") if isinstance(body, dict) else None
        if not isinstance(pipeline_id, str) or not pipeline_id:
            raise BadRequest(MISSING.format("pipeline_id"))
        state = old_pipeline_state(self.aws, pipeline_id)
        return _answer(200, state) if isinstance(state, dict) else _answer(200, text=state)

    def _answered(self, work: Callable[[], dict[str, Any]], request_id: str) -> dict[str, Any]:
        try:
            return work()
        except OrchestratorError as error:
            _log_error(error, request_id)
            return _answer(error.status, error_body(error, request_id, detailed=self.settings.detailed_errors))
        except Exception as error:
            _log_error(error, request_id)
            return _answer(500, error_body(error, request_id, detailed=self.settings.detailed_errors))

    # ---- events nobody waits for: the outcome is written down, published, and raised when we failed ----

    def _dropped(self, event: Event, request_id: str) -> None:
        """Configs dropped into the config bucket; one that fails does not keep the others from being provisioned."""
        failures = [error for record in event["Records"] if (error := self._dropped_one(record, request_id))]
        if failures:
            raise failures[0]

    def _dropped_one(self, record: Event, request_id: str) -> Exception | None:
        if record.get("eventSource") != "aws:s3":
            return BadRequest(f"A record of {record.get('eventSource', 'an unknown source')!r} is not a config.")
        bucket, key = record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"])
        if key.endswith(RESULT_SUFFIX):
            return None
        version = record["s3"]["object"].get("versionId", "")

        def work() -> dict[str, Any]:
            wanted = {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})
            data = self.aws.call("s3", "get_object", **wanted)["Body"].read()
            body = parse(data, f"s3://{bucket}/{key}")
            return asdict(flow.provision_config(body, self.aws, self.settings, self.catalog))

        result, error = self._reported(f"s3://{bucket}/{key}", work, request_id)
        self.aws.call(
            "s3",
            "put_object",
            Bucket=bucket,
            Key=key + RESULT_SUFFIX,
            Body=json.dumps({**result, "version": version}, indent=2).encode(),
            ContentType="application/json",
        )
        return error

    def _pushed(self, event: Event, request_id: str) -> None:
        """A push to CodeCommit: the config at the root of the commit, with its folders of code."""
        detail = event.get("detail", {})
        if not detail.get("repositoryName") or not detail.get("commitId"):
            raise BadRequest("The CodeCommit event names no repository and commit.")
        commit = Commit(self.aws, detail["repositoryName"], detail["commitId"])
        text = commit.config()
        if text is None:
            _log(request_id=request_id, commit=commit.name, skipped="no mlops-config.json at the root")
            return

        def work() -> dict[str, Any]:
            body = parse(text, f"{CONFIG_FILE} of {commit.name}")
            ready = with_uploaded_sources(body, commit.folder, self.aws) if isinstance(body, dict) else body
            return asdict(flow.provision_config(ready, self.aws, self.settings, self.catalog))

        _, error = self._reported(commit.name, work, request_id)
        if error:
            raise error

    def _reported(
        self, source: str, work: Callable[[], dict[str, Any]], request_id: str
    ) -> tuple[dict[str, Any], Exception | None]:
        """Do it and publish how it went.

        What the user must repair is told, and done with. What may go well later (another change is under way, AWS
        failed) or is our own mistake is raised as well: Lambda tries again, then keeps the event as a dead letter.
        """
        raised: Exception | None = None
        try:
            result = {"source": source, **work()}
        except OrchestratorError as failure:
            _log_error(failure, request_id)
            again = isinstance(failure, AwsFailed | Conflict) or failure.status >= 500
            outcome = "postponed" if again else "refused"
            result = {"source": source, "outcome": outcome, **failure.as_dict(), "request_id": request_id}
            raised = failure if again else None
        except Exception as failure:
            _log_error(failure, request_id)
            result = {"source": source, "outcome": "failed", "error": type(failure).__name__, "request_id": request_id}
            raised = failure
        subject = f"{source.rpartition('/')[2]}: {result['outcome']}"
        self.aws.call(
            "sns",
            "publish",
            TopicArn=self.settings.notifications_topic_arn,
            Subject=subject.encode("ascii", "replace").decode()[:LONGEST_SUBJECT],
            Message=json.dumps(result, indent=2),
        )
        return result, raised

    # ---- CodePipeline ----

    def _job(self, event: Event, request_id: str) -> None:
        outcome = execute.run_job(event, self.aws)
        if isinstance(outcome, execute.JobFailed):
            _log(request_id=request_id, job=str(event["CodePipeline.job"]["id"]), answered="failed")

    def _run_changed(self, event: Event, request_id: str) -> None:
        """A stopped run leaves its state machines running; they are stopped here."""
        detail = event.get("detail", {})
        if detail.get("state") in STOPPED and detail.get("pipeline") and detail.get("execution-id"):
            stopped = execute.stop_jobs(self.aws, detail["pipeline"], detail["execution-id"])
            _log(request_id=request_id, run=detail["execution-id"], stopped=len(stopped))


# ---- answers ----


def _body(event: Event) -> Any:
    text = event.get("body")
    if not text:
        raise BadRequest("The request has no body; a JSON object is expected.")
    return parse(base64.b64decode(text) if event.get("isBase64Encoded") else text, "The request's body")


def _answer(status: int, document: Mapping[str, Any] | None = None, text: str = "") -> dict[str, Any]:
    """The envelope of a Lambda proxy integration; times in ISO form, as old clients know them."""
    body = json.dumps(document, indent=4, default=_plain) if document is not None else text
    kind = "application/json" if document is not None else "text/plain"
    return {"statusCode": status, "isBase64Encoded": False, "body": body, "headers": {"Content-Type": kind}}


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def error_body(error: Exception, request_id: str = "", *, detailed: bool = True) -> dict[str, Any]:
    """An error as the API tells it: the old forms (``message``, ``detailedMessage``) and what helps to repair it."""
    if isinstance(error, BadRequest):
        message = "A BadRequest exception occurred"
    elif isinstance(error, AwsFailed):
        message = "A boto3 ClientError occurred"
    elif isinstance(error, OrchestratorError):
        message = error.title
    else:
        message = "An Unexpected Server side exception occurred"
    document: dict[str, Any] = {"message": message}
    if detailed:
        document["detailedMessage"] = error.message if isinstance(error, OrchestratorError) else str(error)
    if isinstance(error, OrchestratorError) and error.hint:
        document["hint"] = error.hint
    if isinstance(error, ConfigInvalid):
        document["problems"] = [problem.as_dict() for problem in error.problems]
    if request_id:
        document["requestId"] = request_id
    return document


def old_text(error: ConfigInvalid, body: Any) -> str:
    """The sentence old clients know: the first key that is missing, or the type that is not supported."""
    if isinstance(body, Mapping) and "pipelines" not in body:
        for problem in error.problems:
            key = problem.path.removeprefix("$.")
            if key == "pipeline_type":
                return WRONG_TYPE
            if key.isidentifier() and key not in body:
                return MISSING.format(key)
    return f"{error.message} The first: {error.problems[0]}" if error.problems else error.message


# ---- logs ----


def _log(**members: Any) -> None:
    print(json.dumps({"level": "INFO", **members}), flush=True)


def _log_error(error: Exception, request_id: str) -> None:
    """Which error and where it came from; never its text, which may quote the config."""
    members: dict[str, Any] = {"level": "ERROR", "request_id": request_id, "error": type(error).__name__}
    if isinstance(error, AwsFailed):
        members |= {"code": error.code, "operation": error.operation}
    if not isinstance(error, OrchestratorError):
        frames = traceback.extract_tb(error.__traceback__)
        members["where"] = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames[-6:]]
    print(json.dumps(members), flush=True)
