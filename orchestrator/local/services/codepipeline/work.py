"""What an action provider sees of its execution: its configuration, memory, artifacts, and AWS as its role."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from typing import Any

from orchestrator.local.credentials import Credentials
from orchestrator.local.services.codepipeline.action import ActionFailed
from orchestrator.local.services.codepipeline.scene import IN_PROGRESS
from orchestrator.local.store import Document, Key
from orchestrator.local.world import World


class Withdrawn(Exception):
    """The action execution is no longer in progress: it was abandoned, or its pipeline deleted."""


class Work:
    """One execution of one action, at work."""

    def __init__(self, world: World, key: Key, document: Document) -> None:
        self.world = world
        self.key = key
        self._document = document
        self.pipeline, self.execution, self.id = key.name.split("/")
        self.account = key.account
        self.region: str = document["region"]
        self.stage: str = document["stage"]
        self.action: str = document["action"]
        self.declaration: Document = document["declaration"]
        self.configuration: dict[str, str] = document["configuration"]
        self.inputs: dict[str, Document] = document["inputs"]
        self.outputs: dict[str, Document] = document["outputs"]
        self.started: float = document["started"]
        self.role: str = document["role"]
        self.pipeline_role: str = document["pipelineRole"]

    @property
    def memory(self) -> Document:
        """What this action has remembered so far, and what API calls have left for it."""
        memory: Document = self._document["memory"]
        return memory

    @property
    def source_revision(self) -> Document:
        """The revision the execution was started with, where it was: revision type -> value."""
        revision: Document = self._document.get("sourceRevision", {})
        return revision

    def remember(self, **members: Any) -> None:
        """Write to the memory, durably, before going on; raises Withdrawn when nobody waits for this action."""

        def change(document: Document) -> Document | None:
            if document["status"] != IN_PROGRESS:
                raise Withdrawn
            document["memory"] |= members
            return None

        document = self.world.store.update(self.key, change)
        if document is None:
            raise Withdrawn
        self._document = document

    def new_id(self) -> str:
        """A fresh id."""
        return str(uuid.uuid4())

    def elapsed(self) -> float:
        """Seconds since the action began."""
        return self.world.now() - self.started

    def pause(self) -> float:
        """How long to wait before looking again: often at first, every second later."""
        return min(1.0, 0.1 + self.elapsed() / 20)

    def client(self, service: str) -> Any:
        """A client in the action's region, as the action's role (the pipeline's, where it has none)."""
        return self.world.client(service, self.account, self.region, self.role, through=self._through)

    def credentials(self) -> Credentials:
        """Temporary keys of the action's role."""
        return self.world.assume(self.role, self.execution, through=self._through)

    @property
    def _through(self) -> str:
        """The pipeline's role takes the action's, where the action has one of its own."""
        return self.pipeline_role if self.role != self.pipeline_role else ""

    def read(self, artifact: str) -> bytes:
        """The whole input artifact."""
        location = self.inputs.get(artifact)
        if location is None:
            raise ActionFailed(f"{artifact!r} is not an input artifact of this action.", "ConfigurationError")
        body = self.client("s3").get_object(Bucket=location["bucket"], Key=location["key"])["Body"].read()
        return bytes(body)

    def read_file(self, artifact: str, path: str) -> str:
        """A file inside an input artifact that is a zip archive."""
        try:
            with zipfile.ZipFile(io.BytesIO(self.read(artifact))) as archive:
                return archive.read(path).decode()
        except zipfile.BadZipFile:
            raise ActionFailed(f"Input artifact {artifact!r} is not a zip archive.", "ConfigurationError") from None
        except KeyError:
            message = f"File {path!r} does not exist in input artifact {artifact!r}."
            raise ActionFailed(message, "ConfigurationError") from None
        except UnicodeDecodeError:
            message = f"File {path!r} in input artifact {artifact!r} is not UTF-8 text."
            raise ActionFailed(message, "ConfigurationError") from None

    def read_reference(self, reference: str) -> str:
        """The file that ``Artifact::path`` names."""
        artifact, separator, path = reference.partition("::")
        if not separator:
            raise ActionFailed(f"{reference!r} is not of the form ArtifactName::FileName.", "ConfigurationError")
        return self.read_file(artifact, path)

    def write(self, artifact: str, body: bytes) -> None:
        """Put an output artifact in its place in the artifact store."""
        location = self.outputs[artifact]
        more = {}
        if key := location.get("encryptionKey"):
            more = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
        self.client("s3").put_object(Bucket=location["bucket"], Key=location["key"], Body=body, **more)


def parse_json(text: str, what: str) -> Any:
    """JSON that a user wrote; raises ActionFailed naming it."""
    try:
        return json.loads(text)
    except ValueError as problem:
        raise ActionFailed(f"{what} is not valid JSON: {problem}", "ConfigurationError") from None


def zipped(path: str, text: str) -> bytes:
    """An archive with one file, the same bytes for the same text."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()
