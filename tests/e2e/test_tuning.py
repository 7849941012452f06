"""A search from a config to an endpoint that serves its best model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.aws import Aws
from orchestrator.cli.walk import wait_until
from orchestrator.execute import stop
from tests.e2e.conftest import Machine
from tests.e2e.posted import HUB, TRAINING, Workbench

STAGES = [{"name": "prod", "account": HUB, "region": "us-east-1", "approval": False}]
PROJECT = "mlops-pipeline-tuned-workload"


@pytest.fixture(scope="module")
def bench(machine: Machine) -> Workbench:
    return Workbench(machine)


def tuning(**changes: Any) -> dict[str, Any]:
    return {
        **TRAINING,
        "name": "tuning",
        "pipeline_type": "model_tuning",
        "ranges": {
            "eta": {"type": "continuous", "min": 0.01, "max": 0.5, "scaling": "Logarithmic"},
            "max_depth": {"type": "integer", "min": 2, "max": 6},
        },
        "tuner": {"objective_metric_name": "validation:auc", "max_jobs": 4, "max_parallel_jobs": 2},
        **changes,
    }


def workload() -> dict[str, Any]:
    return {
        "version": 2,
        "model_name": "tuned",
        "stages": STAGES,
        "pipelines": [
            tuning(),
            {"name": "registry", "pipeline_type": "model_registration", "model": {"from": "tuning"}},
            {
                "name": "endpoint",
                "pipeline_type": "realtime_inference",
                "model_package": {"from": "registry"},
                "instance_type": "ml.m5.large",
                "endpoint_name": "tuned",
            },
        ],
    }


def searches(bench: Workbench, name: str = "tuned") -> list[dict[str, Any]]:
    found = bench.walk.client("sagemaker").list_hyper_parameter_tuning_jobs(NameContains=name)
    return list(found["HyperParameterTuningJobSummaries"])


def ends(bench: Workbench, name: str) -> list[str]:
    return [search["HyperParameterTuningJobStatus"] for search in searches(bench, name)]


def test_the_best_model_is_registered_and_served(bench: Workbench) -> None:
    states = bench.run(workload(), PROJECT)
    assert set(states.values()) == {"Succeeded"}, states
    (search,) = searches(bench)
    sagemaker = bench.walk.client("sagemaker")
    name = search["HyperParameterTuningJobName"]
    job = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert job["TrainingJobStatusCounters"]["Completed"] == 4
    best = sagemaker.describe_training_job(TrainingJobName=job["BestTrainingJob"]["TrainingJobName"])
    reference = bench.walk.reference_predictions(best["ModelArtifacts"]["S3ModelArtifacts"])
    assert bench.walk.endpoint_predictions(HUB, "tuned") == pytest.approx(reference, abs=1e-4)
    assert bench.walk.accuracy(reference) > 0.9


def test_another_run_finds_the_finished_search(bench: Workbench) -> None:
    body = workload()
    body["pipelines"][2]["instance_type"] = "ml.c5.large"
    status, answer = bench.post(body)
    assert status == 200, answer
    pipeline = bench.walk.client("codepipeline")

    def runs() -> list[Any]:
        return list(pipeline.list_pipeline_executions(pipelineName=PROJECT)["pipelineExecutionSummaries"])

    wait_until("the second run", 90, lambda: len(runs()) == 2)
    for event in bench.walk.follow(PROJECT, runs()[0]["pipelineExecutionId"]):
        if event.approval:
            bench.walk.approve(PROJECT, event.approval, "approved by a test")
    assert runs()[0]["status"] == "Succeeded"
    assert len(searches(bench)) == 1


def test_stopping_the_run_stops_the_search_and_its_jobs(bench: Workbench) -> None:
    body = {
        "pipeline_type": "model_tuner_builtin",
        "model_name": "Endless",
        "model_framework": "xgboost",
        "model_framework_version": "1.7-1",
        "job_output_location": "tuned/endless",
        "training_data": "data/breast-cancer/train.csv",
        "validation_data": "data/breast-cancer/validation.csv",
        "content_type": "text/csv",
        "algo_hyperparamaters": {"objective": "binary:logistic", "num_round": 200000},
        "tuner_configs": {"objective_metric_name": "validation:auc", "max_jobs": 4, "max_parallel_jobs": 1},
        "hyperparamaters_ranges": {"eta": ["continuous", [0.0001, 0.001]]},
    }
    project = "mlops-pipeline-endless-tunertraining"
    status, answer = bench.post(body)
    assert status == 200, json.dumps(answer)
    bench.walk.wait_for_run(project)
    sagemaker = bench.walk.client("sagemaker")

    def jobs(state: str) -> list[Any]:
        found = sagemaker.list_training_jobs(NameContains="endle", StatusEquals=state)["TrainingJobSummaries"]
        return list(found)

    wait_until("training", 120, lambda: jobs("InProgress"))
    bench.walk.target.enter()
    assert stop(Aws(bench.walk.target.settings()), project, "enough")
    wait_until("the job's end", 90, lambda: jobs("Stopped"))
    wait_until("the search's end", 60, lambda: ends(bench, "endle") == ["Stopped"])
