"""The state machines of batches, searches and AutoML, run through every way they can go, with jobs that are played."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from test_machine_runs import ARN, MODEL_DATA, Deployed, example, output

from orchestrator.local.services.states.errors import StateFailure

SECOND_RUN = "ffffffff-1111-2222-3333-444455556666"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
Play = dict[str, Any]


class Jobs:
    """The operations of one type of job, as far as a machine calls them; ``outcome`` is how the next job ends."""

    def __init__(self, kind: str, outcome: str = "Completed", reason: str = "", **members: Any) -> None:
        self.kind, self.outcome, self.reason, self.members = kind, outcome, reason, members
        self.jobs: dict[str, Play] = {}

    def __getattr__(self, operation: str) -> Callable[[Play], Any]:
        verb = operation.partition("_")[0]
        if operation == "describe_training_job":
            return self.trained
        return {"list": self.listed, "create": self.created, "describe": self.described}[verb]

    def name_of(self, request: Play) -> str:
        return str(request[f"{self.kind}Name"])

    def listed(self, request: Play) -> Any:
        found = [
            {f"{self.kind}Name": name}
            for name, job in self.jobs.items()
            if request["NameContains"] in name and job[f"{self.kind}Status"] == request["StatusEquals"]
        ]
        member = next(m for m in ("TransformJob", "HyperParameterTuningJob", "AutoMLJob") if m == self.kind)
        return {f"{member}Summaries": found}

    def created(self, request: Play) -> Any:
        if self.outcome == "Refused":
            raise StateFailure("SageMaker.AmazonSageMakerException", "ResourceLimitExceeded: no such instances")
        name = self.name_of(request)
        assert name not in self.jobs, "one job, not two"
        about = {f"{self.kind}Arn": f"{ARN}:job/{name}", f"{self.kind}Status": self.outcome}
        job = {**request, **about, **self.members, **({"FailureReason": self.reason} if self.reason else {})}
        self.jobs[name] = job
        if self.outcome != "Completed" and self.kind != "AutoMLJob":
            raise StateFailure("States.TaskFailed", json.dumps(job))
        return job

    def described(self, request: Play) -> Any:
        if self.name_of(request) not in self.jobs:
            raise StateFailure("SageMaker.SageMakerException", "there is no such job")
        return self.jobs[self.name_of(request)]

    def trained(self, request: Play) -> Any:
        name = request["TrainingJobName"]
        return {
            "TrainingJobName": name,
            "TrainingJobArn": f"{ARN}:training-job/{name}",
            "ModelArtifacts": {"S3ModelArtifacts": MODEL_DATA},
        }


def machine(kind: str, name: str, pipeline: str) -> Deployed:
    return Deployed(example(f"{kind}/{name}"), pipeline)


def batch(name: str = "every_option", pipeline: str = "nightly") -> Deployed:
    return machine("batch_inference", name, pipeline)


def search(name: str = "own_code") -> Deployed:
    return machine("model_tuning", name, "tuning")


def automl(name: str = "every_option") -> Deployed:
    return machine("automl_training", name, "search")


BEST = {"BestTrainingJob": {"TrainingJobName": "t-001", "TunedHyperParameters": {"trees": "17"}}}
CANDIDATE = {
    "CandidateName": "c-1",
    "FinalAutoMLJobObjectiveMetric": {"MetricName": "RMSE", "Value": 1.5},
    "CandidateSteps": [{"CandidateStepType": "AWS::SageMaker::TrainingJob", "CandidateStepName": "t-1"}],
    "InferenceContainers": [{"Image": IMAGE, "ModelDataUrl": MODEL_DATA, "Environment": {"SAGEMAKER_PROGRAM": "i.py"}}],
}


# ---- batch inference ----


def test_a_batch_may_take_the_predictions_of_a_finished_job_of_its_model() -> None:
    played = Jobs("TransformJob")
    first = output(batch().run(played))
    (name,) = played.jobs
    assert first == {
        "TransformJobName": name,
        "TransformJobArn": f"{ARN}:job/{name}",
        "OutputLocation": "s3://payments/scored",
        "ModelName": played.jobs[name]["ModelName"],
    }
    assert name.endswith("-0a1b2c3d")
    assert len(name) <= 63
    assert output(batch().run(played, SECOND_RUN)) == first
    played.jobs[name]["ModelName"] = "the-model-before"
    assert output(batch().run(played, SECOND_RUN)) != first
    assert len(played.jobs) == 2


def test_without_reuse_every_run_predicts() -> None:
    played, deployed = Jobs("TransformJob"), machine("batch_inference", "three_stages", "scores")
    output(deployed.run(played))
    output(deployed.run(played, SECOND_RUN))
    assert len(played.jobs) == 2


def test_a_batch_is_asked_for_what_was_planned() -> None:
    played = Jobs("TransformJob")
    output(batch().run(played))
    (job,) = played.jobs.values()
    request = batch().input["Request"]
    assert {key: job[key] for key in request} == request
    assert request["TransformOutput"]["KmsKeyId"]
    assert "VolumeKmsKeyId" not in request["TransformResources"], "instances with a local disk take no key"


# ---- tuning ----


def test_a_search_is_made_once_and_then_found() -> None:
    played = Jobs("HyperParameterTuningJob", **BEST)
    first = output(search().run(played))
    (name,) = played.jobs
    assert len(name) <= 32, "the limit of SageMaker"
    assert first["TuningJobName"] == name
    assert first["HyperParameters"] == '{"trees":"17"}'
    assert first["TrainingJobName"] == "t-001"
    assert first["ModelDataUrl"] == MODEL_DATA
    assert first["Metrics"] == "[]"
    assert output(search().run(played, SECOND_RUN)) == first
    assert list(played.jobs) == [name]


def test_a_search_is_asked_for_what_was_planned() -> None:
    played = Jobs("HyperParameterTuningJob", **BEST)
    output(search().run(played))
    (job,) = played.jobs.values()
    request = search().input["Request"]
    assert job["HyperParameterTuningJobConfig"] == request["HyperParameterTuningJobConfig"]
    definition = dict(job["TrainingJobDefinition"])
    assert "TrainingRole" in definition.pop("RoleArn")
    assert definition == request["TrainingJobDefinition"]


def test_a_search_without_a_model_fails() -> None:
    document = search().run(Jobs("HyperParameterTuningJob"))
    assert document["error"] == "NoBestTrainingJob"


# ---- AutoML ----


def test_the_best_candidate_is_reported_and_found_again() -> None:
    played = Jobs("AutoMLJob", BestCandidate=CANDIDATE)
    first = output(automl().run(played))
    (name,) = played.jobs
    assert len(name) <= 32, "the limit of SageMaker"
    assert first == {
        "AutoMLJobName": name,
        "AutoMLJobArn": f"{ARN}:job/{name}",
        "CandidateName": "c-1",
        "Objective": '{"MetricName":"RMSE","Value":1.5}',
        "TrainingJobName": "t-1",
        "ModelDataUrl": MODEL_DATA,
        "ModelDataPrefix": automl().input["ModelDataPrefix"],
        "Image": IMAGE,
        "ImageRepositoryArn": "arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-scikit-learn",
        "InferenceProgram": "i.py",
        "Environment": '{"SAGEMAKER_PROGRAM":"i.py"}',
    }
    assert output(automl().run(played, SECOND_RUN)) == first
    assert list(played.jobs) == [name]


def test_a_container_without_variables_has_no_program() -> None:
    container = {"Image": IMAGE, "ModelDataUrl": MODEL_DATA}
    steps = [{"CandidateStepType": "AWS::SageMaker::ProcessingJob", "CandidateStepName": "p"},
             *CANDIDATE["CandidateSteps"]]  # fmt: skip
    best = {**CANDIDATE, "InferenceContainers": [container], "CandidateSteps": steps}
    found = output(automl().run(Jobs("AutoMLJob", BestCandidate=best)))
    assert (found["InferenceProgram"], found["Environment"], found["TrainingJobName"]) == ("-", "{}", "t-1")


@pytest.mark.parametrize("members", [
    {}, {"BestCandidate": {**CANDIDATE, "InferenceContainers": [*CANDIDATE["InferenceContainers"]] * 3}},
])  # fmt: skip
def test_where_there_is_no_single_model_a_dash_says_so(members: Play) -> None:
    found = output(automl().run(Jobs("AutoMLJob", **members)))
    assert found["AutoMLJobName"].startswith("prices-")
    assert {found[name] for name in ("ModelDataUrl", "Image", "TrainingJobName", "CandidateName")} == {"-"}


def test_it_asks_again_with_pauses_that_grow() -> None:
    played = Jobs("AutoMLJob", "InProgress", BestCandidate=CANDIDATE)
    asked = []

    def described(request: Play) -> Any:
        asked.append(request)
        job = played.jobs[request["AutoMLJobName"]]
        return {**job, "AutoMLJobStatus": "Completed" if len(asked) == 30 else "InProgress"}

    played.described = described  # type: ignore[method-assign]
    document = automl().run(played)
    output(document)
    waited = document["stopDate"] - document["startDate"]
    assert waited == pytest.approx(sum(range(0, 30 * 5, 5)), abs=2)


def test_a_job_of_this_very_run_is_adopted() -> None:
    played = Jobs("AutoMLJob", BestCandidate=CANDIDATE)
    created = played.created

    def made_before(request: Play) -> Any:
        created(request)
        raise StateFailure("SageMaker.ResourceInUseException", "already exists")

    played.created = made_before  # type: ignore[method-assign]
    assert output(automl().run(played))["CandidateName"] == "c-1"


# ---- failures ----


@pytest.mark.parametrize(("deployed", "kind", "word"), [
    (batch, "TransformJob", "TransformJob"),
    (search, "HyperParameterTuningJob", "TuningJob"),
    (automl, "AutoMLJob", "AutoMLJob"),
])  # fmt: skip
@pytest.mark.parametrize(("outcome", "reason", "error", "cause"), [
    ("Failed", "AlgorithmError: boom", "Failed", "AlgorithmError: boom"),
    ("Stopped", "", "Stopped", "ended as Stopped."),
    ("Refused", "", "NotStarted", "ResourceLimitExceeded: no such instances"),
])  # fmt: skip
def test_a_failure_carries_the_reason_of_the_job(
    deployed: Callable[[], Deployed], kind: str, word: str, outcome: str, reason: str, error: str, cause: str
) -> None:
    document = deployed().run(Jobs(kind, outcome, reason))
    assert document["status"] == "FAILED"
    assert document["error"] == f"{word}{error}"
    assert document["cause"].endswith(cause)
