"""When a schedule fires: ``at(...)``, ``rate(...)`` and ``cron(...)`` in a time zone, between a start and an end.

Rules as at https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html: a rate without a start date
fires at once and then at its interval; a local time that a clock change leaves out is skipped, one that it
repeats counts once.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from orchestrator.local.services.events.schedule import SECONDS, Cron, InvalidSchedule
from orchestrator.local.services.events.schedule import parse as parse_rule

JUST_BEFORE_SECONDS = 0.001
FIRST_LOOK_SECONDS = 60.0


class InvalidTiming(ValueError):
    """The expression or the time zone cannot be understood; the message says why."""


@dataclass(frozen=True, slots=True)
class Once:
    """``at(2030-01-31T12:00:00)``: POSIX seconds. Neither start nor end matters to it."""

    moment: float


@dataclass(frozen=True, slots=True)
class Every:
    """``rate(5 minutes)``."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """``cron(...)`` by the clocks of a time zone."""

    cron: Cron
    zone: ZoneInfo

    def after(self, moment: float) -> float | None:
        """The next time, in POSIX seconds, after ``moment``."""
        wall: float | None = _wall(datetime.fromtimestamp(moment, self.zone))
        while wall is not None:
            wall = self.cron.after(wall)
            if wall is None:
                return None
            local = datetime.fromtimestamp(wall, UTC).replace(tzinfo=self.zone)
            found = local.timestamp()
            if found > moment and _wall(datetime.fromtimestamp(found, self.zone)) == wall:
                return found
        return None


def _wall(local: datetime) -> float:
    """What the clock on the wall shows, as if it were UTC, so that fields can be compared with it."""
    return local.replace(tzinfo=UTC, fold=0).timestamp()


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides when a schedule fires; times in POSIX seconds.

    ``anchor`` is when a rate without a start began.
    """

    expression: Once | Every | Calendar
    anchor: float
    start: float | None = None
    end: float | None = None

    def after(self, moment: float) -> float | None:
        """The next time to fire after ``moment``, or None when there is none any more."""
        match self.expression:
            case Once(at):
                return at if at > moment else None
            case Every(seconds):
                first = self.anchor if self.start is None else self.start
                gone = math.floor((moment - first) / seconds) + 1
                found: float | None = first if moment < first else first + gone * seconds
            case Calendar() as calendar:
                earliest = moment if self.start is None else max(moment, self.start - JUST_BEFORE_SECONDS)
                found = calendar.after(earliest)
        return None if found is None or (self.end is not None and found >= self.end) else found

    def first(self, now: float) -> float | None:
        """The first time to fire of a plan that begins ``now``: a rate without a start fires at its anchor."""
        if isinstance(self.expression, Every) and self.start is None:
            return self.after(self.anchor - JUST_BEFORE_SECONDS)
        return self.after(now)

    def latest(self, due: float, now: float) -> float:
        """Of the times from ``due``, which is one, up to ``now``, the last."""
        look = FIRST_LOOK_SECONDS
        while now - look > due:
            found = self.after(now - look)
            if found is not None and found <= now:
                due = found
                break
            look *= 2
        while (later := self.after(due)) is not None and later <= now:
            due = later
        return due


def parse(expression: str, timezone: str = "UTC") -> Once | Every | Calendar:
    """The expression in a time zone of the IANA database; raises InvalidTiming."""
    zone = _zone(timezone)
    if once := re.fullmatch(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)", expression):
        try:
            return Once(datetime.fromisoformat(once[1]).replace(tzinfo=zone).timestamp())
        except ValueError as problem:
            raise InvalidTiming(f"{expression}: {problem}") from None
    if every := re.fullmatch(r"rate\(([1-9]\d*) (minute|hour|day)s?\)", expression):
        return Every(int(every[1]) * SECONDS[every[2]])
    try:
        parsed = parse_rule(expression)
    except InvalidSchedule as problem:
        if expression.startswith("cron("):
            raise InvalidTiming(str(problem)) from None
        parsed = None
    if not isinstance(parsed, Cron):
        raise InvalidTiming(f"{expression} is neither at(yyyy-mm-ddThh:mm:ss), rate(...) nor cron(...)")
    return Calendar(parsed, zone)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found, not a name, or a folder of the database
        raise InvalidTiming(f"{name} is not a time zone of the IANA database") from None
