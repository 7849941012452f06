"""The calls of Task states: made as the state machine's role, each remembered before and after.

A call that a dead process may have made is made again with the same idempotency token. A job it may have started
is adopted when its tags say that this execution started it.
"""

from __future__ import annotations

import json
import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError

from orchestrator.local.services.states.errors import RUNTIME, TASK_FAILED, StateFailure
from orchestrator.local.services.states.executions import CALL, Executions
from orchestrator.local.services.states.integrations import (
    Integration,
    error_name,
    prepared,
    resolve,
    to_request,
    to_result,
)
from orchestrator.local.services.states.intrinsics import to_json
from orchestrator.local.services.states.machine import Machine
from orchestrator.local.store import Key
from orchestrator.local.world import World

LOGGER = logging.getLogger(__name__)

FUNCTION_SECONDS = 960.0
"""Longer than a Lambda function may run and load."""
FUNCTION_POLL_SECONDS = 5.0
MOST_FUNCTIONS = 32
UNAVAILABLE = 503
"""The embedded AWS is stopping: the call is made again by the next process."""
INTERRUPTED_SECONDS = 1.0
FIRST_POLL_SECONDS = 0.2
LONGEST_POLL_SECONDS = 1.0
SUCCEEDED = frozenset({"Completed", "SUCCEEDED"})
FINISHED = SUCCEEDED | {"Failed", "Stopped", "FAILED", "FAULT", "TIMED_OUT", "STOPPED"}
EXECUTION_TAG = "AWS_STEP_FUNCTIONS_EXECUTION_ARN"
MANAGED_TAG = {"Key": "MANAGED_BY_AWS", "Value": "STARTED_BY_STEP_FUNCTIONS"}
TOKENS = uuid.UUID("3f0e2f55-6a2d-4a0b-9d0e-5b6f0c6f2a11")

Document = dict[str, Any]


class Interrupted(Exception):
    """The call was not answered because the server is stopping."""


class Calls:
    """Makes the calls that executions have written down."""

    def __init__(self, world: World, executions: Executions) -> None:
        self.world = world
        self.store = world.store
        self.executions = executions
        self._functions = ThreadPoolExecutor(MOST_FUNCTIONS, thread_name_prefix="states-lambda")
        self._running: set[Key] = set()
        world.tasks.register(CALL, self._step, is_work=True)

    def recover(self) -> None:
        """Take up again what a dead process was waiting for."""
        for key, _ in self.store.list("stepfunctions", "Call"):
            self.world.tasks.schedule(CALL, key)

    def close(self) -> None:
        """Functions that still run are asked again by the next process."""
        self._functions.shutdown(wait=False, cancel_futures=True)

    def _step(self, key: Key) -> float | None:
        call = self.store.get(key)
        if call is None:
            return None
        integration = resolve(call["resource"])
        if call.get("givenUp"):
            self._abandon(key, call, integration)
            return None
        if integration.service != "lambda":
            return self._advance(key, call, integration)
        if key not in self._running:
            self._running.add(key)
            self._functions.submit(self._run_function, key, call, integration)
        return FUNCTION_POLL_SECONDS

    def _run_function(self, key: Key, call: Document, integration: Integration) -> None:
        """In a thread of its own: a function may take minutes, and other services need the threads of the tasks."""
        try:
            delay = self._advance(key, call, integration)
        finally:
            self._running.discard(key)
        self.world.tasks.schedule(CALL, key, delay or 0.0)

    def _advance(self, key: Key, call: Document, integration: Integration) -> float | None:
        try:
            if "submitted" in call:
                return self._poll(key, call, integration)
            return self._make(key, call, integration)
        except StateFailure as failure:
            self._finish(key, failure=failure)
            return None
        except Interrupted:
            return INTERRUPTED_SECONDS

    def _make(self, key: Key, call: Document, integration: Integration) -> float | None:
        number = key.name.rpartition("/")[2]
        if not call.get("began"):
            with self.store.transaction():
                self.store.patch(key, began=True)
                self.executions.change(execution_key(key), lambda machine: machine.began(number))
        output = self._request(key, call, integration)
        if integration.job is None:
            self._finish(key, output=output)
            return None
        started = output[integration.job.answer]["Id"] if integration.job.answer else ""
        with self.store.transaction():
            self.store.patch(key, submitted=self.world.now(), started=started)
            self.executions.change(execution_key(key), lambda machine: machine.submitted(number, output))
        return FIRST_POLL_SECONDS

    def _request(self, key: Key, call: Document, integration: Integration) -> Any:
        client = self._client(key, call, integration)
        model = integration.model
        request = to_request(model.input_shape, prepared(integration, call["parameters"]))
        if not isinstance(request, dict):
            raise StateFailure(RUNTIME, f"The Parameters '{to_json(request)}' are not an object")
        for member in model.idempotent_members:
            request.setdefault(member, str(uuid.uuid5(TOKENS, "/".join(key))))
        if integration.job and integration.job.answer:  # it has no tags; the token says that it is the same build
            request.setdefault("idempotencyToken", str(uuid.uuid5(TOKENS, "/".join(key))))
        elif integration.job:
            request["Tags"] = [*request.get("Tags", []), *self._tags(key)]
        try:
            response = getattr(client, integration.method)(**request)
        except ParamValidationError as problem:
            text = to_json(call["parameters"])
            cause = f"The Parameters '{text}' could not be used to start the Task: [{problem}]"
            raise StateFailure(RUNTIME, cause) from None
        except ClientError as problem:
            if problem.response["ResponseMetadata"].get("HTTPStatusCode") == UNAVAILABLE:
                raise Interrupted from None
            tagged = integration.job and not integration.job.answer
            if tagged and call.get("began") and self._ours(key, call, integration):
                return {}
            raise failure_of(integration, problem) from None
        return result_of(integration, response)

    def _poll(self, key: Key, call: Document, integration: Integration) -> float | None:
        description, state = self._describe(key, call, integration)
        if state not in FINISHED:
            waited: float = self.world.now() - call["submitted"]
            return min(LONGEST_POLL_SECONDS, FIRST_POLL_SECONDS + waited / 10)
        if state not in SUCCEEDED:
            raise StateFailure(TASK_FAILED, to_json(description))
        self._finish(key, output=description)
        return None

    def _describe(self, key: Key, call: Document, integration: Integration) -> tuple[Document, str]:
        job = integration.job
        assert job is not None
        client = self._client(key, call, integration)
        question = {f"{job.name}s": [call["started"]]} if job.answer else {job.name: call["parameters"][job.name]}
        try:
            response = getattr(client, job.describe)(**question)
        except ClientError as problem:
            raise failure_of(integration, problem) from None
        shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[job.describe]).output_shape
        description = to_result(shape, response, milliseconds=True)
        if job.answer:
            found = description[f"{job.answer}s"][0]
            return {job.answer: found}, found[job.status]
        tags = [*call["parameters"].get("Tags", []), *self._tags(key)]
        description["Tags"] = {tag["Key"]: tag["Value"] for tag in tags}
        return description, description[job.status]

    def _ours(self, key: Key, call: Document, integration: Integration) -> bool:
        """Whether the job of that name was started by this very execution."""
        job = integration.job
        assert job is not None
        if job.answer:
            return bool(call.get("started"))
        client = self._client(key, call, integration)
        try:
            description = getattr(client, job.describe)(**{job.name: call["parameters"][job.name]})
            tags = client.list_tags(ResourceArn=description[job.name.removesuffix("Name") + "Arn"])["Tags"]
        except ClientError:
            return False
        return self._tags(key)[1] in tags

    def _abandon(self, key: Key, call: Document, integration: Integration) -> None:
        """Nobody waits any more: stop the job if there is one (best effort, as AWS says) and forget the call."""
        job = integration.job
        if job and call.get("began") and self._ours(key, call, integration):
            client = self._client(key, call, integration)
            name = call["started"] if job.answer else call["parameters"][job.name]
            try:
                getattr(client, job.stop)(**{job.name: name})
            except ClientError as problem:
                LOGGER.info("%s was not stopped: %s", name, problem)
        self.store.delete(key)

    def _finish(self, key: Key, output: Any = None, failure: StateFailure | None = None) -> None:
        number = key.name.rpartition("/")[2]

        def tell(machine: Machine) -> None:
            machine.finished(number, output=output, failure=failure)

        with self.store.transaction():
            if self.store.delete(key):
                self.executions.change(execution_key(key), tell)

    def _client(self, key: Key, call: Document, integration: Integration) -> Any:
        patience = FUNCTION_SECONDS if integration.service == "lambda" else 0
        return self.world.client(integration.service, key.account, key.region, call["roleArn"], patience=patience)

    def _tags(self, key: Key) -> list[dict[str, str]]:
        execution = self.store.get(execution_key(key)) or {}
        return [MANAGED_TAG, {"Key": EXECUTION_TAG, "Value": execution.get("executionArn", "")}]


def execution_key(call: Key) -> Key:
    """The execution a call belongs to."""
    return call._replace(type="Execution", name=call.name.rpartition("/")[0])


def failure_of(integration: Integration, problem: ClientError) -> StateFailure:
    """An API error as the state sees it; the cause as the Java SDK words it."""
    error = problem.response["Error"]
    status = problem.response["ResponseMetadata"].get("HTTPStatusCode", 400)
    request = problem.response["ResponseMetadata"].get("RequestId", "")
    service = integration.prefix
    cause = f"{error.get('Message', '')} (Service: {service}, Status Code: {status}, Request ID: {request})"
    return StateFailure(error_name(integration, error["Code"]), cause)


def result_of(integration: Integration, response: Document) -> Any:
    """An API answer as the state sees it; raises StateFailure when the answer says that the work failed."""
    metadata = response.pop("ResponseMetadata", {})
    result = to_result(integration.model.output_shape, response, milliseconds=integration.optimized)
    if not integration.optimized:
        return result
    if integration.service == "lambda":
        _function_result(result, response)
    if integration.service == "events" and result.get("FailedEntryCount"):
        raise StateFailure("EventBridge.FailedEntry", to_json(result["Entries"]))
    headers = {name: [value] for name, value in metadata.get("HTTPHeaders", {}).items()}
    status = metadata.get("HTTPStatusCode", 200)
    result["SdkHttpMetadata"] = {"AllHttpHeaders": headers, "HttpHeaders": {k: v[0] for k, v in headers.items()}}
    result["SdkHttpMetadata"]["HttpStatusCode"] = status
    result["SdkResponseMetadata"] = {"RequestId": metadata.get("RequestId", "")}
    return result


def _function_result(result: Document, response: Document) -> None:
    """The Payload of ``lambda:invoke`` is a JSON value; a function's error is the state's error."""
    text = result.get("Payload") or "null"
    payload = json.loads(text)
    result["Payload"] = payload
    result.pop("LogResult", None)
    if response.get("FunctionError"):
        name = payload.get("errorType") if isinstance(payload, dict) else None
        raise StateFailure(name or "Lambda.Unknown", text)
