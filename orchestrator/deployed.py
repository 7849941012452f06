"""What runs in the stages: the endpoints that the pipelines' stacks hold, as SageMaker describes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.aws import Aws
from orchestrator.errors import AwsFailed
from orchestrator.runs import Target

ABSENT = frozenset({"ValidationError", "ValidationException", "ResourceNotFound", "ResourceNotFoundException"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint of a stage. ``status`` is SageMaker's, or ``Absent``; ``reason`` says why it failed."""

    stage: str
    account: str
    region: str
    name: str
    status: str
    config: str = ""
    instance_type: str = ""
    instances: int = 0
    model_package: str = ""
    model_data_url: str = ""
    reason: str = ""


def endpoints(aws: Aws, places: Iterable[Target]) -> tuple[Endpoint, ...]:
    """The endpoints in these stacks, in their order; a stack that is not there yet has none."""
    found = []
    for place in places:
        held = _read(aws, place, "cloudformation", "describe_stack_resources", StackName=place.stack)
        for resource in held.get("StackResources", []):
            if resource["ResourceType"] == "AWS::SageMaker::Endpoint" and resource.get("PhysicalResourceId"):
                found.append(_endpoint(aws, place, resource["PhysicalResourceId"].rpartition("/")[2]))
    return tuple(found)


def _endpoint(aws: Aws, place: Target, name: str) -> Endpoint:
    endpoint = _read(aws, place, "sagemaker", "describe_endpoint", EndpointName=name)
    config_name = endpoint.get("EndpointConfigName", "")
    config = (
        _read(aws, place, "sagemaker", "describe_endpoint_config", EndpointConfigName=config_name)
        if config_name
        else {}
    )
    variants = config.get("ProductionVariants", [])
    package, data_url = _model(aws, place, variants[0].get("ModelName", "")) if variants else ("", "")
    return Endpoint(
        stage=place.stage.removeprefix("Deploy-"),
        account=place.account,
        region=place.region,
        name=name,
        status=endpoint.get("EndpointStatus", "Absent"),
        config=config_name,
        instance_type=variants[0].get("InstanceType", "") if variants else "",
        instances=sum(variant.get("CurrentInstanceCount", 0) for variant in endpoint.get("ProductionVariants", [])),
        model_package=package,
        model_data_url=data_url,
        reason=endpoint.get("FailureReason", ""),
    )


def _model(aws: Aws, place: Target, name: str) -> tuple[str, str]:
    """The package a model comes from, and the archive it loads."""
    model = _read(aws, place, "sagemaker", "describe_model", ModelName=name) if name else {}
    container = model.get("PrimaryContainer") or (model.get("Containers") or [{}])[0]
    arn = container.get("ModelPackageName", "")
    if not arn:
        return "", _data_url(container)
    parts = arn.split(":")  # the package lives where its registry does, usually in the hub
    home = Target(place.stage, parts[4], parts[3], place.stack) if len(parts) > 5 else place
    package = _read(aws, home, "sagemaker", "describe_model_package", ModelPackageName=arn)
    containers = package.get("InferenceSpecification", {}).get("Containers") or [{}]
    return arn, _data_url(containers[0])


def _data_url(container: Mapping[str, Any]) -> str:
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    return str(container.get("ModelDataUrl") or source.get("S3Uri", ""))


def _read(aws: Aws, place: Target, service: str, operation: str, **parameters: str) -> dict[str, Any]:
    """The answer, or an empty one when the thing is not there (any more)."""
    try:
        return aws.call(service, operation, account=place.account, region=place.region, **parameters)
    except AwsFailed as error:
        if error.code in ABSENT:
            return {}
        raise
