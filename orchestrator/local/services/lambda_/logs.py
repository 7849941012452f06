"""What functions print goes to CloudWatch Logs, in order and beside the answers, as on AWS."""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from orchestrator.local.world import World

LOGGER = logging.getLogger(__name__)


class Batch(NamedTuple):
    """Lines of one event's log; ``None`` in the queue ends the thread."""

    role: str
    region: str
    group: str
    stream: str
    lines: list[dict[str, Any]]


class LogWriter:
    """One thread that writes to log groups, making group and stream when they are missing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def write(self, role: str, region: str, group: str, stream: str, text: str) -> None:
        """Queue a text, one log event a line; it is written as the function's role, and lost if that may not."""
        now = int(time.time() * 1000)
        lines = [{"timestamp": now, "message": line} for line in text.splitlines() if line]
        if not lines:
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="lambda-logs", daemon=True)
                self._thread.start()
        self._batches.put(Batch(role, region, group, stream, lines))

    def close(self) -> None:
        """Write what is queued, then end."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._batches.put(None)
            thread.join(timeout=5)

    def _work(self) -> None:
        while batch := self._batches.get():
            try:
                self._put(batch)
            except (ClientError, BotoCoreError) as problem:
                LOGGER.warning("%s lines for %s are lost: %s", len(batch.lines), batch.group, problem)

    def _put(self, batch: Batch) -> None:
        logs = self._world.client("logs", batch.role.split(":")[4], batch.region, batch.role)
        place = {"logGroupName": batch.group, "logStreamName": batch.stream}
        try:
            logs.put_log_events(**place, logEvents=batch.lines)
        except logs.exceptions.ResourceNotFoundException:
            try:
                logs.create_log_stream(**place)
            except logs.exceptions.ResourceNotFoundException:  # a role need not be able to make a group that is there
                logs.create_log_group(logGroupName=batch.group)
                logs.create_log_stream(**place)
            logs.put_log_events(**place, logEvents=batch.lines)
