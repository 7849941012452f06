"""Which API operation a Task's ``Resource`` means, and how parameters and results are spelled on the way.

Two kinds, as on AWS: *optimized* integrations (``states:::sagemaker:createTrainingJob.sync``), named after the
Java SDK of their time, and the generic ``states:::aws-sdk:<service>:<action>``.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from botocore import xform_name
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from orchestrator.local.protocol.models import service_model
from orchestrator.local.services.states.intrinsics import to_json

RESOURCE = re.compile(
    r"arn:aws[a-z-]*:states:::(?P<sdk>aws-sdk:)?(?P<service>[a-zA-Z0-9]+):(?P<action>\w+)(?:\.(?P<pattern>[\w:]+))?"
)

SDK_SERVICES = {
    # as the resource spells it (the Java SDK's name): (botocore's name, prefix of its error names)
    "apigateway": ("apigateway", "ApiGateway"),
    "applicationautoscaling": ("application-autoscaling", "ApplicationAutoScaling"),
    "cloudformation": ("cloudformation", "CloudFormation"),
    "cloudwatch": ("cloudwatch", "CloudWatch"),
    "cloudwatchlogs": ("logs", "CloudWatchLogs"),
    "codebuild": ("codebuild", "CodeBuild"),
    "codecommit": ("codecommit", "CodeCommit"),
    "codepipeline": ("codepipeline", "CodePipeline"),
    "dynamodb": ("dynamodb", "DynamoDb"),
    "ecr": ("ecr", "Ecr"),
    "eventbridge": ("events", "EventBridge"),
    "iam": ("iam", "Iam"),
    "kms": ("kms", "Kms"),
    "lambda": ("lambda", "Lambda"),
    "s3": ("s3", "S3"),
    "sagemaker": ("sagemaker", "SageMaker"),
    "sagemakerruntime": ("sagemaker-runtime", "SageMakerRuntime"),
    "scheduler": ("scheduler", "Scheduler"),
    "secretsmanager": ("secretsmanager", "SecretsManager"),
    "sfn": ("stepfunctions", "Sfn"),
    "sns": ("sns", "Sns"),
    "sqs": ("sqs", "Sqs"),
    "ssm": ("ssm", "Ssm"),
    "sts": ("sts", "Sts"),
}

UNSUPPORTED_PATTERN = "the integration pattern '.{}' is not supported by the embedded AWS"


@dataclass(frozen=True, slots=True)
class Job:
    """How a ``.sync`` integration finds its job again, waits for it and stops it.

    Most jobs bear a name that the request chose. Where the service chooses it, ``answer`` is the member of the answer
    that holds the job, and descriptions come in a list.
    """

    name: str
    describe: str
    stop: str
    status: str
    answer: str = ""


def _job(kind: str) -> Job:
    return Job(f"{kind}JobName", f"describe_{_snake(kind)}_job", f"stop_{_snake(kind)}_job", f"{kind}JobStatus")


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


BUILD = Job("id", "batch_get_builds", "stop_build", "BuildStatus", answer="Build")

OPTIMIZED = {
    # (service, action): (botocore's name, prefix of the errors, name of an error the SDK has no class for)
    **{
        ("sagemaker", f"create{kind}Job"): ("sagemaker", "SageMaker", "AmazonSageMakerException")
        for kind in ("Training", "Transform", "Processing", "HyperParameterTuning")
    },
    ("codebuild", "startBuild"): ("codebuild", "CodeBuild", "AWSCodeBuildException"),
    ("lambda", "invoke"): ("lambda", "Lambda", "AWSLambdaException"),
    ("sns", "publish"): ("sns", "SNS", "AmazonSNSException"),
    ("sqs", "sendMessage"): ("sqs", "SQS", "AmazonSQSException"),
    ("events", "putEvents"): ("events", "EventBridge", "AmazonEventBridgeException"),
}


class UnknownResource(ValueError):
    """The resource names nothing that the embedded AWS can call."""


@dataclass(frozen=True, slots=True)
class Integration:
    """A resolved ``Resource``."""

    service: str
    operation: str
    resource_type: str
    resource: str
    prefix: str
    unnamed_error: str
    optimized: bool
    job: Job | None = None

    @property
    def model(self) -> OperationModel:
        """The operation's botocore model."""
        return service_model(self.service).operation_model(self.operation)

    @property
    def method(self) -> str:
        """The name of the boto3 client's method."""
        return str(xform_name(self.operation))


@lru_cache(maxsize=512)
def resolve(arn: str) -> Integration:
    """The integration a Task's Resource names; raises UnknownResource with the reason."""
    match = RESOURCE.fullmatch(arn)
    if not match:
        raise UnknownResource(f"The resource provided {arn} is not recognized by the embedded AWS")
    service, action, pattern = match["service"], match["action"], match["pattern"]
    if match["sdk"]:
        if pattern:
            raise UnknownResource(UNSUPPORTED_PATTERN.format(pattern))
        if service not in SDK_SERVICES:
            raise UnknownResource(f"The service '{service}' of {arn} is not supported by the embedded AWS")
        botocore_name, prefix = SDK_SERVICES[service]
        return Integration(
            botocore_name, _operation(botocore_name, action, arn), f"aws-sdk:{service}", action, prefix,
            f"{prefix}Exception", optimized=False,
        )  # fmt: skip
    if (service, action) not in OPTIMIZED:
        raise UnknownResource(f"The resource provided {arn} is not recognized by the embedded AWS")
    botocore_name, prefix, unnamed = OPTIMIZED[service, action]
    job = None
    if pattern:
        if pattern != "sync" or service not in ("codebuild", "sagemaker"):
            raise UnknownResource(UNSUPPORTED_PATTERN.format(pattern))
        job = BUILD if service == "codebuild" else _job(action.removeprefix("create").removesuffix("Job"))
    resource = f"{action}.{pattern}" if pattern else action
    operation = _operation(botocore_name, action, arn)
    return Integration(botocore_name, operation, service, resource, prefix, unnamed, optimized=True, job=job)


def _operation(service: str, action: str, arn: str) -> str:
    operation = action[:1].upper() + action[1:]
    if action[:1].isupper() or operation not in service_model(service).operation_names:
        raise UnknownResource(f"The resource provided {arn} is not recognized: there is no API action '{action}'")
    return operation


def error_name(integration: Integration, code: str) -> str:
    """The error name a Retry or Catch sees for an AWS error code.

    The Java SDK has one exception class for each error its model describes, always with the suffix
    ``Exception``; every other error is the service's general exception (Step Functions Developer Guide,
    "AWS SDK service integrations").
    """
    shapes = service_model(integration.service).error_shapes
    shape = next((shape for shape in shapes if code in _codes(shape)), None)
    if shape is None:
        return f"{integration.prefix}.{integration.unnamed_error}"
    name = shape.name.removesuffix("Fault").removesuffix("Exception")
    return f"{integration.prefix}.{name[:1].upper()}{name[1:]}Exception"


def _codes(error: Shape) -> tuple[str, str]:
    return error.name, error.metadata.get("error", {}).get("code", error.name)


def unknown_fields(shape: Shape | None, template: Any, path: str = "") -> list[str]:
    """The members of a payload template that the API's input does not have, as paths."""
    if isinstance(shape, StructureShape) and isinstance(template, Mapping):
        members = {_pascal(name): member for name, member in shape.members.items()}
        found = []
        for name, value in template.items():
            plain = name.removesuffix(".$")
            if plain not in members:
                found.append(path + plain)
            elif plain == name:
                found += unknown_fields(members[plain], value, f"{path}{plain}.")
        return found
    if isinstance(shape, ListShape) and isinstance(template, list):
        return [name for item in template for name in unknown_fields(shape.member, item, path)]
    if isinstance(shape, MapShape) and isinstance(template, Mapping):
        return [name for item in template.values() for name in unknown_fields(shape.value, item, path)]
    return []


def missing_fields(shape: Shape | None, template: Any) -> list[str]:
    """The required top-level members that a payload template leaves out."""
    given = {name.removesuffix(".$") for name in template} if isinstance(template, Mapping) else set()
    required = shape.required_members if isinstance(shape, StructureShape) else []
    return [_pascal(name) for name in required if _pascal(name) not in given]


def _pascal(name: str) -> str:
    return name[:1].upper() + name[1:]


def to_request(shape: Shape | None, value: Any) -> Any:
    """A Task's parameters (PascalCase, JSON) as boto3 wants them."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        members = {_pascal(name): (name, member) for name, member in shape.members.items()}
        named = [(*members.get(name, (name, None)), item) for name, item in value.items() if item is not None]
        return {name: to_request(member, item) for name, member, item in named}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [to_request(shape.member, item) for item in value]
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {name: to_request(shape.value, item) for name, item in value.items()}
    if shape is not None and shape.type_name == "blob":
        return value.encode() if isinstance(value, str) else to_json(value).encode()
    return value


def to_result(shape: Shape | None, value: Any, *, milliseconds: bool) -> Any:
    """A boto3 response as the state machine sees it: PascalCase members and JSON values.

    ``milliseconds`` chooses the times of the optimized integrations (POSIX milliseconds) instead of ISO 8601.
    """
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        return {
            _pascal(name): to_result(member, value[name], milliseconds=milliseconds)
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [to_result(shape.member, item, milliseconds=milliseconds) for item in value]
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {name: to_result(shape.value, item, milliseconds=milliseconds) for name, item in value.items()}
    if isinstance(value, datetime):
        return int(value.timestamp() * 1000) if milliseconds else iso(value)
    if hasattr(value, "read"):
        value = value.read()
    if isinstance(value, bytes):
        return _blob(value)
    return value


def _blob(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def iso(moment: datetime) -> str:
    """A time as Java writes an instant: UTC, milliseconds only when there are some."""
    moment = moment.astimezone(UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    milliseconds = moment.microsecond // 1000
    return f"{text}.{milliseconds:03}Z" if milliseconds else f"{text}Z"


def prepared(integration: Integration, parameters: Any) -> Any:
    """Parameters of an optimized integration, whose text members may be given as JSON values."""
    if not integration.optimized or not isinstance(parameters, dict):
        return parameters
    as_text = {"sns": "Message", "sqs": "MessageBody"}.get(integration.service)
    if as_text and not isinstance(parameters.get(as_text, ""), str):
        return {**parameters, as_text: to_json(parameters[as_text])}
    if integration.service == "lambda" and "Payload" in parameters:
        return {**parameters, "Payload": json.dumps(parameters["Payload"])}
    if integration.service == "events" and isinstance(parameters.get("Entries"), list):
        return {**parameters, "Entries": [_entry(entry) for entry in parameters["Entries"]]}
    return parameters


def _entry(entry: Any) -> Any:
    if isinstance(entry, dict) and not isinstance(entry.get("Detail", ""), str):
        return {**entry, "Detail": to_json(entry["Detail"])}
    return entry
