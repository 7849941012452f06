"""Endpoints: the operations. Their processes, updates and ends are in ``endpoint_life``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from orchestrator.local.service import Call
from orchestrator.local.services.sagemaker.outbox import event
from orchestrator.local.services.sagemaker.plane import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    Plane,
    invalid,
)
from orchestrator.local.services.sagemaker.supported import refuse_unsupported, unsupported, words
from orchestrator.local.store import Document, Key

TASK = "sagemaker.endpoint"
DETAIL_TYPE = "SageMaker Endpoint State Change"
UPDATE = words(
    "EndpointName EndpointConfigName RetainAllVariantProperties ExcludeRetainedVariantProperties"
    " DeploymentConfig RetainDeploymentConfig"
)


class Endpoints(Plane):
    """CreateEndpoint and its sisters.

    An endpoint's document holds its deployments by number: ``serving`` is the one that answers, ``target`` the one
    that is being made, ``retiring`` those whose processes have to end.
    """

    def CreateEndpoint(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key = self.at(call, ENDPOINT, parameters["EndpointName"])
        deployment = self._deployment(call, parameters["EndpointConfigName"])
        _check_deployment_config(parameters)
        with self.store.transaction():
            document = self.create(
                key, ENDPOINT, parameters, EndpointStatus="Creating", serving="", target="1", retiring=[],
                deployments={"1": deployment}, variants=_properties(deployment),
            )  # fmt: skip
            self.tell_of(key, document)
            self.tasks.schedule(TASK, key)
        return {"EndpointArn": document["EndpointArn"]}

    def UpdateEndpoint(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        refuse_unsupported("UpdateEndpoint", parameters, UPDATE)
        key, _ = self.find(call, ENDPOINT, parameters["EndpointName"])
        deployment = self._deployment(call, parameters["EndpointConfigName"])
        _check_deployment_config(parameters)

        def update(document: Document) -> Document:
            _check_settled(document)
            number = str(max(map(int, document["deployments"])) + 1)
            if parameters.get("RetainAllVariantProperties"):
                _retain(deployment, document, parameters.get("ExcludeRetainedVariantProperties", []))
            changed = {key: value for key, value in document.items() if key != "FailureReason"}
            return {
                **changed,
                "EndpointStatus": "Updating",
                "LastModifiedTime": self.now(),
                "target": number,
                "deployments": {**document["deployments"], number: deployment},
                **({"DeploymentConfig": parameters["DeploymentConfig"]} if "DeploymentConfig" in parameters else {}),
            }

        return self._changed(key, update)

    def UpdateEndpointWeightsAndCapacities(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key, _ = self.find(call, ENDPOINT, parameters["EndpointName"])

        def update(document: Document) -> Document:
            _check_settled(document)
            variants = {name: dict(properties) for name, properties in document["variants"].items()}
            for wanted in parameters["DesiredWeightsAndCapacities"]:
                refuse_unsupported(
                    "UpdateEndpointWeightsAndCapacities",
                    wanted,
                    ("VariantName", "DesiredWeight", "DesiredInstanceCount"),
                )
                if wanted["VariantName"] not in variants:
                    raise invalid(f"The variant {wanted['VariantName']} does not exist on this endpoint.")
                properties = variants[wanted["VariantName"]]
                properties["weight"] = wanted.get("DesiredWeight", properties["weight"])
                properties["count"] = wanted.get("DesiredInstanceCount", properties["count"])
            if sum(properties["weight"] for properties in variants.values()) <= 0:
                raise invalid("The weights of the production variants must not all be zero.")
            return {**document, "EndpointStatus": "Updating", "LastModifiedTime": self.now(), "resized": variants}

        return self._changed(key, update)

    def DeleteEndpoint(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key, _ = self.find(call, ENDPOINT, parameters["EndpointName"])

        def delete(document: Document) -> Document:
            if document["EndpointStatus"] in ("Creating", "Updating", "RollingBack"):
                raise invalid(f'Cannot update in-progress endpoint "{document["EndpointArn"]}".')
            return {**document, "EndpointStatus": "Deleting", "LastModifiedTime": self.now()}

        self._changed(key, delete)
        return {}

    def DescribeEndpoint(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        _, document = self.find(call, ENDPOINT, parameters["EndpointName"])
        return shown(document)

    def ListEndpoints(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        return self.page(call, ENDPOINT, parameters)

    def tell_of(self, key: Key, document: Document) -> None:
        """Note the event of the endpoint's state; belongs in the transaction that changes it.

        Unlike all others, this event writes its status as IN_SERVICE where the API writes InService.
        """
        status = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", document["EndpointStatus"]).upper()
        told = {**shown(document), "EndpointStatus": status}
        self.tell(key, event(DETAIL_TYPE, "DescribeEndpoint", told, document["EndpointArn"]))

    def _changed(self, key: Key, change: Any) -> dict[str, Any]:
        with self.store.transaction():
            document = self.store.update(key, change) or {}
            self.tell_of(key, document)
            self.tasks.schedule(TASK, key)
        return {"EndpointArn": document["EndpointArn"]}

    def _deployment(self, call: Call, config_name: str) -> dict[str, Any]:
        """All that the endpoint's processes need, so that deleting a config or model does not touch them."""
        _, config = self.find(call, ENDPOINT_CONFIG, config_name)
        variants = []
        for variant in config["ProductionVariants"]:
            _, model = self.find(call, MODEL, variant["ModelName"])
            variants.append({**variant, "model": model["resolved"], "role": model["ExecutionRoleArn"]})
        return {
            "config": config_name,
            "variants": variants,
            "capture": config.get("DataCaptureConfig", {}),
            "started": self.now(),
        }


def shown(document: Document) -> Document:
    """The endpoint as DescribeEndpoint answers it."""
    answer = {key: value for key, value in document.items() if key not in ("DeploymentConfig", "variants")}
    serving = document["deployments"][document["serving"] or document["target"]]
    answer["EndpointConfigName"] = serving["config"]
    answer["ProductionVariants"] = [_summary(variant, document) for variant in serving["variants"]]
    if document["serving"] and document["target"]:
        pending = document["deployments"][document["target"]]
        answer["PendingDeploymentSummary"] = {
            "EndpointConfigName": pending["config"],
            "StartTime": pending["started"],
            "ProductionVariants": [
                {"VariantName": variant["VariantName"], "DesiredWeight": variant["InitialVariantWeight"],
                 "DesiredInstanceCount": variant["InitialInstanceCount"], "InstanceType": variant["InstanceType"],
                 "DeployedImages": _images(variant, pending)}
                for variant in pending["variants"]
            ],
        }  # fmt: skip
    if capture := serving["capture"]:
        on = bool(capture) and capture.get("EnableCapture", True)
        answer["DataCaptureConfig"] = {
            "EnableCapture": on,
            "CaptureStatus": "Started" if on else "Stopped",
            "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
            "DestinationS3Uri": capture["DestinationS3Uri"],
            "KmsKeyId": capture.get("KmsKeyId", ""),
        }
    if "DeploymentConfig" in document:
        answer["LastDeploymentConfig"] = document["DeploymentConfig"]
    return answer


def _summary(variant: Mapping[str, Any], document: Document) -> dict[str, Any]:
    name = variant["VariantName"]
    now = document["variants"][name]
    wanted = (document.get("resized") or document["variants"])[name]
    troubles = document.get("troubles", {})
    summary: dict[str, Any] = {
        "VariantName": name,
        "DeployedImages": _images(variant, document["deployments"][document["serving"] or document["target"]]),
        "CurrentWeight": now["weight"],
        "DesiredWeight": wanted["weight"],
        "CurrentInstanceCount": now["count"] if document["serving"] else 0,
        "DesiredInstanceCount": wanted["count"],
        **({"RoutingConfig": variant["RoutingConfig"]} if "RoutingConfig" in variant else {}),
    }
    if name in troubles:
        summary["VariantStatus"] = [{"Status": "Creating", "StatusMessage": troubles[name]}]
    return summary


def _images(variant: Mapping[str, Any], deployment: Mapping[str, Any]) -> list[dict[str, Any]]:
    image = variant["model"]["image"]
    return [{"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": deployment["started"]}]


def _properties(deployment: Mapping[str, Any]) -> dict[str, Any]:
    return {
        variant["VariantName"]: {"weight": variant["InitialVariantWeight"], "count": variant["InitialInstanceCount"]}
        for variant in deployment["variants"]
    }


def _retain(deployment: dict[str, Any], document: Document, excluded: list[dict[str, Any]]) -> None:
    """Carry the running weights, counts and capture over to a new deployment."""
    without = {item["VariantPropertyType"] for item in excluded}
    for variant in deployment["variants"]:
        running = document["variants"].get(variant["VariantName"])
        if running and "DesiredWeight" not in without:
            variant["InitialVariantWeight"] = running["weight"]
        if running and "DesiredInstanceCount" not in without:
            variant["InitialInstanceCount"] = running["count"]
    if "DataCaptureConfig" not in without:
        deployment["capture"] = document["deployments"][document["serving"]]["capture"]


def _check_settled(document: Document) -> None:
    status = document["EndpointStatus"]
    if status == "Failed":
        raise invalid(f'Cannot update endpoint "{document["EndpointArn"]}": its status is Failed; delete it.')
    if status != "InService":
        raise invalid(f'Cannot update in-progress endpoint "{document["EndpointArn"]}".')


def _check_deployment_config(parameters: Mapping[str, Any]) -> None:
    config = parameters.get("DeploymentConfig", {})
    refuse_unsupported("UpdateEndpoint", config, ("BlueGreenUpdatePolicy",), "DeploymentConfig")
    traffic = config.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
    if traffic.get("Type", "ALL_AT_ONCE") != "ALL_AT_ONCE":
        raise unsupported("UpdateEndpoint", f"traffic shifting of type {traffic['Type']}; use ALL_AT_ONCE")
