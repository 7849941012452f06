"""How the ARN of each kind of resource is made from the parameters of a request.

A kind is named as in the Service Authorization Reference. Of its templates the first whose parameters are all in the
request is used; a parameter that is an ARN itself stands for the whole. ``{A.B}`` reads member B of A, ``{A|x}`` is
``x`` where A is absent. https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SAGEMAKER_BY_NAME = {
    "automl-job": ("AutoMLJobName",),
    "endpoint": ("EndpointName",),
    "endpoint-config": ("EndpointConfigName",),
    "hyper-parameter-tuning-job": ("HyperParameterTuningJobName",),
    "model": ("ModelName",),
    "model-card": ("ModelCardName",),
    "model-package-group": ("ModelPackageGroupName",),
    "monitoring-schedule": ("MonitoringScheduleName",),
    "pipeline": ("PipelineName",),
    "processing-job": ("ProcessingJobName",),
    "training-job": ("TrainingJobName",),
    "transform-job": ("TransformJobName",),
    "data-quality-job-definition": ("JobDefinitionName",),
    "model-quality-job-definition": ("JobDefinitionName",),
    "model-bias-job-definition": ("JobDefinitionName",),
    "model-explainability-job-definition": ("JobDefinitionName",),
}
KINDS: dict[str, dict[str, tuple[str, ...]]] = {
    "cloudformation": {
        "stack": ("stack/{StackName}/*", "stack/{StackId}/*"),
        "stackset": ("stackset/{StackSetName}:*",),
    },
    "cloudwatch": {
        "alarm": ("alarm:{AlarmName}", "alarm:{AlarmNames}"),
    },
    "codebuild": {
        "project": ("project/{projectName}", "project/{name}", "project/{names}"),
        "report-group": ("report-group/{name}",),
    },
    "codecommit": {"repository": ("{repositoryName}",)},
    "codepipeline": {
        "pipeline": ("{pipeline.name}", "{pipelineName}", "{name}"),
        "stage": ("{pipelineName}/{stageName}",),
        "action": ("{pipelineName}/{stageName}/{actionName}",),
    },
    "dynamodb": {
        "table": ("table/{TableName}",),
        "index": ("table/{TableName}/index/{IndexName}",),
    },
    "ecr": {"repository": ("repository/{repositoryName}", "repository/{repositoryNames}")},
    "events": {
        "event-bus": ("event-bus/{EventBusName}", "event-bus/{Name}"),
        "rule-on-default-event-bus": ("rule/{Rule}", "rule/{Name}"),
        "archive": ("archive/{ArchiveName}",),
    },
    "iam": {
        "role": ("role/{RoleName}",),
        "policy": ("policy/{PolicyArn}", "policy/{PolicyName}"),
        "user": ("user/{UserName}",),
        "group": ("group/{GroupName}",),
        "instance-profile": ("instance-profile/{InstanceProfileName}",),
    },
    "kms": {"key": ("key/{KeyId}", "key/{TargetKeyId}"), "alias": ("{AliasName}", "alias/{AliasName}")},
    "lambda": {
        "function": ("function:{FunctionName}",),
        "eventsourcemapping": ("event-source-mapping:{UUID}",),
        "layer": ("layer:{LayerName}",),
        "layerversion": ("layer:{LayerName}:{VersionNumber}",),
    },
    "logs": {
        "log-group": ("log-group:{logGroupName}:log-stream:",),
        "log-stream": ("log-group:{logGroupName}:log-stream:{logStreamName}",),
    },
    "sagemaker": {
        **{kind: tuple(f"{kind}/{{{name}}}" for name in names) for kind, names in SAGEMAKER_BY_NAME.items()},
        "model-package": (
            "model-package/{ModelPackageArn}",
            "model-package/{ModelPackageName}",
            "model-package/{ModelPackageGroupName}/*",
        ),
        "model-card-export-job": ("model-card/{ModelCardExportJobArn}",),
    },
    "scheduler": {
        "schedule": ("schedule/{GroupName|default}/{Name}",),
        "schedule-group": ("schedule-group/{Name}",),
    },
    "secretsmanager": {"secret": ("secret:{SecretId}", "secret:{Name}")},
    "sns": {"topic": ("{TopicArn}", "{TargetArn}", "{SubscriptionArn}", "{Name}")},
    "sqs": {"queue": ("{QueueUrl}", "{QueueName}")},
    "ssm": {
        "parameter": ("parameter/{Name}", "parameter/{Names}", "parameter/{Path}"),
        "document": ("document/{Name}",),
    },
    "states": {
        "activity": ("activity:{activityArn}", "activity:{name}"),
        "execution": ("execution:{executionArn}",),
        "statemachine": ("stateMachine:{stateMachineArn}", "stateMachine:{name}"),
    },
    "sts": {"role": ("role/{RoleArn}",)},
}
GLOBAL = frozenset({"iam", "sts"})
"""Services whose ARNs name no region; STS acts on roles, which are IAM's."""

FIELD = re.compile(r"\{([\w.]+)(?:\|(\w+))?\}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request is made."""

    account: str
    region: str
    partition: str = "aws"


def arns(place: Place, prefix: str, kind: str, parameters: Mapping[str, Any]) -> list[str]:
    """The ARNs of the resources of a kind that the parameters name; none when they name none."""
    for template in KINDS.get(prefix, {}).get(kind, ()):
        made = list(_made(place, prefix, template, parameters))
        if made:
            return made
    return []


def any_of_kind(place: Place, prefix: str, kind: str) -> str:
    """What stands for every resource of a kind, for a request that names none."""
    templates = KINDS[prefix][kind]
    template = next((one for one in templates if not one.startswith("{")), templates[0])
    return _whole(place, prefix, FIELD.sub("*", template))


def _made(place: Place, prefix: str, template: str, parameters: Mapping[str, Any]) -> Iterator[str]:
    fields = [(match[0], _found(parameters, match[1]) or match[2]) for match in FIELD.finditer(template)]
    if any(not value for _, value in fields):
        return
    several = next(((field, value) for field, value in fields if isinstance(value, list)), None)
    for each in several[1] if several else [None]:
        text, whole = template, ""
        for field, value in fields:
            one = str(each if isinstance(value, list) else value)
            whole = whole or (one if one.startswith("arn:") else "")
            text = text.replace(field, one.lstrip("/") if prefix == "ssm" else one)
        yield whole or _whole(place, prefix, text)


def _found(parameters: Mapping[str, Any], path: str) -> Any:
    value: Any = parameters
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _whole(place: Place, prefix: str, part: str) -> str:
    service = "iam" if prefix in GLOBAL else prefix
    region = "" if prefix in GLOBAL else place.region
    return f"arn:{place.partition}:{service}:{region}:{place.account}:{part}"
