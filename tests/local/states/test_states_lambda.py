"""State machines that call functions: payloads, a function's errors, and time."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from states_drive import SDK, one
from states_rig import ROLE, Rig

from tests.local.waiting import until

INVOKE = "arn:aws:states:::lambda:invoke"
SOURCE = """
class NoLuck(Exception):
    pass

def handler(event, context):
    if event.get("fail"):
        raise NoLuck("today")
    if event.get("exit"):
        raise SystemExit(2)
    return {"double": event["n"] * 2}
"""


def archive(source: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr("app.py", source)
    return buffer.getvalue()


@pytest.fixture
def function(rig: Rig) -> str:
    made = rig.client("lambda").create_function(
        FunctionName="f", Runtime="python3.12", Role=ROLE, Handler="app.handler", Code={"ZipFile": archive(SOURCE)}
    )
    return str(made["FunctionArn"])


def call(function: str, resource: str = INVOKE, **payload: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": resource, "Parameters": {"FunctionName": function, "Payload": payload}}


def test_a_functions_answer_is_json(rig: Rig, function: str) -> None:
    output = rig.run(one(call(function, **{"n.$": "$.n"})), {"n": 21})
    assert output["Payload"] == {"double": 42}
    assert (output["StatusCode"], output["ExecutedVersion"]) == (200, "$LATEST")


def test_the_generic_call_answers_text(rig: Rig, function: str) -> None:
    output = rig.run(one(call(function, SDK + "lambda:invoke", n=4)))
    assert json.loads(output["Payload"]) == {"double": 8}


@pytest.mark.parametrize(("payload", "error"), [({"fail": True}, "NoLuck"), ({"exit": True}, "Runtime.ExitError")])
def test_a_functions_error_is_the_states_error(rig: Rig, function: str, payload: dict[str, Any], error: str) -> None:
    state = {**call(function, **payload), "Catch": [{"ErrorEquals": [error], "Next": "Caught"}]}
    output = rig.run(one({**state, "Next": "Caught"}, Caught={"Type": "Succeed"}))
    assert output["Error"] == error
    assert json.loads(output["Cause"])["errorType"] == error


def test_a_function_that_is_not_there(rig: Rig) -> None:
    ended = rig.ended(rig.begin(one(call("gone"))))
    assert ended["error"] == "Lambda.ResourceNotFoundException"
    assert "Function not found" in ended["cause"]


def test_a_clean_stop_in_the_middle_of_a_function_loses_nothing(rig: Rig, function: str) -> None:
    source = "import time\ndef handler(event, context):\n    print('begun')\n    time.sleep(event)\n    return 'done'"
    rig.client("lambda").update_function_code(FunctionName="f", ZipFile=archive(source))
    rig.client("lambda").update_function_configuration(FunctionName="f", Timeout=30)
    state = {**call(function), "Parameters": {"FunctionName": function, "Payload": 1.5}}
    arn = rig.begin(one(state))
    until(lambda: rig.embedded.services["lambda"].workers._all)  # type: ignore[attr-defined]
    rig.restart()
    ended = rig.ended(arn)
    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(ended["output"])["Payload"] == "done"
