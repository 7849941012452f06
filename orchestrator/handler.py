"""The Lambda's door: every kind of event becomes a call of ``flow`` or of a room, and every outcome an answer.

API Gateway (the table in ``routes``) · S3, itself or by EventBridge (a config was dropped) · CodeCommit (a config was
pushed) · CodePipeline (a job of a run; a run was stopped; a connected repository's commit) · direct invocation.

Logs are one JSON object a line and carry no payloads: a config may hold what is nobody's business.
"""

from __future__ import annotations

import base64
import json
import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from orchestrator import answers, execute, routes, settings
from orchestrator.aws import Aws
from orchestrator.blueprint import Catalog, load_catalog
from orchestrator.commits import CONFIG_FILE, Checkout, Commit, parse
from orchestrator.errors import (
    AwsFailed,
    BadRequest,
    ConfigInvalid,
    Conflict,
    MethodNotAllowed,
    OrchestratorError,
)
from orchestrator.settings import Settings
from orchestrator.sources import with_uploaded_sources

Event = Mapping[str, Any]
RESULT_SUFFIX = ".result.json"
STOPPED = frozenset({"STOPPING", "STOPPED"})
LONGEST_SUBJECT = 100


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
        if event.get("source") == "aws.s3":
            return "s3", self._dropped_elsewhere
        if event.get("source") == "aws.codecommit":
            return "commit", self._pushed
        if event.get("source") == "aws.codepipeline":
            return "run", self._run_changed
        return "direct", self._direct

    # ---- API Gateway and direct invocation: every outcome is an answer ----

    def _api(self, event: Event, request_id: str) -> dict[str, Any]:
        method, path = str(event["httpMethod"]), str(event.get("path", "")).rstrip("/")
        body: Any = None

        def work() -> routes.Reply:
            nonlocal body
            found = routes.find(method, path)
            if found is None:
                return _no_route(method, path)
            route, project = found
            if route.request:
                body = None if route.may_be_empty and not event.get("body") else _body(event)
                routes.check(route, {} if body is None else body)
            return route.work(self._request(body, project))

        return self._answered(work, request_id, lambda: body)

    def _direct(self, event: Event, request_id: str) -> dict[str, Any]:
        def work() -> routes.Reply:
            if "pipeline_type" not in event and "pipelines" not in event:
                raise BadRequest(answers.WRONG_EVENT)
            return routes.PROVISION.work(self._request(dict(event)))

        return self._answered(work, request_id, lambda: event)

    def _request(self, body: Any, project: str = "") -> routes.Request:
        return routes.Request(self.settings, self.aws, self.catalog, body, project)

    def _provisioned(self, body: Any) -> dict[str, Any]:
        return routes.provisioned(body, self.settings, self.aws, self.catalog)

    def _answered(self, work: Callable[[], routes.Reply], request_id: str, body: Callable[[], Any]) -> dict[str, Any]:
        try:
            reply = work()
        except Exception as error:
            _log_error(error, request_id)
            status = error.status if isinstance(error, OrchestratorError) else 500
            document = answers.error_body(error, request_id, detailed=self.settings.detailed_errors)
            if isinstance(error, ConfigInvalid) and "detailedMessage" in document:
                document["detailedMessage"] = answers.old_text(error, body())
            return answers.answer(status, document)
        if reply.document and "pipeline_id" in reply.document:
            _log(project=reply.document["project"], outcome=reply.document["outcome"], request_id=request_id)
        return answers.answer(reply.status, reply.document, reply.text)

    # ---- events nobody waits for: the outcome is written down, published, and raised when we failed ----

    def _dropped(self, event: Event, request_id: str) -> None:
        """Configs dropped into the config bucket; one that fails does not keep the others from being provisioned."""
        failures = [error for record in event["Records"] if (error := self._dropped_one(record, request_id))]
        if failures:
            raise failures[0]

    def _dropped_elsewhere(self, event: Event, request_id: str) -> None:
        """A config in a bucket that is not ours: EventBridge tells of it, with a key that is not encoded."""
        detail = event.get("detail", {})
        place = {"key": quote_plus(detail["object"]["key"]), "versionId": detail["object"].get("version-id", "")}
        record = {"eventSource": "aws:s3", "s3": {"bucket": detail["bucket"], "object": place}}
        error = self._dropped_one(record, request_id)
        if error:
            raise error

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
            return self._provisioned(body)

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
            return self._provisioned(ready)

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
        others = {"provision": lambda job: self._checked_out(job, request_id)}
        outcome = execute.run_job(event, self.aws, others)
        if isinstance(outcome, execute.JobFailed):
            _log(request_id=request_id, job=str(event["CodePipeline.job"]["id"]), answered="failed")

    def _checked_out(self, job: execute.Job, request_id: str) -> execute.Done:
        """A commit that a connection brought: every config in it is provisioned; those unchanged stay so."""
        if len(job.inputs) != 1:
            raise BadRequest("The job 'provision' needs one artifact: the repository.")
        commit = Checkout(self.aws, *job.inputs[0], name=str(job.arguments.get("commit", "the commit"))[:200])
        outcomes, failed = [], []
        for path, text in commit.configs().items():

            def work(path: str = path, text: bytes = text) -> dict[str, Any]:
                body = parse(text, f"{path} of {commit.name}")
                folder = commit.folder_beside(path)
                return self._provisioned(
                    with_uploaded_sources(body, folder, self.aws) if isinstance(body, dict) else body
                )

            result, _ = self._reported(f"{commit.name}/{path}", work, request_id)
            told = f"{path}: {result['outcome']}"
            outcomes.append(told)
            if result["outcome"] in ("refused", "postponed", "failed"):
                failed.append(f"{told}. {result.get('message', '')}")
        if failed:
            raise execute.JobFailed(" ".join(failed))
        return execute.Done("; ".join(outcomes) or f"no {CONFIG_FILE} in {commit.name}")

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


def _no_route(method: str, path: str) -> routes.Reply:
    """What a path or method gets that is not in the table; old clients know the two sentences."""
    allowed = routes.methods(path)
    if allowed and path not in routes.OLD_PATHS:
        raise MethodNotAllowed(f"{path} has no method {method}.", hint=f"It has {', '.join(allowed)}.")
    raise BadRequest(answers.WRONG_PATH if method == "POST" else answers.WRONG_EVENT)


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
