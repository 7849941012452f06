"""What happens to a transform job after it was created."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.local.services.sagemaker import storage
from orchestrator.local.services.sagemaker.images import container
from orchestrator.local.services.sagemaker.job_life import JobLife
from orchestrator.local.services.sagemaker.plane import TRANSFORM_JOB
from orchestrator.local.services.sagemaker.transform_jobs import transform_event
from orchestrator.local.store import Document, Key
from orchestrator.runtime.serving.spec import Serving
from orchestrator.runtime.transform.job import MEGABYTE, Exit, Transform
from orchestrator.runtime.transform.supervisor import SUFFIX

DEFAULT_PAYLOAD = 6
UNLIMITED = 1024 * MEGABYTE
"""What our model process takes when MaxPayloadInMB is 0."""


class TransformLife(JobLife[Exit]):
    """The step of transform jobs' tasks."""

    resource = TRANSFORM_JOB
    place = "transform"
    module = "orchestrator.runtime.transform"
    group = "/aws/sagemaker/TransformJobs"

    def role(self, document: Document) -> str:
        return str(document["model"]["ExecutionRoleArn"])

    def download(self, s3: Any, document: Document, folder: Path) -> None:
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

    def describe(self, key: Key, document: Document, folder: Path) -> None:  # noqa: ARG002
        self._served(document).write(folder / "serving")
        transform(document).write(folder)

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

    def ended(self, folder: Path) -> Exit | None:
        return Exit.read(folder)

    def outcome(self, ended: Exit) -> dict[str, Any]:
        reason = {"FailureReason": ended.reason} if ended.reason else {}
        return {"TransformJobStatus": ended.status, **reason}

    def upload(self, s3: Any, document: Document, folder: Path, ended: Exit) -> None:
        """A job that was stopped keeps nothing, as on AWS."""
        if ended.status == "Stopped":
            return
        output, made = document["TransformOutput"], folder / "out"
        for path in sorted(made.rglob(f"*{SUFFIX}")):
            uri = f"{output['S3OutputPath'].rstrip('/')}/{path.relative_to(made)}"
            storage.store(s3, path, uri, output.get("KmsKeyId", ""))

    def streams(self, key: Key, document: Document, folder: Path) -> Iterator[tuple[str, Path]]:  # noqa: ARG002
        """What the model printed, and what happened to the data."""
        instance = hashlib.sha256("/".join(key).encode()).hexdigest()[:17]
        yield f"{key.name}/i-{instance}", folder / "serving/serve.log"
        yield f"{key.name}/i-{instance}/data-log", folder / "data.log"

    def event(self, document: Document) -> dict[str, Any]:
        return transform_event(document)


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
