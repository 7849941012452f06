"""The truth check: what runs in a stage is what its stack says, and nothing older.

CloudFormation reports what it asked for. An endpoint that rolled itself back, lost its instances or serves another
image is found here, by looking at SageMaker itself. A check exists for each resource type that can lie; other types
are CloudFormation's own word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.aws import Aws
from orchestrator.errors import AwsFailed

CHANGING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack"})
NOT_PRESENT = frozenset({"ValidationException", "ResourceNotFound", "ResourceNotFoundException"})
SCALED = "AWS::ApplicationAutoScaling::ScalableTarget"


@dataclass(frozen=True, slots=True)
class Place:
    """A stack and what it holds: resource type -> physical ids."""

    account: str
    region: str
    stack: str
    resources: Mapping[str, tuple[str, ...]]

    def names(self, resource_type: str) -> tuple[str, ...]:
        """The resources' names; some physical ids are ARNs."""
        return tuple(physical.rpartition("/")[2] for physical in self.resources.get(resource_type, ()))


@dataclass(frozen=True, slots=True)
class Verdict:
    """``problems`` says what is not as intended; ``settled`` is False while something still changes."""

    problems: tuple[str, ...] = ()
    settled: bool = True
    checked: tuple[str, ...] = ()

    @property
    def true(self) -> bool:
        return self.settled and not self.problems


def verify(aws: Aws, account: str, region: str, stack: str) -> Verdict:
    """Compare a deployed stack with what really runs. Raises AwsFailed when it cannot be read."""
    answer = aws.call("cloudformation", "describe_stack_resources", account=account, region=region, StackName=stack)
    held: dict[str, tuple[str, ...]] = {}
    for resource in answer["StackResources"]:
        if resource.get("PhysicalResourceId") and resource["ResourceStatus"] != "DELETE_COMPLETE":
            held[resource["ResourceType"]] = (*held.get(resource["ResourceType"], ()), resource["PhysicalResourceId"])
    place = Place(account, region, stack, held)
    return _together(check(aws, place, name) for kind, check in CHECKS.items() for name in place.names(kind))


def _together(verdicts: Iterable[Verdict]) -> Verdict:
    found = tuple(verdicts)
    return Verdict(
        problems=tuple(problem for verdict in found for problem in verdict.problems),
        settled=all(verdict.settled for verdict in found),
        checked=tuple(name for verdict in found for name in verdict.checked),
    )


# ---- endpoints ----


def _endpoint(aws: Aws, place: Place, name: str) -> Verdict:
    try:
        endpoint = _sagemaker(aws, place, "describe_endpoint", EndpointName=name)
    except AwsFailed as error:
        if error.code in NOT_PRESENT:
            return Verdict((f"Endpoint {name} does not exist, though stack {place.stack} holds it.",), checked=(name,))
        raise
    status = endpoint["EndpointStatus"]
    if status in CHANGING:
        return Verdict(settled=False, checked=(name,))
    problems = []
    if status != "InService":
        reason = endpoint.get("FailureReason", "SageMaker gives no reason")
        problems.append(f"Endpoint {name} is {status}, not InService: {reason}")
    intended, running = place.names("AWS::SageMaker::EndpointConfig"), endpoint["EndpointConfigName"]
    if intended and running not in intended:
        problems.append(
            f"Endpoint {name} runs the configuration {running}, but the stack deployed {', '.join(intended)}: "
            "SageMaker went back to an earlier one, or someone changed it past the stack."
        )
    if problems:
        return Verdict(tuple(problems), checked=(name,))
    config = _sagemaker(aws, place, "describe_endpoint_config", EndpointConfigName=running)
    scaled = SCALED in place.resources
    real = {variant["VariantName"]: variant for variant in endpoint.get("ProductionVariants", [])}
    for variant in config["ProductionVariants"]:
        problems += _variant(aws, place, name, variant, real.get(variant["VariantName"]), scaled)
    return Verdict(tuple(problems), checked=(name,))


def _variant(
    aws: Aws, place: Place, endpoint: str, wanted: Mapping[str, Any], real: Mapping[str, Any] | None, scaled: bool
) -> list[str]:
    what = f"Variant {wanted['VariantName']} of endpoint {endpoint}"
    if real is None:
        return [f"{what} does not run."]
    problems = []
    if "InitialInstanceCount" in wanted:
        runs, desired = real.get("CurrentInstanceCount", 0), real.get("DesiredInstanceCount", 0)
        count = desired if scaled or wanted.get("ManagedInstanceScaling") else wanted["InitialInstanceCount"]
        if runs != count:
            problems.append(f"{what} runs {runs} of {count} instances ({wanted.get('InstanceType', 'pool')}).")
    if wanted.get("ModelName"):
        images, not_approved = _images(aws, place, wanted["ModelName"])
        problems += not_approved
        deployed = {image["SpecifiedImage"] for image in real.get("DeployedImages", []) if "SpecifiedImage" in image}
        if images and deployed and deployed != images:
            problems.append(f"{what} serves {', '.join(sorted(deployed))}, not {', '.join(sorted(images))}.")
    return problems


def _images(aws: Aws, place: Place, model_name: str) -> tuple[set[str], list[str]]:
    """The images a model wants, and which of its packages may not be deployed."""
    model = _sagemaker(aws, place, "describe_model", ModelName=model_name)
    primary = model.get("PrimaryContainer")
    containers = [primary] if primary else model.get("Containers", [])
    images, problems = set(), []
    for container in containers:
        arn = container.get("ModelPackageName", "")
        if container.get("Image"):
            images.add(container["Image"])
        if arn:
            package = _package(aws, arn, place)
            images |= {one["Image"] for one in package.get("InferenceSpecification", {}).get("Containers", [])}
            approval = package.get("ModelApprovalStatus", "Approved")  # a package outside a group has no approval
            if approval != "Approved":
                problems.append(f"Model {model_name} is deployed from {arn}, which is {approval}, not Approved.")
    return images, problems


def _package(aws: Aws, arn: str, place: Place) -> dict[str, Any]:
    """The package, read where it lives: the registry's account is the ARN's, usually the hub."""
    parts = arn.split(":")
    region, account = (parts[3], parts[4]) if len(parts) > 5 else (place.region, place.account)
    return aws.call("sagemaker", "describe_model_package", account=account, region=region, ModelPackageName=arn)


def _sagemaker(aws: Aws, place: Place, operation: str, **parameters: str) -> dict[str, Any]:
    return aws.call("sagemaker", operation, account=place.account, region=place.region, **parameters)


# ---- schedules ----


def _schedule(aws: Aws, place: Place, name: str) -> Verdict:
    """CloudFormation makes a schedule switched off, and the run lets it go; it must be what the stack wants by now."""
    try:
        state = aws.call("scheduler", "get_schedule", account=place.account, region=place.region, Name=name)["State"]
    except AwsFailed as error:
        if error.code in NOT_PRESENT:
            return Verdict((f"Schedule {name} does not exist, though stack {place.stack} holds it.",), checked=(name,))
        raise
    wanted = _output(aws, place, "ScheduleState")
    if wanted and state != wanted:
        problem = f"Schedule {name} is {state}, but the stack wants it {wanted}: someone changed it past the stack."
        return Verdict((problem,), checked=(name,))
    return Verdict(checked=(name,))


def _output(aws: Aws, place: Place, key: str) -> str:
    answer = aws.call(
        "cloudformation", "describe_stacks", account=place.account, region=place.region, StackName=place.stack
    )
    outputs = answer["Stacks"][0].get("Outputs", [])
    return next((str(each["OutputValue"]) for each in outputs if each["OutputKey"] == key), "")


CHECKS: Mapping[str, Callable[[Aws, Place, str], Verdict]] = {
    "AWS::SageMaker::Endpoint": _endpoint,
    "AWS::Scheduler::Schedule": _schedule,
}
"""A check for each resource type whose stack may claim more than is true."""
