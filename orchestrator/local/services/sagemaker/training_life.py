"""What happens to a training job after it was created: one persisted step after another."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

from orchestrator.local.services.sagemaker import storage
from orchestrator.local.services.sagemaker.images import container
from orchestrator.local.services.sagemaker.logs import LogShipper
from orchestrator.local.services.sagemaker.outbox import event
from orchestrator.local.services.sagemaker.plane import Plane
from orchestrator.local.services.sagemaker.training_jobs import DETAIL_TYPE, TERMINAL, moved
from orchestrator.local.store import Document, Key
from orchestrator.runtime.process import is_held, start_supervisor
from orchestrator.runtime.training.job import Exit, Job, decoded

POLL_SECONDS = 0.2
GROUP = "/aws/sagemaker/TrainingJobs"
CHECKPOINTS = "/opt/ml/checkpoints"
MESSAGES = {
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


class TrainingLife:
    """The step of training jobs' tasks. It may be killed anywhere and begins again from the document and the folder."""

    def __init__(self, plane: Plane, logs: LogShipper) -> None:
        self._plane = plane
        self._world = plane.world
        self._logs = logs

    def folder(self, key: Key) -> Path:
        """Where the job runs."""
        return self._world.home / "jobs" / key.account / key.region / "training" / key.name

    def step(self, key: Key) -> float | None:
        """Bring the job one step further."""
        document = self._world.store.get(key)
        if document is None or document["TrainingJobStatus"] in TERMINAL:
            shutil.rmtree(self.folder(key), ignore_errors=True)
            return None
        folder = self.folder(key)
        ended = Exit.read(folder)
        if ended is not None:
            self._conclude(key, document, ended)
            return None
        if "prepared" not in document:
            return self._prepare(key, document)
        return self._watch(key, document)

    def _prepare(self, key: Key, document: Document) -> float | None:
        """Download; nothing runs yet, so all of it may be done again."""
        if document["TrainingJobStatus"] == "Stopping":
            self._end(key, "Stopped", "Stopped")
            return None
        self._move(key, "Downloading", "Downloading input data")
        try:
            self._download(key, document)
        except storage.NotThere as error:
            reason = f"ClientError: Data download failed: {error}"[:1024]
            self._end(key, "Failed", "Failed", FailureReason=reason)
            return None
        self._job(key, document).write(self.folder(key))
        now = self._plane.now()
        self._move(
            key, "Training", "Training image download completed. Training in progress.",
            prepared=True, TrainingStartTime=now, stream=f"{key.name}/algo-1-{int(now)}",
        )  # fmt: skip
        return 0.0

    def _download(self, key: Key, document: Document) -> None:
        folder = self.folder(key)
        s3 = self._s3(key, document)
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

    def _watch(self, key: Key, document: Document) -> float:
        folder = self.folder(key)
        if document["TrainingJobStatus"] == "Stopping":
            (folder / "stop").touch()
        if not is_held(folder / "lock"):
            credentials = self._world.child_environment(document["RoleArn"], key.region, "SageMaker")
            start_supervisor("orchestrator.runtime.training", folder, credentials)
        self._logs.ship(key.account, key.region, GROUP, document["stream"], folder / "job.log")
        return POLL_SECONDS

    def _conclude(self, key: Key, document: Document, ended: Exit) -> None:
        """Upload what the job made, then say how it ended."""
        folder = self.folder(key)
        stream = document["stream"]
        self._logs.ship(key.account, key.region, GROUP, stream, folder / "job.log", final=True)
        if document["SecondaryStatus"] != "Uploading":
            self._move(key, "Uploading", "Uploading generated training model")
        status = "Stopped" if ended.status == "MaxRuntimeExceeded" else ended.status
        secondary, reason = ended.status, ended.reason
        try:
            self._upload(key, document, ended)
        except storage.NotThere as error:
            status = secondary = "Failed"
            reason = f"ClientError: Artifact upload failed: {error}"[:1024]
        seconds = max(1, math.ceil(ended.ended - ended.started))
        members: dict[str, Any] = {
            "TrainingEndTime": ended.ended,
            "TrainingTimeInSeconds": seconds,
            "BillableTimeInSeconds": seconds,
            "FinalMetricDataList": list(ended.metrics)[:40],
        }
        self._logs.forget(key.account, key.region, GROUP, stream)
        self._end(key, status, secondary, **members, **({"FailureReason": reason} if reason else {}))

    def _upload(self, key: Key, document: Document, ended: Exit) -> None:
        folder, s3 = self.folder(key), self._s3(key, document)
        kms = document["OutputDataConfig"].get("KmsKeyId", "")
        target = document["ModelArtifacts"]["S3ModelArtifacts"].rpartition("/")[0]
        for name in ended.artifacts:
            storage.store(s3, folder / "artifacts" / name, f"{target}/{name}", kms)
        checkpoints = document.get("CheckpointConfig", {}).get("S3Uri", "").rstrip("/")
        local = folder / "ml/checkpoints"
        for path in sorted(local.rglob("*")) if checkpoints else []:
            if path.is_file():
                storage.store(s3, path, f"{checkpoints}/{path.relative_to(local)}", kms)

    def _end(self, key: Key, status: str, secondary: str, **members: Any) -> None:
        self._move(key, secondary, MESSAGES[secondary], status=status, **members)
        shutil.rmtree(self.folder(key), ignore_errors=True)

    def _move(self, key: Key, secondary: str, message: str, status: str = "", **members: Any) -> None:
        def change(document: Document) -> Document:
            stopping = document["TrainingJobStatus"] == "Stopping"  # then it shows no further progress
            if not status and (stopping or document["SecondaryStatus"] == secondary):
                return {**document, **members}
            return {**moved(document, self._plane.now(), secondary, message, status), **members}

        with self._world.store.transaction():
            before = self._world.store.get(key)
            document = self._world.store.update(key, change)
            if document and before and document["SecondaryStatus"] != before["SecondaryStatus"]:
                arn = document["TrainingJobArn"]
                self._plane.tell(key, event(DETAIL_TYPE, "DescribeTrainingJob", document, arn))

    def _s3(self, key: Key, document: Document) -> Any:
        return self._world.client("s3", key.account, key.region, document["RoleArn"])


def _channel(channel: dict[str, Any]) -> dict[str, str]:
    """A channel as ``inputdataconfig.json`` shows it."""
    source = channel["DataSource"]["S3DataSource"]
    return {
        "TrainingInputMode": channel.get("InputMode", "File"),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
    }
