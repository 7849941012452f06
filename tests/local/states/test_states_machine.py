"""The interpreter: states, retries, catches, parallel branches, times and history, without a server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from states_drive import LIST, START, Drive, one

from orchestrator.local.services.states.errors import StateFailure, matches, retry_delay
from orchestrator.local.services.states.machine import Machine

BOOM = StateFailure("Boom", "it went boom")
SUCCEED = {"Type": "Succeed"}


def task(**fields: Any) -> dict[str, Any]:
    return {**LIST, **fields}


def test_a_chain_ends_with_the_last_output() -> None:
    machine = {
        "StartAt": "A",
        "States": {
            "A": {"Type": "Pass", "Result": {"n": 1}, "Next": "B"},
            "B": {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericEquals": 1, "Next": "C"}], "Default": "D"},
            "C": SUCCEED,
            "D": {"Type": "Fail"},
        },
    }
    drive = Drive(machine)
    assert drive.output == {"n": 1}
    assert drive.kinds == [
        "ExecutionStarted", "PassStateEntered", "PassStateExited", "ChoiceStateEntered", "ChoiceStateExited",
        "SucceedStateEntered", "SucceedStateExited", "ExecutionSucceeded",
    ]  # fmt: skip
    assert [event["previousEventId"] for event in drive.events] == list(range(8))
    assert drive.document["stopDate"] == START


def test_a_fail_state_names_error_and_cause() -> None:
    drive = Drive(one({"Type": "Fail", "Error": "Bad", "CausePath": "States.Format('no {}', $.x)"}), {"x": "luck"})
    assert (drive.document["status"], drive.document["error"], drive.document["cause"]) == ("FAILED", "Bad", "no luck")
    assert drive.kinds[-2:] == ["FailStateEntered", "ExecutionFailed"]


def test_no_choice_matched() -> None:
    choices = [{"Variable": "$.n", "NumericEquals": 1, "Next": "T"}]
    assert Drive(one({"Type": "Choice", "Choices": choices}, T=SUCCEED), {"n": 2}).document["error"] == (
        "States.NoChoiceMatched"
    )


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"Seconds": 7}, 7),
        ({"SecondsPath": "$.s"}, 3),
        ({"Timestamp": "2023-11-14T22:13:30Z"}, 10),
        ({"TimestampPath": "$.t"}, 20),
        ({"Timestamp": "2020-01-01T00:00:00Z"}, 0),
    ],
)
def test_wait(fields: dict[str, Any], seconds: float) -> None:
    drive = Drive(one({"Type": "Wait", **fields}), {"s": 3, "t": "2023-11-14T22:13:40Z"}).run()
    assert drive.now - START == seconds
    assert drive.output == {"s": 3, "t": "2023-11-14T22:13:40Z"}


def test_a_task_schedules_one_call_and_takes_its_answer() -> None:
    drive = Drive(one(task(ResultPath="$.r")), {"in": 1})
    assert drive.open == {"0": {"resource": LIST["Resource"], "parameters": {}}}
    drive.move(Machine.advance)
    assert list(drive.open) == ["0"]
    drive.move(lambda machine: machine.began("0"))
    drive.answer({"out": 2})
    assert drive.output == {"in": 1, "r": {"out": 2}}
    assert drive.kinds[1:-1] == [
        "TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited",
    ]  # fmt: skip
    scheduled = drive.events[2]["taskScheduledEventDetails"]
    assert scheduled == {
        "resourceType": "aws-sdk:sagemaker", "resource": "listModels", "parameters": "{}", "region": "us-east-1",
    }  # fmt: skip


def test_an_answer_to_a_call_nobody_waits_for_is_ignored() -> None:
    drive = Drive(one(task()))
    drive.move(lambda machine: machine.finished("7", output={"wrong": True}))
    assert list(drive.open) == ["0"]


def test_retry_counts_waits_and_then_catches() -> None:
    state = task(
        Retry=[
            {"ErrorEquals": ["Other"], "MaxAttempts": 9},
            {"ErrorEquals": ["Boom"], "IntervalSeconds": 2, "MaxAttempts": 2, "BackoffRate": 3},
        ],
        Catch=[{"ErrorEquals": ["States.ALL"], "Next": "T", "ResultPath": "$.why"}],
    )
    drive = Drive(one({**state, "Next": "T"}, T=SUCCEED), {"in": 1}).run(BOOM, BOOM, BOOM)
    assert drive.output == {"in": 1, "why": {"Error": "Boom", "Cause": "it went boom"}}
    assert drive.now - START == 2 + 6
    assert drive.kinds.count("TaskScheduled") == 3
    assert drive.kinds.count("TaskStateEntered") == 1


def test_the_retry_count_is_in_the_context_object() -> None:
    state = task(Parameters={"NameContains.$": "States.Format('{}', $$.State.RetryCount)"})
    state["Retry"] = [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1}]
    drive = Drive(one(state)).run(BOOM, BOOM, {})
    assert [each["NameContains"] for each in drive.made] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("names", "error", "matched"),
    [
        (["States.ALL"], "Anything", True),
        (["States.ALL"], "States.Timeout", True),
        (["States.ALL"], "States.Runtime", False),
        (["States.Runtime"], "States.Runtime", False),
        (["States.ALL"], "States.DataLimitExceeded", False),
        (["States.TaskFailed"], "Anything", True),
        (["States.TaskFailed"], "States.Timeout", False),
        (["A", "B"], "B", True),
        (["A"], "B", False),
        (["States.BranchFailed"], "B", False),
    ],
)
def test_which_errors_a_rule_takes(names: list[str], error: str, matched: bool) -> None:
    assert matches(names, error) is matched


def test_retry_delays() -> None:
    rule = {"IntervalSeconds": 3, "BackoffRate": 2, "MaxDelaySeconds": 10}
    assert [retry_delay(rule, made) for made in range(4)] == [3, 6, 10, 10]
    assert [retry_delay({}, made) for made in range(3)] == [1, 2, 4]
    jittered = {retry_delay({**rule, "JitterStrategy": "FULL"}, 1) for _ in range(20)}
    assert len(jittered) > 1
    assert all(0 <= delay <= 6 for delay in jittered)


def test_a_task_times_out_and_gives_its_call_up() -> None:
    state = task(TimeoutSecondsPath="$.limit", Catch=[{"ErrorEquals": ["States.Timeout"], "Next": "T"}])
    drive = Drive(one({**state, "Next": "T"}, T=SUCCEED), {"limit": 5})
    drive.wait()
    assert drive.now - START == 5
    assert drive.output == {"Error": "States.Timeout", "Cause": ""}
    assert drive.given_up == ["0"]
    assert "TaskTimedOut" in drive.kinds


def test_the_whole_execution_times_out() -> None:
    drive = Drive({**one(task()), "TimeoutSeconds": 60})
    drive.wait()
    assert drive.document["status"] == "TIMED_OUT"
    assert drive.given_up == ["0"]
    assert drive.kinds[-1] == "ExecutionTimedOut"


def test_stop_gives_everything_up() -> None:
    drive = Drive(one({"Type": "Parallel", "Branches": [one(task()), one({"Type": "Wait", "Seconds": 9})]}))
    drive.move(lambda machine: machine.stop("Mine", None))
    assert (drive.document["status"], drive.document["error"]) == ("ABORTED", "Mine")
    assert drive.given_up == ["0"]
    assert Machine(drive.document, drive.now).next_wake() is None


PARALLEL = {
    "Type": "Parallel",
    "Branches": [
        one(task(ResultPath="$.first")),
        {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 4, "End": True}}},
    ],
    "ResultPath": "$.both",
}


def test_parallel_branches_run_beside_each_other_and_keep_their_order() -> None:
    drive = Drive(one(PARALLEL), {"k": 1})
    assert list(drive.open) == ["0"]
    drive.wait()
    assert drive.document["status"] == "RUNNING"
    drive.answer("x")
    assert drive.output == {"k": 1, "both": [{"k": 1, "first": "x"}, {"k": 1}]}
    assert drive.kinds[-4:] == [
        "TaskStateExited",
        "ParallelStateSucceeded",
        "ParallelStateExited",
        "ExecutionSucceeded",
    ]


@pytest.mark.parametrize(
    "names", [["Boom"], ["States.BranchFailed"], ["States.ALL"], ["States.TaskFailed"]], ids=lambda names: names[0]
)
def test_a_failing_branch_fails_the_parallel_state_with_its_own_error(names: list[str]) -> None:
    state = {**PARALLEL, "Catch": [{"ErrorEquals": names, "Next": "T", "ResultPath": "$.why"}], "Next": "T"}
    drive = Drive(one(state, T=SUCCEED), {"k": 1})
    drive.answer(failure=BOOM)
    assert drive.output == {"k": 1, "why": {"Error": "Boom", "Cause": "it went boom"}}
    assert drive.document["frames"] == {}


def test_a_parallel_state_is_retried_whole() -> None:
    drive = Drive(one({**PARALLEL, "Retry": [{"ErrorEquals": ["Boom"], "MaxAttempts": 1}]}), {}).run(BOOM, "ok")
    assert drive.output["both"][0] == {"first": "ok"}
    assert drive.kinds.count("ParallelStateStarted") == 2


def test_parallel_in_parallel() -> None:
    inner = {"Type": "Parallel", "Branches": [one({"Type": "Pass", "Result": n}) for n in (1, 2)]}
    assert Drive(one({"Type": "Parallel", "Branches": [one(inner), one(inner)]})).output == [[1, 2], [1, 2]]


def test_a_wild_loop_ends_the_execution() -> None:
    loop = {"Type": "Choice", "Choices": [{"Variable": "$.n", "IsPresent": True, "Next": "S"}]}
    drive = Drive(one(loop), {"n": 1})
    assert drive.document["status"] == "FAILED"
    assert "history events" in drive.document["cause"]


def test_the_context_object() -> None:
    drive = Drive(one({"Type": "Pass", "Parameters": {"all.$": "$$"}}), {"in": 1})
    assert drive.output["all"] == {
        "Execution": {
            "Id": "arn:aws:states:us-east-1:111111111111:execution:m:e",
            "Input": {"in": 1},
            "Name": "e",
            "RoleArn": "arn:aws:iam::111111111111:role/r",
            "StartTime": "2023-11-14T22:13:20.000Z",
            "RedriveCount": 0,
        },
        "StateMachine": {"Id": "arn:aws:states:us-east-1:111111111111:stateMachine:m", "Name": "m"},
        "State": {"Name": "S", "EnteredTime": "2023-11-14T22:13:20.000Z", "RetryCount": 0},
    }


def test_the_document_is_json_at_every_step() -> None:
    drive = Drive(one(PARALLEL), {"k": 1})
    assert json.loads(json.dumps(drive.document)) == drive.document
