"""What every resource of the control plane shares: names and ARNs, lookup, creation, lists, events to be told."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.local.protocol.models import service_model
from orchestrator.local.service import Call, Service, ServiceError
from orchestrator.local.store import AlreadyExists, Document, Key

NAME = "sagemaker"
EVENTS_TASK = "sagemaker.events"
DEFAULT_PAGE = 10


def invalid(message: str) -> ServiceError:
    """The error SageMaker gives for nearly everything."""
    return ServiceError("ValidationException", message)


@dataclass(frozen=True, slots=True)
class Resource:
    """A type of resource: its word in ARNs, its words in messages, and how its list is sorted by default."""

    type: str
    slug: str
    noun: str
    ascending: bool = False

    @property
    def name_member(self) -> str:
        return f"{self.type}Name"

    @property
    def arn_member(self) -> str:
        return f"{self.type}Arn"

    @property
    def status_member(self) -> str:
        return f"{self.type}Status"

    def arn(self, key: Key) -> str:
        """The ARN of the resource at a key."""
        return f"arn:aws:sagemaker:{key.region}:{key.account}:{self.slug}/{key.name}"


TRAINING_JOB = Resource("TrainingJob", "training-job", "training job", ascending=True)
TUNING_JOB = Resource("HyperParameterTuningJob", "hyper-parameter-tuning-job", "hyperparameter tuning job")
AUTOML_JOB = Resource("AutoMLJob", "automl-job", "AutoML job")
TRANSFORM_JOB = Resource("TransformJob", "transform-job", "transform job")
PROCESSING_JOB = Resource("ProcessingJob", "processing-job", "processing job")
MODEL = Resource("Model", "model", "model")
ENDPOINT_CONFIG = Resource("EndpointConfig", "endpoint-config", "endpoint configuration")
ENDPOINT = Resource("Endpoint", "endpoint", "endpoint")
GROUP = Resource("ModelPackageGroup", "model-package-group", "model package group", ascending=True)
PACKAGE = Resource("ModelPackage", "model-package", "model package", ascending=True)
MODEL_CARD = Resource("ModelCard", "model-card", "model card")
CARD_EXPORT = Resource("ModelCardExportJob", "model-card", "model card export job")
RESOURCES = {
    resource.slug: resource
    for resource in (
        TRAINING_JOB,
        TUNING_JOB,
        AUTOML_JOB,
        TRANSFORM_JOB,
        PROCESSING_JOB,
        MODEL,
        ENDPOINT_CONFIG,
        ENDPOINT,
        GROUP,
        PACKAGE,
        MODEL_CARD,
    )
}


class Plane(Service):
    """The ground of the resources' operations; each file beside this one adds those of one type."""

    name = NAME

    def now(self) -> float:
        """The time as the API shows it: a caller can ask for what was created since exactly then."""
        return round(self.world.now(), 3)

    def at(self, call: Call, resource: Resource, name: str) -> Key:
        """The key of a resource of the caller."""
        return self.key(call, resource.type, name)

    def find(self, call: Call, resource: Resource, name: str) -> tuple[Key, Document]:
        """The caller's resource; raises the error SageMaker gives when it is not there."""
        key = self.at(call, resource, name)
        document = self.store.get(key)
        if document is None:
            raise missing(resource, key)
        return key, document

    def create(self, key: Key, resource: Resource, parameters: Mapping[str, Any], **members: Any) -> Document:
        """Store a new resource, inside the caller's transaction if there is one; raises when the name is taken."""
        now = self.now()
        document = {
            **parameters,
            resource.arn_member: resource.arn(key),
            "CreationTime": now,
            "LastModifiedTime": now,
            **members,
        }
        try:
            self.store.create(key, document)
        except AlreadyExists:
            raise taken(resource, key) from None
        return document

    def page(
        self,
        call: Call,
        resource: Resource,
        parameters: Mapping[str, Any],
        wanted: Callable[[Document], bool] = lambda document: True,  # noqa: ARG005
    ) -> dict[str, Any]:
        """The members of a List operation: filtered, sorted and cut as the parameters say."""
        documents = [document for _, document in self.store.list(NAME, resource.type, call.account, call.region)]
        chosen = [document for document in documents if _matches(document, resource, parameters) and wanted(document)]
        default = "Ascending" if resource.ascending else "Descending"
        sort_member = {"Name": resource.name_member, "Status": resource.status_member}.get(
            parameters.get("SortBy", ""), "CreationTime"
        )
        chosen.sort(
            key=lambda document: document.get(sort_member, ""),
            reverse=parameters.get("SortOrder", default) == "Descending",
        )
        begin = _offset(parameters.get("NextToken"))
        end = begin + parameters.get("MaxResults", DEFAULT_PAGE)
        answer: dict[str, Any] = {list_member(f"List{resource.type}s"): chosen[begin:end]}
        if end < len(chosen):
            answer["NextToken"] = base64.urlsafe_b64encode(str(end).encode()).decode()
        return answer

    def tell(self, key: Key, event: Mapping[str, Any]) -> None:
        """Note an event that is to be sent; belongs in the transaction that writes what it tells of."""
        outbox = key._replace(type="Outbox", name=f"{key.type}/{key.name}")
        with self.store.transaction():
            kept = self.store.get(outbox) or {"events": []}
            kept["events"].append(dict(event))
            self.store.put(outbox, kept)
            self.tasks.schedule(EVENTS_TASK, outbox)


def list_member(operation: str) -> str:
    """The member of a List operation's answer that is the list."""
    shape: Any = service_model(NAME).operation_model(operation).output_shape
    return next(str(name) for name, member in shape.members.items() if member.type_name == "list")


def missing(resource: Resource, key: Key) -> ServiceError:
    """In SageMaker's own words, which differ by type."""
    if resource is TRAINING_JOB:
        return invalid("Requested resource not found.")
    if resource in (GROUP, PACKAGE):
        return invalid(f"{resource.type} {resource.arn(key)} does not exist.")
    return invalid(f'Could not find {resource.noun} "{resource.arn(key)}".')


def taken(resource: Resource, key: Key) -> ServiceError:
    """In SageMaker's own words, which differ by type."""
    if resource is TRAINING_JOB:
        return ServiceError(
            "ResourceInUse",
            "Training job names must be unique within an AWS account and region, and a training job with this name"
            f" already exists ({resource.arn(key)})",
        )
    if resource is PROCESSING_JOB:
        return ServiceError(
            "ResourceInUse",
            "Job name must be unique within an AWS account and region, and a processing job with this name already"
            f" exists ({resource.arn(key)})",
        )
    if resource is TUNING_JOB:
        return ServiceError("ResourceInUse", f"A hyperparameter tuning job with this name already exists: {key.name}")
    if resource is AUTOML_JOB:
        return ServiceError("ResourceInUse", f"An AutoML job with this name already exists: {key.name}")
    if resource is GROUP:
        return invalid(f"Model Package Group already exists: {resource.arn(key)}")
    return invalid(f'Cannot create already existing {resource.noun} "{resource.arn(key)}".')


def _matches(document: Document, resource: Resource, parameters: Mapping[str, Any]) -> bool:
    if parameters.get("NameContains", "").lower() not in str(document.get(resource.name_member, "")).lower():
        return False
    if parameters.get("StatusEquals", document.get(resource.status_member)) != document.get(resource.status_member):
        return False
    for member in ("CreationTime", "LastModifiedTime"):
        time = document.get(member, 0.0)
        if not parameters.get(f"{member}After", time) <= time <= parameters.get(f"{member}Before", time):
            return False
    return True


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token.encode()).decode())
    except (ValueError, binascii.Error):
        raise invalid("Invalid NextToken") from None
