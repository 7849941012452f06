"""The flip test: would people of the facet have been answered differently if they were not of it?

Each row of the facet gets the answer of its nearest rows of everybody else: the majority of five (of one, where there
are fewer than ten), by Euclidean distance, as Clarify's open library does it. FT is the share of the facet's rows that
the model answers better than their neighbours, less the share that it answers worse.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-post-training-bias-metric-ft.html
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.runtime.monitoring.bias.formulas import Numbers

NEIGHBOURS, FEW_NEIGHBOURS, FEW_ROWS = 5, 1, 9
KEPT = 24
"""Neighbours kept for each row: enough that a bootstrap sample of everybody else has five among them."""
BLOCK = 4_000_000
"""Distances computed at once."""
RESAMPLES = 200


@dataclass(frozen=True, slots=True)
class Flips:
    """The flip test of one facet: its value, its standard error, and how many rows of each side it looked at."""

    value: float
    error: float
    facet: int
    rest: int


def flip_test(features: Numbers, of_facet: NDArray[np.bool_], positive: NDArray[np.bool_], seed: int = 0) -> Flips:
    """The flip test of rows of numbers (rows x features) without gaps; NaN where one side has no rows.

    The standard error is that of a bootstrap over both sides, with ``seed``.
    """
    facet, rest = features[of_facet], features[~of_facet]
    if not len(facet) or not len(rest):
        return Flips(float("nan"), float("nan"), len(facet), len(rest))
    wanted = NEIGHBOURS if len(rest) > FEW_ROWS else FEW_NEIGHBOURS
    near = nearest(facet, rest, min(len(rest), KEPT))
    answers = positive[~of_facet][near]
    own = positive[of_facet].astype(np.int8)
    flips = own - _majority(answers[:, :wanted]).astype(np.int8)
    random = np.random.default_rng(seed)
    values = []
    for _ in range(RESAMPLES):
        weights = np.bincount(random.integers(len(rest), size=len(rest)), minlength=len(rest))
        chosen = random.integers(len(facet), size=len(facet))
        values.append(float((own - _weighted(answers, weights[near], wanted))[chosen].mean()))
    error = float(np.hypot(np.std(values), 1 / len(facet)))
    return Flips(float(flips.mean()), error, len(facet), len(rest))


def nearest(rows: Numbers, others: Numbers, count: int) -> NDArray[np.intp]:
    """The places of the ``count`` nearest others of each row, nearest first (of equally near ones, the first)."""
    middle = others.mean(axis=0)  # near the origin, the squares of the distances lose fewer digits
    rows, others = rows - middle, others - middle
    lengths = (others**2).sum(axis=1)
    found = np.empty((len(rows), count), dtype=np.intp)
    step = max(1, BLOCK // len(others))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        distances = lengths - 2 * block @ others.T
        if count < len(others):
            near = np.sort(np.argpartition(distances, count - 1, axis=1)[:, :count], axis=1)
        else:
            near = np.broadcast_to(np.arange(count), (len(block), count))
        order = np.argsort(np.take_along_axis(distances, near, axis=1), axis=1, kind="stable")
        found[start : start + step] = np.take_along_axis(near, order, axis=1)
    return found


def _majority(answers: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(2 * answers.sum(axis=1) > answers.shape[1])


def _weighted(answers: NDArray[np.bool_], weights: NDArray[np.intp], wanted: int) -> NDArray[np.int8]:
    """The majority of the first ``wanted`` neighbours when each occurs as often as its weight."""
    until = np.minimum(np.cumsum(weights, axis=1), wanted)
    used = np.diff(until, axis=1, prepend=0)
    return np.asarray(2 * (used * answers).sum(axis=1) > used.sum(axis=1)).astype(np.int8)
