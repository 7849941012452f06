"""Monitors from a config to violations: the baseline in the run, analyses by the schedule, alarms and notifications."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.__main__ import main
from orchestrator.cli.walk import wait_until
from tests.e2e.conftest import Machine, finish
from tests.e2e.posted import DEV, HUB, PROD
from tests.e2e.watched import MODEL_KEY, SCORED_KEY, TRAIN_KEY, Watched, people, stuck

STAGING = "333333333333"
STAGES = {"dev": DEV, "staging": STAGING, "prod": PROD}
KINDS = ("data", "quality", "bias", "reasons")
TOLD_SECONDS = 60.0
CALLS = 150
BIAS = {"label_values_or_threshold": [1], "facet_name": "age", "facet_values_or_threshold": [50]}
BINARY = {"problem_type": "BinaryClassification", "probability_attribute": "0"}


@pytest.fixture(scope="module")
def watched(machine: Machine) -> Watched:
    return Watched(machine)


def endpoint(capture: Any) -> dict[str, Any]:
    return {
        "name": "endpoint", "pipeline_type": "realtime_inference", "model_data": MODEL_KEY, "framework": "xgboost",
        "framework_version": "1.7-1", "instance_type": "ml.m5.large", "data_capture": {"location": capture},
    }  # fmt: skip


def monitors(place: Callable[[str], Any]) -> list[dict[str, Any]]:
    """One monitor of each kind, of the endpoint that the config deploys."""
    common = {
        "endpoint": {"from": "endpoint"}, "output_location": place("results"), "schedule": "cron(0 * ? * * *)",
    }  # fmt: skip
    truth = {"ground_truth_location": place("labels")}
    train, scored = {"location": TRAIN_KEY}, {"location": SCORED_KEY, "probability": "score", "ground_truth": "bought"}
    unlabelled = {**train, "ignore": ["bought"]}
    return [
        {"name": "data", "pipeline_type": "data_quality_monitor", "baseline": unlabelled, **common},
        {"name": "quality", "pipeline_type": "model_quality_monitor", "baseline": scored, **BINARY, **truth, **common},
        {
            "name": "bias", "pipeline_type": "model_bias_monitor", "baseline": train, "bias_config": BIAS,
            "predicted_label_config": {"probability_threshold": 0.5}, **BINARY, **truth, **common,
        },
        {
            "name": "reasons", "pipeline_type": "model_explainability_monitor", "baseline": train,
            "problem_type": "BinaryClassification", "shap_config": {"num_samples": 8, "seed": 1}, **common,
        },
    ]  # fmt: skip


def kind_of(monitor: str) -> str:
    """The pipeline a monitor's name was made from: it stands before the hash."""
    return monitor.rsplit("-", 2)[1]


def told(watched: Watched, queue: str) -> list[str]:
    """The names of the alarms that the topic has told since the last time, and what it said of jobs that failed."""
    sqs, found = watched.client("sqs"), []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            text = json.loads(message["Body"])["Message"]
            if text.startswith("{") and json.loads(text).get("NewStateValue") == "ALARM":
                found.append(json.loads(text)["AlarmName"])
            elif "of a monitor failed" in text:
                found.append(text)
    return found


def listening(watched: Watched) -> str:
    """A queue that hears what the orchestrator's topic is told."""
    sqs = watched.client("sqs")
    queue = str(sqs.create_queue(QueueName="told")["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = watched.machine.outputs["TopicArn"]
    statement = {
        "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    watched.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return queue


def alarms(watched: Watched, account: str) -> dict[str, str]:
    found = watched.client("cloudwatch", account).describe_alarms()["MetricAlarms"]
    return {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}


def test_four_monitors_in_three_accounts_find_drift_and_nothing_else(watched: Watched) -> None:
    for stage, account in STAGES.items():
        watched.bench.bucket(account, f"people-{stage}")

    def place(name: str) -> dict[str, str]:
        return {stage: f"people-{stage}/{name}" for stage in STAGES}

    stages = [{"name": name, "account": account, "approval": False} for name, account in STAGES.items()]
    pipelines = [endpoint(place("captured")), *monitors(place)]
    body = {"version": 2, "model_name": "people", "stages": stages, "pipelines": pipelines}
    states = watched.bench.run(body, "mlops-pipeline-people-workload")
    assert set(states.values()) == {"Succeeded"}, states
    queue = listening(watched)
    for account in STAGES.values():
        schedules = watched.client("scheduler", account).list_schedules()["Schedules"]
        assert [each["State"] for each in schedules] == ["ENABLED"] * len(KINDS)

    for run, (rows, labels) in {"usual": people(CALLS, 3), "stuck": stuck(CALLS, 4)}.items():
        for stage, account in STAGES.items():
            watched.call(account, f"people-endpoint-{stage}", f"people-{stage}", rows, labels, run)
        hour = watched.next_hour()
        for stage, account in STAGES.items():
            found = watched.analysed(account, f"people-{stage}", hour, len(KINDS))
            violated = {kind_of(monitor) for monitor, violations in found.items() if violations}
            assert violated == (set(KINDS) if run == "stuck" else set()), (stage, found)
        if run == "usual":
            assert told(watched, queue) == []
            assert "ALARM" not in {state for account in STAGES.values() for state in alarms(watched, account).values()}

    raised = {name for account in STAGES.values() for name in alarms(watched, account)}
    heard: set[str] = set()
    wait_until("Every alarm was told", TOLD_SECONDS, lambda: heard.update(told(watched, queue)) or heard == raised)
    assert len(raised) == len(KINDS) * len(STAGES)

    s3 = watched.client("s3", DEV)
    for key in watched.bench.keys(DEV, "people-dev", "results/baselines/people-endpoint-dev-data-"):
        s3.delete_object(Bucket="people-dev", Key=key)
    watched.bench.walk.target.enter()
    assert main(["monitor", "run", "data", "--stage", "dev", "--project", "people", "--json", "--quiet"]) == 7
    failed = wait_until("The failure was told", TOLD_SECONDS, lambda: told(watched, queue))
    assert failed[0].lstrip('"').startswith("The job people-endpoint-dev-data-")


def test_one_account_an_endpoint_of_somebody_else_and_retraining(watched: Watched) -> None:
    watched.bench.bucket(HUB, "people-hub")
    stages = [{"name": "prod", "account": HUB, "approval": False}]
    first = {"version": 2, "model_name": "others", "stages": stages, "pipelines": [endpoint("people-hub/captured")]}
    states = watched.bench.run(first, "mlops-pipeline-others-workload")
    assert set(states.values()) == {"Succeeded"}, states

    data = next(each for each in monitors(lambda name: f"people-hub/{name}") if each["name"] == "data")
    more = {"endpoint": "others-endpoint-prod", "data_capture_location": "people-hub/captured", "retraining": {}}
    body = {"version": 2, "model_name": "watch", "stages": stages, "pipelines": [{**data, **more}]}
    project = "mlops-pipeline-watch-workload"
    states = watched.bench.run(body, project)
    assert set(states.values()) == {"Succeeded"}, states
    assert watched.bench.post(body)[1]["outcome"] == "unchanged"

    run = watched.bench.walk.wait_for_run(project)
    watched.call(HUB, "others-endpoint-prod", "people-hub", *stuck(CALLS, 5), "stuck")
    watched.next_hour()
    again = watched.bench.walk.wait_for_run(project, after=run)
    states = finish(watched.bench.walk, project, again)
    assert set(states.values()) == {"Succeeded"}, states
    jobs = watched.client("sagemaker").list_processing_jobs(NameContains="others-endpoint-prod")
    assert len(jobs["ProcessingJobSummaries"]) == 2, "one baseline, found again, and one analysis"


def test_the_command_lists_runs_and_shows(watched: Watched, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told_by(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert main(["monitor", *words, "--project", "watch", "--json", "--quiet"]) == code
        return json.loads(capsys.readouterr().out)

    (row,) = told_by("list")
    assert (row["monitor"], row["stage"], row["violations"], row["alarm"]) == ("data", "prod", 1, "ALARM")
    assert row["schedule"] == "cron(0 * ? * * *)" and row["next"].endswith(":00 UTC")

    watched.call(HUB, "others-endpoint-prod", "people-hub", *people(CALLS, 6), "again")
    until = watched.next_hour()
    done = told_by("run", "data", "--until", until.isoformat(), "--out", str(tmp_path), "--check")
    assert (done["window"], done["violations"]) == (f"{until:%Y/%m/%d/%H}", [])
    assert "<html" in Path(done["report"]).read_text()

    stuck_window = row["last window"]
    seen = told_by("show", "data", "--window", stuck_window, "--out", str(tmp_path), "--check", code=7)
    assert [each["feature_name"] for each in seen["violations"]] == ["income"]
    assert main(["monitor", "show", "mood", "--project", "watch", "--json", "--quiet"]) == 3
