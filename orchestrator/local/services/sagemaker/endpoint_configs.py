"""Endpoint configurations: variants of models, and what is captured of their traffic."""

from __future__ import annotations

from typing import Any

from orchestrator.local.service import Call
from orchestrator.local.services.sagemaker.plane import ENDPOINT_CONFIG, MODEL, Plane, invalid
from orchestrator.local.services.sagemaker.supported import refuse_unsupported, unsupported, words

OPERATION = "CreateEndpointConfig"
SUPPORTED = words(
    "EndpointConfigName ProductionVariants DataCaptureConfig Tags KmsKeyId ExecutionRoleArn VpcConfig"
    " EnableNetworkIsolation"
)
VARIANT = words(
    "VariantName ModelName InitialInstanceCount InstanceType InitialVariantWeight VolumeSizeInGB"
    " ModelDataDownloadTimeoutInSeconds ContainerStartupHealthCheckTimeoutInSeconds EnableSSMAccess RoutingConfig"
    " InferenceAmiVersion CapacityReservationConfig"
)
"""One process stands for all instances of a variant: machine images, disks, capacity and routing between instances
have nothing to act on here. They are kept and shown; the two time-outs are kept to."""


class EndpointConfigs(Plane):
    """CreateEndpointConfig and its sisters."""

    def CreateEndpointConfig(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key = self.at(call, ENDPOINT_CONFIG, parameters["EndpointConfigName"])
        refuse_unsupported(OPERATION, parameters, SUPPORTED)
        variants = parameters["ProductionVariants"]
        names = [variant["VariantName"] for variant in variants]
        if len(set(names)) < len(names):
            raise invalid(f"Production variant names must be unique: {', '.join(names)}")
        for variant in variants:
            self._check_variant(call, variant)
        if sum(variant.get("InitialVariantWeight", 1.0) for variant in variants) <= 0:
            raise invalid("The weights of the production variants must not all be zero.")
        capture = parameters.get("DataCaptureConfig")
        if capture and not 0 <= capture["InitialSamplingPercentage"] <= 100:
            raise invalid("InitialSamplingPercentage must be between 0 and 100.")
        document = self.create(
            key,
            ENDPOINT_CONFIG,
            {**parameters, "ProductionVariants": [{"InitialVariantWeight": 1.0, **variant} for variant in variants]},
        )
        return {"EndpointConfigArn": document["EndpointConfigArn"]}

    def DescribeEndpointConfig(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        return self.find(call, ENDPOINT_CONFIG, parameters["EndpointConfigName"])[1]

    def ListEndpointConfigs(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        return self.page(call, ENDPOINT_CONFIG, parameters)

    def DeleteEndpointConfig(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key, _ = self.find(call, ENDPOINT_CONFIG, parameters["EndpointConfigName"])
        self.store.delete(key)
        return {}

    def _check_variant(self, call: Call, variant: dict[str, Any]) -> None:
        if "ServerlessConfig" in variant:
            raise unsupported(OPERATION, "serverless inference")
        refuse_unsupported(OPERATION, variant, VARIANT, "ProductionVariants")
        for member in ("ModelName", "InstanceType", "InitialInstanceCount"):
            if member not in variant:
                raise invalid(f"{member} must be given for the production variant {variant['VariantName']}.")
        self.find(call, MODEL, variant["ModelName"])
