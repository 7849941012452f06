"""The clock that can be moved: what follows it, in which order, and that it never goes back."""

from __future__ import annotations

import argparse
import json
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.cli import home
from orchestrator.cli.console import Console
from orchestrator.cli.verbs import local
from orchestrator.cli.verbs.local import seconds_of
from orchestrator.errors import BadRequest
from orchestrator.local.clock import Clock, Walk
from orchestrator.local.store import Key, Store
from orchestrator.local.tasks import Tasks

HOUR = 3600.0
ROLE = "arn:aws:iam::111111111111:role/states"


def ask(aws: Any, path: str = "", body: dict[str, Any] | None = None) -> dict[str, Any]:
    """A request to the clock's controls."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{aws.endpoint}/_local/clock{path}", data=data)) as answer:
        return dict(json.loads(answer.read()))


def test_it_shows_the_machines_time_until_it_is_moved(aws: Any) -> None:
    told = ask(aws)
    assert told["offset"] == 0 and abs(told["time"] - time.time()) < 5
    assert "MLOPS_CLOCK_OFFSET_SECONDS" not in aws.world.child_environment(ROLE, "us-east-1", "job")
    moved = ask(aws, "/advance", {"seconds": HOUR})
    assert moved["offset"] == pytest.approx(HOUR, abs=1)
    assert datetime.fromisoformat(moved["now"]).timestamp() == pytest.approx(time.time() + HOUR, abs=5)
    assert float(aws.world.child_environment(ROLE, "us-east-1", "job")["MLOPS_CLOCK_OFFSET_SECONDS"]) == pytest.approx(
        moved["offset"], abs=0.01
    )


@pytest.mark.parametrize("body", [
    {}, {"seconds": 0}, {"seconds": -1}, {"seconds": "3600"}, {"seconds": True}, {"seconds": 32 * 86_400},
    {"seconds": 1, "hours": 1}, {"seconds": 1, "wait": -1}, {"seconds": 1, "wait": "long"}, {"wait": 1},
])  # fmt: skip
def test_what_is_no_way_forward_is_refused(aws: Any, body: dict[str, Any]) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(aws, "/advance", body)
    assert refused.value.code == 400
    assert ask(aws)["offset"] == 0


def test_the_time_is_still_there_after_a_restart_and_never_goes_back(aws: Any) -> None:
    ask(aws, "/advance", {"seconds": HOUR})
    before = aws.world.now()
    aws.restart()
    assert aws.world.now() >= before
    aws.world.clock.move_to(time.time())
    assert aws.world.now() >= before


def test_a_day_of_hourly_schedules_passes_in_order(aws: Any) -> None:
    aws.world.clock.move_to(aws.world.now() // HOUR * HOUR + HOUR + 900)  # far from when they fire
    queue = aws.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    events = aws.client("events")
    for name, expression in (("hourly", "cron(0 * * * ? *)"), ("halves", "cron(30 * * * ? *)")):
        events.put_rule(Name=name, ScheduleExpression=expression)
        target = {"Id": "1", "Arn": f"arn:aws:sqs:us-east-1:{aws.account('orchestrator')}:q"}
        events.put_targets(Rule=name, Targets=[target])
    ask(aws, "/advance", {"seconds": 24 * HOUR})
    fired: list[Any] = []
    while messages := aws.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        fired += [json.loads(message["Body"]) for message in messages]
        for message in messages:
            aws.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    times = [event["time"] for event in fired]
    assert len(times) == len(set(times)) == 48
    assert times == sorted(times), "each was delivered before the next was due"


def test_a_wait_state_ends_when_its_time_has_come(aws: Any) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    aws.client("iam").create_role(RoleName="states", AssumeRolePolicyDocument=policy)
    states = aws.client("stepfunctions")
    definition = {"StartAt": "Cool", "States": {"Cool": {"Type": "Wait", "Seconds": 86_400, "End": True}}}
    machine = states.create_state_machine(name="cool", definition=json.dumps(definition), roleArn=ROLE)
    execution = states.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]
    ask(aws, "/advance", {"seconds": 86_000})
    assert states.describe_execution(executionArn=execution)["status"] == "RUNNING"
    ask(aws, "/advance", {"seconds": 600})
    found = states.describe_execution(executionArn=execution)
    assert found["status"] == "SUCCEEDED"
    assert (found["stopDate"] - found["startDate"]).total_seconds() == pytest.approx(86_400, abs=5)


# --- the pieces


@pytest.fixture
def store(tmp_path: Any) -> Any:
    made = Store(tmp_path / "state.db")
    yield made
    made.close()


def test_tasks_are_due_by_the_clock_and_moments_are_told_from_pauses(store: Store) -> None:
    clock = Clock(store)
    tasks = Tasks(store, now=clock.now)
    calls: list[str] = []
    tasks.register("moment", lambda key: calls.append(key.name), by_clock=True)
    tasks.register("pause", lambda key: calls.append(key.name))
    tasks.start()
    start = clock.now()
    tasks.schedule("moment", Key("1", "r", "s", "t", "late"), 2 * HOUR)
    tasks.schedule("moment", Key("1", "r", "s", "t", "soon"), HOUR)
    tasks.schedule("pause", Key("1", "r", "s", "t", "poll"), 60)
    assert tasks.next_moment(start) == pytest.approx(start + HOUR, abs=1)
    assert tasks.next_moment(start + HOUR + 1) == pytest.approx(start + 2 * HOUR, abs=1)
    assert tasks.next_moment(start + 3 * HOUR) is None
    clock.move_to(start + HOUR + 1)
    assert tasks.settle(10)
    assert sorted(calls) == ["poll", "soon"]
    tasks.stop()


def test_the_clock_waits_for_what_runs_if_it_is_asked_to(store: Store) -> None:
    clock = Clock(store)
    tasks = Tasks(store, now=clock.now)
    done: list[tuple[str, float]] = []
    ended = {f"j{number}": time.monotonic() + 0.2 * (number + 1) for number in range(2)}

    def start(key: Key) -> None:
        done.append(("began", clock.now()))
        tasks.schedule("job", key)

    def job(key: Key) -> float | None:
        if time.monotonic() < ended[key.name]:
            return 0.02
        done.append(("ended", clock.now()))
        return None

    tasks.register("moment", start, by_clock=True)
    tasks.register("job", job, is_work=True)
    tasks.start()
    for number in range(2):
        tasks.schedule("moment", Key("1", "r", "s", "t", f"j{number}"), HOUR * (number + 1))
    Walk(clock, tasks).advance(3 * HOUR, patience=10)
    assert [what for what, _ in done] == ["began", "ended", "began", "ended"]
    assert not tasks.works()
    tasks.schedule("job", Key("1", "r", "s", "t", "j1"))
    assert tasks.settle(10) and not tasks.works()
    tasks.stop()


def test_a_walk_ends_where_the_tasks_were_stopped(store: Store) -> None:
    clock = Clock(store)
    tasks = Tasks(store, now=clock.now)
    tasks.register("moment", lambda key: HOUR, by_clock=True)
    tasks.start()
    tasks.schedule("moment", Key("1", "r", "s", "t", "n"), HOUR)
    tasks.stop()
    Walk(clock, tasks).advance(31 * 24 * HOUR)
    assert clock.offset == 0


def test_settling_gives_up_on_a_task_that_never_rests(store: Store) -> None:
    tasks = Tasks(store)
    tasks.register("busy", lambda key: time.sleep(0.5))
    tasks.schedule("busy", Key("1", "r", "s", "t", "n"))
    tasks.start()
    assert not tasks.settle(0.1)
    tasks.stop()


def test_moving_to_the_past_changes_nothing(store: Store) -> None:
    clock = Clock(store)
    clock.move_to(clock.now() + HOUR)
    offset = clock.offset
    clock.move_to(clock.now() - 10)
    assert clock.offset == offset == Clock(store).offset


@pytest.mark.parametrize("text, seconds", [
    ("90s", 90), ("30m", 1800), ("1h", 3600), ("2d", 172_800), ("1h30m", 5400),
])  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "h", "1w", "-1h", "1.5h", "1 h"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="not a duration"):
        seconds_of(text)


def test_the_command_tells_the_time_and_moves_it(
    aws: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(aws.home.parent))
    home.activate(aws.home)
    parser = argparse.ArgumentParser()
    local.register(parser)

    def told(*words: str) -> str:
        assert local.run(parser.parse_args(["clock", *words]), Console()) == 0
        return capsys.readouterr().out

    assert "0:00:00 ahead of this machine" in told()
    assert "1:30:00 ahead of this machine" in told("advance", "1h30m", "--wait")
    assert "1:30:00 ahead" in told()
    with pytest.raises(BadRequest, match="The clock stays as it is"):
        told("advance", "32d")
    with pytest.raises(BadRequest, match="is not known"):
        told("retreat", "1h")


def test_captured_calls_lie_under_the_hour_they_were_made_in(aws: Any, tmp_path: Any) -> None:
    from orchestrator.local.services.sagemaker.capture import OPEN, Capture

    capture = Capture(aws.world)
    endpoint = Key("111111111111", "us-east-1", "sagemaker", "Endpoint", "e")
    config = {"EnableCapture": True, "InitialSamplingPercentage": 100, "CaptureOptions": [{"CaptureMode": "Input"}]}
    hours = []
    for number in range(2):
        for _ in range(2):
            capture.record(endpoint, "v", config, (b"%d" % number, "text/csv"), (b"", "text/csv"), {})
        hours.append(datetime.fromtimestamp(aws.world.now(), UTC).strftime("%Y/%m/%d/%H"))
        aws.world.clock.move_to(aws.world.now() + HOUR)
    folder = next(aws.home.rglob("capture/v"))
    (first,) = folder.glob("sealed/**/*.jsonl")
    assert str(first.relative_to(folder / "sealed").parent) == hours[0]
    assert len(first.read_text().splitlines()) == 2
    Capture(aws.world)._seal(folder)  # of another process: it knows only the file
    assert not (folder / OPEN).exists()
    assert {str(path.relative_to(folder / "sealed").parent) for path in folder.glob("sealed/**/*.jsonl")} == set(hours)


def test_a_file_begins_with_its_first_line_whoever_sealed_the_one_before(aws: Any) -> None:
    """The service that answers calls writes; another one, of SageMaker itself, seals and uploads."""
    from orchestrator.local.services.sagemaker.capture import Capture

    writer, uploader = Capture(aws.world), Capture(aws.world)
    endpoint = Key("111111111111", "us-east-1", "sagemaker", "Endpoint", "e")
    config = {"EnableCapture": True, "InitialSamplingPercentage": 100, "CaptureOptions": [{"CaptureMode": "Input"}]}
    call: Any = (endpoint, "v", config, (b"1", "text/csv"), (b"", "text/csv"), {})
    writer.record(*call)
    folder = next(aws.home.rglob("capture/v"))
    uploader._seal(folder)
    aws.world.clock.move_to(aws.world.now() + HOUR)
    hour = datetime.fromtimestamp(aws.world.now(), UTC).strftime("%Y/%m/%d/%H")
    writer.record(*call)
    writer.record(*call)
    uploader._seal(folder)
    counts = {str(path.parent): len(path.read_text().splitlines()) for path in folder.glob("sealed/**/*.jsonl")}
    assert counts[str(folder / "sealed" / hour)] == 2 and sum(counts.values()) == 3
