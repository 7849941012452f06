"""Hyperparameter tuning through the API: real trials, a real search, and every way in which it ends."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from sagemaker_rig import BUCKET, SKLEARN, XGBOOST, Workshop, channel, wait_for

METRIC = [{"Name": "loss", "Regex": "loss=([-0-9.e]+)"}]
BOWL = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("-x", type=float, default=0.0)
parser.add_argument("--kind", default="a")
arguments, _ = parser.parse_known_args()
print("loss=" + str((arguments.x - 3) ** 2 + (0 if arguments.kind == "b" else 1)))
"""
X = {"Name": "x", "MinValue": "0", "MaxValue": "10"}
KIND = {"Name": "kind", "Values": ["a", "b"]}


def request(workshop: Workshop, text: str = BOWL, name: str = "tune", **changes: Any) -> dict[str, Any]:
    script = workshop.script(text, "code")
    configuration: dict[str, Any] = {
        "Strategy": "Random",
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2},
        "ParameterRanges": {"ContinuousParameterRanges": [X], "CategoricalParameterRanges": [KIND]},
        **changes,
    }
    definition = {
        "StaticHyperParameters": script["HyperParameters"],
        "AlgorithmSpecification": {
            "TrainingImage": SKLEARN, "TrainingInputMode": "File", "MetricDefinitions": METRIC,
        },
        "RoleArn": workshop.role,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/tuned"},
        "ResourceConfig": script["ResourceConfig"],
        "StoppingCondition": script["StoppingCondition"],
    }  # fmt: skip
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": configuration,
        "TrainingJobDefinition": definition,
    }


def finished(workshop: Workshop, name: str = "tune") -> dict[str, Any]:
    def done() -> Any:
        job = workshop.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        return job if job["HyperParameterTuningJobStatus"] in ("Completed", "Failed", "Stopped") else None

    return dict(wait_for(done, 90))


def tuned(workshop: Workshop, **changes: Any) -> dict[str, Any]:
    workshop.sagemaker.create_hyper_parameter_tuning_job(**request(workshop, **changes))
    return finished(workshop)


def trials(workshop: Workshop, **filters: Any) -> list[dict[str, Any]]:
    answer = workshop.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="tune", **filters
    )
    return list(answer["TrainingJobSummaries"])


def value(summary: dict[str, Any]) -> float:
    return float(summary["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])


def test_trials_are_training_jobs_and_the_best_is_named(workshop: Workshop) -> None:
    job = tuned(workshop)
    assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
    assert job["TrainingJobStatusCounters"]["Completed"] == job["ObjectiveStatusCounters"]["Succeeded"] == 3
    found = trials(workshop)
    assert [each["TrainingJobName"][:8] for each in found] == ["tune-001", "tune-002", "tune-003"]
    for each in found:
        x, kind = float(each["TunedHyperParameters"]["x"]), each["TunedHyperParameters"]["kind"]
        assert 0 <= x <= 10
        assert value(each) == pytest.approx((x - 3) ** 2 + (kind == "a"), rel=1e-4)
    best = job["BestTrainingJob"]
    assert value(best) == min(map(value, found))
    training = workshop.sagemaker.describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert training["TuningJobArn"] == job["HyperParameterTuningJobArn"]
    assert training["HyperParameters"]["x"] == best["TunedHyperParameters"]["x"]
    assert training["HyperParameters"]["_tuning_objective_metric"] == '"loss"'
    assert workshop.keys(f"tuned/{best['TrainingJobName']}/output/model.tar.gz")
    by_value = trials(workshop, SortBy="FinalObjectiveMetricValue", SortOrder="Descending", MaxResults=1)
    assert value(by_value[0]) == max(map(value, found))
    (summary,) = workshop.sagemaker.list_hyper_parameter_tuning_jobs(StatusEquals="Completed")[
        "HyperParameterTuningJobSummaries"
    ]
    assert summary["Strategy"] == "Random"


def test_a_builtin_algorithm_is_tuned_by_its_own_metric(workshop: Workshop) -> None:
    body = request(workshop, Strategy="Bayesian")
    configuration, definition = body["HyperParameterTuningJobConfig"], body["TrainingJobDefinition"]
    configuration["HyperParameterTuningJobObjective"] = {"Type": "Maximize", "MetricName": "validation:auc"}
    configuration["ParameterRanges"] = {
        "IntegerParameterRanges": [{"Name": "max_depth", "MinValue": "1", "MaxValue": "6"}]
    }
    definition["AlgorithmSpecification"] = {"TrainingImage": XGBOOST, "TrainingInputMode": "File"}
    definition["StaticHyperParameters"] = {"num_round": "3", "objective": "binary:logistic"}
    definition["InputDataConfig"] = [channel("train", workshop.cancer), channel("validation", workshop.cancer)]
    workshop.sagemaker.create_hyper_parameter_tuning_job(**body)
    job = finished(workshop)
    assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
    assert value(job["BestTrainingJob"]) > 0.95


def test_a_grid_is_walked_whole(workshop: Workshop) -> None:
    job = tuned(
        workshop,
        Strategy="Grid",
        ResourceLimits={"MaxParallelTrainingJobs": 2},
        ParameterRanges={"CategoricalParameterRanges": [KIND, {"Name": "x", "Values": ["1", "3"]}]},
    )
    assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
    tried = {tuple(sorted(each["TunedHyperParameters"].items())) for each in trials(workshop)}
    assert len(tried) == 4
    assert job["BestTrainingJob"]["TunedHyperParameters"] == {"kind": "b", "x": "3"}


def test_it_ends_when_the_target_is_reached(workshop: Workshop) -> None:
    job = tuned(
        workshop,
        ResourceLimits={"MaxNumberOfTrainingJobs": 50, "MaxParallelTrainingJobs": 1},
        TuningJobCompletionCriteria={"TargetObjectiveMetricValue": 1000},
    )
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert len(trials(workshop)) == 1


def test_a_failed_trial_is_counted_and_the_others_go_on(workshop: Workshop) -> None:
    grid = {"CategoricalParameterRanges": [KIND]}
    job = tuned(
        workshop,
        text=BOWL + "\nif arguments.kind == 'a': raise SystemExit(3)\n",
        Strategy="Grid",
        ResourceLimits={"MaxParallelTrainingJobs": 1},
        ParameterRanges=grid,
    )
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["NonRetryableError"] == 1
    assert job["BestTrainingJob"]["TunedHyperParameters"] == {"kind": "b"}
    assert [each["TrainingJobStatus"] for each in trials(workshop, SortBy="Status")] == ["Completed", "Failed"]


def test_when_all_fail_it_fails_with_the_first_reason(workshop: Workshop) -> None:
    job = tuned(workshop, text="raise ValueError('from the wrong year')")
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("All training jobs failed.")
    assert "from the wrong year" in job["FailureReason"]
    assert "BestTrainingJob" not in job


SLOW = "import time\nprint('loss=1.0', flush=True)\ntime.sleep(60)\n"


def test_stopping_it_stops_its_trials(workshop: Workshop) -> None:
    workshop.sagemaker.create_hyper_parameter_tuning_job(**request(workshop, SLOW))
    wait_for(lambda: len(trials(workshop)) == 2)
    names = [each["TrainingJobName"] for each in trials(workshop)]
    wait_for(lambda: all(workshop.secondary(name) == "Training" for name in names))
    workshop.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="tune")
    assert finished(workshop)["HyperParameterTuningJobStatus"] == "Stopped"
    assert [each["TrainingJobStatus"] for each in trials(workshop)] == ["Stopped", "Stopped"]


LEARNS = """
import argparse, time
parser = argparse.ArgumentParser()
parser.add_argument("--kind")
arguments, _ = parser.parse_known_args()
bad = arguments.kind == "bad"
for epoch in range(200 if bad else 4):
    print(f"loss={9.0 if bad else 1.0 / (epoch + 1)}", flush=True)
    time.sleep(0.2 if bad else 0.01)
"""


def test_a_trial_that_falls_behind_is_stopped_early(workshop: Workshop, caplog: pytest.LogCaptureFixture) -> None:
    job = tuned(
        workshop,
        text=LEARNS,
        Strategy="Grid",
        TrainingJobEarlyStoppingType="Auto",
        ResourceLimits={"MaxParallelTrainingJobs": 1},
        ParameterRanges={"CategoricalParameterRanges": [{"Name": "kind", "Values": ["g1", "g2", "g3", "bad"]}]},
    )
    assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
    assert [each["TrainingJobStatus"] for each in trials(workshop)] == [
        "Completed",
        "Completed",
        "Completed",
        "Stopped",
    ]
    assert job["TrainingJobStatusCounters"]["Stopped"] == 1
    assert "task sagemaker.tuning-job" not in caplog.text, "a trial without a log or a value yet is no failure"


def test_a_restart_in_the_middle_loses_and_doubles_nothing(workshop: Workshop, aws: Any) -> None:
    text = BOWL + "\nimport time; time.sleep(0.7)\n"
    workshop.sagemaker.create_hyper_parameter_tuning_job(**request(workshop, text))
    wait_for(lambda: trials(workshop))
    aws.restart()
    job = finished(workshop)
    assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
    assert len(workshop.sagemaker.list_training_jobs(NameContains="tune-")["TrainingJobSummaries"]) == 3


def test_events_tell_how_it_began_and_ended(workshop: Workshop) -> None:
    workshop.listen("SageMaker HyperParameter Tuning Job State Change")
    tuned(workshop, ResourceLimits={"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1})
    states = sorted((event["detail"] for event in workshop.told(2)), key=lambda detail: detail["LastModifiedTime"])
    assert [state["HyperParameterTuningJobStatus"] for state in states] == ["InProgress", "Completed"]


@pytest.mark.parametrize(("changes", "code", "words"), [
    ({"Strategy": "Hyperband"}, "UnsupportedOperation", "the strategy Hyperband"),
    ({"ParameterRanges": {}}, "ValidationException", "no range to search"),
    ({"ParameterRanges": {"ContinuousParameterRanges": [{**X, "MinValue": "11"}]}}, "ValidationException", "before it"),
    ({"ParameterRanges": {"ContinuousParameterRanges": [{**X, "ScalingType": "Logarithmic"}]}}, "ValidationException",
     "must be above 0"),
    ({"Strategy": "Grid"}, "ValidationException", "categorical ranges only"),
    ({"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "auc"}}, "ValidationException",
     "isn't valid for the"),
    ({"TuningJobCompletionCriteria": {"ConvergenceDetected": {}}}, "UnsupportedOperation", "ConvergenceDetected"),
])  # fmt: skip
def test_what_cannot_be_is_refused_and_nothing_is_made(
    changes: dict[str, Any], code: str, words: str, workshop: Workshop
) -> None:
    with pytest.raises(ClientError, match=words) as refusal:
        workshop.sagemaker.create_hyper_parameter_tuning_job(**request(workshop, **changes))
    assert refusal.value.response["Error"]["Code"] == code
    assert workshop.sagemaker.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"] == []


def test_a_warm_start_is_refused_by_name(workshop: Workshop) -> None:
    parents = {"ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "old"}]}
    warm = {**parents, "WarmStartType": "TransferLearning"}
    with pytest.raises(ClientError, match="WarmStartConfig"):
        workshop.sagemaker.create_hyper_parameter_tuning_job(**request(workshop), WarmStartConfig=warm)
