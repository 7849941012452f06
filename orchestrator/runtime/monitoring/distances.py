"""Distances between two samples over the same bins: PSI, Jensen-Shannon, L-infinity, and Pearson's chi-square."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestrator.runtime.monitoring.probability import chi_square_tail
from orchestrator.runtime.monitoring.sketch import Distribution, Numbers

PSEUDO_COUNT = 0.5
"""Added to each bin before PSI, which is not defined for empty bins."""

LEAST_EXPECTED = 5.0
"""Cochran's rule: bins in which fewer are expected are pooled before a chi-square test."""


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """Pearson's test of homogeneity."""

    statistic: float
    freedom: int
    p_value: float


def psi(baseline: Numbers, observed: Numbers) -> float:
    """The population stability index of two histograms over the same bins (half a count added to each bin)."""
    first, second = baseline + PSEUDO_COUNT, observed + PSEUDO_COUNT
    first, second = first / first.sum(), second / second.sum()
    return float(np.sum((second - first) * np.log(second / first)))


def jensen_shannon(baseline: Numbers, observed: Numbers) -> float:
    """The Jensen-Shannon distance, base 2: 0 for equal shares, 1 for shares without overlap."""
    first, second = baseline / baseline.sum(), observed / observed.sum()
    middle = (first + second) / 2

    def divergence(shares: Numbers) -> float:
        there = shares > 0
        return float(np.sum(shares[there] * np.log2(shares[there] / middle[there])))

    return float(np.sqrt(min(1.0, max(0.0, (divergence(first) + divergence(second)) / 2))))


def l_infinity(baseline: Numbers, observed: Numbers) -> float:
    """The largest difference of the shares of one bin."""
    return float(np.max(np.abs(baseline / baseline.sum() - observed / observed.sum())))


def chi_square(baseline: Numbers, observed: Numbers) -> ChiSquare | None:
    """Whether two histograms come from the same shares; None when fewer than two bins are full enough."""
    table = pooled(np.vstack([baseline, observed]))
    if table.shape[1] < 2:
        return None
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
    statistic = float(np.sum((table - expected) ** 2 / expected))
    freedom = table.shape[1] - 1
    return ChiSquare(statistic, freedom, chi_square_tail(statistic, freedom))


def pooled(table: Numbers) -> Numbers:
    """The table of two rows with its poor columns put together until each is rich enough for a chi-square test."""
    table = table[:, table.sum(axis=0) > 0]
    rows = table.sum(axis=1)
    if table.shape[1] == 0 or not rows.all():
        return np.empty((2, 0))
    least = table.sum(axis=0) * rows.min() / rows.sum()
    order = np.argsort(least, kind="stable")
    poor = int(np.searchsorted(least[order], LEAST_EXPECTED, side="left"))
    if poor == 0:
        return table
    rest = table[:, order[:poor]].sum(axis=1)
    while poor < len(order) and rest.sum() * rows.min() / rows.sum() < LEAST_EXPECTED:
        rest = rest + table[:, order[poor]]
        poor += 1
    return np.column_stack([rest, table[:, order[poor:]]])


def quantile_edges(baseline: Distribution, bins: int = 10) -> Numbers:
    """Inner edges that cut the baseline into bins of about the same number; fewer when values repeat."""
    inner = np.unique(baseline.quantile(np.arange(1, bins) / bins))
    return inner[(inner < baseline.values[-1])] if len(baseline.values) else inner


def binned(whole: Distribution, edges: Numbers) -> Numbers:
    """How many numbers lie in each of the bins (-inf, e0], (e0, e1], ..., (en, inf)."""
    return np.diff(np.concatenate([[0.0], whole.below(edges), [whole.total]]))
