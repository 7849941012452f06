"""Data points put together: what a period of a metric amounts to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")
PLAIN = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")


class NoStatistic(ValueError):
    """The embedded CloudWatch has no such statistic."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Some values: their number, sum, least and greatest, and each (value, times) where they are known one by one."""

    count: float
    total: float
    least: float
    greatest: float
    values: tuple[tuple[float, float], ...] | None

    @classmethod
    def of(cls, values: Iterable[tuple[float, float]]) -> Aggregate:
        """Of values, each with how often it was measured."""
        known = tuple(values)
        total = sum(value * times for value, times in known)
        numbers = [value for value, _ in known]
        return cls(sum(times for _, times in known), total, min(numbers), max(numbers), known)

    @classmethod
    def read(cls, document: list[Any]) -> Aggregate:
        """The inverse of ``written``."""
        count, total, least, greatest, values = document
        return cls(count, total, least, greatest, None if values is None else tuple((v, n) for v, n in values))

    def written(self) -> list[Any]:
        """As JSON."""
        return [self.count, self.total, self.least, self.greatest, None if self.values is None else list(self.values)]

    def with_(self, other: Aggregate) -> Aggregate:
        """Both together."""
        values = None
        if self.values is not None and other.values is not None:
            merged = dict(self.values)
            for value, times in other.values:
                merged[value] = merged.get(value, 0.0) + times
            values = tuple(merged.items())
        least, greatest = min(self.least, other.least), max(self.greatest, other.greatest)
        return Aggregate(self.count + other.count, self.total + other.total, least, greatest, values)

    def statistic(self, name: str) -> float | None:
        """The statistic of this name; None for a percentile of values that were only told in sum."""
        match name:
            case "SampleCount":
                return self.count
            case "Sum":
                return self.total
            case "Average":
                return self.total / self.count
            case "Minimum":
                return self.least
            case "Maximum":
                return self.greatest
        percentile = PERCENTILE.fullmatch(name)
        if percentile is None:
            raise NoStatistic(name)
        return self._percentile(float(percentile[1]))

    def _percentile(self, percent: float) -> float | None:
        """The smallest value that at least this part of the values does not exceed."""
        if self.values is None:
            return self.least if self.least == self.greatest else None
        wanted, seen = self.count * percent / 100, 0.0
        for value, times in sorted(self.values):
            seen += times
            if seen >= wanted:
                return value
        return self.greatest


def together(parts: Iterable[Aggregate]) -> Aggregate | None:
    """All of them in one, or None when there are none."""
    found: Aggregate | None = None
    for part in parts:
        found = part if found is None else found.with_(part)
    return found


def known(name: str) -> bool:
    """Whether there is such a statistic here: the five plain ones and percentiles."""
    return name in PLAIN or PERCENTILE.fullmatch(name) is not None
