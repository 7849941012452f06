"""The universal target: any action of an API, with the request's parameters as JSON in PascalCase.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from orchestrator.local.protocol.models import service_model
from orchestrator.local.services.states.integrations import SDK_SERVICES, to_request

PREFIXES = tuple(f"arn:{partition}:scheduler:::aws-sdk:" for partition in ("aws", "aws-cn", "aws-us-gov"))
SERVICES = {**{name: found[0] for name, found in SDK_SERVICES.items()}, "scheduler": "scheduler"}
"""As the ARN spells a service: its botocore name."""

READING = (
    *("get", "describe", "list", "poll", "receive", "search", "scan", "query", "select", "read", "lookup", "discover"),
    *("validate", "batchGet", "batchDescribe", "batchRead", "transactGet", "adminGet", "adminList", "testMigration"),
    *("retrieve", "testConnection", "translateDocument", "isAuthorized", "invokeModel"),
)
"""What the names of actions begin with that EventBridge Scheduler does not call."""


def fault(target: Mapping[str, Any]) -> str:
    """What is wrong with a universal target, or ''."""
    service, _, action = target["Arn"].partition(":aws-sdk:")[2].partition(":")
    if service not in SERVICES:
        return f"The embedded AWS has no service {service!r} for the target {target['Arn']}."
    operation = action[:1].upper() + action[1:]
    if action[:1].isupper() or operation not in service_model(SERVICES[service]).operation_names:
        return f"{action!r} is not an API action of {service}; actions are written as in createTrainingJob."
    if re.match(rf"({'|'.join(READING)})(?![a-z])", action):
        return f"{action} only reads, and EventBridge Scheduler does not support actions that do."
    try:
        given = json.loads(target.get("Input", "{}"))
    except ValueError as problem:
        return f"Input is not JSON: {problem}."
    if not isinstance(given, dict):
        return "Input must be a JSON object with the parameters of the request."
    shape = _operation(target["Arn"]).input_shape
    unknown = list(_unknown(shape, given))
    members = [_pascal(name) for name in shape.members] if isinstance(shape, StructureShape) else []
    return f"Input has parameters that {action} has not: {', '.join(unknown)}. It has {members}." if unknown else ""


def botocore_name(arn: str) -> str:
    """The name that boto3 has for the service of a universal target."""
    return SERVICES[arn.partition(":aws-sdk:")[2].partition(":")[0]]


def call(client: Any, arn: str, text: str, identity: str) -> None:
    """Make the request; raises ClientError. Where the API takes a token against repetition, it is ``identity``."""
    operation = _operation(arn)
    request = to_request(operation.input_shape, json.loads(text or "{}"))
    for member in operation.idempotent_members:
        request.setdefault(member, identity)
    answer = getattr(client, xform_name(operation.name))(**request)
    if operation.name == "PutEvents":
        raise_failed(answer["Entries"], operation.name)


def raise_failed(entries: Sequence[Mapping[str, Any]], operation: str) -> None:
    """PutEvents succeeds although an entry failed; make an error of that."""
    for entry in entries:
        if "ErrorCode" in entry:
            told: Any = {"Error": {"Code": entry["ErrorCode"], "Message": entry.get("ErrorMessage", "")}}
            raise ClientError(told, operation)


def _operation(arn: str) -> OperationModel:
    action = arn.rpartition(":")[2]
    return service_model(botocore_name(arn)).operation_model(action[:1].upper() + action[1:])


def _pascal(name: str) -> str:
    return name[:1].upper() + name[1:]


def _unknown(shape: Shape | None, value: Any, path: str = "") -> Iterator[str]:
    """The members of the input that the request has not, in either spelling."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        members = {spelled: member for name, member in shape.members.items() for spelled in (name, _pascal(name))}
        for name, item in value.items():
            if name in members:
                yield from _unknown(members[name], item, f"{path}{name}.")
            else:
                yield path + name
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for item in value:
            yield from _unknown(shape.member, item, path)
    elif isinstance(shape, MapShape) and isinstance(value, Mapping):
        for item in value.values():
            yield from _unknown(shape.value, item, path)
