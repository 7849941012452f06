"""All workers: which are free, which may still be started, and which have been idle for too long."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.local.services.lambda_.worker import Worker

MOST_WORKERS = 8
"""Of one function version; AWS would go on scaling out, one machine cannot."""
IDLE_SECONDS = 300.0
LONGEST_LIFE_SECONDS = 1800.0
"""A worker's keys end after an hour, so it ends well before."""

Start = Callable[[], Worker]


class Busy(Exception):
    """All workers that the function may have are working."""


class Workers:
    """Workers by the version and revision of the function whose code they hold."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)  # left by a process that was killed; its workers ended with it
        self._changed = threading.Condition()
        self._free: dict[str, list[Worker]] = {}
        self._working: dict[str, int] = {}
        self._all: set[Worker] = set()
        self._closed = False

    def acquire(self, revision: str, start: Start, limit: int, wait: float) -> Worker:
        """A worker for one event: a free one, else a new one, else whichever gets free within ``wait`` seconds.

        Raises Busy when there is none.
        """
        until = time.monotonic() + wait
        with self._changed:
            while not self._closed:
                working = self._working.get(revision, 0)
                if working < min(limit, MOST_WORKERS):
                    self._working[revision] = working + 1
                    if worker := self._take(revision):
                        return worker
                    break
                left = until - time.monotonic()
                if left <= 0:
                    raise Busy
                self._changed.wait(left)
            else:
                raise Busy
        return self._begin(revision, start)

    def _take(self, revision: str) -> Worker | None:
        free = self._free.get(revision, [])
        while free:
            worker = free.pop()
            if worker.alive:
                return worker
            self._all.discard(worker)
            worker.discard()
        return None

    def _begin(self, revision: str, start: Start) -> Worker:
        """Start a worker, for which a place was taken, without holding anybody up meanwhile."""
        try:
            worker = start()
        except BaseException:
            with self._changed:
                self._leave(revision)
            raise
        with self._changed:
            self._all.add(worker)
            closed = self._closed
        if closed:
            worker.kill()
        return worker

    def _leave(self, revision: str) -> None:
        self._working[revision] -= 1
        if not self._working[revision]:
            del self._working[revision]
        self._changed.notify_all()

    def release(self, revision: str, worker: Worker) -> None:
        """Give a worker back after its event."""
        worker.idle_since = time.time()
        with self._changed:
            self._leave(revision)
            keep = worker.alive and not self._closed and time.time() - worker.started < LONGEST_LIFE_SECONDS
            if keep:
                self._free.setdefault(revision, []).append(worker)
            else:
                self._all.discard(worker)
        if not keep:
            worker.discard()

    def retire(self, keep: set[str]) -> None:
        """Let go of free workers of all revisions but these."""
        with self._changed:
            gone = [worker for revision in self._free.keys() - keep for worker in self._free.pop(revision)]
            self._all.difference_update(gone)
        for worker in gone:
            worker.discard()

    def retire_idle(self, seconds: float = IDLE_SECONDS) -> float | None:
        """Let go of workers that were free for so long; the seconds until the next is due, or None without any."""
        now = time.time()
        gone: list[Worker] = []
        with self._changed:
            for revision, free in self._free.items():
                gone += [worker for worker in free if now - worker.idle_since >= seconds]
                self._free[revision] = [worker for worker in free if worker not in gone]
            self._all.difference_update(gone)
            left = [worker.idle_since for free in self._free.values() for worker in free]
        for worker in gone:
            worker.discard()
        return min(left) + seconds - now if left else None

    def close(self) -> None:
        """End every worker; those at work are discarded by whoever waits for them."""
        with self._changed:
            self._closed = True
            free = [worker for each in self._free.values() for worker in each]
            self._free.clear()
            self._all.difference_update(free)
            working = list(self._all)
            self._changed.notify_all()
        for worker in free:
            worker.discard()
        for worker in working:
            worker.kill()

    @property
    def closed(self) -> bool:
        """Whether the server is stopping."""
        return self._closed
