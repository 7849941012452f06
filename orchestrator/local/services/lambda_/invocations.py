"""Running functions: an event goes to a worker, the answer and the log come back."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.local.services.lambda_.code import Code
from orchestrator.local.services.lambda_.functions import Target, configuration
from orchestrator.local.services.lambda_.logs import LogWriter
from orchestrator.local.services.lambda_.worker import Answer, TimedOut, Worker, WorkerExited
from orchestrator.local.services.lambda_.workers import MOST_WORKERS, Workers
from orchestrator.local.store import Document, Key
from orchestrator.local.world import World

LOADING_SECONDS = 10.0
"""A function's code may take so long to load; after that its own time runs (Developer Guide, "Init phase")."""
LARGEST_RESPONSE_BYTES = 6 * 1024 * 1024
IDLE = "lambda-idle"


class Stopping(Exception):
    """The server is going down; the event was not finished."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one event."""

    payload: bytes
    failed: bool
    log: str
    version: str


class Invoker:
    """Runs events on workers, now and synchronously."""

    def __init__(self, world: World, code: Code, workers: Workers) -> None:
        self._world = world
        self._store = world.store
        self._code = code
        self._workers = workers
        self.logs = LogWriter(world)
        world.tasks.register(IDLE, lambda _: self._workers.retire_idle())

    def worker(self, target: Target, wait: float) -> tuple[Worker, Document, str]:
        """A worker for the target, its configuration and the ARN it was called by; raises Busy.

        Who must not wait for longer than ``wait`` seconds; a reserved concurrency that is used up is not waited for.
        """
        found, arn = configuration(self._store, target)
        function = self._store.get(target.key) or {}
        reserved = function.get("Concurrency")
        most, wait = (MOST_WORKERS, wait) if reserved is None else (reserved, 0.0)
        worker = self._workers.acquire(found["RevisionId"], lambda: self._start(target.key, found), most, wait)
        return worker, found, arn

    def _start(self, key: Key, found: Document) -> Worker:
        session = f"{key.name[:50]}-{found['Version'].strip('$')}"[:64]
        stream = f"{datetime.now(UTC):%Y/%m/%d}/[{found['Version']}]{uuid.uuid4().hex}"
        environment = {
            **found.get("Environment", {}).get("Variables", {}),
            **self._world.child_environment(found["Role"], key.region, session),
            "_HANDLER": found["Handler"],
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{found['Runtime']}",
            "AWS_LAMBDA_FUNCTION_NAME": key.name,
            "AWS_LAMBDA_FUNCTION_VERSION": found["Version"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(found["MemorySize"]),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": found["LoggingConfig"]["LogGroup"],
            "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        }
        folder = self._code.folder(found["CodeSha256"])
        return Worker(self._workers.folder, folder, self._code.packages(), environment)

    def run(self, worker: Worker, found: Document, arn: str, event: bytes, request_id: str, client: Any) -> Outcome:
        """Run one event on an acquired worker and give it back; raises Stopping."""
        loading = 0.0
        began = time.time()
        try:
            if worker.events == 0:
                worker.ready(began + LOADING_SECONDS + found["Timeout"])
                loading = min(LOADING_SECONDS, time.time() - began)
            deadline = began + loading + found["Timeout"]
            message = {"requestId": request_id, "functionArn": arn, "deadline": deadline, "clientContext": client}
            ending = answered(worker.handle({**message, "event": event.decode()}, deadline))
        except TimedOut:
            ending = timed_out(request_id, found["Timeout"])
        except WorkerExited as problem:
            if self._workers.closed:
                worker.discard()
                raise Stopping from None
            ending = exited(request_id, problem.status)
        printed = worker.take_log()
        self._give_back(worker, found)
        log = whole_log(request_id, found, printed + ending.note, time.time() - began - loading, ending, loading)
        region = arn.split(":")[3]
        self.logs.write(found["Role"], region, found["LoggingConfig"]["LogGroup"], worker.stream, log)
        return Outcome(ending.payload, ending.failed, log, found["Version"])

    def _give_back(self, worker: Worker, found: Document) -> None:
        self._workers.release(found["RevisionId"], worker)
        delay = self._workers.retire_idle()
        if delay is not None and not self._workers.closed:
            self._world.tasks.schedule(IDLE, Key("", "", "lambda", "Workers", "all"), delay)


@dataclass(frozen=True, slots=True)
class Ending:
    """How one event ended; ``note`` is what the service itself adds to the log."""

    payload: bytes
    failed: bool
    note: str = ""
    memory_mb: int = 0


def answered(answer: Answer) -> Ending:
    """The handler returned or raised."""
    if len(answer.payload) > LARGEST_RESPONSE_BYTES:
        text = f"Response payload size exceeded maximum allowed payload size ({LARGEST_RESPONSE_BYTES} bytes)."
        return Ending(error("Function.ResponseSizeTooLarge", text), True, "", answer.memory_mb)
    return Ending(answer.payload, not answer.succeeded, "", answer.memory_mb)


def timed_out(request_id: str, seconds: float) -> Ending:
    """The handler took too long and was killed."""
    text = f"Task timed out after {seconds:.2f} seconds"
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    note = f"{moment}Z {request_id} {text}\n\n"
    return Ending(error("Sandbox.Timedout", f"RequestId: {request_id} Error: {text}"), True, note)


def exited(request_id: str, status: int) -> Ending:
    """The process ended by itself, or was killed by somebody else."""
    reason = f"signal: {-status}" if status < 0 else f"exit status {status}"
    text = f"RequestId: {request_id} Error: Runtime exited with error: {reason}"
    return Ending(error("Runtime.ExitError", text), True, f"{text}\nRuntime.ExitError\n")


def error(kind: str, message: str) -> bytes:
    """The payload that tells of an error which the function did not raise itself."""
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def whole_log(request_id: str, found: Document, printed: str, seconds: float, ending: Ending, loading: float) -> str:
    """What a function printed, between the lines that Lambda writes around it."""
    if printed and not printed.endswith("\n"):
        printed += "\n"
    milliseconds = seconds * 1000
    start_up = f"\tInit Duration: {loading * 1000:.2f} ms" if loading else ""
    return (
        f"START RequestId: {request_id} Version: {found['Version']}\n"
        f"{printed}END RequestId: {request_id}\n"
        f"REPORT RequestId: {request_id}\tDuration: {milliseconds:.2f} ms\tBilled Duration: {int(milliseconds) + 1} ms"
        f"\tMemory Size: {found['MemorySize']} MB\tMax Memory Used: {ending.memory_mb} MB{start_up}\n"
    )
