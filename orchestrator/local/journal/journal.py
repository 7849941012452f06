"""moto made durable: every request that changes it is logged before its answer leaves, and runs again at a start.

Requests that change something run one at a time, each at a moment of its own (clock and seed), so that running the
log again gives the same ids, keys and times. Reads run beside them. Now and then the whole state is saved and the
log begins anew, which bounds the time of a start.

    home/journal/  snapshot-000004  log-000004  blobs/<sha256>
"""

from __future__ import annotations

import base64
import logging
import os
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.local.journal import log as logs
from orchestrator.local.journal import moto_app, mutations, snapshot
from orchestrator.local.journal.blobs import LARGE, Blobs, Body
from orchestrator.local.journal.determinism import moment
from orchestrator.local.journal.moto_app import Answer
from orchestrator.local.messages import Request
from orchestrator.local.service import ServiceError

LOGGER = logging.getLogger(__name__)

Moto = Callable[[Request, str], Answer]


@dataclass(slots=True)
class Replay:
    """What a start found: how many requests ran again, and which answered otherwise than the first time."""

    requests: int = 0
    differing: list[str] = field(default_factory=list)


class Journal:
    """The only way to moto's state."""

    def __init__(self, folder: Path, moto: Moto, *, records_per_log: int = 1000) -> None:
        self._folder = folder
        self._moto = moto
        self._records_per_log = records_per_log
        self._blobs = Blobs(folder / "blobs")
        self._lock = threading.Lock()
        self._generation = 0
        self._log: logs.Log | None = None
        self._broken = ""

    def recover(self) -> Replay:
        """Bring moto to the state in the folder. Raises UnreadableSnapshot or DamagedLog."""
        Body.blobs = self._blobs
        moto_app.forget_everything()
        self._generation = max((_number(path) for path in self._folder.glob("snapshot-*[0-9]")), default=0)
        if self._generation:
            snapshot.load(self._path("snapshot"))
        replay = Replay()
        for record in logs.read(self._path("log")):
            replay.requests += 1
            request, account = self._request(record)
            if self._repeat(request, account, record) != record["answer"]:
                name = f"{account} {request.method} {request.raw_path} {mutations.operation_name(request)}"
                replay.differing.append(name)
                LOGGER.warning("answered otherwise than before the restart: %s", name)
        self._log = logs.Log(self._path("log"))
        self._log.records = replay.requests
        self._delete_old()
        return replay

    def _repeat(self, request: Request, account: str, record: logs.Record) -> list[int]:
        try:
            with moment(record["time"], record["seed"]):
                return _fingerprint(self._moto(request, account))
        except Exception:  # a moto that is not quite the one that wrote the log
            LOGGER.exception("a logged request failed")
            return []

    def perform(self, request: Request, account: str) -> Answer:
        """moto's answer; when it changed something, that is on disk."""
        if not mutations.changes_something(request):
            return self._look(request, account)
        if len(request.body) <= LARGE:
            return self._change(request, account, {"body": base64.b64encode(request.body).decode()})
        with self._blobs.holding(request.body) as digest:
            return self._change(request, account, {"blob": digest})

    def _look(self, request: Request, account: str) -> Answer:
        try:
            return self._moto(request, account)
        except NotImplementedError:
            raise
        except RuntimeError:
            # moto walked through a dictionary that a writer was changing; now nobody writes.
            with self._lock:
                return self._moto(request, account)

    def _change(self, request: Request, account: str, body: logs.Record) -> Answer:
        with self._lock:
            log = self._ready_log()
            at, seed = time.time(), int.from_bytes(os.urandom(6))
            with moment(at, seed):
                answer = self._moto(request, account)
            if answer.response.status >= 400 or not mutations.left_a_trace(request, answer.response.body):
                return answer
            record = {"time": at, "seed": seed, "account": account, **body}
            record |= {"method": request.method, "target": request.target, "headers": request.headers}
            record["answer"] = _fingerprint(answer)
            position = self._guarded(lambda: log.append(record))
            if log.records >= self._records_per_log or mutations.cannot_be_repeated(request):
                self._snapshot(needed=mutations.cannot_be_repeated(request))
        self._guarded(lambda: log.sync(position))
        return answer

    def _ready_log(self) -> logs.Log:
        if self._broken:
            raise ServiceError("ServiceUnavailable", f"The embedded AWS takes no more changes: {self._broken}", 503)
        if self._log is None:
            raise RuntimeError("recover() comes first")
        return self._log

    def _guarded(self, write: Callable[[], int | None]) -> int:
        """Write to the log; when the disk refuses, memory and log have parted and nothing more may change."""
        try:
            return write() or 0
        except OSError as problem:
            self._broken = f"its log cannot be written ({problem}); make room and start it again"
            raise ServiceError("ServiceUnavailable", f"The change may be lost: {self._broken}", 503) from problem

    def snapshot(self) -> None:
        """Save the whole state and begin a new log."""
        with self._lock:
            self._ready_log()
            self._snapshot(needed=True)

    def _snapshot(self, *, needed: bool) -> None:
        log = self._ready_log()
        self._generation += 1
        try:
            used = snapshot.save(self._path("snapshot"))
        except Exception:
            # The log still holds everything; only a change the log cannot repeat depends on the snapshot.
            self._generation -= 1
            log.records = 0  # try again after as many records
            LOGGER.exception("the state could not be saved; the log goes on")
            if needed:
                raise
            return
        log.close()
        self._log = logs.Log(self._path("log"))
        self._delete_old()
        self._blobs.sweep(used)

    def close(self) -> None:
        """Let go of the files."""
        with self._lock:
            if self._log is not None:
                self._log.close()
                self._log = None

    def _path(self, kind: str) -> Path:
        return self._folder / f"{kind}-{self._generation:06}"

    def _delete_old(self) -> None:
        for path in [*self._folder.glob("snapshot-*"), *self._folder.glob("log-*")]:
            if path not in (self._path("snapshot"), self._path("log")):
                path.unlink()

    def _request(self, record: logs.Record) -> tuple[Request, str]:
        try:
            body = self._blobs.get(record["blob"]) if "blob" in record else base64.b64decode(record["body"])
        except FileNotFoundError as missing:
            raise logs.DamagedLog(f"{missing.filename}, a body of {self._path('log')}, is missing") from None
        headers = tuple((name, value) for name, value in record["headers"])
        return Request(record["method"], record["target"], headers, body), record["account"]


def _fingerprint(answer: Answer) -> list[int]:
    """By which a repeated answer is known to be the same."""
    return [answer.response.status, zlib.crc32(answer.response.body)]


def _number(path: Path) -> int:
    return int(path.name.rpartition("-")[2])
