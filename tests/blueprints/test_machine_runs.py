"""The state machines, run: resolved as CloudFormation would, interpreted, with a registry of jobs and packages behind.

The embedded AWS gives the template language and the interpreter; the few SageMaker operations the machines call are
answered here, so that every way through a machine is walked in milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from resolving import MODEL_DATA, stack_of
from walking import ACCOUNT, EXAMPLES, REGION, Example

from orchestrator.local.services.states import definition as machine_definition
from orchestrator.local.services.states.errors import StateFailure
from orchestrator.local.services.states.machine import Machine, new_execution

RUN = "0a1b2c3d-1111-2222-3333-444455556666"
ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"


class SageMaker:
    """What the machines ask SageMaker and S3 for; ``outcome`` says how a training job ends."""

    def __init__(self, outcome: str = "Completed", reason: str = "") -> None:
        self.outcome, self.reason = outcome, reason
        self.jobs: dict[str, dict[str, Any]] = {}
        self.packages: list[dict[str, Any]] = []
        self.groups: set[str] = set()
        self.policies: dict[str, str] = {}
        self.objects: dict[str, Any] = {}
        self.metrics: list[dict[str, Any]] | None = [{"MetricName": "validation:auc", "Value": 0.98}]

    def list_training_jobs(self, request: dict[str, Any]) -> Any:
        found = [
            {"TrainingJobName": name, "TrainingJobStatus": job["TrainingJobStatus"]}
            for name, job in self.jobs.items()
            if request["NameContains"] in name and job["TrainingJobStatus"] == request["StatusEquals"]
        ]
        return {"TrainingJobSummaries": found}

    def create_training_job(self, request: dict[str, Any]) -> Any:
        if self.outcome == "Refused":
            raise StateFailure("SageMaker.AmazonSageMakerException", "ResourceLimitExceeded: no such instances")
        name = request["TrainingJobName"]
        assert name not in self.jobs, "one job, not two"
        job = {**request, "TrainingJobArn": f"{ARN}:training-job/{name}", "TrainingJobStatus": self.outcome}
        job["ModelArtifacts"] = {"S3ModelArtifacts": MODEL_DATA}
        if self.metrics is not None:
            job["FinalMetricDataList"] = self.metrics
        if self.reason:
            job["FailureReason"] = self.reason
        self.jobs[name] = job
        if self.outcome != "Completed":
            raise StateFailure("States.TaskFailed", json.dumps(job))
        return job

    def describe_training_job(self, request: dict[str, Any]) -> Any:
        if request["TrainingJobName"] not in self.jobs:
            raise StateFailure("SageMaker.SageMakerException", "Requested resource not found.")
        return self.jobs[request["TrainingJobName"]]

    def describe_model_package_group(self, request: dict[str, Any]) -> Any:
        if request["ModelPackageGroupName"] not in self.groups:
            raise StateFailure("SageMaker.SageMakerException", "does not exist")
        return {"ModelPackageGroupName": request["ModelPackageGroupName"]}

    def create_model_package_group(self, request: dict[str, Any]) -> Any:
        assert request["ModelPackageGroupName"] not in self.groups
        self.groups.add(request["ModelPackageGroupName"])
        return {"ModelPackageGroupArn": f"{ARN}:model-package-group/{request['ModelPackageGroupName']}"}

    def put_model_package_group_policy(self, request: dict[str, Any]) -> Any:
        self.policies[request["ModelPackageGroupName"]] = json.loads(request["ResourcePolicy"])
        return {"ModelPackageGroupArn": "arn"}

    def list_model_packages(self, request: dict[str, Any]) -> Any:
        keys = ("ModelPackageArn", "ModelPackageDescription", "ModelPackageStatus", "ModelApprovalStatus")
        latest = [{key: package[key] for key in keys if key in package} for package in reversed(self.packages)]
        return {"ModelPackageSummaryList": latest[: request["MaxResults"]]}

    def create_model_package(self, request: dict[str, Any]) -> Any:
        version = len(self.packages) + 1
        arn = f"{ARN}:model-package/{request['ModelPackageGroupName']}/{version}"
        self.packages.append({**request, "ModelPackageArn": arn, "ModelPackageStatus": "InProgress"})
        return {"ModelPackageArn": arn}

    def describe_model_package(self, request: dict[str, Any]) -> Any:
        package = next(each for each in self.packages if each["ModelPackageArn"] == request["ModelPackageName"])
        answer = dict(package)
        package["ModelPackageStatus"] = "Completed"  # the next time one looks
        return answer

    def put_object(self, request: dict[str, Any]) -> Any:
        self.objects[f"s3://{request['Bucket']}/{request['Key']}"] = request["Body"]
        return {}


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


class Deployed:
    """A state machine of an example, resolved with its parameters and with what a run fills in."""

    def __init__(self, example: Example, pipeline: str, resource: str = "StateMachine", **filled_in: str) -> None:
        plan = next(each for each in example.plan.pipelines if each.name == pipeline)
        self.definition = stack_of(example, plan, filled_in)[resource]["Definition"]
        self.input = plan.stacks[0].job_input

    def run(self, sagemaker: SageMaker, name: str = RUN) -> dict[str, Any]:
        """Run to the end; the execution's document."""
        document = new_execution(
            json.dumps(self.definition),
            json.dumps(self.input),
            executionArn=f"arn:aws:states:{REGION}:{ACCOUNT}:execution:m:{name}",
            name=name,
            stateMachineArn=f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:m",
            stateMachineName="m",
            roleArn="role",
            region=REGION,
            startDate=1.0,
        )
        now = 1.0
        waiting = self._moved(document, now, Machine.start)
        while document["status"] == "RUNNING":
            if waiting:
                key, call = waiting.popitem()
                output, failure = self._answer(sagemaker, call)
                waiting |= self._moved(document, now, lambda m: m.finished(key, output=output, failure=failure))  # noqa: B023
            else:
                wake = Machine(document, now).next_wake()
                assert wake is not None
                now = max(now, wake)
                waiting |= self._moved(document, now, Machine.advance)
        return document

    @staticmethod
    def _moved(document: dict[str, Any], now: float, action: Callable[[Machine], None]) -> dict[str, Any]:
        machine = Machine(document, now)
        action(machine)
        return dict(machine.calls)

    @staticmethod
    def _answer(sagemaker: SageMaker, call: dict[str, Any]) -> tuple[Any, StateFailure | None]:
        action = call["resource"].rpartition(":")[2].partition(".")[0]
        try:
            return json.loads(json.dumps(getattr(sagemaker, snake(action))(call["parameters"]))), None
        except StateFailure as failure:
            return None, failure


def example(name: str) -> Example:
    return next(each for each in EXAMPLES if str(each) == name)


def training(name: str = "model_training/builtin_algorithm") -> Deployed:
    return Deployed(example(name), example(name).plan.pipelines[0].name)


def registration(data: str = MODEL_DATA, program: str = "-") -> Deployed:
    return Deployed(example("model_registration/three_stages"), "registry", ModelDataUrl=data, InferenceProgram=program)


def output(document: dict[str, Any]) -> dict[str, Any]:
    assert document["status"] == "SUCCEEDED", (document.get("error"), document.get("cause"))
    found: dict[str, Any] = json.loads(document["output"])
    assert all(isinstance(value, str) and value for value in found.values()), "results are texts, and never empty"
    return found


WITH_JOBS = [
    (each, pipeline.name) for each in EXAMPLES for pipeline in each.plan.pipelines if pipeline.stacks[0].job_input
]


@pytest.mark.parametrize("case", WITH_JOBS, ids=lambda case: f"{case[0]}/{case[1]}")
def test_every_machine_is_accepted(case: tuple[Example, str]) -> None:
    assert machine_definition.check(json.dumps(Deployed(*case).definition)) == []


# ---- training ----


def test_a_model_is_trained_once_and_then_found() -> None:
    sagemaker = SageMaker()
    first = output(training().run(sagemaker))
    (name,) = sagemaker.jobs
    assert name.startswith("breast-cancer-training-")
    assert name.endswith("-0a1b2c3d")
    assert len(name) <= 63
    assert first == {
        "TrainingJobName": name,
        "TrainingJobArn": f"{ARN}:training-job/{name}",
        "ModelDataUrl": MODEL_DATA,
        "ModelDataPrefix": training().input["ModelDataPrefix"],
        "Image": training().input["Image"],
        "ImageRepositoryArn": training().input["ImageRepositoryArn"],
        "InferenceProgram": "-",
        "Metrics": '[{"MetricName":"validation:auc","Value":0.98}]',
    }
    assert output(training().run(sagemaker, "ffffffff-1111-2222-3333-444455556666")) == first
    assert list(sagemaker.jobs) == [name]


def test_the_job_is_asked_for_what_was_planned() -> None:
    sagemaker = SageMaker()
    output(training("model_training/every_option").run(sagemaker))
    (job,) = sagemaker.jobs.values()
    request = training("model_training/every_option").input["Request"]
    assert {key: job[key] for key in request} == request
    assert job["RoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/TrainingRole"
    assert job["CheckpointConfig"] == {"S3Uri": request["CheckpointConfig"]["S3Uri"]}


def test_a_job_without_metrics_has_none() -> None:
    sagemaker = SageMaker()
    sagemaker.metrics = None
    assert output(training().run(sagemaker))["Metrics"] == "[]"


@pytest.mark.parametrize(
    ("sagemaker", "error", "cause"),
    [
        (SageMaker("Failed", "AlgorithmError: boom"), "TrainingJobFailed", "AlgorithmError: boom"),
        (SageMaker("Stopped"), "TrainingJobStopped", "ended as Stopped."),
        (SageMaker("Refused"), "TrainingJobNotStarted", "ResourceLimitExceeded: no such instances"),
    ],
)
def test_a_failure_carries_the_reason_of_the_job(sagemaker: SageMaker, error: str, cause: str) -> None:
    document = training().run(sagemaker)
    assert document["status"] == "FAILED"
    assert document["error"] == error
    assert document["cause"].endswith(cause)


def test_a_failed_job_is_tried_again_by_the_next_run() -> None:
    sagemaker = SageMaker("Failed", "boom")
    training().run(sagemaker)
    sagemaker.outcome, sagemaker.reason = "Completed", ""
    output(training().run(sagemaker, "ffffffff-1111-2222-3333-444455556666"))
    assert [job["TrainingJobStatus"] for job in sagemaker.jobs.values()] == ["Failed", "Completed"]


# ---- registration ----


@pytest.fixture
def trained() -> SageMaker:
    sagemaker = SageMaker()
    sagemaker.create_training_job(
        {
            "TrainingJobName": "job-1",
            "AlgorithmSpecification": {"TrainingImage": "image"},
            "InputDataConfig": [{"ChannelName": "train"}],
        }
    )
    return sagemaker


def test_a_version_is_registered_once_with_its_lineage(trained: SageMaker) -> None:
    first = output(registration().run(trained))
    assert first["ModelPackageArn"] == f"{ARN}:model-package/breast-cancer-registry/1"
    assert first["ApprovalStatus"] == "PendingManualApproval"
    (package,) = trained.packages
    assert package["InferenceSpecification"]["Containers"] == [
        {"Image": first["Image"], "ModelDataUrl": MODEL_DATA, "Environment": {}}
    ]
    assert package["CustomerMetadataProperties"]["TrainingJobArn"] == f"{ARN}:training-job/job-1"
    lineage = trained.objects[first["Lineage"]]
    assert lineage["Metrics"] == trained.metrics
    assert lineage["Data"] == [{"ChannelName": "train"}]
    assert lineage["HyperParameters"] == {}
    assert package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"] == first["Lineage"]
    again = output(registration().run(trained, "ffffffff-1111-2222-3333-444455556666"))
    assert again == first
    assert len(trained.packages) == 1


@pytest.mark.parametrize("status", ["Approved", "Rejected"])
def test_a_version_found_again_has_the_status_it_has_now(trained: SageMaker, status: str) -> None:
    first = output(registration().run(trained))
    trained.packages[0]["ModelApprovalStatus"] = status
    again = output(registration().run(trained, "ffffffff-1111-2222-3333-444455556666"))
    assert again == {**first, "ApprovalStatus": status}


def test_another_model_is_another_version_and_the_old_one_is_still_found(trained: SageMaker) -> None:
    first = output(registration().run(trained))
    second = output(registration("s3://models/other/output/model.tar.gz").run(trained))
    assert first["ModelPackageArn"] != second["ModelPackageArn"]
    assert output(registration().run(trained))["ModelPackageArn"] == first["ModelPackageArn"]


def test_the_stages_may_use_the_group_and_nobody_else(trained: SageMaker) -> None:
    output(registration().run(trained))
    (statement,) = trained.policies["breast-cancer-registry"]["Statement"]
    accounts = [f"arn:aws:iam::{account}:root" for account in ("222222222222", "333333333333", "444444444444")]
    assert statement["Principal"] == {"AWS": accounts}
    assert "arn:aws:iam::*:role/mlops-cloudformation" in statement["Condition"]["ArnLike"]["aws:PrincipalArn"]
    assert not [action for action in statement["Action"] if "Put" in action or "Delete" in action]


def test_your_own_program_serves_the_model(trained: SageMaker) -> None:
    output(registration(program="inference.py").run(trained))
    (container,) = trained.packages[0]["InferenceSpecification"]["Containers"]
    assert container["Environment"] == {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    }


def test_a_folder_of_files_is_registered_as_it_is_and_counts_as_approved() -> None:
    sagemaker = SageMaker()
    deployed = Deployed(example("model_registration/own_artifact"), "registry")
    result = output(deployed.run(sagemaker))
    assert result["ApprovalStatus"] == "Approved"
    assert result["Lineage"] == "-"
    (container,) = sagemaker.packages[0]["InferenceSpecification"]["Containers"]
    source = {"S3Uri": "s3://model-weights/llama-8b/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    assert container["ModelDataSource"] == {"S3DataSource": source}
    assert container["Environment"] == {"OPTION_MAX_MODEL_LEN": "8192"}
    assert sagemaker.policies == {}


def test_a_version_that_a_person_rejected_does_not_come_back_by_itself() -> None:
    sagemaker = SageMaker()
    deployed = Deployed(example("model_registration/own_artifact"), "registry")
    output(deployed.run(sagemaker))
    sagemaker.packages[0]["ModelApprovalStatus"] = "Rejected"
    document = deployed.run(sagemaker)
    assert document["error"] == "ModelPackageNotApproved"
    assert document["cause"].endswith("is Rejected.")
