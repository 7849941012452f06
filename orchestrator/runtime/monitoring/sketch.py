"""A mergeable sketch of the distribution of many numbers in fixed memory.

Of blocks of ``8 * k`` numbers every eighth is kept (of sorted runs, each from its own place in the first eight); two
blocks of the same weight are merged and every second number is kept. So level ``i`` holds at most one block of ``k``
numbers that stand for ``2**i`` numbers each, and a rank is off by about ``0.7 / k`` of all numbers: each thinning is
unbiased, and their errors are independent. Fewer than ``8 * k`` numbers are kept as they are.

Method: Agarwal, Cormode, Huang, Phillips, Wei, Yi, "Mergeable Summaries", PODS 2012, section 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

THINNING = 3
"""A full block is thinned by ``2**THINNING`` at once."""
RUN = 2048
"""So many numbers are sorted at once."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Sorted distinct places with the cumulative weight at each: an empirical distribution function."""

    values: Numbers
    cumulative: Numbers

    @property
    def total(self) -> float:
        """How many numbers the distribution stands for."""
        return float(self.cumulative[-1]) if len(self.cumulative) else 0.0

    def below(self, points: Numbers, *, inclusive: bool = True) -> Numbers:
        """How many numbers are at or below each point (strictly below when not inclusive)."""
        side: Any = "right" if inclusive else "left"
        padded = np.concatenate([[0.0], self.cumulative])
        return np.asarray(padded[np.searchsorted(self.values, points, side=side)], dtype=np.float64)

    def quantile(self, shares: Sequence[float] | Numbers) -> Numbers:
        """The least number with at least this share of all numbers at or below it."""
        places = np.searchsorted(self.cumulative, np.asarray(shares) * self.total * (1 - 1e-12), side="left")
        return np.asarray(self.values[np.minimum(places, len(self.values) - 1)], dtype=np.float64)

    def histogram(self, edges: Numbers) -> Numbers:
        """How many numbers lie in each interval [edge, next edge), the last one closed."""
        at_edges = self.below(edges, inclusive=False)
        at_edges[-1] = self.below(edges[-1:])[0]
        return np.asarray(np.diff(at_edges), dtype=np.float64)


def distribution(levels: Sequence[Numbers]) -> Distribution:
    """The distribution of levels of numbers where a number of level ``i`` weighs ``2**i``."""
    if not any(len(level) for level in levels):
        return Distribution(np.empty(0), np.empty(0))
    values = np.concatenate([np.asarray(level, dtype=np.float64) for level in levels])
    weights = np.concatenate([np.full(len(level), float(1 << i)) for i, level in enumerate(levels)])
    order = np.argsort(values, kind="stable")
    values, cumulative = values[order], np.cumsum(weights[order])
    last = np.append(values[1:] != values[:-1], True)
    return Distribution(values[last], cumulative[last])


def compact(whole: Distribution, k: int) -> list[list[float]]:
    """Levels with at most ``2 * k`` numbers, evenly spaced in rank, whose weights add up to the whole.

    This is the form the statistics document carries; the rank of a place moves by at most ``1 / (2 * k)`` of the whole.
    """
    count = round(whole.total)
    top = max(0, (max(count, 1) // (2 * k)).bit_length())
    step = 1 << top
    ranks = np.arange(count >> top, dtype=np.float64) * step + (step + 1) // 2
    levels: list[list[float]] = [[] for _ in range(top + 1)]
    levels[top] = _at_ranks(whole, ranks).tolist()
    reached = (count >> top) << top
    for level in range(top - 1, -1, -1):
        weight = 1 << level
        if count - reached >= weight:
            levels[level] = _at_ranks(whole, np.array([reached + (weight + 1) // 2], dtype=np.float64)).tolist()
            reached += weight
    return levels


def _at_ranks(whole: Distribution, ranks: Numbers) -> Numbers:
    places = np.searchsorted(whole.cumulative, ranks, side="left")
    return np.asarray(whole.values[np.minimum(places, len(whole.values) - 1)], dtype=np.float64)


class QuantileSketch:
    """Takes numbers in, one batch after the other; gives their distribution at any time."""

    def __init__(self, k: int = 8192, seed: int = 0) -> None:
        self.k = k
        self.count = 0
        self._random = np.random.default_rng(seed)
        self._waiting: list[Numbers] = []
        self._waiting_count = 0
        self._levels: dict[int, Numbers] = {}

    @property
    def block(self) -> int:
        """How many numbers are thinned at once; up to as many are kept exactly."""
        return self.k << THINNING

    def update(self, values: Numbers) -> None:
        """Take in finite numbers, in any order."""
        self.count += len(values)
        self._waiting.append(values)
        self._waiting_count += len(values)
        if self._waiting_count < self.block:
            return
        waiting = np.concatenate(self._waiting)
        whole = len(waiting) // self.block * self.block
        for start in range(0, whole, self.block):
            self._push(THINNING, self._thinned(waiting[start : start + self.block]))
        self._waiting = [waiting[whole:].copy()]
        self._waiting_count = len(waiting) - whole

    def _thinned(self, block: Numbers) -> Numbers:
        """Every eighth of a block, in order: each run is sorted and thinned alone, which is much faster than sorting
        the block, and the runs are merged. Their offsets are spread evenly, so that their errors cancel."""
        run, step = RUN if len(block) % RUN == 0 else len(block), 1 << THINNING
        runs = np.sort(block.reshape(-1, run), axis=1)
        offsets = self._random.permutation(len(runs)) % step
        if len(runs) % step:
            offsets = self._random.integers(step, size=len(runs))
        places = offsets[:, np.newaxis] + np.arange(0, run, step)
        thinned = np.take_along_axis(runs, places, axis=1).ravel()
        thinned.sort(kind="stable")
        return thinned

    def _push(self, level: int, block: Numbers) -> None:
        """Put a block on its level; two on one level become one on the next."""
        while level in self._levels:
            both = np.concatenate([self._levels.pop(level), block])
            both.sort(kind="stable")
            block = both[int(self._random.integers(2)) :: 2].copy()
            level += 1
        self._levels[level] = block

    def merge(self, other: QuantileSketch) -> None:
        """Take in what another sketch of the same size has seen. Raises ValueError for another size."""
        if other.k != self.k:
            raise ValueError(f"Sketches of size {self.k} and {other.k} do not merge.")
        self.count += other.count - other._waiting_count
        for level, block in sorted(other._levels.items()):
            self._push(level, block)
        for part in other._waiting:
            self.update(part)

    def distribution(self) -> Distribution:
        """The distribution of all numbers seen."""
        top = max(self._levels, default=0)
        none = np.empty(0)
        levels = [self._levels.get(level, none) for level in range(top + 1)]
        levels[0] = np.concatenate(self._waiting) if self._waiting else none
        return distribution(levels)


def ks_distance(first: Distribution, second: Distribution) -> tuple[float, float]:
    """The two-sample Kolmogorov-Smirnov distance, and the value at which it is reached."""
    if not first.total or not second.total:
        return 0.0, 0.0
    points = np.union1d(first.values, second.values)
    gap = np.abs(first.below(points) / first.total - second.below(points) / second.total)
    place = int(np.argmax(gap))
    return float(gap[place]), float(points[place])


def stored(levels: Iterable[Iterable[float]]) -> Distribution:
    """The distribution of a sketch as the statistics document stores it."""
    return distribution([np.asarray(list(level), dtype=np.float64) for level in levels])
