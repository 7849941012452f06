"""When a scheduled rule fires: ``rate(5 minutes)`` and ``cron(0 12 ? * MON-FRI *)``, in UTC.

See https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


class InvalidSchedule(ValueError):
    """The expression is neither a rate nor a cron expression of EventBridge."""


class Field(NamedTuple):
    """One of the six fields of a cron expression: its bounds and the names its numbers may go by."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


FIELDS = (
    Field("minutes", 0, 59),
    Field("hours", 0, 23),
    Field("day-of-month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("day-of-week", 1, 7, DAYS),
    Field("year", 1970, 2199),
)


@dataclass(frozen=True, slots=True)
class Rate:
    """Every so many seconds."""

    seconds: int

    def after(self, moment: float) -> float | None:
        """The next time to fire after ``moment`` (POSIX seconds)."""
        return moment + self.seconds


@dataclass(frozen=True, slots=True)
class Cron:
    """At the moments the fields describe; ``day_of_month`` or ``day_of_week`` is the text of the field that counts."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: frozenset[int]
    years: frozenset[int]
    day_of_month: str
    day_of_week: str

    def after(self, moment: float) -> float | None:
        """The next time to fire after ``moment`` (POSIX seconds); None when there is none any more."""
        start = datetime.fromtimestamp(moment, UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        year, month = start.year, start.month
        while year <= max(self.years):
            if year in self.years and month in self.months:
                for day in self._days(year, month):
                    fired = self._on(day, start)
                    if fired is not None:
                        return fired.timestamp()
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        return None

    def _on(self, day: date, start: datetime) -> datetime | None:
        if day < start.date():
            return None
        for hour in self.hours:
            for minute in self.minutes:
                candidate = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
                if candidate >= start:
                    return candidate
        return None

    def _days(self, year: int, month: int) -> list[date]:
        last = calendar.monthrange(year, month)[1]
        if self.day_of_month != "?":
            numbers = {number for part in self.day_of_month.split(",") for number in _days_of_month(part, year, month)}
        else:
            numbers = {number for part in self.day_of_week.split(",") for number in _days_of_week(part, year, month)}
        return [date(year, month, number) for number in sorted(numbers) if 1 <= number <= last]


def parse(expression: str) -> Rate | Cron:
    """The schedule in the expression; raises InvalidSchedule."""
    if rate := re.fullmatch(r"rate\(([1-9]\d*) (minute|hour|day)(s?)\)", expression):
        value, unit, plural = int(rate[1]), rate[2], bool(rate[3])
        if plural == (value == 1):
            raise InvalidSchedule(f"{expression}: one {unit}, but several {unit}s")
        return Rate(value * SECONDS[unit])
    if cron := re.fullmatch(r"cron\((.+)\)", expression):
        return _parse_cron(cron[1].split())
    raise InvalidSchedule(f"{expression} is neither rate(...) nor cron(...)")


def _parse_cron(parts: list[str]) -> Cron:
    if len(parts) != len(FIELDS):
        raise InvalidSchedule(f"cron needs six fields, not {len(parts)}: minutes hours day month weekday year")
    minutes, hours, day_of_month, months, day_of_week, years = (part.upper() for part in parts)
    if (day_of_month == "?") == (day_of_week == "?"):
        raise InvalidSchedule("exactly one of day-of-month and day-of-week must be ?")
    for text, days in ((day_of_month, _days_of_month), (day_of_week, _days_of_week)):
        if text != "?":
            for part in text.split(","):
                days(part, 2024, 2)
    return Cron(
        tuple(sorted(_numbers(minutes, FIELDS[0]))),
        tuple(sorted(_numbers(hours, FIELDS[1]))),
        frozenset(_numbers(months, FIELDS[3])),
        frozenset(_numbers(years, FIELDS[5])),
        day_of_month,
        day_of_week,
    )


def _numbers(text: str, field: Field) -> set[int]:
    """``*``, ``1``, ``1-5``, ``*/15``, ``0/15`` and lists of them."""
    numbers: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if slash and not (step.isdigit() and int(step) > 0):
            raise InvalidSchedule(f"{part} is not valid in the field {field.name}")
        first, dash, last = span.partition("-")
        if span == "*":
            low, high = field.low, field.high
        elif dash:
            low, high = _number(first, field), _number(last, field)
        else:
            low = _number(first, field)
            high = field.high if slash else low
        if low > high:
            raise InvalidSchedule(f"{part} runs backwards in the field {field.name}")
        numbers.update(range(low, high + 1, int(step) if slash else 1))
    return numbers


def _number(text: str, field: Field) -> int:
    if text in field.names:
        return field.names.index(text) + field.low
    if not text.isdigit() or not field.low <= int(text) <= field.high:
        raise InvalidSchedule(f"{text} is not valid in the field {field.name}")
    return int(text)


def _days_of_month(part: str, year: int, month: int) -> set[int]:
    """``L`` is the last day, ``15W`` the weekday nearest to the 15th, ``LW`` the last weekday."""
    last = calendar.monthrange(year, month)[1]
    if part == "L":
        return {last}
    if part == "LW":
        return {_nearest_weekday(year, month, last)}
    if part.endswith("W"):
        return {_nearest_weekday(year, month, min(_number(part[:-1], FIELDS[2]), last))}
    return _numbers(part, FIELDS[2])


def _nearest_weekday(year: int, month: int, day: int) -> int:
    last = calendar.monthrange(year, month)[1]
    weekday = date(year, month, day).weekday()
    if weekday == 5:  # Saturday: the Friday before, but never in another month
        return day - 1 if day > 1 else day + 2
    if weekday == 6:
        return day + 1 if day < last else day - 2
    return day


def _days_of_week(part: str, year: int, month: int) -> set[int]:
    """``6L`` is the last Friday, ``2#1`` the first Monday; Sunday is 1."""
    last = calendar.monthrange(year, month)[1]
    by_weekday: dict[int, list[int]] = {}
    for day in range(1, last + 1):
        by_weekday.setdefault(date(year, month, day).isoweekday() % 7 + 1, []).append(day)
    if part == "L":
        return set(by_weekday[7])
    if part.endswith("L"):
        return {by_weekday[_number(part[:-1], FIELDS[4])][-1]}
    weekday, hash_sign, week = part.partition("#")
    if hash_sign:
        if week not in {"1", "2", "3", "4", "5"}:
            raise InvalidSchedule(f"{part} is not valid in the field day-of-week")
        days = by_weekday[_number(weekday, FIELDS[4])]
        return {days[int(week) - 1]} if int(week) <= len(days) else set()
    return {day for number in _numbers(part, FIELDS[4]) for day in by_weekday[number]}
