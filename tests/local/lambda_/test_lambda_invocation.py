"""Running functions: what the handler sees, how it fails, what is logged, how workers live and die."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from botocore.exceptions import ClientError
from lambda_rig import ACCOUNT, REGION, Rig, archive

from tests.local.waiting import until

CONTEXT = """
    import os

    def handler(event, context):
        names = ("AWS_REGION", "AWS_ENDPOINT_URL", "_HANDLER", "COLOUR", "AWS_EXECUTION_ENV", "LAMBDA_TASK_ROOT")
        return {
            "event": event,
            "arn": context.invoked_function_arn,
            "name": context.function_name,
            "version": context.function_version,
            "memory": context.memory_limit_in_mb,
            "group": context.log_group_name,
            "stream": context.log_stream_name,
            "request": context.aws_request_id,
            "left": context.get_remaining_time_in_millis(),
            "client": context.client_context and context.client_context.custom,
            "environment": {name: os.environ.get(name) for name in names},
            "home_is_here": os.path.exists(os.environ["HOME"]),
            "cwd": os.getcwd(),
            "stdin": os.read(0, 1).decode(),
        }
"""


def test_what_a_handler_sees(rig: Rig) -> None:
    rig.create(CONTEXT, Environment={"Variables": {"COLOUR": "blue"}}, MemorySize=256)
    client = base64.b64encode(b'{"custom": {"a": "b"}}').decode()
    seen = rig.invoke({"hello": "wörld"}, ClientContext=client)
    assert seen["event"] == {"hello": "wörld"}
    assert seen["arn"] == f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
    assert (seen["name"], seen["version"], seen["memory"]) == ("f", "$LATEST", "256")
    assert seen["group"] == "/aws/lambda/f"
    assert "[$LATEST]" in seen["stream"]
    assert 0 < seen["left"] <= 20_000
    assert seen["client"] == {"a": "b"}
    assert seen["environment"] == {
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": rig.embedded.endpoint,
        "_HANDLER": "app.handler",
        "COLOUR": "blue",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
        "LAMBDA_TASK_ROOT": seen["cwd"],
    }
    assert seen["home_is_here"]
    assert seen["stdin"] == ""


def test_it_calls_aws_as_its_role(rig: Rig) -> None:
    source = """
        import boto3

        def handler(event, context):
            return boto3.client("sts").get_caller_identity()["Arn"]
    """
    assert f"arn:aws:sts::{ACCOUNT}:assumed-role/function/f-LATEST" in rig.run(source)


def test_packages_of_the_server_are_not_there(rig: Rig) -> None:
    answer = rig.run("import moto\nhandler = print", failed=True)
    assert answer["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'moto'" in answer["errorMessage"]


@pytest.mark.parametrize(
    ("source", "handler", "kind", "message"),
    [
        ("def handler(e, c): raise ValueError('bad luck')", "app.handler", "ValueError", "bad luck"),
        ("def handler(e, c): return {1, 2}", "app.handler", "Runtime.MarshalError", "not JSON serializable"),
        ("def handler(e, c): return 'x' * 7_000_000", "app.handler", "Function.ResponseSizeTooLarge", "6291456"),
        ("def handler(e, c): raise SystemExit(3)", "app.handler", "Runtime.ExitError", "exit status 3"),
        ("import os\ndef handler(e, c): os.kill(os.getpid(), 9)", "app.handler", "Runtime.ExitError", "signal: 9"),
        ("def handler(e, c): pass", "app.other", "Runtime.HandlerNotFound", "Handler 'other' missing"),
        ("def handler(e, c): pass", "none.handler", "Runtime.ImportModuleError", "No module named 'none'"),
        ("def handler(e, c): pass", "handler", "Runtime.MalformedHandlerName", "Bad handler"),
        ("def handler(:", "app.handler", "Runtime.UserCodeSyntaxError", "Syntax error"),
        ("1 / 0", "app.handler", "ZeroDivisionError", "division by zero"),
    ],
)
def test_how_functions_fail(rig: Rig, source: str, handler: str, kind: str, message: str) -> None:
    answer = rig.run(source, failed=True, Handler=handler)
    assert answer["errorType"] == kind
    assert message in answer["errorMessage"]
    assert rig.invoke(failed=True)["errorType"] == kind  # the next event is not harmed by the last


def test_the_stack_is_the_functions_own(rig: Rig) -> None:
    [frame] = rig.run("def handler(e, c):\n    raise KeyError('x')", failed=True)["stackTrace"]
    assert "app.py" in frame
    assert "line 2, in handler" in frame


def test_a_slow_function_is_killed(rig: Rig) -> None:
    source = "import time\ndef handler(e, c):\n    print('begun')\n    time.sleep(e)"
    rig.create(source, Timeout=1)
    began = time.monotonic()
    answer = rig.lambdas.invoke(FunctionName="f", Payload="60", LogType="Tail")
    assert time.monotonic() - began < 8
    assert answer["FunctionError"] == "Unhandled"
    assert b"Sandbox.Timedout" in answer["Payload"].read()
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "begun" in log
    assert "Task timed out after 1.00 seconds" in log
    assert rig.invoke(0) is None


def test_loading_does_not_count_against_the_timeout(rig: Rig) -> None:
    rig.create("import time\ntime.sleep(1.5)\ndef handler(e, c): return c.get_remaining_time_in_millis()", Timeout=1)
    assert 0 < rig.invoke() <= 1000


PRINTING = """
    import logging, subprocess, sys

    logging.getLogger().setLevel(logging.INFO)

    def handler(event, context):
        print("to stdout")
        print("to stderr", file=sys.stderr)
        logging.info("by logging")
        subprocess.run(["echo", "by a child"], check=True)
"""


def test_what_is_printed_is_logged(rig: Rig) -> None:
    rig.create(PRINTING)
    answer = rig.lambdas.invoke(FunctionName="f", LogType="Tail")
    request = answer["ResponseMetadata"]["RequestId"]
    tail = base64.b64decode(answer["LogResult"]).decode().splitlines()
    assert tail[0] == f"START RequestId: {request} Version: $LATEST"
    assert tail[1:3] == ["to stdout", "to stderr"]
    assert tail[3].startswith("[INFO]\t")
    assert tail[3].endswith(f"\t{request}\tby logging")
    assert tail[4:6] == ["by a child", f"END RequestId: {request}"]
    assert tail[6].startswith(f"REPORT RequestId: {request}\tDuration: ")
    assert "Init Duration" in tail[6]
    rig.lambdas.invoke(FunctionName="f")
    logs = rig.client("logs")

    def written() -> list[str]:
        try:
            events = logs.filter_log_events(logGroupName="/aws/lambda/f")["events"]
        except ClientError:
            return []
        return [event["message"] for event in events]

    lines = until(lambda: len(found := written()) == 14 and found)
    assert lines[:7] == tail
    assert "Init Duration" not in lines[-1]
    assert len(logs.describe_log_streams(logGroupName="/aws/lambda/f")["logStreams"]) == 1


def test_dry_run_runs_nothing(rig: Rig) -> None:
    rig.create("def handler(e, c): 1 / 0")
    assert rig.lambdas.invoke(FunctionName="f", InvocationType="DryRun")["StatusCode"] == 204
    with pytest.raises(ClientError, match="Function not found"):
        rig.lambdas.invoke(FunctionName="g", InvocationType="DryRun")


@pytest.mark.parametrize(
    ("payload", "code"),
    [("no json", "InvalidRequestContentException"), ('"' + "x" * 6_300_000 + '"', "RequestTooLargeException")],
)
def test_payloads_refused(rig: Rig, payload: str, code: str) -> None:
    rig.create("def handler(e, c): pass")
    with pytest.raises(ClientError) as caught:
        rig.lambdas.invoke(FunctionName="f", Payload=payload)
    assert caught.value.response["Error"]["Code"] == code


COUNTER = """
    import os, time

    seen = []

    def handler(event, context):
        seen.append(event)
        time.sleep((event or {}).get("sleep", 0))
        return {"pid": os.getpid(), "seen": len(seen), "colour": os.environ.get("COLOUR")}
"""


def test_a_worker_is_used_again_until_something_changes(rig: Rig) -> None:
    rig.create(COUNTER)
    answers = [rig.invoke() for _ in range(3)]
    assert [each["seen"] for each in answers] == [1, 2, 3]
    rig.lambdas.update_function_configuration(FunctionName="f", Environment={"Variables": {"COLOUR": "red"}})
    assert rig.invoke() == {"pid": rig.invoke()["pid"], "seen": 1, "colour": "red"}
    until(lambda: not alive(answers[0]["pid"]))
    rig.lambdas.update_function_code(FunctionName="f", ZipFile=archive("def handler(e, c): return 'new'"))
    assert rig.invoke() == "new"


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").exists() or " Z " not in Path(f"/proc/{pid}/stat").read_text()


def test_events_at_once_get_a_worker_each_up_to_the_reserved_concurrency(rig: Rig) -> None:
    rig.create(COUNTER)
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: rig.invoke({"sleep": 0.7}), range(3)))
    assert len({each["pid"] for each in answers}) == 3
    rig.lambdas.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    assert rig.lambdas.get_function_concurrency(FunctionName="f")["ReservedConcurrentExecutions"] == 1
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(rig.invoke, {"sleep": 1})
        time.sleep(0.4)
        with pytest.raises(ClientError, match="TooManyRequestsException"):
            rig.lambdas.invoke(FunctionName="f")
        assert slow.result()["pid"]
    rig.lambdas.delete_function_concurrency(FunctionName="f")
    rig.lambdas.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        rig.lambdas.invoke(FunctionName="f")


def test_idle_workers_end(rig: Rig) -> None:
    pid = rig.run(COUNTER)["pid"]
    workers = rig.embedded.services["lambda"].workers  # type: ignore[attr-defined]
    assert workers.retire_idle(60) > 50
    assert alive(pid)
    assert workers.retire_idle(0) is None
    assert not alive(pid)


def test_workers_end_with_the_server(rig: Rig) -> None:
    pid = rig.run(COUNTER)["pid"]
    rig.restart()
    assert not alive(pid)
    assert rig.invoke()["seen"] == 1


SERVER = """
    import sys, time
    from pathlib import Path
    from orchestrator.local.services.lambda_.worker import Worker

    home = Path(sys.argv[1])
    names = ("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
             "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME")
    worker = Worker(home / "w", home / "code", home / "code", {**dict.fromkeys(names, "x"), "_HANDLER": "app.handler"})
    until = time.time() + 60
    worker.ready(until)
    worker.handle({"requestId": "r", "functionArn": "a", "deadline": until, "event": "null"}, until)
"""


def test_workers_end_when_the_server_is_killed(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    note = tmp_path / "pid"
    source = (
        f"import os, time\ndef handler(e, c):\n    open({str(note)!r}, 'w').write(str(os.getpid()))\n    time.sleep(60)"
    )
    (tmp_path / "code" / "app.py").write_text(source)
    server = subprocess.Popen([sys.executable, "-c", dedent(SERVER), str(tmp_path)])
    pid = int(until(lambda: note.exists() and note.read_text()))
    assert alive(pid)
    server.send_signal(signal.SIGKILL)
    server.wait()
    until(lambda: not alive(pid))


def test_many_starts_leave_no_file_descriptors_behind(rig: Rig) -> None:
    rig.create("import os\ndef handler(e, c): os._exit(0)")

    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    rig.invoke(failed=True)
    before = count()
    for _ in range(5):
        rig.invoke(failed=True)
    assert count() <= before + 2
    assert list((rig.home / "lambda" / "workers").iterdir()) == []


def test_a_restarted_server_finds_its_functions(rig: Rig) -> None:
    rig.create("def handler(e, c): return e")
    rig.restart()
    assert rig.invoke([1]) == [1]


def any_json() -> list[Any]:
    return [None, True, 1.5, "text", [1, [2]], {"a": {"b": None}}, "ünïcödé\n"]


def test_events_and_answers_are_any_json(rig: Rig) -> None:
    rig.create("def handler(e, c): return e")
    assert [rig.invoke(value) for value in any_json()] == any_json()
