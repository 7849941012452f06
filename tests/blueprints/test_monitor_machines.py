"""The state machines of monitors, run through every way they can go, with jobs and schedules that are played."""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_job_machines import SECOND_RUN, Jobs
from test_machine_runs import ARN, Deployed, example, output

from orchestrator.local.services.states.errors import StateFailure

Play = dict[str, Any]
KINDS = ("data_quality", "model_quality", "model_bias", "model_explainability")


class Watched(Jobs):
    """Processing jobs, the objects that are written, and the schedule."""

    def __init__(self, outcome: str = "Completed", reason: str = "", **members: Any) -> None:
        super().__init__("ProcessingJob", outcome, reason, **members)
        self.objects: dict[str, Any] = {}
        self.schedule: Play = {
            "Name": "Schedule-ref", "Description": "d", "ScheduleExpression": "rate(1 hour)", "State": "DISABLED",
            "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": {"Arn": "a", "RoleArn": "r", "Input": "{}"},
        }  # fmt: skip

    def __getattr__(self, operation: str) -> Any:
        if operation == "list_processing_jobs":
            return self.found
        return super().__getattr__(operation)

    def found(self, request: Play) -> Any:
        jobs = [
            {"ProcessingJobName": name}
            for name, job in self.jobs.items()
            if request["NameContains"] in name and job["ProcessingJobStatus"] == request["StatusEquals"]
        ]
        return {"ProcessingJobSummaries": jobs}

    def put_object(self, request: Play) -> Any:
        self.objects[f"{request['Bucket']}/{request['Key']}"] = request["Body"]
        return {}

    def get_schedule(self, request: Play) -> Any:
        return {**self.schedule, "Name": request["Name"], "Arn": "arn", "CreationDate": "now"}

    def update_schedule(self, request: Play) -> Any:
        self.schedule = request
        return {"ScheduleArn": "arn"}


def monitor(kind: str, name: str = "any_endpoint") -> Deployed:
    found = example(f"{kind}_monitor/{name}")
    return Deployed(found, found.plan.pipelines[-1].name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_baseline_is_made_once_and_only_then_the_schedule_runs(kind: str) -> None:
    played, deployed = Watched(), monitor(kind)
    first = output(deployed.run(played))
    (name,) = played.jobs
    assert name.endswith("-0a1b2c3d") and len(name) <= 63
    assert first == {
        "BaselineJobName": name,
        "BaselineJobArn": f"{ARN}:job/{name}",
        "BaselineLocation": f"s3://churn-monitoring/results/baselines/{name.removesuffix('-0a1b2c3d')}",
        "MonitorName": first["MonitorName"],
    }
    (definition,) = played.objects.values()
    assert definition["monitor"] == kind and definition["name"] == first["MonitorName"]
    assert played.schedule["State"] == "ENABLED" and played.schedule["ScheduleExpression"] == "rate(1 hour)"
    assert output(deployed.run(played, SECOND_RUN)) == first
    assert list(played.jobs) == [name]


@pytest.mark.parametrize("kind", KINDS)
def test_the_job_is_asked_for_what_was_planned(kind: str) -> None:
    played, deployed = Watched(), monitor(kind, "every_option")
    output(deployed.run(played))
    (job,) = played.jobs.values()
    assert deployed.input is not None
    request = deployed.input["Request"]
    assert {key: job[key] for key in request} == request
    assert "MonitorRole" in job["RoleArn"]
    assert played.schedule["State"] == "DISABLED", "the config says so"
    (place,) = played.objects
    assert request["ProcessingInputs"][0]["S3Input"]["S3Uri"] == f"s3://{place.rpartition('/')[0]}/"


@pytest.mark.parametrize(("outcome", "reason", "members", "error", "cause"), [
    ("Failed", "AlgorithmError", {"ExitMessage": "Failed: no rows."}, "BaselineJobFailed",
     "Failed: no rows. (AlgorithmError)"),
    ("Failed", "InternalServerError", {}, "BaselineJobFailed", "InternalServerError"),
    ("Stopped", "", {}, "BaselineJobStopped", "ended as Stopped."),
    ("Refused", "", {}, "BaselineJobNotStarted", "ResourceLimitExceeded: no such instances"),
])  # fmt: skip
def test_without_a_baseline_the_schedule_stays_off(
    outcome: str, reason: str, members: Play, error: str, cause: str
) -> None:
    played = Watched(outcome, reason, **members)
    document = monitor("data_quality").run(played)
    assert (document["status"], document["error"]) == ("FAILED", error)
    assert document["cause"].endswith(cause)
    assert played.schedule["State"] == "DISABLED"


@pytest.mark.parametrize("kind", ["model_bias", "model_explainability"])
def test_clarify_is_told_what_to_measure_before_the_baseline_and_after(kind: str) -> None:
    played = Watched()
    output(monitor(kind, "model_monitor").run(played))
    baseline, later = sorted(played.objects)
    assert baseline.endswith("/analysis_config.json") and later.endswith("/analysis_config.json.monitor.json")
    assert played.objects[baseline]["predictor"]["endpoint_name"] == "churn-endpoint"
    assert ("pre_training_bias" in played.objects[baseline]["methods"]) == (kind == "model_bias")
    assert "pre_training_bias" not in played.objects[later]["methods"]
    (job,) = played.jobs.values()
    assert "clarify" in job["AppSpecification"]["ImageUri"] and "ContainerArguments" not in job["AppSpecification"]


def test_model_monitor_is_told_how_the_baseline_is_written() -> None:
    played = Watched()
    output(monitor("model_quality", "model_monitor").run(played))
    (job,) = played.jobs.values()
    assert json.loads(job["Environment"]["dataset_format"])["csv"]["header"] is True
    assert job["Environment"]["problem_type"] == "BinaryClassification"
    assert played.objects == {}


# ---- retraining ----


class Pipelines:
    """Executions of the retraining's machine, and the pipeline it starts."""

    def __init__(self, running: int) -> None:
        self.running, self.started = running, 0

    def list_executions(self, request: Play) -> Any:
        assert request["StatusFilter"] == "RUNNING"
        return {"Executions": [{"Name": str(number)} for number in range(min(self.running, 2))]}

    def start_pipeline_execution(self, request: Play) -> Any:
        assert request["Name"] == "mlops-pipeline-churn-training"
        if not self.started:
            self.started = 1
            return {"PipelineExecutionId": "1"}
        raise StateFailure("CodePipeline.CodePipelineException", "twice")


@pytest.mark.parametrize(("running", "started"), [(1, 1), (2, 0)])
def test_drift_starts_one_training_in_a_cool_down(running: int, started: int) -> None:
    found = example("data_quality_monitor/every_option")
    deployed = Deployed(found, "watch", resource="Retraining")
    played: Any = Pipelines(running)
    document = deployed.run(played)
    assert document["status"] == "SUCCEEDED"
    assert played.started == started
    lasted = document["stopDate"] - document["startDate"]
    assert lasted == pytest.approx(604800 if started else 0, abs=2)
