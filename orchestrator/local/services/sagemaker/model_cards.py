"""Model cards and their versions: the operations, and the search for the card of a model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.sagemaker.plane import MODEL_CARD, Plane, invalid
from orchestrator.local.services.sagemaker.supported import refuse_unsupported, words
from orchestrator.local.store import AlreadyExists, Document, Key

SECTIONS = frozenset(
    words(
        "model_overview intended_uses business_details training_details evaluation_details additional_information"
        " model_package_details"
    )
)
SHOWN = (
    "ModelCardArn", "ModelCardName", "ModelCardVersion", "Content", "ModelCardStatus", "SecurityConfig",
    "CreationTime", "CreatedBy", "LastModifiedTime", "LastModifiedBy",
)  # fmt: skip
SUMMARY = ("ModelCardName", "ModelCardArn", "ModelCardStatus", "ModelCardVersion", "CreationTime", "LastModifiedTime")


class ModelCards(Plane):
    """CreateModelCard and its sisters.

    A card's document is its latest version; ``history`` holds the ones before. New content makes a new version, a
    new status does not. Encryption keys are kept and shown; nothing here is encrypted.
    """

    def CreateModelCard(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        refuse_unsupported(
            "CreateModelCard", parameters, words("ModelCardName Content ModelCardStatus SecurityConfig Tags")
        )
        key = self.at(call, MODEL_CARD, parameters["ModelCardName"])
        content_of(parameters["Content"])
        now = self.now()
        document = {
            **parameters,
            "ModelCardArn": MODEL_CARD.arn(key),
            "ModelCardVersion": 1,
            "CreationTime": now,
            "LastModifiedTime": now,
            "CreatedBy": {},
            "LastModifiedBy": {},
            "history": [],
        }
        try:
            self.store.create(key, document)
        except AlreadyExists:
            raise ServiceError("ConflictException", f"Model card already exists: {key.name}") from None
        return {"ModelCardArn": document["ModelCardArn"]}

    def UpdateModelCard(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        if "Content" in parameters and "ModelCardStatus" in parameters:
            raise invalid("Content and ModelCardStatus cannot be updated in a single call.")
        if "Content" in parameters:
            content_of(parameters["Content"])
        key, _ = self._card(call, parameters["ModelCardName"])

        def change(document: Document) -> Document:
            if "ModelCardStatus" in parameters:
                return {**document, "ModelCardStatus": parameters["ModelCardStatus"], "LastModifiedTime": self.now()}
            if "Content" not in parameters:
                return document
            before = {name: document[name] for name in SHOWN if name in document}
            return {
                **document,
                "Content": parameters["Content"],
                "ModelCardVersion": document["ModelCardVersion"] + 1,
                "LastModifiedTime": self.now(),
                "history": [*document["history"], before],
            }

        document = self.store.update(key, change) or {}
        return {"ModelCardArn": document["ModelCardArn"]}

    def DescribeModelCard(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        _, document = self._card(call, parameters["ModelCardName"])
        return version_of(document, parameters.get("ModelCardVersion"))

    def DeleteModelCard(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key, _ = self._card(call, parameters["ModelCardName"])
        self.store.delete(key)
        return {}

    def ListModelCards(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        wanted = dict(parameters)
        status = wanted.pop("ModelCardStatus", None)
        return self.page(
            call, MODEL_CARD, wanted, lambda document: status is None or document["ModelCardStatus"] == status
        )

    def ListModelCardVersions(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        refuse_unsupported("ListModelCardVersions", parameters, words("ModelCardName ModelCardStatus SortBy SortOrder"))
        _, document = self._card(call, parameters["ModelCardName"])
        versions = [{name: each[name] for name in SUMMARY} for each in all_versions(document)]
        status = parameters.get("ModelCardStatus")
        chosen = [each for each in versions if status in (None, each["ModelCardStatus"])]
        chosen.sort(key=_version, reverse=parameters.get("SortOrder", "Descending") == "Descending")
        return {"ModelCardVersionSummaryList": chosen}

    def Search(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        """Search by equality: cards by the id of their model, training jobs by the archive they made."""
        refuse_unsupported("Search", parameters, words("Resource SearchExpression MaxResults"))
        resource, expression = parameters["Resource"], parameters.get("SearchExpression", {})
        refuse_unsupported("Search", expression, ("Filters",), "SearchExpression")
        filters = expression.get("Filters", [])
        for each in filters:
            refuse_unsupported("Search", (each["Operator"],), ("Equals",), "Filter.Operator")
            refuse_unsupported("Search", (f"{resource}.{each['Name']}",), SEARCHED, "Filter.Name")
        type = resource if resource in ("ModelCard", "TrainingJob") else None
        if type is None or not filters:
            raise invalid(f"The embedded AWS searches model cards and training jobs by a value, not {resource}.")
        documents = [document for _, document in self.store.list("sagemaker", type, call.account, call.region)]
        found = [each for each in documents if all(_at(each, one["Name"]) == one["Value"] for one in filters)]
        return {"Results": [{resource: _shown(resource, each)} for each in found[: parameters.get("MaxResults", 10)]]}

    def _card(self, call: Call, name: str) -> tuple[Key, Document]:
        """The caller's card, by its name or its ARN."""
        key = self.at(call, MODEL_CARD, name.rpartition("/")[2])
        document = self.store.get(key)
        if document is None:
            raise ServiceError("ResourceNotFound", f"Could not find model card {key.name}.")
        return key, document


SEARCHED = frozenset({"ModelCard.ModelId", "TrainingJob.ModelArtifacts.S3ModelArtifacts"})


def all_versions(document: Document) -> Iterable[Document]:
    """Every version of a card, the oldest first."""
    return [*document["history"], document]


def version_of(document: Document, version: int | None = None) -> dict[str, Any]:
    """One version of a card as DescribeModelCard tells it; the latest when none is named."""
    for each in all_versions(document):
        if version in (None, each["ModelCardVersion"]) and (version is not None or each is document):
            return {name: each[name] for name in SHOWN if name in each}
    raise ServiceError("ResourceNotFound", f"Model card {document['ModelCardName']} has no version {version}.")


def content_of(text: str) -> Mapping[str, Any]:
    """The content of a card; raises when it is not an object of known sections."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise invalid(f"The content of the model card is not JSON: {error}") from error
    if not isinstance(content, dict) or not content.keys() <= SECTIONS:
        raise invalid(f"The content of a model card is an object with the members {', '.join(sorted(SECTIONS))}.")
    return content


def _version(document: Mapping[str, Any]) -> int:
    return int(document["ModelCardVersion"])


def _at(document: Document, name: str) -> Any:
    if name == "ModelId":
        return content_of(document["Content"]).get("model_overview", {}).get("model_id")
    place: Any = document
    for step in name.split("."):
        place = place.get(step) if isinstance(place, dict) else None
    return place


def _shown(resource: str, document: Document) -> dict[str, Any]:
    if resource != "ModelCard":
        return dict(document)
    model_id = _at(document, "ModelId")
    return {
        **{name: document[name] for name in SHOWN if name in document},
        **({"ModelId": model_id} if model_id else {}),
    }
