"""SageMaker: every type whose property names are its API's parameter names, made from the API's model.

A type needs code only where the API is not plain create, describe, update and delete by name.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from orchestrator.local.protocol.models import service_model
from orchestrator.local.services.cloudformation.faults import NotYet, ResourceFailed
from orchestrator.local.services.cloudformation.providers.contract import (
    Naming,
    Provider,
    Request,
    document,
    picked,
    tag_list,
    tags_to_remove,
)
from orchestrator.local.services.cloudformation.schema.table import ResourceType, resource_type, resource_types

NAME = "sagemaker"
DEFAULT_NAME_LIMIT = 63
ABSENT_WORDS = ("could not find", "does not exist", "not found")
READY = frozenset({"Active", "Available", "Completed", "Created", "InService", "Ready", "Scheduled", "Stopped"})
MOVING = frozenset({"Creating", "Deleting", "RollingBack", "SystemUpdating", "Updating"})


def there(call: Callable[[], Any]) -> Any:
    """What the call answers, or None when the thing is not there: SageMaker says so in words, under one code."""
    try:
        return call()
    except ClientError as error:
        message = str(error.response["Error"].get("Message", "")).lower()
        code = error.response["Error"]["Code"]
        absent = code in ("ResourceNotFound", "ResourceNotFoundException")
        if absent or (code == "ValidationException" and any(words in message for words in ABSENT_WORDS)):
            return None
        raise


class Generic(Provider):
    """A type made with Create, Describe, Update (where there is one) and Delete of its kind."""

    service = NAME

    def __init__(self, kind: ResourceType) -> None:
        self.type = kind.name
        self.kind = kind.name.rpartition("::")[2]
        self._identified_by_arn = kind.identifier[0].endswith("Arn")
        self._tags = kind.tags
        naming = self._name_property(kind)
        limit = int(kind.follow(kind.properties[naming]).get("maxLength", DEFAULT_NAME_LIMIT)) if naming else 0
        self.naming = Naming(naming, min(limit, DEFAULT_NAME_LIMIT)) if naming else None

    def _name_property(self, kind: ResourceType) -> str:
        inputs = self.inputs("Create")
        names = (f"{self.kind}Name", "JobDefinitionName")
        return next((name for name in names if name in kind.properties and name in inputs), "")

    @staticmethod
    def has(operation: str) -> bool:
        """Whether the API has the operation at all."""
        return operation in service_model(NAME).operation_names

    def inputs(self, verb: str) -> frozenset[str]:
        """The parameters of an operation of this kind."""
        if not self.has(f"{verb}{self.kind}"):
            return frozenset()
        shape: Any = service_model(NAME).operation_model(f"{verb}{self.kind}").input_shape
        return frozenset(shape.members) if shape else frozenset()

    def call(self, request: Request, verb: str, parameters: Mapping[str, Any], kind: str = "") -> Any:
        """Call an operation of this kind."""
        return getattr(self.api(request), xform_name(f"{verb}{kind or self.kind}"))(**parameters)

    def problems(self, properties: Mapping[str, Any]) -> Iterable[str]:
        del properties
        served = importlib.import_module(f"orchestrator.local.services.{NAME}").SERVICE
        for verb in ("Create", "Describe", "Delete"):
            if not hasattr(served, f"{verb}{self.kind}"):
                yield f"the embedded AWS cannot make a {self.type}: it has no {verb}{self.kind}"

    def refused(self) -> frozenset[str]:
        kind = resource_type(self.type)
        known = self.inputs("Create") | self.inputs("Update") | {self._tags} | self.extra()
        return kind.writable - known if kind else frozenset()

    def extra(self) -> frozenset[str]:
        """Properties that are honoured beside the parameters of create and update."""
        return frozenset()

    # The life of a resource

    def described(self, request: Request, name: str) -> Any:
        """What Describe answers, or None."""
        if self.naming is None:
            return None
        parameter = self.naming.property
        return there(lambda: self.call(request, "Describe", {parameter: name}))

    def find(self, request: Request) -> str | None:
        answer = self.described(request, request.name)
        return self._id(answer, request.name) if answer else None

    def _id(self, answer: Mapping[str, Any], name: str) -> str:
        if not self._identified_by_arn:
            return name
        endings = (f"{self.kind}Arn", "JobDefinitionArn")
        return str(next(answer[member] for member in endings if member in answer))

    def name_of(self, request: Request) -> str:
        """The name behind the physical id."""
        return request.physical_id.rpartition("/")[2] if self._identified_by_arn else request.physical_id

    def make(self, request: Request) -> str:
        wanted = picked(request.properties, *sorted(self.inputs("Create")))
        if self.naming:
            wanted[self.naming.property] = request.name
        if "ClientRequestToken" in self.inputs("Create"):
            wanted["ClientRequestToken"] = request.token
        return self._id(self.call(request, "Create", wanted), request.name)

    def replaces(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """What has no update call can only be replaced, but for its tags."""
        names = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        return bool(names - {self._tags} - self.extra() - self.inputs("Update"))

    def update(self, request: Request) -> None:
        names = self.inputs("Update") - {self._tags}
        if request.changed(*names):
            wanted = picked(request.properties, *sorted(names))
            if self.naming:
                wanted[self.naming.property] = self.name_of(request)
            self.call(request, "Update", wanted)
        self.settle(request)
        self.retag(request)

    def retag(self, request: Request) -> None:
        """Bring the tags to what the template says; the physical id is the ARN for every type with tags."""
        if not self._tags or not request.changed(self._tags):
            return
        tags, gone = tag_list(request.properties.get(self._tags)), tags_to_remove(request, self._tags)
        arn = request.physical_id
        if tags:
            self.call(request, "Add", {"ResourceArn": arn, "Tags": tags}, "Tags")
        if gone:
            self.call(request, "Delete", {"ResourceArn": arn, "TagKeys": gone}, "Tags")

    def ready(self, request: Request) -> bool:
        answer = self.described(request, self.name_of(request))
        if answer is None:
            return True
        status = str(answer.get(f"{self.kind}Status", answer.get("Status", "Active")))
        if "Fail" in status:
            raise ResourceFailed(str(answer.get("FailureReason", f"status {status}")), "NotStabilized")
        return status in READY

    def attributes(self, request: Request) -> dict[str, Any]:
        """The read-only properties as Describe answers them, and the name."""
        kind = resource_type(self.type)
        answer = self.described(request, self.name_of(request)) or {}
        found = {name: _plain(answer[name]) for name in kind.read_only if name in answer} if kind else {}
        if self.naming:
            found[self.naming.property] = self.name_of(request)
        return found

    def delete(self, request: Request) -> None:
        if self.naming:
            parameter = {self.naming.property: self.name_of(request)}
            there(lambda: self.call(request, "Delete", parameter))

    def gone(self, request: Request) -> bool:
        return self.described(request, self.name_of(request)) is None


def _plain(value: Any) -> Any:
    """A value as text, as ``Fn::GetAtt`` gives it (times among them)."""
    return value if isinstance(value, (str, int, float, bool, list, dict)) else str(value)


class Endpoint(Generic):
    """AWS::SageMaker::Endpoint: there when it is in service with the configuration that was asked for."""

    def ready(self, request: Request) -> bool:
        answer = self.described(request, self.name_of(request))
        if answer is None:
            raise ResourceFailed("The endpoint is gone", "NotFound")
        status, wanted = answer["EndpointStatus"], request.properties["EndpointConfigName"]
        if status in MOVING:
            return False
        if status != "InService":
            raise ResourceFailed(str(answer.get("FailureReason") or f"The endpoint is {status}"), "NotStabilized")
        if answer["EndpointConfigName"] != wanted:
            reason = answer.get("FailureReason") or f"it still has the configuration {answer['EndpointConfigName']}"
            raise ResourceFailed(f"The endpoint was not updated: {reason}", "NotStabilized")
        return True

    def update(self, request: Request) -> None:
        answer = self.described(request, self.name_of(request))
        if answer and answer["EndpointStatus"] in MOVING - {"Deleting"}:
            raise NotYet  # perhaps an earlier attempt began it: when it is over, there is nothing left to do
        wanted = picked(request.properties, *sorted(self.inputs("Update")))
        if answer and answer["EndpointConfigName"] != wanted["EndpointConfigName"]:
            self.call(request, "Update", {**wanted, "EndpointName": self.name_of(request)})
        self.retag(request)

    def delete(self, request: Request) -> None:
        """SageMaker refuses to delete an endpoint while it is coming or changing."""
        answer = self.described(request, self.name_of(request))
        if answer and answer["EndpointStatus"] in MOVING - {"Deleting"}:
            raise NotYet
        if answer and answer["EndpointStatus"] != "Deleting":
            super().delete(request)


class ModelPackageGroup(Generic):
    """AWS::SageMaker::ModelPackageGroup, with its resource policy."""

    def extra(self) -> frozenset[str]:
        return frozenset({"ModelPackageGroupPolicy"})

    def settle(self, request: Request) -> None:
        if not request.changed("ModelPackageGroupPolicy"):
            return
        client, name = self.api(request), self.name_of(request)
        policy = request.properties.get("ModelPackageGroupPolicy")
        if policy:
            client.put_model_package_group_policy(ModelPackageGroupName=name, ResourcePolicy=document(policy))
        else:
            there(lambda: client.delete_model_package_group_policy(ModelPackageGroupName=name))


class ModelPackage(Generic):
    """AWS::SageMaker::ModelPackage: a version of a group, or a package with a name of its own.

    Versions have no names; the client token makes a repeated call answer the same version.
    """

    def find(self, request: Request) -> str | None:
        return super().find(request) if request.properties.get("ModelPackageName") else None

    def make(self, request: Request) -> str:
        wanted = picked(request.properties, *sorted(self.inputs("Create")))
        wanted.setdefault("ClientToken", request.token)
        return str(self.call(request, "Create", wanted)["ModelPackageArn"])

    def name_of(self, request: Request) -> str:
        return request.physical_id

    def update(self, request: Request) -> None:
        names = self.inputs("Update") - {"ClientToken"}
        if request.changed(*names):
            wanted = {name: request.properties[name] for name in names & request.properties.keys()}
            wanted["ModelPackageArn"] = request.physical_id
            self.call(request, "Update", wanted)
        self.retag(request)


SPECIAL: dict[str, type[Generic]] = {
    "AWS::SageMaker::Endpoint": Endpoint,
    "AWS::SageMaker::ModelPackage": ModelPackage,
    "AWS::SageMaker::ModelPackageGroup": ModelPackageGroup,
}
PROVIDERS = tuple(SPECIAL.get(kind.name, Generic)(kind) for kind in resource_types(NAME))
