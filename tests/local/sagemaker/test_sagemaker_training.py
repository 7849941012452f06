"""Training jobs through the API: real models, real failures, logs, events, and nothing that is quietly left out."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import numpy as np
import pytest
import xgboost
from botocore.exceptions import ClientError
from sagemaker_rig import (
    BUCKET,
    DATA,
    ROWS,
    SKLEARN,
    VLLM,
    XGBOOST,
    Workshop,
    channel,
    wait_for,
)


def test_a_builtin_algorithm_trains_and_all_of_it_can_be_seen(workshop: Workshop) -> None:
    workshop.begin(workshop.request(Tags=[{"Key": "team", "Value": "x"}]))
    job = workshop.finished()
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/out/job/output/model.tar.gz"
    assert [step["Status"] for step in job["SecondaryStatusTransitions"]] == [
        "Starting", "Downloading", "Training", "Uploading", "Completed",
    ]  # fmt: skip
    assert all("EndTime" in step for step in job["SecondaryStatusTransitions"])
    assert job["BillableTimeInSeconds"] >= 1
    assert job["TrainingEndTime"] > job["TrainingStartTime"] > job["CreationTime"]
    assert {"Name": "validation:auc"}.items() <= next(
        metric for metric in job["AlgorithmSpecification"]["MetricDefinitions"] if metric["Name"] == "validation:auc"
    ).items()
    with tarfile.open(fileobj=io.BytesIO(workshop.read("out/job/output/model.tar.gz"))) as tar:
        model = xgboost.Booster(model_file=bytearray(tar.extractfile("xgboost-model").read()))  # type: ignore[union-attr]
    wrong = float(np.mean((model.predict(xgboost.DMatrix(ROWS)) > 0.5) != DATA.target))
    (metric,) = job["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("train:error", pytest.approx(wrong, abs=1e-5))
    lines = workshop.messages("/aws/sagemaker/TrainingJobs")
    assert lines[-1].startswith("[4]#011train-error:")
    arn = job["TrainingJobArn"]
    assert workshop.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "x"}]


SCRIPT = """
import json, os, pathlib
print("accuracy=0.9")
print("tab\\tseparated")
pathlib.Path(os.environ["SM_MODEL_DIR"], "seen.json").write_text(json.dumps(
    {"files": sorted(str(p.relative_to(os.environ["SM_CHANNEL_TRAIN"])) for p in
                     pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]).rglob("*") if p.is_file()),
     "mode": os.environ["MODE"], "type": os.environ["SM_CURRENT_INSTANCE_TYPE"]}))
pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "report.txt").write_text("report")
"""


def test_script_mode_gets_code_channels_and_variables(workshop: Workshop) -> None:
    for key in ("set/a.csv", "set/deep/b.csv", "settle/other.csv"):
        workshop.put(key, "1")
    workshop.begin(workshop.script(
        SCRIPT, InputDataConfig=[channel("train", f"s3://{BUCKET}/set/")], Environment={"MODE": "fast"},
        AlgorithmSpecification={"TrainingImage": SKLEARN, "TrainingInputMode": "File",
                                "MetricDefinitions": [{"Name": "accuracy", "Regex": "accuracy=([0-9.]+)"}]},
    ))  # fmt: skip
    job = workshop.finished()
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    with tarfile.open(fileobj=io.BytesIO(workshop.read("out/job/output/model.tar.gz"))) as tar:
        seen = json.loads(tar.extractfile("seen.json").read())  # type: ignore[union-attr]
    assert seen == {"files": ["a.csv", "deep/b.csv"], "mode": "fast", "type": "ml.m5.large"}
    assert workshop.keys("out/job/output/") == ["out/job/output/model.tar.gz", "out/job/output/output.tar.gz"]
    assert [(metric["MetricName"], round(metric["Value"], 3)) for metric in job["FinalMetricDataList"]] == [
        ("accuracy", 0.9)
    ]
    assert "tab#011separated" in workshop.messages("/aws/sagemaker/TrainingJobs")


def test_a_failing_script_fails_the_job_with_its_reason(workshop: Workshop) -> None:
    workshop.begin(workshop.script("raise ValueError('the data is from the wrong year')"))
    job = workshop.finished()
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"].startswith("AlgorithmError: ExecuteUserScriptError:")
    assert "ValueError: the data is from the wrong year" in job["FailureReason"]
    assert workshop.keys("out/job/output/model.tar.gz") == []


SLEEPS = "import time, os; open(os.environ['SM_MODEL_DIR'] + '/part', 'w').write('1'); print('begun'); time.sleep(60)"


def test_a_stopped_job_keeps_what_it_has(workshop: Workshop) -> None:
    workshop.begin(workshop.script(SLEEPS))
    wait_for(lambda: workshop.secondary() == "Training")
    wait_for(lambda: "begun" in workshop.messages("/aws/sagemaker/TrainingJobs"))
    workshop.sagemaker.stop_training_job(TrainingJobName="job")
    assert workshop.secondary() == "Stopping"
    job = workshop.finished()
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert workshop.keys("out/job/output/model.tar.gz")
    with pytest.raises(ClientError, match="the training job is in status Stopped"):
        workshop.sagemaker.stop_training_job(TrainingJobName="job")


def test_time_runs_out(workshop: Workshop) -> None:
    workshop.begin(workshop.script(SLEEPS, StoppingCondition={"MaxRuntimeInSeconds": 1}))
    job = workshop.finished()
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_checkpoints_come_down_and_go_up(workshop: Workshop) -> None:
    workshop.put("points/1.txt", "one")
    text = """
import os, pathlib
folder = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "checkpoints")
(folder / "2.txt").write_text((folder / "1.txt").read_text() + " two")
"""
    workshop.begin(workshop.script(text, CheckpointConfig={"S3Uri": f"s3://{BUCKET}/points"}))
    assert workshop.finished()["TrainingJobStatus"] == "Completed"
    assert workshop.read("points/2.txt") == b"one two"


def test_events_tell_of_every_step_in_order(workshop: Workshop) -> None:
    workshop.listen("SageMaker Training Job State Change")
    workshop.begin(workshop.request())
    job = workshop.finished()
    steps = sorted(workshop.told(5), key=lambda event: event["detail"]["LastModifiedTime"])
    assert [event["detail"]["SecondaryStatus"] for event in steps] == [
        "Starting", "Downloading", "Training", "Uploading", "Completed",
    ]  # fmt: skip
    last = steps[-1]
    assert last["resources"] == [job["TrainingJobArn"]]
    assert last["detail"]["TrainingJobStatus"] == "Completed"
    assert last["detail"]["CreationTime"] == int(job["CreationTime"].timestamp() * 1000)


@pytest.mark.parametrize("change, code, words", [
    ({"TrainingJobName": "not_a_name"}, "ValidationException", "trainingJobName|TrainingJobName"),
    ({"InputDataConfig": [channel("train", f"s3://{BUCKET}/nothing/here")]}, "ValidationException",
     f'No S3 objects found under S3 URL "s3://{BUCKET}/nothing/here"'),
    ({"RoleArn": "arn:aws:iam::222222222222:role/nobody"}, "ValidationException", "Could not assume role"),
    ({"RoleArn": "arn:aws:iam::333333333333:role/other"}, "ValidationException", "Cross-account pass role"),
    ({"AlgorithmSpecification": {"TrainingImage": VLLM, "TrainingInputMode": "File"}}, "ValidationException",
     "cannot train on this machine: it needs a GPU"),
    ({"AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File",
                                 "MetricDefinitions": [{"Name": "a", "Regex": "a"}]}}, "ValidationException",
     "override the metric definitions"),
    ({"AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "Pipe"}},
     "UnsupportedOperation", "Pipe"),
    ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}},
     "UnsupportedOperation", "training on several instances"),
    ({"TensorBoardOutputConfig": {"S3OutputPath": "s3://x/y"}}, "UnsupportedOperation", "TensorBoardOutputConfig"),
])  # fmt: skip
def test_what_cannot_be_is_refused_and_nothing_is_made(
    change: dict[str, Any], code: str, words: str, workshop: Workshop
) -> None:
    with pytest.raises(ClientError, match=words) as refusal:
        workshop.begin(workshop.request(**change))
    assert refusal.value.response["Error"]["Code"] == code
    assert workshop.sagemaker.list_training_jobs()["TrainingJobSummaries"] == []


def test_a_role_that_does_not_trust_sagemaker_is_refused(workshop: Workshop) -> None:
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "*"}]}
    with pytest.raises(ClientError, match="allows principal"):
        workshop.begin(workshop.request(RoleArn=workshop.make_role("for-lambda", trust)))


def test_names_are_unique_and_lists_can_be_asked(workshop: Workshop) -> None:
    failing = "raise SystemExit(3)"
    for name in ("alpha-1", "alpha-2", "beta"):
        workshop.begin(workshop.script(failing if name == "beta" else "1", name))
    for name in ("alpha-1", "alpha-2", "beta"):
        workshop.finished(name)
    with pytest.raises(ClientError, match="Training job names must be unique") as refusal:
        workshop.begin(workshop.script("1", "beta"))
    assert refusal.value.response["Error"]["Code"] == "ResourceInUse"

    def names(**filters: Any) -> list[str]:
        answer = workshop.sagemaker.list_training_jobs(**filters)
        return [summary["TrainingJobName"] for summary in answer["TrainingJobSummaries"]]

    assert names(NameContains="ALPHA") == ["alpha-1", "alpha-2"]
    assert names(NameContains="alpha", StatusEquals="Completed", SortOrder="Descending") == ["alpha-2", "alpha-1"]
    assert names(StatusEquals="Failed") == ["beta"]
    assert names(SortBy="Name", SortOrder="Descending") == ["beta", "alpha-2", "alpha-1"]
    first = workshop.sagemaker.list_training_jobs(MaxResults=2)
    assert names(MaxResults=2, NextToken=first["NextToken"]) == ["beta"]
    made = workshop.sagemaker.describe_training_job(TrainingJobName="beta")["CreationTime"]
    assert names(CreationTimeAfter=made) == ["beta"]
    workshop.sagemaker.delete_training_job(TrainingJobName="beta")
    with pytest.raises(ClientError, match=r"Requested resource not found\."):
        workshop.sagemaker.describe_training_job(TrainingJobName="beta")


def test_accounts_do_not_see_each_others_jobs(workshop: Workshop, aws: Any) -> None:
    workshop.begin(workshop.script("1"))
    workshop.finished()
    assert aws.client("sagemaker", account="prod").list_training_jobs()["TrainingJobSummaries"] == []


def test_a_restart_in_the_middle_loses_nothing(workshop: Workshop, aws: Any) -> None:
    workshop.begin(workshop.script("import time; print('one'); time.sleep(1.5); print('two')"))
    wait_for(lambda: workshop.secondary() == "Training")
    aws.restart()
    assert workshop.finished()["TrainingJobStatus"] == "Completed"
    lines = workshop.messages("/aws/sagemaker/TrainingJobs")
    assert [line for line in lines if line in ("one", "two")] == ["one", "two"], "each line once"
