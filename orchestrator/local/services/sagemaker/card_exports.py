"""Export jobs of model cards: the card as a PDF in S3."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.sagemaker import storage
from orchestrator.local.services.sagemaker.model_cards import content_of, version_of
from orchestrator.local.services.sagemaker.plane import CARD_EXPORT, MODEL_CARD, Plane, invalid
from orchestrator.local.services.sagemaker.supported import refuse_unsupported, words
from orchestrator.local.store import AlreadyExists, Key

TASK = "sagemaker.model-card-export"
SHOWN = (
    "ModelCardExportJobName", "ModelCardExportJobArn", "Status", "ModelCardName", "ModelCardVersion", "OutputConfig",
    "CreatedAt", "LastModifiedAt", "FailureReason", "ExportArtifacts",
)  # fmt: skip
SUMMARY = SHOWN[:5] + SHOWN[6:8]


class ModelCardExports(Plane):
    """CreateModelCardExportJob and its sisters."""

    def CreateModelCardExportJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        refuse_unsupported(
            "CreateModelCardExportJob",
            parameters,
            words("ModelCardName ModelCardVersion ModelCardExportJobName OutputConfig"),
        )
        name = parameters["ModelCardName"].rpartition("/")[2]
        card = self.store.get(self.at(call, MODEL_CARD, name))
        if card is None:
            raise ServiceError("ResourceNotFound", f"Could not find model card {name}.")
        version = version_of(card, parameters.get("ModelCardVersion"))["ModelCardVersion"]
        if not parameters["OutputConfig"]["S3OutputPath"].startswith("s3://"):
            raise invalid("S3OutputPath must be an S3 URI.")
        key = self.at(call, CARD_EXPORT, f"{name}/{parameters['ModelCardExportJobName']}")
        now = self.now()
        document = {
            **parameters,
            "ModelCardName": name,
            "ModelCardVersion": version,
            "ModelCardExportJobArn": self._arn(key),
            "Status": "InProgress",
            "CreatedAt": now,
            "LastModifiedAt": now,
        }
        try:
            with self.store.transaction():
                self.store.create(key, document)
                self.tasks.schedule(TASK, key)
        except AlreadyExists:
            raise ServiceError(
                "ConflictException", f"Export job already exists: {document['ModelCardExportJobArn']}"
            ) from None
        return {"ModelCardExportJobArn": document["ModelCardExportJobArn"]}

    def DescribeModelCardExportJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        arn = parameters["ModelCardExportJobArn"]
        name = arn.partition(":model-card/")[2].replace("/export-job/", "/", 1)
        key = self.at(call, CARD_EXPORT, name)
        document = self.store.get(key)
        if document is None or document["ModelCardExportJobArn"] != arn:
            raise ServiceError("ResourceNotFound", f"Could not find export job {arn}.")
        return {name: document[name] for name in SHOWN if name in document}

    def ListModelCardExportJobs(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        refuse_unsupported(
            "ListModelCardExportJobs", parameters, words("ModelCardName ModelCardVersion StatusEquals MaxResults")
        )
        prefix = f"{parameters['ModelCardName'].rpartition('/')[2]}/"
        found = self.store.list("sagemaker", CARD_EXPORT.type, call.account, call.region, prefix=prefix)
        wanted = {
            member: parameters[given]
            for given, member in (("ModelCardVersion", "ModelCardVersion"), ("StatusEquals", "Status"))
            if given in parameters
        }
        jobs = [job for _, job in found if all(job[member] == value for member, value in wanted.items())]
        jobs.sort(key=lambda job: float(job["CreatedAt"]), reverse=True)
        shown = [{name: job[name] for name in SUMMARY} for job in jobs[: parameters.get("MaxResults", 100)]]
        return {"ModelCardExportJobSummaries": shown}

    @staticmethod
    def _arn(key: Key) -> str:
        card, _, job = key.name.partition("/")
        return f"arn:aws:sagemaker:{key.region}:{key.account}:model-card/{card}/export-job/{job}"


class ExportLife:
    """The step of export jobs' tasks; done again after a crash, it writes the same object again."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    def step(self, key: Key) -> float | None:
        """Write the PDF as the account that asked, then say so."""
        from orchestrator.local.services.sagemaker.card_pdf import write

        store = self._plane.store
        job = store.get(key)
        if job is None or job["Status"] != "InProgress":
            return None
        card = store.get(key._replace(type=MODEL_CARD.type, name=job["ModelCardName"]))
        if card is None:
            self._end(key, "Failed", FailureReason="The model card has been deleted.")
            return None
        version = version_of(card, job["ModelCardVersion"])
        folder = job["OutputConfig"]["S3OutputPath"].rstrip("/")
        target = f"{folder}/{job['ModelCardName']}/{job['ModelCardExportJobName']}.pdf"
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / "card.pdf"
            write(version, content_of(version["Content"]), file)
            try:
                storage.store(self._plane.world.client("s3", key.account, key.region), file, target)
            except storage.NotThere as error:
                self._end(key, "Failed", FailureReason=f"ClientError: {error}"[:1024])
                return None
        self._end(key, "Completed", ExportArtifacts={"S3ExportArtifacts": target})
        return None

    def _end(self, key: Key, status: str, **members: Any) -> None:
        self._plane.store.patch(key, Status=status, LastModifiedAt=self._plane.now(), **members)
