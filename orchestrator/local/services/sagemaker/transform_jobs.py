"""Batch transform jobs: the operations. What happens afterwards is in ``transform_life``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.local.service import Call
from orchestrator.local.services.sagemaker import storage
from orchestrator.local.services.sagemaker.images import container
from orchestrator.local.services.sagemaker.outbox import event
from orchestrator.local.services.sagemaker.plane import MODEL, TRANSFORM_JOB, Plane, invalid
from orchestrator.local.services.sagemaker.supported import refuse_unsupported, unsupported, words
from orchestrator.local.store import Document
from orchestrator.runtime.serving.contract import media_type
from orchestrator.runtime.transform import filters

TASK = "sagemaker.transform-job"
DETAIL_TYPE = "SageMaker Transform Job State Change"
OPERATION = "CreateTransformJob"
TERMINAL = ("Completed", "Failed", "Stopped")
SUPPORTED = {
    "": "TransformJobName ModelName MaxConcurrentTransforms ModelClientConfig MaxPayloadInMB BatchStrategy Environment"
    " TransformInput TransformOutput TransformResources DataProcessing Tags",
    "TransformInput": "DataSource ContentType CompressionType SplitType",
    "TransformOutput": "S3OutputPath Accept AssembleWith KmsKeyId",
    "TransformResources": "InstanceType InstanceCount VolumeKmsKeyId",
    "DataProcessing": "InputFilter OutputFilter JoinSource",
}
"""Instances and concurrency have nothing to act on here: one process answers, they are kept and shown."""


class TransformJobs(Plane):
    """CreateTransformJob and its sisters."""

    def CreateTransformJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key = self.at(call, TRANSFORM_JOB, parameters["TransformJobName"])
        _check_supported(parameters)
        _check_filters(parameters)
        model = self.find(call, MODEL, parameters["ModelName"])[1]
        self._check_image(model)
        self._check_input(call, model, parameters["TransformInput"])
        with self.store.transaction():
            document = self.create(key, TRANSFORM_JOB, parameters, TransformJobStatus="InProgress", model=model)
            self.tell(key, transform_event(document))
            self.tasks.schedule(TASK, key)
        return {"TransformJobArn": document["TransformJobArn"]}

    def DescribeTransformJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        return self.find(call, TRANSFORM_JOB, parameters["TransformJobName"])[1]

    def ListTransformJobs(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        return self.page(call, TRANSFORM_JOB, parameters)

    def StopTransformJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key, _ = self.find(call, TRANSFORM_JOB, parameters["TransformJobName"])

        def stop(document: Document) -> Document:
            status = document["TransformJobStatus"]
            if status in TERMINAL:
                raise invalid(f"The request was rejected because the transform job is in status {status}.")
            return {**document, "TransformJobStatus": "Stopping", "LastModifiedTime": self.now()}

        with self.store.transaction():
            document = self.store.update(key, stop) or {}
            self.tell(key, transform_event(document))
            self.tasks.schedule(TASK, key)
        return {}

    def _check_image(self, model: Mapping[str, Any]) -> None:
        program = container(self.world, model["resolved"]["image"], "serve")
        if not program.runs:
            raise invalid(f"The image {program.image} cannot transform on this machine: {program.reason}.")

    def _check_input(self, call: Call, model: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        """Raise when the model's role finds no input."""
        uri = given["DataSource"]["S3DataSource"]["S3Uri"]
        s3 = self.world.client("s3", call.account, call.region, model["ExecutionRoleArn"])
        try:
            storage.objects(s3, uri, limit=1)
        except storage.NotThere as error:
            raise invalid(
                f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket'
                f" exists in the selected region ({call.region}), that objects exist under that S3 prefix, and that"
                f" the model's role may list the bucket. Error message from S3: {error.detail}"
            ) from error


def transform_event(document: Document) -> dict[str, Any]:
    """What EventBridge is told of a transform job."""
    return event(DETAIL_TYPE, "DescribeTransformJob", document, document["TransformJobArn"])


def _check_supported(parameters: Mapping[str, Any]) -> None:
    for path, names in SUPPORTED.items():
        refuse_unsupported(OPERATION, parameters if not path else parameters.get(path, {}), words(names), path)
    given = parameters["TransformInput"]
    source = given["DataSource"]["S3DataSource"]
    if source["S3DataType"] != "S3Prefix":
        raise unsupported(OPERATION, f"S3DataType {source['S3DataType']}; use S3Prefix")
    if given.get("SplitType", "None") not in ("None", "Line"):
        raise unsupported(OPERATION, f"SplitType {given['SplitType']}; use Line or None")
    if given.get("CompressionType", "None") not in ("None", "Gzip"):
        raise unsupported(OPERATION, f"CompressionType {given['CompressionType']}; use Gzip or None")
    if parameters["TransformResources"]["InstanceCount"] > 1:
        raise unsupported(OPERATION, "transforming on several instances")


def _check_filters(parameters: Mapping[str, Any]) -> None:
    """Raise for filters that cannot work: before the job, not in the middle of it."""
    processing = parameters.get("DataProcessing", {})
    for member in ("InputFilter", "OutputFilter"):
        try:
            filters.steps(processing.get(member, "$"))
        except filters.BadFilter as error:
            raise invalid(f"DataProcessing.{member}: {error}.") from error
    joined = processing.get("JoinSource", "None") == "Input"
    if not joined and {processing.get("InputFilter", "$"), processing.get("OutputFilter", "$")} == {"$"}:
        return
    given, output = parameters["TransformInput"], parameters["TransformOutput"]
    content_type = media_type(given.get("ContentType", ""))
    accept = media_type(output.get("Accept", "")) or content_type
    if given.get("SplitType", "None") != "Line":
        raise unsupported(OPERATION, "DataProcessing without SplitType Line")
    known = (*filters.CSV_TYPES, *filters.JSON_TYPES)
    if content_type not in known or accept not in known:
        raise invalid("DataProcessing needs the content type and the accept type to be CSV or JSON Lines.")
    if joined and (content_type in filters.CSV_TYPES) != (accept in filters.CSV_TYPES):
        raise invalid("JoinSource Input needs the content type and the accept type to be of the same kind.")
