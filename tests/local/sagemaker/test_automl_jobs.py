"""AutoML jobs through the API: our own candidates, really trained, judged, ranked and deployable."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError
from sagemaker_rig import BUCKET, DATA, Workshop, wait_for
from sklearn.datasets import load_diabetes

from orchestrator.runtime.automl.candidates import problem_of

NAMES = [name.replace(" ", "_") for name in DATA.feature_names]


def cancer(rows: Any = slice(None)) -> str:
    """The data with a header, a column of words, a missing value, and the target as words."""
    lines = [",".join([*NAMES, "ward", "diagnosis"])]
    for number, (row, label) in enumerate(zip(DATA.data[rows], DATA.target[rows], strict=True)):
        cells = ["" if number == 3 and place == 2 else repr(float(value)) for place, value in enumerate(row)]
        lines.append(",".join([*cells, f"w{number % 3}", ["malignant", "benign"][label]]))
    return "\n".join(lines) + "\n"


def request(workshop: Workshop, name: str = "auto", uri: str = "", **tabular: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri or workshop.put("auto/train.csv", cancer())}
    configuration = {"TargetAttributeName": "diagnosis", "CompletionCriteria": {"MaxCandidates": 2}, **tabular}
    return {
        "AutoMLJobName": name,
        "RoleArn": workshop.role,
        "AutoMLJobInputDataConfig": [
            {
                "ChannelType": "training",
                "ContentType": "text/csv;header=present",
                "DataSource": {"S3DataSource": source},
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/found"},
        "AutoMLProblemTypeConfig": {"TabularJobConfig": configuration},
    }


def finished(workshop: Workshop, name: str = "auto") -> dict[str, Any]:
    def done() -> Any:
        job = workshop.sagemaker.describe_auto_ml_job_v2(AutoMLJobName=name)
        return job if job["AutoMLJobStatus"] in ("Completed", "Failed", "Stopped") else None

    return dict(wait_for(done, 120))


def run(workshop: Workshop, **changes: Any) -> dict[str, Any]:
    workshop.sagemaker.create_auto_ml_job_v2(**request(workshop, **changes))
    return finished(workshop)


def test_the_best_candidate_is_found_ranked_and_served(workshop: Workshop) -> None:
    job = run(workshop)
    assert job["AutoMLJobStatus"] == job["AutoMLJobSecondaryStatus"] == "Completed", job.get("FailureReason")
    resolved = job["ResolvedAttributes"]
    assert resolved["AutoMLJobObjective"] == {"MetricName": "F1"}
    kinds = resolved["AutoMLProblemTypeResolvedAttributes"]["TabularResolvedAttributes"]
    assert kinds == {"ProblemType": "BinaryClassification"}
    found = workshop.sagemaker.list_candidates_for_auto_ml_job(AutoMLJobName="auto")["Candidates"]
    assert [each["CandidateName"] for each in found] == ["auto-01-linear", "auto-02-forest"]
    best = job["BestCandidate"]
    values = [each["FinalAutoMLJobObjectiveMetric"]["Value"] for each in found]
    assert best["FinalAutoMLJobObjectiveMetric"]["Value"] == max(values) > 0.9
    told = {metric["MetricName"] for metric in best["CandidateProperties"]["CandidateMetrics"]}
    assert told == {"F1", "Accuracy", "AUC", "BalancedAccuracy", "Precision", "Recall"}
    board = json.loads(workshop.read("found/auto/automl/leaderboard.json"))
    assert board["candidates_of"] == "the embedded AWS, not Autopilot"
    assert board["leaderboard"][0]["candidate"] == best["CandidateName"]
    training = workshop.sagemaker.describe_training_job(TrainingJobName=best["CandidateSteps"][0]["CandidateStepName"])
    assert training["AutoMLJobArn"] == job["AutoMLJobArn"]

    (container,) = best["InferenceContainers"]
    workshop.model(**container)
    workshop.config()
    assert workshop.endpoint()["EndpointStatus"] == "InService"
    rows = "\n".join(line.rpartition(",")[0] for line in cancer(slice(0, 200)).splitlines()[1:])
    answer = workshop.invoke(Body=rows)["Body"].read().decode().split()
    truth = [["malignant", "benign"][label] for label in DATA.target[:200]]
    assert float(np.mean([told == true for told, true in zip(answer, truth, strict=True)])) > 0.9


def test_a_quantity_is_predicted_by_regression(workshop: Workshop) -> None:
    data = load_diabetes()
    lines = [",".join([*data.feature_names, "y"])]
    lines += [",".join(map(repr, map(float, [*row, y]))) for row, y in zip(data.data, data.target, strict=True)]
    uri = workshop.put("auto/diabetes.csv", "\n".join(lines))
    job = run(workshop, uri=uri, TargetAttributeName="y", CompletionCriteria={"MaxCandidates": 4})
    assert job["AutoMLJobStatus"] == "Completed", job.get("FailureReason")
    found = workshop.sagemaker.list_candidates_for_auto_ml_job(AutoMLJobName="auto", SortBy="FinalObjectiveMetricValue")
    candidates = found["Candidates"]
    assert len(candidates) == 4
    assert {each["CandidateStatus"] for each in candidates} == {"Completed"}, candidates
    metric = job["BestCandidate"]["FinalAutoMLJobObjectiveMetric"]
    assert metric["MetricName"] == "MSE"
    assert metric["Value"] == candidates[0]["FinalAutoMLJobObjectiveMetric"]["Value"] < float(np.var(data.target))
    assert any("xgboost" in each["InferenceContainers"][0]["Image"] for each in candidates)


def test_a_missing_target_fails_with_a_reason(workshop: Workshop) -> None:
    job = run(workshop, TargetAttributeName="outcome")
    assert job["AutoMLJobStatus"] == "Failed"
    assert "has no column outcome; it has mean_radius" in job["FailureReason"]
    assert workshop.sagemaker.list_training_jobs()["TrainingJobSummaries"] == []


def test_it_can_be_stopped(workshop: Workshop) -> None:
    workshop.sagemaker.create_auto_ml_job_v2(**request(workshop, CompletionCriteria={"MaxCandidates": 10}))
    wait_for(lambda: workshop.sagemaker.list_candidates_for_auto_ml_job(AutoMLJobName="auto")["Candidates"])
    workshop.sagemaker.stop_auto_ml_job(AutoMLJobName="auto")
    assert finished(workshop)["AutoMLJobStatus"] == "Stopped"
    statuses = {job["TrainingJobStatus"] for job in workshop.sagemaker.list_training_jobs()["TrainingJobSummaries"]}
    assert statuses <= {"Stopped", "Completed"}
    with pytest.raises(ClientError, match="the AutoML job is in status Stopped"):
        workshop.sagemaker.stop_auto_ml_job(AutoMLJobName="auto")


def test_a_restart_in_the_middle_loses_and_doubles_nothing(workshop: Workshop, aws: Any) -> None:
    workshop.sagemaker.create_auto_ml_job_v2(**request(workshop))
    wait_for(lambda: workshop.sagemaker.list_training_jobs()["TrainingJobSummaries"])
    aws.restart()
    job = finished(workshop)
    assert job["AutoMLJobStatus"] == "Completed", job.get("FailureReason")
    assert len(workshop.sagemaker.list_training_jobs()["TrainingJobSummaries"]) == 2


@pytest.mark.parametrize(("tabular", "changes", "code", "words"), [
    ({"ProblemType": "Regression"}, {}, "ValidationException", "must be given together"),
    ({"ProblemType": "Regression"}, {"AutoMLJobObjective": {"MetricName": "F1"}}, "ValidationException",
     "does not fit"),
    ({"GenerateCandidateDefinitionsOnly": True}, {}, "UnsupportedOperation", "no notebooks"),
    ({"SampleWeightAttributeName": "w"}, {}, "UnsupportedOperation", "SampleWeightAttributeName"),
    ({}, {"AutoMLProblemTypeConfig": {"TextClassificationJobConfig": {"ContentColumn": "a", "TargetLabelColumn": "b"}}},
     "UnsupportedOperation", "TextClassificationJobConfig"),
])  # fmt: skip
def test_what_cannot_be_is_refused_and_nothing_is_made(
    tabular: dict[str, Any], changes: dict[str, Any], code: str, words: str, workshop: Workshop
) -> None:
    with pytest.raises(ClientError, match=words) as refusal:
        workshop.sagemaker.create_auto_ml_job_v2(**{**request(workshop, **tabular), **changes})
    assert refusal.value.response["Error"]["Code"] == code
    assert workshop.sagemaker.list_auto_ml_jobs()["AutoMLJobSummaries"] == []


@pytest.mark.parametrize(("values", "problem"), [
    (["a", "b", "a"], "BinaryClassification"),
    (["0", "1"], "BinaryClassification"),
    (["a", "b", "c"], "MulticlassClassification"),
    ([str(number) for number in range(10)], "MulticlassClassification"),
    ([str(number / 7) for number in range(50)], "Regression"),
    ([f"word {number}" for number in range(50)], "MulticlassClassification"),
])  # fmt: skip
def test_the_problem_is_read_from_the_target(values: list[str], problem: str) -> None:
    assert problem_of(values) == problem
