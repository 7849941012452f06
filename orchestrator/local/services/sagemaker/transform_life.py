"""What happens to a transform job after it was created: one persisted step after another."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.local.services.sagemaker import storage
from orchestrator.local.services.sagemaker.images import container
from orchestrator.local.services.sagemaker.logs import LogShipper
from orchestrator.local.services.sagemaker.plane import Plane
from orchestrator.local.services.sagemaker.transform_jobs import TERMINAL, transform_event
from orchestrator.local.store import Document, Key
from orchestrator.runtime.process import is_held, start_supervisor
from orchestrator.runtime.serving.spec import Serving
from orchestrator.runtime.transform.job import MEGABYTE, Exit, Transform
from orchestrator.runtime.transform.supervisor import SUFFIX

POLL_SECONDS = 0.2
GROUP = "/aws/sagemaker/TransformJobs"
DEFAULT_PAYLOAD = 6
UNLIMITED = 1024 * MEGABYTE
"""What our model process takes when MaxPayloadInMB is 0."""


class TransformLife:
    """The step of transform jobs' tasks. It may be killed anywhere and begins again from document and folder."""

    def __init__(self, plane: Plane, logs: LogShipper) -> None:
        self._plane = plane
        self._world = plane.world
        self._logs = logs

    def folder(self, key: Key) -> Path:
        """Where the job runs."""
        return self._world.home / "jobs" / key.account / key.region / "transform" / key.name

    def step(self, key: Key) -> float | None:
        """Bring the job one step further."""
        document = self._world.store.get(key)
        folder = self.folder(key)
        if document is None or document["TransformJobStatus"] in TERMINAL:
            shutil.rmtree(folder, ignore_errors=True)
            return None
        ended = Exit.read(folder)
        if ended is not None:
            self._conclude(key, document, ended)
            return None
        if "prepared" not in document:
            return self._prepare(key, document)
        return self._watch(key, document)

    def _prepare(self, key: Key, document: Document) -> float | None:
        """Download; nothing runs yet, so all of it may be done again."""
        if document["TransformJobStatus"] == "Stopping":
            self._end(key, "Stopped")
            return None
        shutil.rmtree(self.folder(key), ignore_errors=True)
        try:
            self._download(key, document)
        except storage.NotThere as error:
            self._end(key, "Failed", FailureReason=f"ClientError: Data download failed: {error}"[:1024])
            return None
        folder = self.folder(key)
        self._served(document).write(folder / "serving")
        transform(document).write(folder)
        self._world.store.patch(key, prepared=True, TransformStartTime=self._plane.now())
        return 0.0

    def _download(self, key: Key, document: Document) -> None:
        folder, s3 = self.folder(key), self._s3(key, document)
        serving = folder / "serving"
        serving.mkdir(parents=True, exist_ok=True)
        model = document["model"]["resolved"]
        if "object" in model:
            storage.fetch(s3, model["object"], serving / "model.tar.gz")
        elif "prefix" in model:
            storage.fetch_prefix(s3, model["prefix"], serving / "ml/model")
        source = model["environment"].get("SAGEMAKER_SUBMIT_DIRECTORY", "")
        if source.startswith("s3://"):
            storage.fetch(s3, source, serving / "source.tar.gz")
        storage.fetch_prefix(s3, document["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"], folder / "in")

    def _served(self, document: Document) -> Serving:
        model = document["model"]["resolved"]
        program = container(self._world, model["image"], "serve")
        return Serving(
            name=document["TransformJobName"],
            image=program.image,
            kind=program.kind,
            tag=program.tag,
            command=list(program.argv),
            environment={**model["environment"], **batch_environment(document), **document.get("Environment", {})},
            reason=program.reason,
        )

    def _watch(self, key: Key, document: Document) -> float:
        folder = self.folder(key)
        if document["TransformJobStatus"] == "Stopping":
            (folder / "stop").touch()
        if not is_held(folder / "lock"):
            role = document["model"]["ExecutionRoleArn"]
            credentials = self._world.child_environment(role, key.region, "SageMaker")
            start_supervisor("orchestrator.runtime.transform", folder, credentials)
        self._ship(key)
        return POLL_SECONDS

    def _conclude(self, key: Key, document: Document, ended: Exit) -> None:
        """Upload what was transformed, then say how it ended. A job that was stopped keeps nothing, as on AWS."""
        self._ship(key, final=True)
        status, reason = ended.status, ended.reason
        if status != "Stopped":
            try:
                self._upload(key, document)
            except storage.NotThere as error:
                status, reason = "Failed", f"ClientError: Output upload failed: {error}"[:1024]
        self._end(key, status, **({"FailureReason": reason} if reason else {}))

    def _upload(self, key: Key, document: Document) -> None:
        output, folder = document["TransformOutput"], self.folder(key) / "out"
        s3 = self._s3(key, document)
        for path in sorted(folder.rglob(f"*{SUFFIX}")):
            uri = f"{output['S3OutputPath'].rstrip('/')}/{path.relative_to(folder)}"
            storage.store(s3, path, uri, output.get("KmsKeyId", ""))

    def _end(self, key: Key, status: str, **members: Any) -> None:
        now = self._plane.now()
        ending = {"TransformJobStatus": status, "TransformEndTime": now, "LastModifiedTime": now, **members}
        with self._world.store.transaction():
            document = self._world.store.patch(key, **ending)
            if document:
                self._plane.tell(key, transform_event(document))
        shutil.rmtree(self.folder(key), ignore_errors=True)
        for stream, _ in self._streams(key):
            self._logs.forget(key.account, key.region, GROUP, stream)

    def _ship(self, key: Key, *, final: bool = False) -> None:
        for stream, path in self._streams(key):
            self._logs.ship(key.account, key.region, GROUP, stream, path, final=final)

    def _streams(self, key: Key) -> Iterator[tuple[str, Path]]:
        """What the model printed, and what happened to the data."""
        instance = hashlib.sha256("/".join(key).encode()).hexdigest()[:17]
        folder = self.folder(key)
        yield f"{key.name}/i-{instance}", folder / "serving/serve.log"
        yield f"{key.name}/i-{instance}/data-log", folder / "data.log"

    def _s3(self, key: Key, document: Document) -> Any:
        return self._world.client("s3", key.account, key.region, document["model"]["ExecutionRoleArn"])


def transform(document: Document) -> Transform:
    """The job as its supervisor reads it."""
    given, output = document["TransformInput"], document["TransformOutput"]
    client, processing = document.get("ModelClientConfig", {}), document.get("DataProcessing", {})
    return Transform(
        name=document["TransformJobName"],
        content_type=given.get("ContentType", ""),
        accept=output.get("Accept", ""),
        split=given.get("SplitType", "None"),
        assemble=output.get("AssembleWith", "None"),
        strategy=document.get("BatchStrategy", "MultiRecord"),
        compression=given.get("CompressionType", "None"),
        max_payload=document.get("MaxPayloadInMB", DEFAULT_PAYLOAD) * MEGABYTE,
        timeout_seconds=client.get("InvocationsTimeoutInSeconds", 600),
        retries=client.get("InvocationsMaxRetries", 3),
        input_filter=processing.get("InputFilter", "$"),
        output_filter=processing.get("OutputFilter", "$"),
        join=processing.get("JoinSource", "None") == "Input",
    )


def batch_environment(document: Document) -> dict[str, str]:
    """The variables by which a container knows that it serves a batch.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
    """
    payload = document.get("MaxPayloadInMB", DEFAULT_PAYLOAD)
    return {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(payload),
        "SAGEMAKER_BATCH_STRATEGY": {"SingleRecord": "SINGLE_RECORD"}.get(
            document.get("BatchStrategy", ""), "MULTI_RECORD"
        ),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(document.get("MaxConcurrentTransforms") or 1),
        "SAGEMAKER_MAX_REQUEST_SIZE": str(payload * MEGABYTE or UNLIMITED),
    }
