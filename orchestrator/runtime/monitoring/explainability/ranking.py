"""From the attributions of rows to one of each feature; how alike two rankings are; and what chance would make of them.

Clarify's measure is the normalised discounted cumulative gain: the features, in the order of the window, gain their
attribution in the baseline, discounted by the logarithm of their rank; divided by what the baseline's own order gains.
1 is the same order. Features that tie in the window share their gains evenly.

If nothing has changed, the explained rows of baseline and window could have been swapped: they are dealt again and
again, and the window has drifted when few deals have a gain as low as its own.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-model-monitor-feature-attribution-drift.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.runtime.monitoring.explainability.kernel import Numbers

DEALS, BOOTSTRAP, CONFIDENCE = 1999, 1000, 0.95
BLOCK = 4_000_000


def total(values: Numbers, method: str) -> Numbers:
    """One attribution for each feature of rows x features (leading axes stay)."""
    if method == "median":
        return np.asarray(np.median(values, axis=-2), dtype=np.float64)
    return _measured(values, method).mean(axis=-2)  # type: ignore[no-any-return]


def _measured(values: Numbers, method: str) -> Numbers:
    return values**2 if method == "mean_sq" else np.abs(values)


def ranks(attributions: Numbers) -> NDArray[np.intp]:
    """The rank of each feature, 1 the greatest; the sign does not count."""
    order = np.argsort(-np.abs(attributions), kind="stable")
    found = np.empty(len(order), dtype=np.intp)
    found[order] = np.arange(1, len(order) + 1)
    return found


def gain(baseline: Numbers, window: Numbers) -> Numbers:
    """The normalised discounted cumulative gain of the last axis; 1 where the baseline attributes nothing."""
    before, now = np.abs(np.atleast_2d(baseline)), np.abs(np.atleast_2d(window))
    count = before.shape[1]
    discount = 1 / np.log2(np.arange(2, count + 2))
    order = np.argsort(-now, axis=1, kind="stable")
    gains, ranked = np.take_along_axis(before, order, axis=1), np.take_along_axis(now, order, axis=1)
    fresh = np.ones(ranked.shape, dtype=bool)
    fresh[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    starts = np.flatnonzero(fresh)
    sizes = np.diff(np.append(starts, fresh.size))
    shared = np.repeat(np.add.reduceat(gains.ravel(), starts) / sizes, sizes).reshape(gains.shape)
    ideal = -np.sort(-before, axis=1) @ discount
    found = np.divide(shared @ discount, ideal, out=np.ones(len(ideal)), where=ideal > 0)
    return np.asarray(found.reshape(np.shape(baseline)[:-1]), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike the rankings of one output are: the gain, its interval, and how often chance makes it so low."""

    value: float
    interval: tuple[float, float]
    p_value: float
    adjusted_p_value: float


def compare(baseline: Numbers, window: Numbers, method: str, seed: int, deals: int = DEALS) -> list[Likeness]:
    """The likeness of each output. Both are outputs x rows x features; the outputs are corrected together."""
    random = np.random.default_rng(seed)
    observed, plain, adjusted = tested(baseline, window, method, random, deals)
    intervals = _intervals(baseline, window, method, random)
    return [
        Likeness(float(value), interval, float(p), float(q))
        for value, interval, p, q in zip(observed, intervals, plain, adjusted, strict=True)
    ]


def tested(baseline: Numbers, window: Numbers, method: str, random: np.random.Generator,
           deals: int) -> tuple[Numbers, Numbers, Numbers]:  # fmt: skip
    """The gain of each output, how often a deal has one as low, and how often it has one for any output."""
    observed = np.array([_gain(before, now, method) for before, now in zip(baseline, window, strict=True)])
    dealt = np.concatenate(list(_deals(baseline, window, method, random, deals)))
    plain = (1 + (dealt <= observed).sum(axis=0)) / (deals + 1)
    least = dealt.min(axis=1, keepdims=True)
    return observed, plain, (1 + (least <= observed).sum(axis=0)) / (deals + 1)


def _gain(before: Numbers, now: Numbers, method: str) -> float:
    return float(gain(total(before, method), total(now, method)))


def _deals(baseline: Numbers, window: Numbers, method: str, random: np.random.Generator,
           deals: int) -> Iterator[Numbers]:  # fmt: skip
    """The gain of each output (columns) in each deal."""
    pooled = np.concatenate([baseline, window], axis=1)
    outputs, rows, features = pooled.shape
    taken = window.shape[1]
    measured = pooled if method == "median" else _measured(pooled, method)
    step = max(1, BLOCK // max(rows * (features if method == "median" else 1), outputs * features))
    for start in range(0, deals, step):
        count = min(step, deals - start)
        order = np.argsort(random.random((count, rows)), axis=1)
        now, before = order[:, :taken], order[:, taken:]
        columns = []
        for each in measured:
            if method == "median":
                first, second = (np.median(each[part], axis=1) for part in (before, now))
            else:
                chosen = np.zeros((count, rows))
                np.put_along_axis(chosen, now, 1.0, axis=1)
                summed = chosen @ each
                second, first = summed / taken, (each.sum(axis=0) - summed) / (rows - taken)
            columns.append(gain(first, second))
        yield np.stack(columns, axis=1)


def _intervals(baseline: Numbers, window: Numbers, method: str,
               random: np.random.Generator) -> list[tuple[float, float]]:  # fmt: skip
    """A 95% interval of each gain, by a bootstrap over the rows of both sides."""
    found = []
    for before, now in zip(baseline, window, strict=True):
        values = np.sort(gain(_resampled(before, method, random), _resampled(now, method, random)))
        low, high = (int(share * (BOOTSTRAP - 1)) for share in ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
        found.append((float(values[low]), float(values[high])))
    return found


def _resampled(values: Numbers, method: str, random: np.random.Generator) -> Numbers:
    rows = len(values)
    if method == "median":
        step = max(1, BLOCK // values.size)
        parts = [np.median(values[random.integers(rows, size=(min(step, BOOTSTRAP - start), rows))], axis=1)
                 for start in range(0, BOOTSTRAP, step)]  # fmt: skip
        return np.concatenate(parts)
    weights = random.multinomial(rows, np.full(rows, 1 / rows), size=BOOTSTRAP)
    return np.asarray(weights @ _measured(values, method) / rows, dtype=np.float64)
