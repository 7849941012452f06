"""Models: an image, its data and its environment; or an approved model package, of this account or another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.local.service import Call
from orchestrator.local.services.sagemaker import storage
from orchestrator.local.services.sagemaker.outbox import event
from orchestrator.local.services.sagemaker.packages import readable_package
from orchestrator.local.services.sagemaker.plane import MODEL, Plane, invalid
from orchestrator.local.services.sagemaker.roles import check_role
from orchestrator.local.services.sagemaker.supported import refuse_unsupported, unsupported, words

OPERATION = "CreateModel"
DETAIL_TYPE = "SageMaker Model State Change"
SUPPORTED = words("ModelName PrimaryContainer Containers ExecutionRoleArn Tags VpcConfig EnableNetworkIsolation")
CONTAINER = words("ContainerHostname Image ImageConfig Mode ModelDataUrl ModelDataSource Environment ModelPackageName")
DATA_SOURCE = words("S3Uri S3DataType CompressionType ModelAccessConfig")


class Models(Plane):
    """CreateModel and its sisters."""

    def CreateModel(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key = self.at(call, MODEL, parameters["ModelName"])
        refuse_unsupported(OPERATION, parameters, SUPPORTED)
        container = _only_container(parameters)
        role = parameters.get("ExecutionRoleArn")
        if not role:
            raise invalid("ExecutionRoleArn must be given.")
        check_role(self.world, call, role)
        resolved = self._resolve(call, container)
        self._check_model_data(call, role, resolved)
        with self.store.transaction():
            document = self.create(key, MODEL, parameters, resolved=resolved)
            self.tell(key, event(DETAIL_TYPE, "DescribeModel", document, document["ModelArn"]))
        return {"ModelArn": document["ModelArn"]}

    def DescribeModel(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        return self.find(call, MODEL, parameters["ModelName"])[1]

    def ListModels(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        return self.page(call, MODEL, parameters)

    def DeleteModel(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key, document = self.find(call, MODEL, parameters["ModelName"])
        with self.store.transaction():
            self.store.delete(key)
            self.tell(key, event(DETAIL_TYPE, "DescribeModel", document, document["ModelArn"]))
        return {}

    def _resolve(self, call: Call, container: Mapping[str, Any]) -> dict[str, Any]:
        """What runs: image, environment, and where its data is (``object``, ``prefix`` or nothing)."""
        source = container
        if "ModelPackageName" in container:
            package = readable_package(self, call, container["ModelPackageName"], "sagemaker:CreateModel")
            if package.get("ModelApprovalStatus", "Approved") != "Approved":
                raise invalid(
                    f"The model package {package['ModelPackageArn']} is {package['ModelApprovalStatus']}; only a model"
                    " package whose approval status is Approved can be deployed."
                )
            if package["ModelPackageStatus"] != "Completed" or "InferenceSpecification" not in package:
                raise invalid(f"The model package {package['ModelPackageArn']} has no inference specification.")
            source = package["InferenceSpecification"]["Containers"][0]
        if not source.get("Image"):
            raise invalid("A container must have an Image or a ModelPackageName.")
        environment = {**source.get("Environment", {}), **container.get("Environment", {})}
        return {"image": source["Image"], "environment": environment, **_data_of(source)}

    def _check_model_data(self, call: Call, role: str, resolved: Mapping[str, Any]) -> None:
        """Raise, as SageMaker does, when the model's data is not there."""
        s3 = self.world.client("s3", call.account, call.region, role)
        try:
            if "object" in resolved:
                storage.check_object(s3, resolved["object"])
            elif "prefix" in resolved:
                storage.objects(s3, resolved["prefix"], limit=1)
        except storage.NotThere as error:
            raise invalid(f"Could not find model data at {error.uri}.") from error


def _only_container(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = parameters.get("Containers") or [parameters.get("PrimaryContainer")]
    if "PrimaryContainer" in parameters and "Containers" in parameters:
        raise invalid("PrimaryContainer and Containers cannot both be given.")
    if len(containers) > 1:
        raise unsupported(OPERATION, "models of several containers")
    container: Mapping[str, Any] | None = containers[0]
    if container is None:
        raise invalid("PrimaryContainer or Containers must be given.")
    refuse_unsupported(OPERATION, container, CONTAINER, "PrimaryContainer")
    if container.get("Mode", "SingleModel") != "SingleModel":
        raise unsupported(OPERATION, "multi-model endpoints")
    if "ModelDataUrl" in container and "ModelDataSource" in container:
        raise invalid("ModelDataUrl and ModelDataSource cannot both be given.")
    return container


def _data_of(container: Mapping[str, Any]) -> dict[str, str]:
    if "ModelDataUrl" in container:
        return {"object": container["ModelDataUrl"]}
    if "ModelDataSource" not in container:
        return {}
    source = container["ModelDataSource"]["S3DataSource"]
    refuse_unsupported(OPERATION, source, DATA_SOURCE, "ModelDataSource.S3DataSource")
    if source["S3DataType"] == "S3Prefix" and not source["S3Uri"].endswith("/"):
        raise invalid(f"The S3Uri of S3DataType S3Prefix must end with a slash: {source['S3Uri']}")
    if source["S3DataType"] == "S3Object" and source["CompressionType"] == "None":
        raise unsupported(OPERATION, "one uncompressed model file; use S3DataType S3Prefix")
    if source["S3DataType"] == "S3Object":
        return {"object": source["S3Uri"]}
    if source["CompressionType"] == "Gzip":
        raise invalid("CompressionType Gzip needs S3DataType S3Object.")
    return {"prefix": source["S3Uri"]}
