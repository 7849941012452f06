"""The truth check finds every way in which an endpoint can differ from its stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.verify import verify
from tests.corridor.cloud import DEV, HUB, NOW, REGION, Cloud, refusing

PACKAGE = f"arn:aws:sagemaker:{REGION}:{HUB}:model-package/m/1"
IMAGE = "1.dkr.ecr.us-east-1.amazonaws.com/xgboost:1.7-1"


def resource(kind: str, physical: str) -> dict[str, Any]:
    logical = kind.rpartition("::")[2]
    base = {"ResourceType": kind, "PhysicalResourceId": physical, "LogicalResourceId": logical}
    return {**base, "ResourceStatus": "CREATE_COMPLETE", "Timestamp": NOW}


@pytest.fixture
def cloud() -> Cloud:
    """A stack in dev whose endpoint runs exactly what it should."""
    made = Cloud()
    resources = [
        resource("AWS::SageMaker::Endpoint", f"arn:aws:sagemaker:{REGION}:{DEV}:endpoint/e"),
        resource("AWS::SageMaker::EndpointConfig", f"arn:aws:sagemaker:{REGION}:{DEV}:endpoint-config/c2"),
        resource("AWS::IAM::Role", "role"),
    ]
    made.put_stack("s", "CREATE_COMPLETE", DEV, Resources=resources)
    variant = {"VariantName": "v", "CurrentInstanceCount": 2, "DesiredInstanceCount": 2}
    made.answers["sagemaker.describe_endpoint"] = {
        "EndpointName": "e",
        "EndpointStatus": "InService",
        "EndpointConfigName": "c2",
        "ProductionVariants": [{**variant, "DeployedImages": [{"SpecifiedImage": IMAGE}]}],
    }
    made.answers["sagemaker.describe_endpoint_config"] = {
        "ProductionVariants": [
            {"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 2, "InstanceType": "ml.m5.large"}
        ]
    }
    made.answers["sagemaker.describe_model"] = {"ModelName": "m", "Containers": [{"ModelPackageName": PACKAGE}]}
    made.answers["sagemaker.describe_model_package"] = {
        "ModelApprovalStatus": "Approved",
        "InferenceSpecification": {"Containers": [{"Image": IMAGE}]},
    }
    return made


def problems(cloud: Cloud) -> str:
    return " ".join(verify(cloud.aws(), DEV, REGION, "s").problems)


def test_the_truth(cloud: Cloud) -> None:
    verdict = verify(cloud.aws(), DEV, REGION, "s")
    assert verdict.true and verdict.checked == ("e",)
    accounts = {name: account for account, name, _ in cloud.log}
    assert accounts["sagemaker.describe_endpoint"] == DEV
    assert accounts["sagemaker.describe_model_package"] == HUB  # the registry is the hub's


def change(name: str, edit: Callable[[Any], Any]) -> Callable[[Cloud], None]:
    return lambda cloud: edit(cloud.answers[f"sagemaker.{name}"])


LIES: dict[str, tuple[Callable[[Cloud], Any], str]] = {
    "rolled back": (
        change("describe_endpoint", lambda a: a.update(EndpointConfigName="c1")),
        "runs the configuration c1",
    ),
    "failed": (
        change("describe_endpoint", lambda a: a.update(EndpointStatus="Failed", FailureReason="no capacity")),
        "is Failed, not InService: no capacity",
    ),
    "fewer instances": (
        change("describe_endpoint", lambda a: a["ProductionVariants"][0].update(CurrentInstanceCount=1)),
        "runs 1 of 2 instances (ml.m5.large)",
    ),
    "other image": (
        change(
            "describe_endpoint", lambda a: a["ProductionVariants"][0].update(DeployedImages=[{"SpecifiedImage": "x"}])
        ),
        f"serves x, not {IMAGE}",
    ),
    "no variant": (
        change("describe_endpoint", lambda a: a["ProductionVariants"][0].update(VariantName="other")),
        "does not run",
    ),
    "not approved": (
        change("describe_model_package", lambda a: a.update(ModelApprovalStatus="Rejected")),
        "is Rejected, not Approved",
    ),
    "gone": (
        lambda cloud: cloud.answers.update({"sagemaker.describe_endpoint": refusing("ValidationException")}),
        "does not exist",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_every_lie_is_found(cloud: Cloud, lie: str) -> None:
    tell, words = LIES[lie]
    tell(cloud)
    assert words in problems(cloud)


def test_an_endpoint_that_scales_may_have_another_count(cloud: Cloud) -> None:
    cloud.answers["sagemaker.describe_endpoint"]["ProductionVariants"][0] |= {
        "CurrentInstanceCount": 5,
        "DesiredInstanceCount": 5,
    }
    assert "runs 5 of 2" in problems(cloud)
    scaled = resource("AWS::ApplicationAutoScaling::ScalableTarget", "endpoint/e/variant/v|x")
    cloud.stacks[DEV, "s"]["Resources"].append(scaled)
    assert problems(cloud) == ""


def test_a_stack_without_endpoints_is_its_own_word(cloud: Cloud) -> None:
    cloud.stacks[DEV, "s"]["Resources"] = [resource("AWS::IAM::Role", "role")]
    verdict = verify(cloud.aws(), DEV, REGION, "s")
    assert verdict.true and verdict.checked == ()


# ---- schedules ----


@pytest.fixture
def monitored() -> Cloud:
    """A stack in dev with the schedule of a monitor, which runs."""
    made = Cloud()
    schedule = resource("AWS::Scheduler::Schedule", "mlops-pipeline-watch")
    outputs = [{"OutputKey": "ScheduleState", "OutputValue": "ENABLED"}]
    made.put_stack("s", "CREATE_COMPLETE", DEV, Resources=[schedule], Outputs=outputs)
    made.answers["scheduler.get_schedule"] = {"Name": "mlops-pipeline-watch", "State": "ENABLED"}
    return made


def test_a_schedule_that_runs_is_true(monitored: Cloud) -> None:
    verdict = verify(monitored.aws(), DEV, REGION, "s")
    assert verdict.true and verdict.checked == ("mlops-pipeline-watch",)


def test_a_schedule_that_is_switched_off_or_gone_is_told(monitored: Cloud) -> None:
    monitored.answers["scheduler.get_schedule"] = {"Name": "mlops-pipeline-watch", "State": "DISABLED"}
    assert "is DISABLED, but the stack wants it ENABLED" in problems(monitored)
    monitored.answers["scheduler.get_schedule"] = refusing("ResourceNotFoundException")
    assert "Schedule mlops-pipeline-watch does not exist" in problems(monitored)
