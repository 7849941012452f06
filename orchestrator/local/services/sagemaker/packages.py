"""The model registry: groups, versions 1..n, approval, and reading across accounts under the group's policy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.sagemaker.outbox import event
from orchestrator.local.services.sagemaker.plane import (
    GROUP,
    NAME,
    PACKAGE,
    Plane,
    invalid,
    missing,
)
from orchestrator.local.services.sagemaker.policy import allows
from orchestrator.local.services.sagemaker.supported import refuse_unsupported, words
from orchestrator.local.store import Document, Key

DETAIL_TYPE = "SageMaker Model Package State Change"
SUPPORTED = words(
    "ModelPackageName ModelPackageGroupName ModelPackageDescription InferenceSpecification CertifyForMarketplace Tags"
    " ModelApprovalStatus MetadataProperties ModelMetrics ClientToken Domain Task SamplePayloadUrl"
    " CustomerMetadataProperties DriftCheckBaselines SkipModelValidation SourceUri SecurityConfig ModelCard"
    " ModelLifeCycle AdditionalInferenceSpecifications"
)
CHANGEABLE = (
    "ModelApprovalStatus", "ApprovalDescription", "InferenceSpecification", "SourceUri", "ModelCard", "ModelLifeCycle",
)  # fmt: skip


class Groups(Plane):
    """CreateModelPackageGroup and its sisters."""

    def CreateModelPackageGroup(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        refuse_unsupported(
            "CreateModelPackageGroup", parameters, ("ModelPackageGroupName", "ModelPackageGroupDescription", "Tags")
        )
        key = self.at(call, GROUP, parameters["ModelPackageGroupName"])
        document = self.create(key, GROUP, parameters, ModelPackageGroupStatus="Completed", CreatedBy={})
        return {"ModelPackageGroupArn": document["ModelPackageGroupArn"]}

    def DescribeModelPackageGroup(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key = named(call, GROUP.type, parameters["ModelPackageGroupName"])
        return readable_group(self, call, key, "sagemaker:DescribeModelPackageGroup")

    def ListModelPackageGroups(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        return self.page(call, GROUP, parameters)

    def DeleteModelPackageGroup(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key = self._own_group(call, parameters)
        if self.store.list(NAME, PACKAGE.type, key.account, key.region, prefix=f"{key.name}/"):
            raise ServiceError(
                "ConflictException", f"Model Package Group {key.name} cannot be deleted: it still has model packages."
            )
        self.store.delete(key)
        return {}

    def PutModelPackageGroupPolicy(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key = self._own_group(call, parameters)
        try:
            policy = json.loads(parameters["ResourcePolicy"])
            if not isinstance(policy, dict) or "Statement" not in policy:
                raise ValueError("it has no Statement")
        except ValueError as error:
            raise invalid(f"The resource policy is not valid: {error}") from error
        document = self.store.patch(key, policy=parameters["ResourcePolicy"]) or {}
        return {"ModelPackageGroupArn": document["ModelPackageGroupArn"]}

    def GetModelPackageGroupPolicy(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        document = self.store.get(self._own_group(call, parameters)) or {}
        if "policy" not in document:
            raise invalid(f"Cannot find resource policy for: {document['ModelPackageGroupArn']}")
        return {"ResourcePolicy": document["policy"]}

    def resource_policy(self, arn: str) -> str:
        """The policy of a group, which its packages are under too."""
        _, _, _, region, account, resource = arn.split(":", 5)
        kind, _, name = resource.partition("/")
        if kind not in ("model-package", "model-package-group"):
            return ""
        group = Key(account, region, NAME, GROUP.type, name.partition("/")[0])
        return str((self.store.get(group) or {}).get("policy", ""))

    def DeleteModelPackageGroupPolicy(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key = self._own_group(call, parameters)
        self.store.update(key, lambda document: {k: v for k, v in document.items() if k != "policy"})
        return {}

    def _own_group(self, call: Call, parameters: Mapping[str, Any]) -> Key:
        key = named(call, GROUP.type, parameters["ModelPackageGroupName"])
        if key.account != call.account or self.store.get(key) is None:
            raise missing(GROUP, key)
        return key


class Packages(Plane):
    """CreateModelPackage and its sisters."""

    def CreateModelPackage(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        refuse_unsupported("CreateModelPackage", parameters, SUPPORTED)
        if ("ModelPackageGroupName" in parameters) == ("ModelPackageName" in parameters):
            raise invalid("Exactly one of ModelPackageGroupName and ModelPackageName must be given.")
        with self.store.transaction():
            if again := self._with_token(call, parameters):
                return {"ModelPackageArn": again["ModelPackageArn"]}
            if "ModelPackageName" in parameters:
                key = self.at(call, PACKAGE, parameters["ModelPackageName"])
                members: dict[str, Any] = {}
            else:
                key, members = self._next_version(call, parameters)
            document = self.create(
                key, PACKAGE, parameters, ModelPackageName=key.name, ModelPackageStatus="Completed", CreatedBy={},
                ModelPackageStatusDetails={"ValidationStatuses": [], "ImageScanStatuses": []}, **members,
            )  # fmt: skip
            self.tell(key, event(DETAIL_TYPE, "DescribeModelPackage", document, document["ModelPackageArn"]))
        return {"ModelPackageArn": document["ModelPackageArn"]}

    def _with_token(self, call: Call, parameters: Mapping[str, Any]) -> Document | None:
        """The package an earlier try of the same request has made."""
        token = parameters.get("ClientToken")
        documents = self.store.list(NAME, PACKAGE.type, call.account, call.region) if token else []
        return next((document for _, document in documents if document.get("ClientToken") == token), None)

    def _next_version(self, call: Call, parameters: Mapping[str, Any]) -> tuple[Key, dict[str, Any]]:
        group = named(call, GROUP.type, parameters["ModelPackageGroupName"])
        document = self.store.get(group)
        if group.account != call.account or document is None:
            raise missing(GROUP, group)
        if parameters.get("Tags"):
            raise invalid("Tags cannot be given for a versioned model package; tag its model package group.")
        version = document.get("versions", 0) + 1  # a deleted version's number is not used again
        self.store.patch(group, versions=version)
        return self.at(call, PACKAGE, f"{group.name}/{version}"), {
            "ModelPackageGroupName": group.name,
            "ModelPackageVersion": version,
            "ModelApprovalStatus": parameters.get("ModelApprovalStatus", "PendingManualApproval"),
        }

    def DescribeModelPackage(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        return readable_package(self, call, parameters["ModelPackageName"], "sagemaker:DescribeModelPackage")

    def BatchDescribeModelPackage(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        for arn in parameters["ModelPackageArnList"]:
            try:
                found[arn] = readable_package(self, call, arn, "sagemaker:DescribeModelPackage")
            except ServiceError as error:
                errors[arn] = {"ErrorCode": error.code, "ErrorResponse": error.message}
        return {"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": errors}

    def ListModelPackages(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        group, place = None, call
        if "ModelPackageGroupName" in parameters:
            key = named(call, GROUP.type, parameters["ModelPackageGroupName"])
            readable_group(self, call, key, "sagemaker:ListModelPackages")
            group = key.name
            place = Call(key.account, key.region, call.access_key, call.request_id, call.headers)
        default = "Versioned" if group else "Unversioned"
        kind = parameters.get("ModelPackageType", default)
        approval = parameters.get("ModelApprovalStatus")

        def wanted(document: Document) -> bool:
            versioned = "ModelPackageVersion" in document
            return (
                (group is None or document.get("ModelPackageGroupName") == group)
                and (kind == "Both" or versioned == (kind == "Versioned"))
                and approval in (None, document.get("ModelApprovalStatus"))
            )

        return self.page(place, PACKAGE, parameters, wanted)

    def UpdateModelPackage(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        supported = {"ModelPackageArn", "CustomerMetadataProperties", "CustomerMetadataPropertiesToRemove", *CHANGEABLE}
        refuse_unsupported("UpdateModelPackage", parameters, supported | {"ClientToken"})
        readable_package(self, call, parameters["ModelPackageArn"], "sagemaker:UpdateModelPackage")
        key = named(call, PACKAGE.type, parameters["ModelPackageArn"])

        def change(document: Document) -> Document:
            if "ModelApprovalStatus" in parameters and "ModelPackageVersion" not in document:
                raise invalid("The approval status of an unversioned model package cannot be changed.")
            removed = set(parameters.get("CustomerMetadataPropertiesToRemove", []))
            own = {**document.get("CustomerMetadataProperties", {}), **parameters.get("CustomerMetadataProperties", {})}
            kept = {name: value for name, value in own.items() if name not in removed}
            changed = {name: parameters[name] for name in CHANGEABLE if name in parameters}
            document = {**document, **changed, "LastModifiedTime": self.now()}
            return {**document, "CustomerMetadataProperties": kept} if kept or removed else document

        with self.store.transaction():
            before = self.store.get(key) or {}
            document = self.store.update(key, change) or {}
            if document.get("ModelApprovalStatus") != before.get("ModelApprovalStatus"):
                self.tell(key, event(DETAIL_TYPE, "DescribeModelPackage", document, document["ModelPackageArn"]))
        return {"ModelPackageArn": document["ModelPackageArn"]}

    def DeleteModelPackage(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        readable_package(self, call, parameters["ModelPackageName"], "sagemaker:DeleteModelPackage")
        self.store.delete(named(call, PACKAGE.type, parameters["ModelPackageName"]))
        return {}


def named(call: Call, type: str, name: str) -> Key:
    """The key of a group or package by its name or ARN; an ARN may lie in another account or region."""
    if not name.startswith("arn:"):
        return Key(call.account, call.region, NAME, type, name)
    parts = name.split(":", 5)
    return Key(parts[4], parts[3], NAME, type, parts[5].partition("/")[2])


def readable_group(plane: Plane, call: Call, key: Key, action: str) -> Document:
    """The group, if it is the caller's or its policy lets the caller's account do the action; raises otherwise."""
    document = plane.store.get(key)
    if key.account != call.account:
        _check_policy(document, call, action, GROUP.arn(key))
    if document is None:
        raise missing(GROUP, key)
    return document


def readable_package(plane: Plane, call: Call, name: str, action: str) -> Document:
    """The package, if it is the caller's or its group's policy lets the caller's account do the action."""
    key = named(call, PACKAGE.type, name)
    if key.account != call.account:
        group = plane.store.get(key._replace(type=GROUP.type, name=key.name.partition("/")[0]))
        _check_policy(group, call, action, PACKAGE.arn(key))
    document = plane.store.get(key)
    if document is None:
        raise missing(PACKAGE, key)
    return document


def _check_policy(group: Document | None, call: Call, action: str, arn: str) -> None:
    if not allows(json.loads((group or {}).get("policy", "{}")), call.account, action, arn):
        raise ServiceError(
            "AccessDeniedException",
            f"User: arn:aws:iam::{call.account}:root is not authorized to perform: {action} on resource: {arn} because"
            f" no resource-based policy allows the {action} action",
        )
