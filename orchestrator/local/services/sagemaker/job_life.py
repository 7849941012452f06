"""What happens to a job after it was created, where it is downloads, a supervised process, uploads: one persisted step
after another. Training, transform and processing jobs say the rest."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from orchestrator.local.services.sagemaker import storage
from orchestrator.local.services.sagemaker.logs import LogShipper
from orchestrator.local.services.sagemaker.plane import Plane, Resource
from orchestrator.local.store import Document, Key
from orchestrator.runtime.process import is_held, start_supervisor

POLL_SECONDS = 0.2
TERMINAL = ("Completed", "Failed", "Stopped")
REASON_LENGTH = 1024
Exit = TypeVar("Exit")


class JobLife(ABC, Generic[Exit]):
    """The step of such jobs' tasks. It may be killed anywhere and begins again from the document and the folder."""

    resource: ClassVar[Resource]
    place: ClassVar[str]
    """The folder of these jobs in the home."""
    module: ClassVar[str]
    """The supervisor: ``orchestrator.runtime.processing``."""
    group: ClassVar[str]
    """The log group."""
    made: ClassVar[str] = "Output"
    """What is uploaded, in the words of a failure."""

    def __init__(self, plane: Plane, logs: LogShipper) -> None:
        self._plane = plane
        self._world = plane.world
        self._logs = logs

    @abstractmethod
    def role(self, document: Document) -> str:
        """The role as which it reads, runs and writes."""

    @abstractmethod
    def download(self, s3: Any, document: Document, folder: Path) -> None:
        """Bring what the job needs into its folder; raises NotThere."""

    @abstractmethod
    def describe(self, key: Key, document: Document, folder: Path) -> None:
        """Write what the supervisor reads."""

    @abstractmethod
    def ended(self, folder: Path) -> Exit | None:
        """How the process ended, or None when it has not."""

    @abstractmethod
    def upload(self, s3: Any, document: Document, folder: Path, ended: Exit) -> None:
        """Store what the job made, if it keeps anything; raises NotThere."""

    @abstractmethod
    def outcome(self, ended: Exit) -> dict[str, Any]:
        """The members of the document that tell how it ended: the status, and a FailureReason if there is one."""

    @abstractmethod
    def streams(self, key: Key, document: Document, folder: Path) -> Iterator[tuple[str, Path]]:
        """Log streams and the files they come from."""

    @abstractmethod
    def event(self, document: Document) -> dict[str, Any]:
        """What EventBridge is told."""

    def downloading(self, key: Key) -> None:
        """Say that it downloads, where such jobs do."""
        del key

    def begun(self, key: Key) -> None:
        """Say that all is there and the process may run."""
        self._world.store.patch(key, prepared=True, **{f"{self._stem}StartTime": self._plane.now()})

    def uploading(self, key: Key) -> None:
        """Say that it uploads, where such jobs do."""
        del key

    def over(self, key: Key, members: dict[str, Any]) -> Document | None:
        """Say how it ended; the document, if it is there."""
        now = self._plane.now()
        with self._world.store.transaction():
            document = self._world.store.patch(key, **{f"{self._stem}EndTime": now, "LastModifiedTime": now, **members})
            if document:
                self._plane.tell(key, self.event(document))
        return document

    def folder(self, key: Key) -> Path:
        """Where the job runs."""
        return self._world.home / "jobs" / key.account / key.region / self.place / key.name

    def step(self, key: Key) -> float | None:
        """Bring the job one step further."""
        document = self._world.store.get(key)
        folder = self.folder(key)
        if document is None or document[self.resource.status_member] in TERMINAL:
            shutil.rmtree(folder, ignore_errors=True)
            return None
        ended = self.ended(folder)
        if ended is not None:
            self._conclude(key, document, ended)
            return None
        if "prepared" not in document:
            return self._prepare(key, document)
        return self._watch(key, document)

    def _prepare(self, key: Key, document: Document) -> float | None:
        """Download; nothing runs yet, so all of it may be done again."""
        if document[self.resource.status_member] == "Stopping":
            self._end(key, {self.resource.status_member: "Stopped"})
            return None
        self.downloading(key)
        folder = self.folder(key)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            self.download(self._s3(key, document), document, folder)
        except storage.NotThere as error:
            self._end(key, self._failed(f"ClientError: Data download failed: {error}"))
            return None
        self.describe(key, document, folder)
        self.begun(key)
        return 0.0

    def _watch(self, key: Key, document: Document) -> float:
        folder = self.folder(key)
        if document[self.resource.status_member] == "Stopping":
            (folder / "stop").touch()
        if not is_held(folder / "lock"):
            environment = self._world.child_environment(self.role(document), key.region, "SageMaker")
            start_supervisor(self.module, folder, environment)
        self._ship(key, document)
        return POLL_SECONDS

    def _conclude(self, key: Key, document: Document, ended: Exit) -> None:
        """Upload what the job made, then say how it ended."""
        self._ship(key, document, final=True)
        self.uploading(key)
        members = self.outcome(ended)
        try:
            self.upload(self._s3(key, document), document, self.folder(key), ended)
        except storage.NotThere as error:
            members |= self._failed(f"ClientError: {self.made} upload failed: {error}")
        self._end(key, members)

    def _end(self, key: Key, members: dict[str, Any]) -> None:
        document = self.over(key, members)
        folder = self.folder(key)
        shutil.rmtree(folder, ignore_errors=True)
        for stream, _ in self.streams(key, document, folder) if document else ():
            self._logs.forget(key.account, key.region, self.group, stream)

    def _failed(self, reason: str) -> dict[str, Any]:
        return {self.resource.status_member: "Failed", "FailureReason": reason[:REASON_LENGTH]}

    def _ship(self, key: Key, document: Document, *, final: bool = False) -> None:
        for stream, path in self.streams(key, document, self.folder(key)):
            self._logs.ship(key.account, key.region, self.group, stream, path, final=final)

    def _s3(self, key: Key, document: Document) -> Any:
        return self._world.client("s3", key.account, key.region, self.role(document))

    @property
    def _stem(self) -> str:
        """``Transform`` of ``TransformJob``."""
        return self.resource.type.removesuffix("Job")
