"""Batch inference from a config to predictions in S3, in the stages' own accounts."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.aws import Aws
from orchestrator.status import project_status
from tests.e2e.conftest import Machine
from tests.e2e.posted import DEV, HUB, PROD, STAGING, TRAINING, Workbench

STAGES = [
    {"name": "dev", "account": DEV, "region": "us-east-1", "approval": False},
    {"name": "prod", "account": PROD, "region": "us-east-1", "approval": True},
]


@pytest.fixture(scope="module")
def bench(machine: Machine) -> Workbench:
    return Workbench(machine)


def predictions(text: str) -> list[float]:
    return [float(line.rpartition(",")[2]) for line in text.split()]


def test_a_registered_model_predicts_in_every_stage(bench: Workbench) -> None:
    rows = (bench.walk.folder / "test.csv").read_text().split()
    numbered = "\n".join(f"{number},{row}" for number, row in enumerate(rows))
    for account, bucket in ((DEV, "patients-dev"), (PROD, "patients-prod")):
        bench.bucket(account, bucket)
        bench.walk.client("s3", account).put_object(Bucket=bucket, Key="new/patients.csv", Body=numbered)
    body = {
        "version": 2,
        "model_name": "batch",
        "stages": STAGES,
        "pipelines": [
            TRAINING,
            {"name": "registry", "pipeline_type": "model_registration", "model": {"from": "training"}},
            {
                "name": "scores",
                "pipeline_type": "batch_inference",
                "model_package": {"from": "registry"},
                "instance_type": {"dev": "ml.m5.large", "default": "ml.m5.xlarge"},
                "input": {"location": {"dev": "patients-dev/new/", "prod": "patients-prod/new/"}, "filter": "$[1:]"},
                "output": {
                    "location": {"dev": "patients-dev/scored", "prod": "patients-prod/scored"},
                    "join_input": True,
                    "filter": "$[0,-1]",
                },
            },
        ],
    }
    states = bench.run(body, "mlops-pipeline-batch-workload")
    assert set(states.values()) == {"Succeeded"}, states
    assert "Review-prod/Approve-prod" in states
    (job,) = bench.walk.client("sagemaker").list_training_jobs(NameContains="batch")["TrainingJobSummaries"]
    described = bench.walk.client("sagemaker").describe_training_job(TrainingJobName=job["TrainingJobName"])
    reference = bench.walk.reference_predictions(described["ModelArtifacts"]["S3ModelArtifacts"])
    assert bench.walk.accuracy(reference) > 0.9
    for account, bucket in ((DEV, "patients-dev"), (PROD, "patients-prod")):
        assert bench.keys(account, bucket, "scored") == ["scored/patients.csv.out"]
        text = bench.read(account, bucket, "scored/patients.csv.out")
        assert [int(line.partition(",")[0]) for line in text.split()] == list(range(len(rows)))
        assert predictions(text) == pytest.approx(reference, abs=1e-4)


def old_form(bench: Workbench, **changes: str) -> dict[str, Any]:
    sagemaker = bench.walk.client("sagemaker")
    jobs = sagemaker.list_training_jobs(NameContains="batch-training")["TrainingJobSummaries"]
    job = sagemaker.describe_training_job(TrainingJobName=jobs[0]["TrainingJobName"])
    return {
        "pipeline_type": "byom_batch_builtin",
        "model_name": "Old-Batch",
        "model_framework": "xgboost",
        "model_framework_version": "1.7-1",
        "model_artifact_location": job["ModelArtifacts"]["S3ModelArtifacts"],
        "inference_instance": "ml.m5.large",
        "batch_inference_data": "old-form/in/rows.csv",
        "batch_job_output_location": "old-form/out/",
        **changes,
    }


def test_the_old_form_predicts(bench: Workbench) -> None:
    bench.share(HUB, bench.bucket(HUB, "old-form"), DEV, STAGING, PROD)
    data = (bench.walk.folder / "test.csv").read_bytes()
    bench.walk.client("s3").put_object(Bucket="old-form", Key="in/rows.csv", Body=data)
    body = old_form(bench)
    states = bench.run(body, "mlops-pipeline-old-batch-byompipelinebatchbuiltin")
    assert set(states.values()) == {"Succeeded"}, states
    written = bench.read(HUB, "old-form", "out/rows.csv.out")
    reference = bench.walk.reference_predictions(body["model_artifact_location"])
    assert predictions(written) == pytest.approx(reference, abs=1e-4)


def test_a_bad_file_fails_the_run_with_the_reason_of_the_job(bench: Workbench) -> None:
    bench.walk.client("s3").put_object(Bucket="old-form", Key="bad/rows.csv", Body="1,2,3\n")
    body = old_form(bench, model_name="Bad-Batch", batch_inference_data="old-form/bad/")
    project = "mlops-pipeline-bad-batch-byompipelinebatchbuiltin"
    states = bench.run(body, project)
    assert "Failed" in states.values(), states
    bench.walk.target.enter()
    failure = project_status(Aws(bench.walk.target.settings()), project).failure
    assert failure is not None
    assert "rows.csv: the model answered 400" in failure.reason, failure
