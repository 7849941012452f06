"""What happens to a processing job after it was created."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.local.protocol.models import service_model
from orchestrator.local.services.sagemaker import storage
from orchestrator.local.services.sagemaker.images import container
from orchestrator.local.services.sagemaker.job_life import JobLife
from orchestrator.local.services.sagemaker.plane import NAME, PROCESSING_JOB
from orchestrator.local.services.sagemaker.processing_jobs import OPERATION, processing_event
from orchestrator.local.store import Document, Key
from orchestrator.runtime.processing.job import Exit, Job, inside


class ProcessingLife(JobLife[Exit]):
    """The step of processing jobs' tasks."""

    resource = PROCESSING_JOB
    place = "processing"
    module = "orchestrator.runtime.processing"
    group = "/aws/sagemaker/ProcessingJobs"

    def role(self, document: Document) -> str:
        return str(document["RoleArn"])

    def download(self, s3: Any, document: Document, folder: Path) -> None:
        inputs = [each["S3Input"] for each in document.get("ProcessingInputs", [])]
        for given in sorted(inputs, key=lambda each: str(each["LocalPath"])):  # a folder before those in it
            target = inside(folder, given["LocalPath"])
            if given["S3DataType"] == "ManifestFile":
                target.mkdir(parents=True, exist_ok=True)
                storage.fetch_manifest(s3, given["S3Uri"], target)
            else:
                storage.fetch_prefix(s3, given["S3Uri"], target)

    def describe(self, key: Key, document: Document, folder: Path) -> None:
        application = document["AppSpecification"]
        program = container(self._world, application["ImageUri"], "process")
        Job(
            name=key.name,
            arn=document["ProcessingJobArn"],
            region=key.region,
            command=list(program.argv),
            entrypoint=application.get("ContainerEntrypoint", []),
            arguments=application.get("ContainerArguments", []),
            environment=document.get("Environment", {}),
            outputs=[each["S3Output"]["LocalPath"] for each in _outputs(document)],
            configuration=_configuration(document),
            instance_type=document["ProcessingResources"]["ClusterConfig"]["InstanceType"],
            max_runtime_seconds=document["StoppingCondition"]["MaxRuntimeInSeconds"],
        ).write(folder)

    def ended(self, folder: Path) -> Exit | None:
        return Exit.read(folder)

    def outcome(self, ended: Exit) -> dict[str, Any]:
        """A job whose time was up is stopped, as one that was asked to end."""
        status = "Stopped" if ended.status == "MaxRuntimeExceeded" else ended.status
        told = {"FailureReason": ended.reason, "ExitMessage": ended.message}
        return {"ProcessingJobStatus": status, **{name: text for name, text in told.items() if text}}

    def upload(self, s3: Any, document: Document, folder: Path, ended: Exit) -> None:
        """What a job that did not complete has made is not kept."""
        if ended.status != "Completed":
            return
        kms_key = document["ProcessingOutputConfig"].get("KmsKeyId", "") if _outputs(document) else ""
        for each in _outputs(document):
            output = each["S3Output"]
            made = inside(folder, output["LocalPath"])
            for path in sorted(made.rglob("*")):
                if path.is_file():
                    storage.store(s3, path, f"{output['S3Uri'].rstrip('/')}/{path.relative_to(made)}", kms_key)

    def streams(self, key: Key, document: Document, folder: Path) -> Iterator[tuple[str, Path]]:
        yield f"{key.name}/algo-1-{int(document['CreationTime'])}", folder / "job.log"

    def event(self, document: Document) -> dict[str, Any]:
        return processing_event(document)


def _outputs(document: Document) -> list[dict[str, Any]]:
    return list(document.get("ProcessingOutputConfig", {}).get("Outputs", []))


def _configuration(document: Document) -> dict[str, Any]:
    """``processingjobconfig.json``: the request, with the ARN."""
    shape: Any = service_model(NAME).operation_model(OPERATION).input_shape
    return {name: document[name] for name in ("ProcessingJobArn", *shape.members) if name in document}
