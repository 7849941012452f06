"""Whole numbers of a small range, counted exactly: cheaper than sorting them, and without any error."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from orchestrator.runtime.monitoring.sketch import Distribution, Numbers

CHUNK = 1 << 16


class WholeNumbers:
    """Counts of whole numbers that lie within ``limit`` of each other."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._first = 0
        self._counts: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def update(self, values: Numbers, least: float, greatest: float) -> bool:
        """Take in finite whole numbers from ``least`` to ``greatest``, the ends of all numbers so far.

        False, and nothing is taken, when they lie too far apart.
        """
        if greatest - least >= self._limit or max(abs(least), abs(greatest)) >= 2.0**53:
            return False
        low, size = int(least), int(greatest) - int(least) + 1
        if low != self._first or size != len(self._counts):
            wider = np.zeros(size, dtype=np.int64)
            start = self._first - low
            wider[start : start + len(self._counts)] = self._counts
            self._first, self._counts = low, wider
        self._counts += np.bincount((values - low).astype(np.int64), minlength=size)
        return True

    def drained(self) -> Iterator[Numbers]:
        """All numbers, in order, in chunks."""
        ends = np.cumsum(self._counts)
        for start in range(0, int(ends[-1]) if len(ends) else 0, CHUNK):
            ranks = np.arange(start, min(start + CHUNK, int(ends[-1])))
            yield (np.searchsorted(ends, ranks, side="right") + self._first).astype(np.float64)

    def distribution(self) -> Distribution:
        """The distribution of all numbers seen."""
        there = np.flatnonzero(self._counts)
        return Distribution((there + self._first).astype(np.float64), np.cumsum(self._counts[there]).astype(np.float64))
