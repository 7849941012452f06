"""The program of a function's worker process: loads the handler and answers one event after the other.

It runs in an interpreter of its own and imports nothing but the standard library; the function sees its code
folder, the runtime's boto3 and nothing else. Events arrive as lines on the standard input, answers leave as lines
on a file descriptor; what the function prints goes to the file that is standard output and error. When the
standard input ends, the server is gone, and so is this process.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import queue
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

Handler = Callable[[Any, Any], Any]
Message = dict[str, Any]


class Identity:
    """``context.identity``: nobody."""

    cognito_identity_id = None
    cognito_identity_pool_id = None


class ClientContext:
    """``context.client_context`` from what the caller of Invoke sent."""

    def __init__(self, sent: Message) -> None:
        self.custom = sent.get("custom")
        self.env = sent.get("env")
        self.client = sent.get("client")


class Context:
    """The handler's second argument, as in AWS's Python runtime."""

    def __init__(self, message: Message) -> None:
        self.aws_request_id: str = message["requestId"]
        self.invoked_function_arn: str = message["functionArn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = Identity()
        self.client_context = ClientContext(message["clientContext"]) if message.get("clientContext") else None
        self.tenant_id = None
        self._deadline: float = message["deadline"]

    def get_remaining_time_in_millis(self) -> int:
        """How long the function may still run."""
        return max(0, int((self._deadline - time.time()) * 1000))

    def log(self, text: str) -> None:
        """Write to the function's log."""
        sys.stdout.write(str(text))


class RequestFilter(logging.Filter):
    """Gives every log record the id of the request being handled."""

    request_id = ""

    def filter(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = self.request_id
        return True


def failure(kind: str, message: str, request_id: str, stack: list[str]) -> Message:
    """What Invoke answers for a function that failed; the same goes to the log."""
    print(f"[ERROR] {kind}: {message}" + ("\nTraceback (most recent call last):\n" + "".join(stack) if stack else ""))
    return {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": stack}


def load(name: str) -> tuple[Handler | None, tuple[str, str, list[str]] | None]:
    """The handler, or why there is none: (error type, message, stack)."""
    try:
        module_name, function_name = name.rsplit(".", 1)
    except ValueError as problem:
        return None, ("Runtime.MalformedHandlerName", f"Bad handler '{name}': {problem}", [])
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as problem:
        return None, ("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {problem}", [])
    except SyntaxError as problem:
        return None, ("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {problem}", [])
    except Exception as problem:
        return None, (type(problem).__name__, str(problem), own_stack(problem))
    handler = getattr(module, function_name, None)
    if handler is None:
        return None, ("Runtime.HandlerNotFound", f"Handler '{function_name}' missing on module '{module_name}'", [])
    return handler, None


def own_stack(problem: BaseException) -> list[str]:
    """The stack without the frames of this file and of the import machinery."""
    frames = traceback.extract_tb(problem.__traceback__)
    return traceback.format_list([f for f in frames if f.filename != __file__ and "<frozen" not in f.filename])


def handle(handler: Handler, message: Message) -> tuple[bool, str]:
    """Whether the function succeeded, and its answer as JSON."""
    request_id = message["requestId"]
    try:
        result = handler(json.loads(message["event"]), Context(message))
    except Exception as problem:
        return False, json.dumps(failure(type(problem).__name__, str(problem), request_id, own_stack(problem)))
    try:
        return True, json.dumps(result, ensure_ascii=False)
    except (TypeError, ValueError) as problem:
        text = f"Unable to marshal response: {problem}"
        return False, json.dumps(failure("Runtime.MarshalError", text, request_id, []))


def listen(source: Any, messages: queue.SimpleQueue[Message]) -> None:
    """Take in messages until there is nobody to send them; then end the process, whatever it is doing."""
    for line in source:
        messages.put(json.loads(line))
    os._exit(0)


def prepare_logging() -> RequestFilter:
    """The root logger as AWS's Python runtime sets it up (User Guide, "Log and monitor Python functions")."""
    by_request = RequestFilter()
    handler = logging.StreamHandler(sys.stdout)
    layout = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
    formatter = logging.Formatter(layout, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(by_request)
    logging.getLogger().addHandler(handler)
    return by_request


def peak_memory_mb() -> int:
    """The most memory this process has used."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024 * 1024 if sys.platform == "darwin" else 1024)


def send(answers_to: int, answer: Message) -> None:
    """Write one line to the server."""
    line = json.dumps(answer).encode() + b"\n"
    while line:
        line = line[os.write(answers_to, line) :]


def main(answers_to: int, packages: str) -> None:
    """Load the handler and answer events for ever."""
    os.set_inheritable(answers_to, False)
    source = os.fdopen(os.dup(0), "rb")
    with open(os.devnull) as nothing:  # noqa: PTH123 (pathlib is not needed otherwise, and costs start-up time)
        os.dup2(nothing.fileno(), 0)
    messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=listen, args=(source, messages), daemon=True).start()
    extra = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:0] = [os.environ["LAMBDA_TASK_ROOT"], *extra, packages]
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    by_request = prepare_logging()
    handler, problem = load(os.environ["_HANDLER"])
    send(answers_to, {"ready": True})
    while True:
        message = messages.get()
        by_request.request_id = message["requestId"]
        if handler is None:
            kind, text, stack = problem or ("Runtime.Unknown", "", [])
            succeeded, payload = False, json.dumps(failure(kind, text, message["requestId"], stack))
        else:
            succeeded, payload = handle(handler, message)
        sys.stdout.flush()
        sys.stderr.flush()
        # Without a handler this was the last: the next event gets a fresh start, as on AWS.
        send(answers_to, {"ok": succeeded, "payload": payload, "memory": peak_memory_mb(), "last": handler is None})


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
