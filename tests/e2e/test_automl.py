"""A search for the best model of a table, from a config to an endpoint that serves it."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from tests.e2e.conftest import Machine
from tests.e2e.posted import HUB, Workbench

STAGES = [{"name": "prod", "account": HUB, "region": "us-east-1", "approval": False}]


@pytest.fixture(scope="module")
def bench(machine: Machine) -> Workbench:
    return Workbench(machine)


def write_table(bench: Workbench) -> None:
    """The training data with a header and its label in words, last."""
    s3 = bench.walk.client("s3")
    text = s3.get_object(Bucket=bench.assets, Key="data/breast-cancer/train.csv")["Body"].read().decode()
    rows = list(csv.reader(io.StringIO(text)))
    header = [f"f{number}" for number in range(len(rows[0]) - 1)]
    lines = [[*header, "finding"], *([*row[1:], ["bad", "good"][int(row[0])]] for row in rows)]
    table = "\n".join(",".join(line) for line in lines)
    s3.put_object(Bucket=bench.assets, Key="data/table.csv", Body=table)


def test_the_best_candidate_is_registered_and_served(bench: Workbench) -> None:
    write_table(bench)
    body: dict[str, Any] = {
        "version": 2,
        "model_name": "searched",
        "stages": STAGES,
        "pipelines": [
            {
                "name": "search",
                "pipeline_type": "automl_training",
                "training_data": "data/table.csv",
                "target": "finding",
                "max_candidates": 2,
            },
            {"name": "registry", "pipeline_type": "model_registration", "model": {"from": "search"}},
            {
                "name": "endpoint",
                "pipeline_type": "realtime_inference",
                "model_package": {"from": "registry"},
                "instance_type": "ml.m5.large",
                "endpoint_name": "searched",
            },
        ],
    }
    states = bench.run(body, "mlops-pipeline-searched-workload")
    assert set(states.values()) == {"Succeeded"}, states
    rows = (bench.walk.folder / "test.csv").read_bytes()
    answer = bench.walk.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="searched", ContentType="text/csv", Accept="text/csv", Body=rows
    )
    told = answer["Body"].read().decode().split()
    truth = [["bad", "good"][int(line)] for line in (bench.walk.folder / "labels.csv").read_text().split()]
    assert sum(a == b for a, b in zip(told, truth, strict=True)) / len(truth) > 0.9


def test_the_old_form_searches(bench: Workbench) -> None:
    body = {
        "pipeline_type": "model_autopilot_training",
        "model_name": "Old-Search",
        "training_data": "data/table.csv",
        "target_attribute": "finding",
        "job_output_location": "jobs/out/",
        "job_max_candidates": "1",
        "problem_type": "BinaryClassification",
        "job_objective": "Accuracy",
    }
    states = bench.run(body, "mlops-pipeline-old-search-autopilottraining")
    assert set(states.values()) == {"Succeeded"}, states
    sagemaker = bench.walk.client("sagemaker")
    (job,) = sagemaker.list_auto_ml_jobs(NameContains="old-s")["AutoMLJobSummaries"]
    best = sagemaker.describe_auto_ml_job_v2(AutoMLJobName=job["AutoMLJobName"])["BestCandidate"]
    assert best["FinalAutoMLJobObjectiveMetric"]["MetricName"] == "Accuracy"
    assert best["FinalAutoMLJobObjectiveMetric"]["Value"] > 0.9
    assert bench.keys(HUB, bench.assets, f"jobs/out/{job['AutoMLJobName']}/automl/leaderboard.json")
