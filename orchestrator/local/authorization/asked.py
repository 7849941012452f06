"""What a request asks permission for: actions on resources, told from the operation and its parameters.

Most operations are an action of the same name on the resources that their parameters name; the others are in
``OTHERWISE``. https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.local.authorization.kinds import KINDS, Place, any_of_kind, arns
from orchestrator.local.authorization.table import kinds_of

Parameters = Mapping[str, Any]
Values = dict[str, tuple[str, ...]]
"""Condition keys in lower case with their values."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One action on one resource, with the condition keys of its own. ``"*"`` where there is no resource level."""

    action: str
    resource: str
    context: Values = field(default_factory=dict)


PREFIXES = {"monitoring": "cloudwatch", "sagemaker-runtime": "sagemaker", "stepfunctions": "states"}
"""Names of services (of botocore, or that sign) whose actions begin otherwise."""


def principal_of(service: str) -> str:
    """A service of AWS as IAM names it in trust policies, by its botocore name."""
    return f"{PREFIXES.get(service, service)}.amazonaws.com"


FREE = frozenset({("sts", "GetCallerIdentity"), ("sts", "GetSessionToken")})
"""Operations that need no permission."""

RENAMED = {
    ("lambda", "Invoke"): "InvokeFunction",
    ("lambda", "InvokeAsync"): "InvokeFunction",
    ("lambda", "InvokeWithResponseStream"): "InvokeFunction",
    ("sns", "PublishBatch"): "Publish",
    ("sqs", "ChangeMessageVisibilityBatch"): "ChangeMessageVisibility",
    ("sqs", "DeleteMessageBatch"): "DeleteMessage",
    ("sqs", "SendMessageBatch"): "SendMessage",
}

TAGGING = {
    "cloudwatch": "TagResource",
    "codepipeline": "TagResource",
    "ecr": "TagResource",
    "events": "TagResource",
    "kms": "TagResource",
    "lambda": "TagResource",
    "logs": "TagResource",
    "sagemaker": "AddTags",
    "scheduler": "TagResource",
    "secretsmanager": "TagResource",
    "sns": "TagResource",
    "sqs": "TagQueue",
    "ssm": "AddTagsToResource",
    "states": "TagResource",
}
"""What giving tags to something new needs beside the right to make it. (In IAM and CloudFormation see below.)"""
MAKING = ("Create", "Put", "Start")
TAGS = ("Tags", "tags")


def asked(place: Place, service: str, operation: str, parameters: Parameters) -> list[Asked]:
    """Everything a request asks permission for, the principal action first; empty for what needs none."""
    prefix = PREFIXES.get(service, service)
    if (prefix, operation) in FREE:
        return []
    own = OTHERWISE.get((prefix, operation))
    if own is not None:
        found = list(own(place, parameters))
    else:
        name = RENAMED.get((prefix, operation), operation)
        found = list(_plainly(place, prefix, name, parameters))
    return [*found, *_tagged(prefix, operation, parameters, found)]


def _plainly(place: Place, prefix: str, name: str, parameters: Parameters) -> Iterator[Asked]:
    """The action of the same name on everything the parameters name."""
    context = _context(prefix, name, parameters)
    for resource in resources(place, prefix, name, parameters):
        yield Asked(f"{prefix}:{name}", resource, context)


def resources(place: Place, prefix: str, action: str, parameters: Parameters) -> list[str]:
    """The ARNs an action is on: those that the parameters name, else any of its kind, else ``"*"``."""
    kinds = kinds_of(prefix, action)
    if not kinds:
        return ["*"]
    found = [arn for kind in kinds for arn in arns(place, prefix, kind, parameters)]
    if not found:
        found = [value for value in parameters.values() if _is_of(value, prefix)]
    return list(dict.fromkeys(found)) or [any_of_kind(place, prefix, kinds[0])]


def _is_of(value: Any, prefix: str) -> bool:
    return isinstance(value, str) and value.startswith("arn:") and value.split(":")[2] == prefix


def _context(prefix: str, name: str, parameters: Parameters) -> Values:
    """The condition keys that a request's parameters carry."""
    made: Values = {}
    for key, member in CONTEXT.get(prefix, {}).items():
        value = parameters.get(member)
        if isinstance(value, str) and name in ONLY_OF.get(key, (name,)):
            made[key] = (value,)
    for one in TAGS:
        made |= tag_context(parameters.get(one)) if name.startswith((*MAKING, "Tag", "Add")) else {}
    return made


def tag_context(tags: Any) -> Values:
    """``aws:RequestTag/...`` and ``aws:TagKeys`` of tags in any of the forms that AWS's services have."""
    pairs: dict[str, str] = {}
    if isinstance(tags, Mapping):
        pairs = {str(key): str(value) for key, value in tags.items()}
    elif isinstance(tags, list):
        for tag in tags:
            if isinstance(tag, Mapping):
                by_name = {str(key).lower(): str(value) for key, value in tag.items()}
                key = by_name.get("key", by_name.get("tagkey", ""))
                pairs[key] = by_name.get("value", by_name.get("tagvalue", ""))
    if not pairs:
        return {}
    made: Values = {f"aws:requesttag/{key.lower()}": (value,) for key, value in pairs.items()}
    return {**made, "aws:tagkeys": tuple(pairs)}


CONTEXT: dict[str, dict[str, str]] = {
    "cloudformation": {
        "cloudformation:rolearn": "RoleARN",
        "cloudformation:templateurl": "TemplateURL",
        "cloudformation:changesetname": "ChangeSetName",
    },
    "cloudwatch": {"cloudwatch:namespace": "Namespace"},
    "iam": {"iam:permissionsboundary": "PermissionsBoundary", "iam:policyarn": "PolicyArn"},
    "lambda": {"lambda:principal": "Principal"},
    "sagemaker": {"sagemaker:modelapprovalstatus": "ModelApprovalStatus"},
    "sns": {"sns:endpoint": "Endpoint", "sns:protocol": "Protocol"},
    "sts": {"sts:externalid": "ExternalId", "sts:rolesessionname": "RoleSessionName"},
}
ONLY_OF: dict[str, frozenset[str]] = {
    "iam:permissionsboundary": frozenset(
        {
            *("AttachRolePolicy", "AttachUserPolicy", "CreateRole", "CreateUser", "DeleteRolePermissionsBoundary"),
            *("DeleteRolePolicy", "DeleteUserPermissionsBoundary", "DeleteUserPolicy", "DetachRolePolicy"),
            *("DetachUserPolicy", "PutRolePermissionsBoundary", "PutRolePolicy", "PutUserPermissionsBoundary"),
            "PutUserPolicy",
        }
    ),
    "iam:policyarn": frozenset(
        {
            *("AttachGroupPolicy", "AttachRolePolicy", "AttachUserPolicy"),
            *("DetachGroupPolicy", "DetachRolePolicy", "DetachUserPolicy"),
        }
    ),
}
"""Condition keys that only these actions of their service have; in others AWS finds no value.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html"""


def _tagged(prefix: str, operation: str, parameters: Parameters, found: list[Asked]) -> Iterator[Asked]:
    """The permission to tag, asked for when something new comes with tags."""
    if not any(parameters.get(name) for name in TAGS) or not operation.startswith(MAKING):
        return
    action = _iam_tagging(operation) if prefix == "iam" else TAGGING.get(prefix, "")
    if prefix == "logs" and operation != "CreateLogGroup":
        return
    for one in found if action else ():
        context = {key: values for key, values in one.context.items() if action in ONLY_OF.get(key, (action,))}
        yield Asked(f"{prefix}:{action}", one.resource.removesuffix(":log-stream:"), context)


def _iam_tagging(operation: str) -> str:
    return f"Tag{operation.removeprefix('Create')}" if operation in ("CreateRole", "CreateUser", "CreatePolicy") else ""


# ---- operations that are not an action of their own name on what their parameters name ----


def _put_events(place: Place, parameters: Parameters) -> Iterator[Asked]:
    buses = [entry.get("EventBusName", "default") for entry in parameters.get("Entries", [])]
    for bus in dict.fromkeys(buses):
        yield from _plainly(place, "events", "PutEvents", {"EventBusName": bus})


def _rule(operation: str) -> Callable[[Place, Parameters], Iterator[Asked]]:
    """Of a rule: one on another bus than the default has the bus in its ARN."""

    def ask(place: Place, parameters: Parameters) -> Iterator[Asked]:
        bus = str(parameters.get("EventBusName", "default"))
        name = str(parameters.get("Rule") or parameters.get("Name") or "*")
        whole = name if bus == "default" else f"{bus.rpartition('/')[2]}/{name}"
        yield from _plainly(place, "events", operation, {**parameters, "Rule": whole})

    return ask


def _with_path(operation: str, member: str) -> Callable[[Place, Parameters], Iterator[Asked]]:
    """Of something new in IAM, whose path is part of its ARN."""

    def ask(place: Place, parameters: Parameters) -> Iterator[Asked]:
        path = str(parameters.get("Path", "/")).strip("/")
        name = str(parameters.get(member) or "*")
        yield from _plainly(place, "iam", operation, {**parameters, member: f"{path}/{name}" if path else name})

    return ask


def _re_encrypt(place: Place, parameters: Parameters) -> Iterator[Asked]:
    for action, member in (("ReEncryptFrom", "SourceKeyId"), ("ReEncryptTo", "DestinationKeyId")):
        yield from _plainly(place, "kms", action, {"KeyId": parameters.get(member, "")})


def _batch_get_builds(place: Place, parameters: Parameters) -> Iterator[Asked]:
    """Builds are authorized by their project, which their ids begin with."""
    names = [identity.rpartition("build/")[2].partition(":")[0] for identity in parameters.get("ids", [])]
    yield from _plainly(place, "codebuild", "BatchGetBuilds", {"names": list(dict.fromkeys(names))})


def _stop_build(place: Place, parameters: Parameters) -> Iterator[Asked]:
    name = str(parameters.get("id", "")).rpartition("build/")[2].partition(":")[0]
    yield from _plainly(place, "codebuild", "StopBuild", {"projectName": name})


def _create_model(place: Place, parameters: Parameters) -> Iterator[Asked]:
    """A model of a package is made from the package too; the policy of its group speaks of CreateModel.

    https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-deploy-xaccount.html
    """
    yield from _plainly(place, "sagemaker", "CreateModel", parameters)
    containers = [parameters.get("PrimaryContainer") or {}, *(parameters.get("Containers") or [])]
    for name in dict.fromkeys(each["ModelPackageName"] for each in containers if each.get("ModelPackageName")):
        for arn in arns(place, "sagemaker", "model-package", {"ModelPackageName": name}):
            yield Asked("sagemaker:CreateModel", arn)


def _dynamodb_items(operation: str) -> Callable[[Place, Parameters], Iterator[Asked]]:
    def ask(place: Place, parameters: Parameters) -> Iterator[Asked]:
        for table in parameters.get("RequestItems", {}):
            yield from _plainly(place, "dynamodb", operation, {"TableName": table})

    return ask


TRANSACTED = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}


def _dynamodb_transaction(place: Place, parameters: Parameters) -> Iterator[Asked]:
    for item in parameters.get("TransactItems", []):
        for name, body in item.items():
            if name in TRANSACTED:
                yield from _plainly(place, "dynamodb", TRANSACTED[name], body)


RULE_OPERATIONS = (
    "DeleteRule", "DescribeRule", "DisableRule", "EnableRule", "ListTargetsByRule", "PutRule", "PutTargets",
    "RemoveTargets",
)  # fmt: skip
OTHERWISE: dict[tuple[str, str], Callable[[Place, Parameters], Iterator[Asked]]] = {
    ("codebuild", "BatchGetBuilds"): _batch_get_builds,
    ("codebuild", "StopBuild"): _stop_build,
    ("dynamodb", "BatchGetItem"): _dynamodb_items("BatchGetItem"),
    ("dynamodb", "BatchWriteItem"): _dynamodb_items("BatchWriteItem"),
    ("dynamodb", "TransactGetItems"): _dynamodb_transaction,
    ("dynamodb", "TransactWriteItems"): _dynamodb_transaction,
    ("events", "PutEvents"): _put_events,
    **{("events", name): _rule(name) for name in RULE_OPERATIONS},
    ("iam", "CreateGroup"): _with_path("CreateGroup", "GroupName"),
    ("iam", "CreatePolicy"): _with_path("CreatePolicy", "PolicyName"),
    ("iam", "CreateRole"): _with_path("CreateRole", "RoleName"),
    ("iam", "CreateUser"): _with_path("CreateUser", "UserName"),
    ("kms", "ReEncrypt"): _re_encrypt,
    ("sagemaker", "CreateModel"): _create_model,
}
assert all(prefix in KINDS for prefix, _ in OTHERWISE)
