"""What happens later: persisted tasks, each an idempotent step that says when it wants to be called again.

A task is a row (kind, key, due). The row is there before the work begins and goes away when the work says
it is done, so a killed process goes on where it was. A step may run twice; it must not mind.
"""

from __future__ import annotations

import heapq
import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from orchestrator.local.store import Key, Store

Step = Callable[[Key], float | None]
"""Advance the thing at the key; return the seconds until the next call, or None when nothing is left to do."""

LOGGER = logging.getLogger(__name__)
LONGEST_BACKOFF_SECONDS = 30.0
SETTLING_PAUSE_SECONDS = 0.002


class Tasks:
    """Runs due tasks on a pool of threads; one task never runs twice at the same time.

    ``now`` is the clock by which tasks are due, in POSIX seconds; it may leap forward, but never goes back.
    """

    def __init__(self, store: Store, *, now: Callable[[], float] = time.time, workers: int = 16) -> None:
        self._store = store
        self._now = now
        self._steps: dict[str, Step] = {}
        self._moments: set[str] = set()
        self._work: set[str] = set()
        self._wake = threading.Condition()
        self._running: set[tuple[str, str]] = set()
        self._again: dict[tuple[str, str], float] = {}
        self._queue: list[tuple[float, str, str]] = []
        self._stopped = False
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="task")
        self._thread = threading.Thread(target=self._dispatch, name="tasks", daemon=True)

    def register(self, kind: str, step: Step, *, by_clock: bool = False, is_work: bool = False) -> None:
        """Say what a task of this kind does. Must be called before ``start``.

        ``by_clock`` says that its time is a moment of the world (a schedule, a wait), at which a clock that is
        moved forward stops, and not just a pause between two looks. ``is_work`` says that it stands for something
        that runs and will end by itself, such as a job.
        """
        self._steps[kind] = step
        if by_clock:
            self._moments.add(kind)
        if is_work:
            self._work.add(kind)

    def schedule(self, kind: str, key: Key, delay: float = 0.0) -> None:
        """Call the kind's step for this key after ``delay`` seconds, or sooner if it was to be called sooner.

        Scheduling inside a store transaction is part of it. When the step is running right now, it is called
        once more afterwards, however it ends: what was written before this call is always seen by a step.
        """
        if kind not in self._steps:
            raise ValueError(f"no step is registered for tasks of kind {kind!r}")
        due, name = self._now() + delay, json.dumps(key)
        # Row and note are written together: a step that ends between them would take the row away.
        with self._store.transaction() as database, self._wake:
            database.execute(
                "INSERT INTO tasks VALUES (?, ?, ?, 0) ON CONFLICT DO UPDATE SET due = MIN(due, excluded.due)",
                (kind, name, due),
            )
            if (kind, name) in self._running:
                self._again[kind, name] = min(due, self._again.get((kind, name), due))
            heapq.heappush(self._queue, (due, kind, name))
            self._wake.notify()

    def start(self) -> None:
        """Begin running tasks, those left over from an earlier process first."""
        with self._store.transaction() as database:
            rows = database.execute("SELECT due, kind, key FROM tasks").fetchall()
        with self._wake:
            for due, kind, name in rows:
                heapq.heappush(self._queue, (due, kind, name))
        self._thread.start()

    def stop(self) -> None:
        """Stop after the steps that are running; their rows stay for the next process."""
        with self._wake:
            self._stopped = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def stopped(self) -> bool:
        """Whether no task is begun any more."""
        return self._stopped

    def next_moment(self, after: float) -> float | None:
        """The next time after ``after`` at which a task that goes by the clock is due, or None."""
        found = self._of_kinds("MIN(due)", self._moments, "due > ?", after)
        return None if found is None else float(found)

    def works(self) -> bool:
        """Whether anything runs that will end by itself."""
        return bool(self._of_kinds("COUNT(*)", self._work, "1"))

    def _of_kinds(self, wanted: str, kinds: set[str], condition: str, *values: float) -> Any:
        marks = ", ".join("?" * len(kinds))
        with self._store.transaction() as database:
            question = f"SELECT {wanted} FROM tasks WHERE {condition} AND kind IN ({marks})"  # noqa: S608  no input
            return database.execute(question, (*values, *kinds)).fetchone()[0]

    def settle(self, seconds: float) -> bool:
        """Look at the clock again, and wait until no task runs or is due, but that many seconds at most.

        Returns whether they came to rest.
        """
        deadline = time.monotonic() + seconds
        with self._wake:
            self._wake.notify()
        while time.monotonic() < deadline and not self.stopped:
            with self._wake:
                if not self._running and (not self._queue or self._queue[0][0] > self._now()):
                    return True
            time.sleep(SETTLING_PAUSE_SECONDS)
        return False

    def _dispatch(self) -> None:
        while True:
            with self._wake:
                while not self._stopped and (not self._queue or self._queue[0][0] > self._now()):
                    self._wake.wait(max(0.0, self._queue[0][0] - self._now()) if self._queue else None)
                if self._stopped:
                    return
                _, kind, name = heapq.heappop(self._queue)
                if (kind, name) in self._running or kind not in self._steps:
                    continue
                self._running.add((kind, name))
            self._pool.submit(self._run, kind, name)

    def _run(self, kind: str, name: str) -> None:
        delay: float | None = LONGEST_BACKOFF_SECONDS
        failures = 0
        try:
            delay, failures = self._advance(kind, name)
        except BaseException:
            LOGGER.exception("task %s %s broke its worker; again in %.0f s", kind, name, LONGEST_BACKOFF_SECONDS)
            raise
        finally:
            self._finish(kind, name, delay, failures)

    def _advance(self, kind: str, name: str) -> tuple[float | None, int]:
        """Call the step if it is due; the seconds until its next call and how often it failed in a row."""
        with self._store.transaction() as database:
            row = database.execute(
                "SELECT due, failures FROM tasks WHERE kind = ? AND key = ?", (kind, name)
            ).fetchone()
        if row is None:
            return None, 0  # an entry of the queue that is outdated, or whose transaction was undone
        due, failures = row
        if due > self._now():
            return due - self._now(), failures  # moved to later since it was queued
        try:
            return self._steps[kind](Key(*json.loads(name))), 0
        except Exception:
            failures += 1
            delay = min(LONGEST_BACKOFF_SECONDS, 0.2 * 2 ** min(failures, 10))
            LOGGER.exception("task %s %s failed (%d times); again in %.1f s", kind, name, failures, delay)
            return delay, failures

    def _finish(self, kind: str, name: str, delay: float | None, failures: int) -> None:
        # The store's lock before ours, as in schedule(), which may be called inside a transaction.
        with self._store.transaction() as database, self._wake:
            self._running.discard((kind, name))
            dues = [] if delay is None else [self._now() + delay]
            if (kind, name) in self._again:
                dues.append(self._again.pop((kind, name)))
            if not dues:
                database.execute("DELETE FROM tasks WHERE kind = ? AND key = ?", (kind, name))
                return
            due = min(dues)
            database.execute(
                "INSERT INTO tasks VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET due = ?, failures = ?",
                (kind, name, due, failures, due, failures),
            )
            heapq.heappush(self._queue, (due, kind, name))
            self._wake.notify()
