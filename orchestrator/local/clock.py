"""The clock of the embedded AWS: the machine's own, moved forward for rehearsals and tests.

Moving it is walking, not jumping: on the way it stands still at every moment at which something was to happen
(a schedule, the period of an alarm, a Wait state), until that has happened. So a day of hourly schedules is 24 firings
in their order, each at its own time.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.local.service import ServiceError
from orchestrator.local.store import Key, Store

if TYPE_CHECKING:
    from orchestrator.local.tasks import Tasks

DOCUMENT = Key("-", "-", "local", "Clock", "clock")
LONGEST_ADVANCE_SECONDS = 31 * 86_400.0
"""Of one request: it answers when everything on the way has happened."""
LONGEST_WAIT_SECONDS = 3600.0
"""For what runs at one stop."""
WORKING_PAUSE_SECONDS = 0.05
SETTLING_SECONDS = 10.0
"""How long the clock stands still for tasks that do not come to rest."""


class Clock:
    """POSIX seconds that only ever grow. How far it was moved is in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._offset = float((store.get(DOCUMENT) or {"offset": 0.0})["offset"])

    @property
    def offset(self) -> float:
        """How many seconds it is ahead of the machine's clock."""
        return self._offset

    def now(self) -> float:
        """The time in the embedded AWS."""
        return time.time() + self._offset

    def move_to(self, moment: float) -> None:
        """Make it that time now, on disk first; a moment that has passed changes nothing."""
        offset = moment - time.time()
        if offset > self._offset:
            self._store.put(DOCUMENT, {"offset": offset})
            self._offset = offset


class Walk:
    """Moves the clock and lets the tasks keep step."""

    def __init__(self, clock: Clock, tasks: Tasks) -> None:
        self._clock = clock
        self._tasks = tasks
        self._walking = threading.Lock()

    def advance(self, seconds: float, patience: float = 0.0) -> None:
        """Move the clock that many seconds further; returns when all that was due on the way was begun.

        What a task begins outside (the process of a job) goes on in the machine's own time. With ``patience`` the
        clock stands still at each stop until jobs, builds and calls of state machines have ended, but that many
        seconds at most.
        """
        with self._walking:
            target = reached = self._clock.now()
            target += seconds
            self._settle(patience)
            while (due := self._tasks.next_moment(reached)) is not None and due < target:
                reached = due
                self._step(due, patience)
            self._step(target, patience)

    def _step(self, moment: float, patience: float) -> None:
        if not self._tasks.stopped:  # else the rest of the way is for another process
            self._clock.move_to(moment)
            self._settle(patience)

    def _settle(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        self._tasks.settle(SETTLING_SECONDS)
        while not self._tasks.stopped and time.monotonic() < deadline and self._tasks.works():
            time.sleep(WORKING_PAUSE_SECONDS)
            self._tasks.settle(SETTLING_SECONDS)

    def control(self, path: str, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """``GET /_local/clock`` and ``POST /_local/clock/advance`` with ``{"seconds": 3600, "wait": 60}``."""
        match path, method:
            case "", "GET":
                pass
            case "advance", "POST":
                self.advance(*_times(body))
            case _:
                raise ServiceError("NotFound", f"the clock has no local control {method} {path!r}", 404)
        now = self._clock.now()
        moment = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return {"now": moment, "time": now, "offset": self._clock.offset}


def _times(body: dict[str, Any]) -> tuple[float, float]:
    seconds, patience = body.get("seconds", 0), body.get("wait", 0)
    if (
        body.keys() - {"seconds", "wait"}
        or any(isinstance(each, bool) or not isinstance(each, int | float) for each in (seconds, patience))
        or not 0 < seconds <= LONGEST_ADVANCE_SECONDS
        or not 0 <= patience <= LONGEST_WAIT_SECONDS
    ):
        allowed = (
            f'{{"seconds": up to {LONGEST_ADVANCE_SECONDS:.0f} (31 days), "wait": up to {LONGEST_WAIT_SECONDS:.0f}}}'
        )
        raise ServiceError("ValidationException", f"{body!r:.200} cannot advance the clock: it wants {allowed}.")
    return float(seconds), float(patience)
