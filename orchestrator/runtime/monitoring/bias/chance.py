"""A window beside its baseline: which metric has become worse by more than chance.

If nothing has changed, the rows of baseline and window could have come in any order. So the rows of both are dealt
again and again into two samples of these sizes (as counts: a hypergeometric draw of each cell), and each time the same
statistic is computed for every metric of every facet: how much unfairer the window is, in standard errors. A metric
has drifted when its statistic is among the greatest ``alpha`` of the greatest statistics of all deals (Westfall and
Young's step-down procedure, 1993): without drift the chance that *any* metric of *any* facet raises an alarm is at most
``alpha``, exactly, however much the metrics have in common.

Two kinds of tests stand beside these and take their share of ``alpha`` by their number: the flip test, whose standard
error is a bootstrap's, and metrics whose constraint a person has edited, which are compared with a fixed number. Both
take their statistic as normal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from orchestrator.runtime.monitoring.bias.flipping import Flips
from orchestrator.runtime.monitoring.bias.formulas import METRICS, Metric, Numbers, unfairness
from orchestrator.runtime.monitoring.bias.tables import TABLE, Counts, View, aligned, groups_of, layout

BLOCK = 2_000_000
"""Counts drawn at once."""
SMOOTHING = 0.5
"""Added to each cell of a table before its statistic: no denominator is zero then."""
SAME_AS_DPL = frozenset({"KS", "LP", "TVD"})
"""With two labels these are multiples of DPL: the same test, asked once."""
BOOTSTRAP, CONFIDENCE = 1000, 0.95
LARGEST = 900_000_000
"""numpy draws from fewer than a thousand million rows; larger tables are scaled down, which only costs power."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One metric of one view in a window. ``limit`` is the value it is compared with: the baseline's, or an edited
    one. ``rows``: of the facet and of everybody else, that the metric counts. ``reason``: why it was not tested."""

    view: View
    metric: str
    value: float
    interval: tuple[float, float] | None = None
    limit: float | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None
    rows: tuple[int, int] = (0, 0)
    baseline_rows: tuple[int, int] = (0, 0)
    reason: str = ""

    @property
    def worse_by(self) -> float:
        """How much unfairer than the limit; 0 when it is not."""
        if self.limit is None:
            return 0.0
        now, before = (float(unfairness(self.metric, np.array(each))) for each in (self.value, self.limit))
        return now - before if now > before else 0.0


Key = tuple[tuple[str, str], str]
"""A view's key and a metric's name."""


def values(counts: Counts, view: View) -> dict[str, float]:
    """Every metric that counts can give; NaN where it is not defined."""
    cells = list(counts.cells)
    table = layout(cells, view, groups_of(cells)).tables(np.array([list(counts.cells.values())], dtype=np.float64))
    return {name: float(_of(metric, table)[0]) for name, metric in METRICS.items() if metric.formula}


def _of(metric: Metric, tables: Numbers) -> Numbers:
    assert metric.formula is not None
    return metric.formula(tables if metric.grouped else tables.sum(axis=1))


def sizes(counts: Counts, view: View, metric: Metric) -> tuple[int, int]:
    """How many rows of the facet and of everybody else the metric counts."""
    found = [0, 0]
    labelled, predicted = metric.reads
    for cell, count in counts.cells.items():
        if cell[view.place] is None or (labelled and cell[-3] == "2") or (predicted and cell[-2] == "2"):
            continue
        found[cell[view.place] != view.code] += count
    return found[0], found[1]


def intervals(counts: Counts, view: View, seed: int) -> dict[str, tuple[float, float]]:
    """A 95% confidence interval of each metric, by a bootstrap over the rows with this seed."""
    cells = list(counts.cells)
    known = layout(cells, view, groups_of(cells))
    count = np.array(list(counts.cells.values()), dtype=np.float64)
    total = int(count.sum())
    random = np.random.default_rng(seed)
    drawn: dict[str, list[Numbers]] = {}
    for size in _blocks(BOOTSTRAP, len(cells), known.groups):
        tables = known.tables(random.multinomial(total, count / total, size=size).astype(np.float64))
        for name, metric in METRICS.items():
            if metric.formula is not None:
                drawn.setdefault(name, []).append(_of(metric, tables))
    found = {}
    for name, parts in drawn.items():
        usable = np.sort(np.concatenate(parts))
        usable = usable[~np.isnan(usable)]
        if len(usable) >= BOOTSTRAP / 2:
            low, high = (int(share * (len(usable) - 1)) for share in ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
            found[name] = (float(usable[low]), float(usable[high]))
    return found


def _blocks(draws: int, cells: int, groups: int) -> Iterator[int]:
    step = max(1, BLOCK // max(cells, 18 * groups))
    for start in range(0, draws, step):
        yield min(step, draws - start)


def _scores(name: str, metric: Metric, tables: Numbers) -> Numbers:
    """Unfairness on a scale on which it is about normal: divergences grow as the square of a difference."""
    found = _of(metric, tables)
    return np.sqrt(np.abs(found)) if name in ("KL", "JS") else unfairness(name, found)


def _measured(name: str, metric: Metric, tables: Numbers) -> tuple[Numbers, Numbers]:
    """The score of each table and its variance, by what one more row of each cell would change."""
    if metric.grouped:
        return _disparities(name, tables)
    plain = tables.sum(axis=1, keepdims=True) + SMOOTHING
    score = _scores(name, metric, plain)
    more, weights = _one_more(metric, plain[:, 0])
    change = _scores(name, metric, (plain + more).reshape(-1, 1, *TABLE)).reshape(len(more), -1) - score
    return score, (weights * change**2).sum(axis=0)


def _one_more(metric: Metric, plain: Numbers) -> tuple[Numbers, Numbers]:
    """One more row of each kind that the metric can tell apart, and how many rows there are of each.

    The first has shape (kinds, 1, 1, 2, 3, 3), the second (kinds, tables).
    """
    labels, predictions = (range(2) if read else range(1) for read in metric.reads)
    kinds = [(facet, label, predicted) for facet in range(2) for label in labels for predicted in predictions]
    unread = tuple(-2 + axis for axis, read in enumerate(metric.reads) if not read)
    rows = plain.sum(axis=unread, keepdims=True) if unread else plain
    more = np.zeros((len(kinds), 1, 1, *TABLE))
    for place, kind in enumerate(kinds):
        more[(place, 0, 0, *kind)] = 1
    return more, np.stack([rows[(slice(None), *kind)] for kind in kinds])


def _disparities(name: str, tables: Numbers) -> tuple[Numbers, Numbers]:
    """The same for CDDL and CDDPL: the variances of the shares within the groups, and of the groups' sizes."""
    outcomes = tables[..., :2, :].sum(axis=-1) if name == "CDDL" else tables[..., :2].sum(axis=-2)
    by_outcome = outcomes.sum(axis=-2)
    shares = outcomes[..., 1, :] / np.where(by_outcome == 0, 1.0, by_outcome)
    rows = by_outcome.sum(axis=-1)
    total = np.maximum(rows.sum(axis=-1), 1.0)
    weights = rows / total[:, None]
    disparity = shares[..., 0] - shares[..., 1]
    mean = (weights * disparity).sum(axis=-1)
    within = (shares * (1 - shares) / np.where(by_outcome == 0, 1.0, by_outcome)).sum(axis=-1)
    between = np.maximum((weights * disparity**2).sum(axis=-1) - mean**2, 0.0) / total
    variance = (weights**2 * within).sum(axis=-1) + between + 1 / total**2
    return np.where((by_outcome.sum(axis=-2) > 0).all(axis=-1), np.abs(mean), np.nan), variance


def _statistics(names: Sequence[str], before: Numbers, now: Numbers) -> Numbers:
    """How much unfairer the second tables are than the first, in standard errors: one column for each metric."""
    columns = []
    for name in names:
        (first, first_variance), (second, second_variance) = (
            _measured(name, METRICS[name], tables) for tables in (before, now)
        )
        spread = np.sqrt(first_variance + second_variance)
        found = np.divide(second - first, spread, out=np.full(len(first), -np.inf), where=spread > 0)
        columns.append(np.where(np.isnan(found), -np.inf, found))
    return np.stack(columns, axis=1)


def _thinned(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    total = int(counts.sum())
    return counts if total <= LARGEST else counts * (LARGEST // 2) // total


@dataclass(frozen=True, slots=True)
class Family:
    """The tests that are corrected together: which metrics of which view."""

    tests: Mapping[View, Sequence[str]]

    def run(self, before: Counts, now: Counts, draws: int, seed: int) -> dict[Key, tuple[float, float]]:
        """The p-value and the adjusted p-value of each test, by so many deals."""
        cells, (first, second) = aligned(before.cells, now.cells)
        first, second = _thinned(first), _thinned(second)
        groups = groups_of(cells)
        layouts = {view: layout(cells, view, groups) for view in self.tests}
        random = np.random.default_rng(seed)

        def statistics(baseline: NDArray[np.int64], window: NDArray[np.int64]) -> Numbers:
            return np.concatenate([
                _statistics(names, layouts[view].tables(baseline.astype(np.float64)),
                            layouts[view].tables(window.astype(np.float64)))
                for view, names in self.tests.items()
            ], axis=1)  # fmt: skip

        observed = statistics(first[None], second[None])[0]
        pooled, dealt = first + second, []
        for size in _blocks(draws, len(cells), len(groups)):
            window = random.multivariate_hypergeometric(pooled, int(second.sum()), size=size, method="marginals")
            dealt.append(statistics(pooled - window, window))
        plain, adjusted = step_down(observed, np.concatenate(dealt))
        keys = [(view.key, name) for view, names in self.tests.items() for name in names]
        return {key: (float(p), float(q)) for key, p, q in zip(keys, plain, adjusted, strict=True)}


def step_down(observed: Numbers, dealt: Numbers) -> tuple[Numbers, Numbers]:
    """p-values, plain and adjusted, of statistics beside those of the deals (deals x statistics)."""
    deals = len(dealt) + 1
    plain = (1 + (dealt >= observed).sum(axis=0)) / deals
    order = np.argsort(-observed, kind="stable")
    greatest = np.maximum.accumulate(dealt[:, order][:, ::-1], axis=1)[:, ::-1]
    ranked = np.maximum.accumulate((1 + (greatest >= observed[order]).sum(axis=0)) / deals)
    adjusted = np.empty_like(ranked)
    adjusted[order] = ranked
    return plain, adjusted


def normal_tail(statistic: float) -> float:
    """The chance that a standard normal variable is at least this."""
    return math.erfc(statistic / math.sqrt(2)) / 2


def against(limit: float, name: str, counts: Counts, view: View) -> float:
    """The p-value of a metric beside a fixed limit."""
    cells = list(counts.cells)
    tables = layout(cells, view, groups_of(cells)).tables(np.array([list(counts.cells.values())], dtype=np.float64))
    score, variance = _measured(name, METRICS[name], tables)
    bound = float(unfairness(name, np.array(limit)))
    bound = math.sqrt(bound) if name in ("KL", "JS") else bound
    return normal_tail((float(score[0]) - bound) / math.sqrt(float(variance[0]) or 1e-300))


def flipped(before: Flips, now: Flips) -> float:
    """The p-value of a flip test beside the baseline's."""
    spread = math.hypot(before.error, now.error) or 1e-300
    return normal_tail((abs(now.value) - abs(before.value)) / spread)


def corrected(outcomes: Sequence[Outcome], family: Mapping[Key, tuple[float, float]],
              apart: Mapping[Key, float]) -> list[Outcome]:  # fmt: skip
    """The outcomes with their p-values; both kinds of tests share ``alpha`` by their number."""
    tests = len(family) + len(apart)
    found = []
    for outcome in outcomes:
        key = (outcome.view.key, outcome.metric)
        if outcome.metric in SAME_AS_DPL and key not in apart:
            key = (outcome.view.key, "DPL")
        if outcome.reason:
            found.append(outcome)
        elif key in family:
            plain, adjusted = family[key]
            share = tests / len(family)
            found.append(replace(outcome, p_value=plain, adjusted_p_value=min(1.0, adjusted * share)))
        elif key in apart:
            found.append(replace(outcome, p_value=apart[key], adjusted_p_value=min(1.0, apart[key] * tests)))
        else:
            found.append(outcome)
    return found
