"""Training jobs: the operations. What happens afterwards is in ``training_life``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.local.service import Call
from orchestrator.local.services.sagemaker import storage
from orchestrator.local.services.sagemaker.images import container
from orchestrator.local.services.sagemaker.outbox import event
from orchestrator.local.services.sagemaker.plane import TRAINING_JOB, Plane, invalid
from orchestrator.local.services.sagemaker.roles import check_role
from orchestrator.local.services.sagemaker.supported import refuse_unsupported, unsupported, words
from orchestrator.local.store import Document
from orchestrator.runtime.training.metrics import builtin_definitions

TASK = "sagemaker.training-job"
DETAIL_TYPE = "SageMaker Training Job State Change"
OPERATION = "CreateTrainingJob"
TERMINAL = ("Completed", "Failed", "Stopped")

SUPPORTED = {
    "": "TrainingJobName HyperParameters AlgorithmSpecification RoleArn InputDataConfig OutputDataConfig ResourceConfig"
    " VpcConfig StoppingCondition Tags EnableNetworkIsolation EnableInterContainerTrafficEncryption"
    " EnableManagedSpotTraining CheckpointConfig Environment RetryStrategy ProfilerConfig",
    "AlgorithmSpecification": "TrainingImage TrainingInputMode MetricDefinitions EnableSageMakerMetricsTimeSeries"
    " ContainerEntrypoint ContainerArguments",
    "OutputDataConfig": "S3OutputPath KmsKeyId CompressionType",
    "ResourceConfig": "InstanceType InstanceCount VolumeSizeInGB VolumeKmsKeyId KeepAlivePeriodInSeconds",
    "InputDataConfig": "ChannelName DataSource ContentType CompressionType RecordWrapperType InputMode",
}
"""Network, disks, warm pools, spot capacity and profilers have nothing to act on here: they are kept and shown."""
LISTED = words(
    "NextToken MaxResults CreationTimeAfter CreationTimeBefore LastModifiedTimeAfter LastModifiedTimeBefore"
    " NameContains StatusEquals SortBy SortOrder"
)
CHANNEL_SOURCE = "S3DataType S3Uri S3DataDistributionType"


class TrainingJobs(Plane):
    """CreateTrainingJob and its sisters."""

    def CreateTrainingJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key = self.at(call, TRAINING_JOB, parameters["TrainingJobName"])
        algorithm = self.checked_algorithm(call, parameters)
        now = self.now()
        output = parameters["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        with self.store.transaction():
            document = self.create(
                key,
                TRAINING_JOB,
                {
                    "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
                    **parameters,
                    "AlgorithmSpecification": algorithm,
                },
                TrainingJobStatus="InProgress",
                SecondaryStatus="Starting",
                SecondaryStatusTransitions=[
                    {"Status": "Starting", "StartTime": now, "StatusMessage": "Starting the training job"}
                ],
                ModelArtifacts={"S3ModelArtifacts": f"{output}/{key.name}/output/model.tar.gz"},
            )
            self.tell(key, event(DETAIL_TYPE, "DescribeTrainingJob", document, document["TrainingJobArn"]))
            self.tasks.schedule(TASK, key)
        return {"TrainingJobArn": document["TrainingJobArn"]}

    def DescribeTrainingJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        return self.find(call, TRAINING_JOB, parameters["TrainingJobName"])[1]

    def ListTrainingJobs(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        refuse_unsupported("ListTrainingJobs", parameters, LISTED)
        return self.page(call, TRAINING_JOB, parameters)

    def StopTrainingJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key, _ = self.find(call, TRAINING_JOB, parameters["TrainingJobName"])

        def stop(document: Document) -> Document:
            status = document["TrainingJobStatus"]
            if status in TERMINAL:
                raise invalid(f"The request was rejected because the training job is in status {status}.")
            if status == "Stopping":
                return document
            return moved(document, self.now(), "Stopping", "Stopping the training job", status="Stopping")

        with self.store.transaction():
            document = self.store.update(key, stop) or {}
            self.tell(key, event(DETAIL_TYPE, "DescribeTrainingJob", document, document["TrainingJobArn"]))
            self.tasks.schedule(TASK, key)
        return {}

    def DeleteTrainingJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key, document = self.find(call, TRAINING_JOB, parameters["TrainingJobName"])
        if document["TrainingJobStatus"] not in TERMINAL:
            raise invalid(
                f"The request was rejected because the training job is in status {document['TrainingJobStatus']}."
            )
        self.store.delete(key)
        return {}

    def checked_algorithm(self, call: Call, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The algorithm of a request, which is refused here if it cannot become a training job."""
        _check_supported(parameters)
        algorithm = self._check_algorithm(parameters)
        check_role(self.world, call, parameters["RoleArn"])
        self._check_channels(call, parameters)
        return algorithm

    def _check_algorithm(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The algorithm with the metrics it brings along; raises for an image that cannot train here."""
        algorithm = dict(parameters["AlgorithmSpecification"])
        image = algorithm.get("TrainingImage")
        if not image:
            raise invalid("AlgorithmSpecification must name a TrainingImage.")
        if algorithm["TrainingInputMode"] == "Pipe":
            raise unsupported(OPERATION, "TrainingInputMode Pipe; use File or FastFile")
        program = container(self.world, image, "train")
        if not program.runs:
            raise invalid(f"The image {image} cannot train on this machine: {program.reason}.")
        builtin = program.kind if "sagemaker_program" not in parameters.get("HyperParameters", {}) else ""
        if definitions := builtin_definitions(builtin):
            if algorithm.get("MetricDefinitions"):
                raise invalid(
                    "You can't override the metric definitions for Amazon SageMaker algorithms. Please retry your"
                    " request without specifying metric definitions."
                )
            algorithm["MetricDefinitions"] = definitions
        return algorithm

    def _check_channels(self, call: Call, parameters: Mapping[str, Any]) -> None:
        """Raise when a channel has no data, in SageMaker's words."""
        role = parameters["RoleArn"]
        s3 = self.world.client("s3", call.account, call.region, role)
        for channel in parameters.get("InputDataConfig", []):
            uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
            try:
                storage.objects(s3, uri, limit=1)
            except storage.NotThere as error:
                bucket = storage.split(uri)[0]
                raise invalid(
                    f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the'
                    f" bucket exists in the selected region ({call.region}), that objects exist under that S3 prefix,"
                    f' and that the role "{role}" has "s3:ListBucket" permissions on bucket "{bucket}". Error message'
                    f" from S3: {error.detail}"
                ) from error


def _check_supported(parameters: Mapping[str, Any]) -> None:
    for path, names in SUPPORTED.items():
        given = parameters if not path else parameters.get(path, {})
        for item in given if isinstance(given, list) else [given]:
            refuse_unsupported(OPERATION, item, words(names), path)
    for channel in parameters.get("InputDataConfig", []):
        refuse_unsupported(OPERATION, channel["DataSource"], ["S3DataSource"], "InputDataConfig.DataSource")
        source = channel["DataSource"].get("S3DataSource", {})
        refuse_unsupported(OPERATION, source, words(CHANNEL_SOURCE), "InputDataConfig.DataSource.S3DataSource")
        if source.get("S3DataType", "S3Prefix") != "S3Prefix":
            raise unsupported(OPERATION, f"S3DataType {source['S3DataType']}; use S3Prefix")
        if channel.get("RecordWrapperType", "None") != "None" or channel.get("InputMode", "File") == "Pipe":
            raise unsupported(OPERATION, "pipes and record wrappers")
        if channel.get("CompressionType", "None") != "None":
            raise unsupported(OPERATION, "compressed channels")
    resources = parameters.get("ResourceConfig")
    if not resources or "InstanceType" not in resources or "InstanceCount" not in resources:
        raise invalid("ResourceConfig must give InstanceType and InstanceCount.")
    if resources["InstanceCount"] > 1:
        raise unsupported(OPERATION, "training on several instances")
    if parameters["OutputDataConfig"].get("CompressionType", "GZIP") != "GZIP":
        raise unsupported(OPERATION, "OutputDataConfig.CompressionType NONE")


def moved(document: Document, now: float, secondary: str, message: str, status: str = "") -> Document:
    """The job one step further: the running transition ends, the next begins."""
    transitions = [dict(transition) for transition in document["SecondaryStatusTransitions"]]
    transitions[-1].setdefault("EndTime", now)
    last = {"Status": secondary, "StartTime": now, "StatusMessage": message}
    if status in TERMINAL:
        last["EndTime"] = now
    return {
        **document,
        "SecondaryStatus": secondary,
        "TrainingJobStatus": status or document["TrainingJobStatus"],
        "SecondaryStatusTransitions": [*transitions, last],
        "LastModifiedTime": now,
    }
