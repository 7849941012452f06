"""What happens to a training job after it was created: one persisted step after another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.local.services.sagemaker import storage
from orchestrator.local.services.sagemaker.images import container
from orchestrator.local.services.sagemaker.job_life import JobLife
from orchestrator.local.services.sagemaker.outbox import event
from orchestrator.local.services.sagemaker.plane import TRAINING_JOB
from orchestrator.local.services.sagemaker.training_jobs import DETAIL_TYPE, moved
from orchestrator.local.store import Document, Key
from orchestrator.runtime.training.job import Exit, Job, decoded

GROUP = "/aws/sagemaker/TrainingJobs"
CHECKPOINTS = "/opt/ml/checkpoints"
MESSAGES = {
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


class TrainingLife(JobLife[Exit]):
    """The step of training jobs' tasks."""

    resource = TRAINING_JOB
    place = "training"
    module = "orchestrator.runtime.training"
    group = GROUP
    made = "Artifact"

    def role(self, document: Document) -> str:
        return str(document["RoleArn"])

    def downloading(self, key: Key) -> None:
        self._move(key, "Downloading", "Downloading input data")

    def download(self, s3: Any, document: Document, folder: Path) -> None:
        for channel in document.get("InputDataConfig", []):
            uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
            storage.fetch_prefix(s3, uri, folder / "ml/input/data" / channel["ChannelName"])
        source = decoded(document.get("HyperParameters", {}).get("sagemaker_submit_directory", ""))
        if str(source).startswith("s3://"):
            storage.fetch(s3, source, folder / "source.tar.gz")
        checkpoints = document.get("CheckpointConfig", {}).get("S3Uri")
        (folder / "ml").mkdir(parents=True, exist_ok=True)
        if checkpoints:
            try:
                storage.fetch_prefix(s3, checkpoints.rstrip("/") + "/", folder / "ml/checkpoints")
            except storage.NotThere:
                (folder / "ml/checkpoints").mkdir(exist_ok=True)  # the first run of a series has none

    def describe(self, key: Key, document: Document, folder: Path) -> None:
        self._job(key, document).write(folder)

    def begun(self, key: Key) -> None:
        now = self._plane.now()
        self._move(
            key, "Training", "Training image download completed. Training in progress.",
            prepared=True, TrainingStartTime=now, stream=f"{key.name}/algo-1-{int(now)}",
        )  # fmt: skip

    def _job(self, key: Key, document: Document) -> Job:
        algorithm = document["AlgorithmSpecification"]
        program = container(self._world, algorithm["TrainingImage"], "train")
        return Job(
            name=key.name,
            arn=document["TrainingJobArn"],
            region=key.region,
            kind=program.kind,
            instance_type=document["ResourceConfig"]["InstanceType"],
            hyperparameters=document.get("HyperParameters", {}),
            channels={channel["ChannelName"]: _channel(channel) for channel in document.get("InputDataConfig", [])},
            environment=document.get("Environment", {}),
            command=list(program.argv),
            entrypoint=[*algorithm.get("ContainerEntrypoint", []), *algorithm.get("ContainerArguments", [])],
            metric_definitions=algorithm.get("MetricDefinitions", []),
            checkpoints=document.get("CheckpointConfig", {}).get("LocalPath", CHECKPOINTS)
            if "CheckpointConfig" in document
            else "",
            max_runtime_seconds=document["StoppingCondition"].get("MaxRuntimeInSeconds", 86400),
        )

    def ended(self, folder: Path) -> Exit | None:
        return Exit.read(folder)

    def streams(self, key: Key, document: Document, folder: Path) -> Iterator[tuple[str, Path]]:  # noqa: ARG002
        if "stream" in document:
            yield document["stream"], folder / "job.log"

    def uploading(self, key: Key) -> None:
        self._move(key, "Uploading", "Uploading generated training model")

    def upload(self, s3: Any, document: Document, folder: Path, ended: Exit) -> None:
        kms = document["OutputDataConfig"].get("KmsKeyId", "")
        target = document["ModelArtifacts"]["S3ModelArtifacts"].rpartition("/")[0]
        for name in ended.artifacts:
            storage.store(s3, folder / "artifacts" / name, f"{target}/{name}", kms)
        checkpoints = document.get("CheckpointConfig", {}).get("S3Uri", "").rstrip("/")
        local = folder / "ml/checkpoints"
        for path in sorted(local.rglob("*")) if checkpoints else []:
            if path.is_file():
                storage.store(s3, path, f"{checkpoints}/{path.relative_to(local)}", kms)

    def outcome(self, ended: Exit) -> dict[str, Any]:
        seconds = max(1, math.ceil(ended.ended - ended.started))
        return {
            "TrainingJobStatus": "Stopped" if ended.status == "MaxRuntimeExceeded" else ended.status,
            "SecondaryStatus": ended.status,
            "TrainingEndTime": ended.ended,
            "TrainingTimeInSeconds": seconds,
            "BillableTimeInSeconds": seconds,
            "FinalMetricDataList": list(ended.metrics)[:40],
            **({"FailureReason": ended.reason} if ended.reason else {}),
        }

    def over(self, key: Key, members: dict[str, Any]) -> Document | None:
        status = members.pop("TrainingJobStatus")
        secondary = members.pop("SecondaryStatus", status)
        secondary = status if status == "Failed" else secondary  # what was trained may fail to be stored
        return self._move(key, secondary, MESSAGES[secondary], status=status, **members)

    def event(self, document: Document) -> dict[str, Any]:
        return event(DETAIL_TYPE, "DescribeTrainingJob", document, document["TrainingJobArn"])

    def _move(self, key: Key, secondary: str, message: str, status: str = "", **members: Any) -> Document | None:
        def change(document: Document) -> Document:
            stopping = document["TrainingJobStatus"] == "Stopping"  # then it shows no further progress
            if not status and (stopping or document["SecondaryStatus"] == secondary):
                return {**document, **members}
            return {**moved(document, self._plane.now(), secondary, message, status), **members}

        with self._world.store.transaction():
            before = self._world.store.get(key)
            document = self._world.store.update(key, change)
            if document and before and document["SecondaryStatus"] != before["SecondaryStatus"]:
                self._plane.tell(key, self.event(document))
        return document


def _channel(channel: dict[str, Any]) -> dict[str, str]:
    """A channel as ``inputdataconfig.json`` shows it."""
    source = channel["DataSource"]["S3DataSource"]
    return {
        "TrainingInputMode": channel.get("InputMode", "File"),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
    }
