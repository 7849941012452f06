"""Processing jobs: the operations. What happens afterwards is in ``processing_life``."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from orchestrator.local.service import Call
from orchestrator.local.services.sagemaker.images import container
from orchestrator.local.services.sagemaker.job_life import TERMINAL
from orchestrator.local.services.sagemaker.outbox import event
from orchestrator.local.services.sagemaker.plane import PROCESSING_JOB, Plane, invalid
from orchestrator.local.services.sagemaker.roles import check_role
from orchestrator.local.services.sagemaker.supported import refuse_unsupported, unsupported, words
from orchestrator.local.store import Document
from orchestrator.local.world import World
from orchestrator.runtime.processing.job import ROOT

TASK = "sagemaker.processing-job"
DETAIL_TYPE = "SageMaker Processing Job State Change"
OPERATION = "CreateProcessingJob"
SUPPORTED = {
    "": "ProcessingInputs ProcessingOutputConfig ProcessingJobName ProcessingResources StoppingCondition"
    " AppSpecification Environment NetworkConfig RoleArn Tags",
    "ProcessingResources": "ClusterConfig",
    "ProcessingResources.ClusterConfig": "InstanceType InstanceCount VolumeSizeInGB VolumeKmsKeyId",
    "ProcessingInputs": "InputName S3Input AppManaged",
    "ProcessingInputs.S3Input": "S3Uri LocalPath S3DataType S3InputMode S3DataDistributionType S3CompressionType",
    "ProcessingOutputConfig": "Outputs KmsKeyId",
    "ProcessingOutputConfig.Outputs": "OutputName S3Output AppManaged",
    "ProcessingOutputConfig.Outputs.S3Output": "S3Uri LocalPath S3UploadMode",
}
"""Network and disks have nothing to act on here: they are kept and shown."""
LONGEST_SECONDS = 86400


class ProcessingJobs(Plane):
    """CreateProcessingJob and its sisters."""

    def CreateProcessingJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key = self.at(call, PROCESSING_JOB, parameters["ProcessingJobName"])
        for path, names in SUPPORTED.items():
            for item in _items(parameters, path):
                refuse_unsupported(OPERATION, item, words(names), path)
        _check_resources(parameters["ProcessingResources"]["ClusterConfig"])
        _check_inputs(parameters)
        _check_outputs(parameters)
        _check_program(self.world, parameters["AppSpecification"])
        check_role(self.world, call, parameters["RoleArn"])
        with self.store.transaction():
            document = self.create(
                key,
                PROCESSING_JOB,
                {"StoppingCondition": {"MaxRuntimeInSeconds": LONGEST_SECONDS}, **parameters},
                ProcessingJobStatus="InProgress",
            )
            self.tell(key, processing_event(document))
            self.tasks.schedule(TASK, key)
        return {"ProcessingJobArn": document["ProcessingJobArn"]}

    def DescribeProcessingJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        return self.find(call, PROCESSING_JOB, parameters["ProcessingJobName"])[1]

    def ListProcessingJobs(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        return self.page(call, PROCESSING_JOB, parameters)

    def StopProcessingJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key, _ = self.find(call, PROCESSING_JOB, parameters["ProcessingJobName"])

        def stop(document: Document) -> Document:
            status = document["ProcessingJobStatus"]
            if status in TERMINAL:
                raise invalid(f"The request was rejected because the processing job is in status {status}.")
            return {**document, "ProcessingJobStatus": "Stopping", "LastModifiedTime": self.now()}

        with self.store.transaction():
            document = self.store.update(key, stop) or {}
            self.tell(key, processing_event(document))
            self.tasks.schedule(TASK, key)
        return {}

    def DeleteProcessingJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key, document = self.find(call, PROCESSING_JOB, parameters["ProcessingJobName"])
        status = document["ProcessingJobStatus"]
        if status not in TERMINAL:
            raise invalid(f"The request was rejected because the processing job is in status {status}.")
        self.store.delete(key)
        return {}


def processing_event(document: Document) -> dict[str, Any]:
    """What EventBridge is told of a processing job."""
    return event(DETAIL_TYPE, "DescribeProcessingJob", document, document["ProcessingJobArn"])


def _check_program(world: World, application: Mapping[str, Any]) -> None:
    program = container(world, application["ImageUri"], "process")
    if not program.runs:
        raise invalid(f"The image {program.image} cannot process on this machine: {program.reason}.")
    if not program.argv and not application.get("ContainerEntrypoint"):
        raise invalid(
            f"AppSpecification.ContainerEntrypoint must name a program: the image {program.image} has none of its own"
            " on this machine."
        )


def _items(parameters: Mapping[str, Any], path: str) -> list[Mapping[str, Any]]:
    """Every structure at a path, through lists."""
    found: list[Any] = [parameters]
    for name in path.split(".") if path else []:
        below = [item[name] for item in found if name in item]
        found = [each for value in below for each in (value if isinstance(value, list) else [value])]
    return found


def _check_resources(cluster: Mapping[str, Any]) -> None:
    if "InstanceType" not in cluster or "InstanceCount" not in cluster:
        raise invalid("ProcessingResources.ClusterConfig must give InstanceType and InstanceCount.")
    if cluster["InstanceCount"] > 1:
        raise unsupported(OPERATION, "processing on several instances")


def _check_inputs(parameters: Mapping[str, Any]) -> None:
    inputs = parameters.get("ProcessingInputs", [])
    _check_names("InputName", inputs)
    for each in inputs:
        name, given = each["InputName"], each.get("S3Input")
        if each.get("AppManaged"):
            raise unsupported(OPERATION, f"AppManaged of the input {name}")
        if not given:
            raise invalid(f"The input {name} must have an S3Input.")
        if given.get("S3InputMode", "File") != "File":
            raise unsupported(OPERATION, f"S3InputMode {given['S3InputMode']} of the input {name}; use File")
        if given.get("S3CompressionType", "None") != "None":
            raise unsupported(OPERATION, f"S3CompressionType {given['S3CompressionType']} of the input {name}")
        _check_place(f"the input {name}", given)


def _check_outputs(parameters: Mapping[str, Any]) -> None:
    outputs = parameters.get("ProcessingOutputConfig", {}).get("Outputs", [])
    _check_names("OutputName", outputs)
    for each in outputs:
        name, given = each["OutputName"], each.get("S3Output")
        if each.get("AppManaged"):
            raise unsupported(OPERATION, f"AppManaged of the output {name}")
        if not given:
            raise invalid(f"The output {name} must have an S3Output.")
        if given["S3UploadMode"] != "EndOfJob":
            raise unsupported(OPERATION, f"S3UploadMode {given['S3UploadMode']} of the output {name}; use EndOfJob")
        _check_place(f"the output {name}", given)
    for one, other in product(outputs, parameters.get("ProcessingInputs", [])):
        output, source = _folder(one["S3Output"]["LocalPath"]), _folder(other["S3Input"]["LocalPath"])
        if output.startswith(source) or source.startswith(output):
            what = f"the output {one['OutputName']} in the folder of the input {other['InputName']}"
            raise unsupported(OPERATION, what)


def _check_names(member: str, given: list[Mapping[str, Any]]) -> None:
    for place in (lambda each: each[member], _path):
        values = [place(each) for each in given]
        twice = sorted({value for value in values if value and values.count(value) > 1})
        if twice:
            raise invalid(f"{', '.join(twice)} is given twice; every {member} and LocalPath must be another.")


def _path(each: Mapping[str, Any]) -> str:
    return _folder((each.get("S3Input") or each.get("S3Output") or {}).get("LocalPath", ""))


def _folder(path: str) -> str:
    return path.rstrip("/") + "/" if path else ""


def _check_place(what: str, given: Mapping[str, Any]) -> None:
    """Raise for a place in S3 or in the container that cannot be."""
    if not given["S3Uri"].startswith("s3://"):
        raise unsupported(OPERATION, f"the S3Uri {given['S3Uri']} of {what}; write s3://bucket/prefix")
    path = given.get("LocalPath", "")
    if not path.startswith(ROOT + "/") or ".." in path.split("/"):
        raise invalid(f"The LocalPath of {what} must begin with {ROOT}/, not {path!r}.")
