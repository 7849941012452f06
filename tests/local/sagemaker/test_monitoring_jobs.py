"""A monitor from end to end: an endpoint whose calls are captured, a baseline job, analyses with and without drift."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sagemaker_rig import BUCKET, DATA, ROWS, Workshop, csv, small_booster, wait_for
from test_processing_jobs import finished, given, output

from orchestrator.runtime.monitoring.asking import Endpoint

IMAGE = "111111111111.dkr.ecr.us-east-1.amazonaws.com/mlops-monitoring:3.0.0"
DEFINITION, BASELINE = "/opt/ml/processing/input/definition", "/opt/ml/processing/input/baseline"
RESULTS = "monitors/cancer/cancer-data"
CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": f"s3://{BUCKET}/capture",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
}
NAMES = [name.replace(" ", "_") for name in DATA.feature_names]
DIMENSIONS = {"Endpoint": "cancer", "MonitoringSchedule": "cancer-data"}


def definition(**changes: Any) -> str:
    return json.dumps({
        "version": 1, "monitor": "data_quality", "name": "cancer-data", "endpoint": "cancer", "window_hours": 2,
        "baseline": {"format": "csv", "header": True}, "capture": {"location": f"{BUCKET}/capture"},
        "metrics": {"namespace": "MLOps/Monitoring"}, **changes,
    })  # fmt: skip


def job(workshop: Workshop, name: str, arguments: list[str], inputs: list[Any], uri: str) -> dict[str, Any]:
    place = given("definition", f"s3://{BUCKET}/monitor/definition.json", DEFINITION)
    workshop.sagemaker.create_processing_job(
        ProcessingJobName=name,
        RoleArn=workshop.role,
        AppSpecification={"ImageUri": IMAGE, "ContainerArguments": ["job", *arguments]},
        ProcessingInputs=[place, *inputs],
        ProcessingOutputConfig={"Outputs": [output(uri)]},
        ProcessingResources={
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 20}
        },
    )
    return finished(workshop, name)


def analysed(workshop: Workshop, name: str, until: datetime) -> dict[str, Any]:
    inputs = [given("baseline", f"s3://{BUCKET}/monitor/baseline/", BASELINE)]
    arguments = ["--task", "analyze", "--until", until.isoformat()]
    return job(workshop, name, arguments, inputs, f"s3://{BUCKET}/{RESULTS}")


def captured_until(workshop: Workshop) -> datetime:
    """The end of the hour of the last captured call, once it is in S3."""
    keys = wait_for(lambda: workshop.keys("capture/"))
    return datetime.strptime("/".join(keys[-1].split("/")[3:7]), "%Y/%m/%d/%H").replace(tzinfo=UTC) + timedelta(hours=1)


def metric(workshop: Workshop, name: str, at: datetime) -> float:
    found = workshop.client("cloudwatch").get_metric_statistics(
        Namespace="MLOps/Monitoring", MetricName=name, StartTime=at - timedelta(minutes=1),
        EndTime=at + timedelta(minutes=1), Period=60, Statistics=["Maximum"],
        Dimensions=[{"Name": name, "Value": value} for name, value in DIMENSIONS.items()],
    )  # fmt: skip
    return max(float(point["Maximum"]) for point in found["Datapoints"])


def baseline(workshop: Workshop) -> dict[str, Any]:
    workshop.put("monitor/definition.json", definition())
    data = workshop.put("monitor/data/train.csv", ",".join(NAMES) + "\n" + csv(ROWS))
    inputs = [given("data", data, "/opt/ml/processing/input/data")]
    return job(workshop, "baseline", ["--task", "baseline"], inputs, f"s3://{BUCKET}/monitor/baseline")


def test_drift_in_captured_traffic_is_found_and_its_absence_too(workshop: Workshop) -> None:
    workshop.model()
    workshop.config(DataCaptureConfig=CAPTURE)
    workshop.endpoint("cancer")
    made = baseline(workshop)
    assert made["ProcessingJobStatus"] == "Completed", made.get("FailureReason")
    assert made["ExitMessage"] == "Completed: baseline of 569 rows."
    assert workshop.keys("monitor/baseline") == [
        "monitor/baseline/constraints.json",
        "monitor/baseline/statistics.json",
    ]

    asked = Endpoint(workshop.client("sagemaker-runtime"), "cancer", {})(ROWS[:20].tolist())
    assert np.ravel(asked) == pytest.approx(small_booster().inplace_predict(ROWS[:20]), abs=1e-6)
    for key in wait_for(lambda: workshop.keys("capture/")):
        workshop.s3.delete_object(Bucket=BUCKET, Key=key)

    usual = np.random.default_rng(0).choice(ROWS, 400)
    for part in np.array_split(usual, 4):
        workshop.invoke(part, "cancer")
    until = captured_until(workshop)
    quiet = analysed(workshop, "quiet", until)
    assert quiet["ProcessingJobStatus"] == "Completed", quiet.get("FailureReason")
    assert quiet["ExitMessage"].startswith("Completed: 400 rows, no violations, ")
    folder = f"{RESULTS}/{until:%Y/%m/%d/%H}"
    assert workshop.keys(RESULTS) == [
        f"{folder}/constraint_violations.json", f"{folder}/report.html", f"{folder}/statistics.json"
    ]  # fmt: skip
    assert (metric(workshop, "Rows", until), metric(workshop, "Violations", until)) == (400, 0)

    for key in workshop.keys("capture/"):
        workshop.s3.delete_object(Bucket=BUCKET, Key=key)
    shifted = usual.copy()
    shifted[:, 0] *= 1.4
    workshop.invoke(shifted, "cancer")
    until = captured_until(workshop)
    drifted = analysed(workshop, "drifted", until)
    assert drifted["ProcessingJobStatus"] == "Completed", drifted.get("FailureReason")
    assert drifted["ExitMessage"].startswith("CompletedWithViolations: 1 violation in 400 rows")
    assert "mean_radius baseline_drift_check" in drifted["ExitMessage"]
    found = json.loads(workshop.read(f"{RESULTS}/{until:%Y/%m/%d/%H}/constraint_violations.json"))["violations"]
    assert [(each["feature_name"], each["constraint_check_type"]) for each in found] == [
        ("mean_radius", "baseline_drift_check")
    ]
    assert metric(workshop, "Violations", until) == 1


def test_a_window_without_calls_completes_and_says_what_is_missing(workshop: Workshop) -> None:
    baseline(workshop)
    until = datetime.now(UTC)
    done = analysed(workshop, "empty", until)
    assert done["ProcessingJobStatus"] == "Completed", done.get("FailureReason")
    assert done["ExitMessage"].startswith("Completed: no captured calls, no violations, ")
    assert f"nothing was ever captured below s3://{BUCKET}/capture/cancer/" in done["ExitMessage"]
    assert metric(workshop, "Rows", until) == 0
    (key,) = workshop.keys(RESULTS)
    assert json.loads(workshop.read(key))["violations"] == []


@pytest.mark.parametrize(("changes", "words"), [
    ({"capture": {"location": "nowhere-at-all/x"}}, "The bucket nowhere-at-all does not exist."),
    ({"monitor": "mood", "window_hours": 0}, "monitor must be one of"),
])  # fmt: skip
def test_a_definition_that_cannot_be_followed_fails_the_job(
    changes: dict[str, Any], words: str, workshop: Workshop
) -> None:
    baseline(workshop)
    workshop.put("monitor/definition.json", definition(**changes))
    done = analysed(workshop, "wrong", datetime.now(UTC))
    assert done["ProcessingJobStatus"] == "Failed"
    assert words in done["FailureReason"] and words in done["ExitMessage"]
