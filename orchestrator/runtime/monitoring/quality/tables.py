"""Metrics of confusion matrices: values, standard errors, and what chance makes of them.

A matrix has a row for each label and a column for each prediction. Shares (accuracy, precision, recall, the rates) are
binomial given their denominator. F-scores and the weighted metrics are smooth functions of the whole matrix: their
standard errors follow from the gradient (the delta method), and whether a window's is worse than the baseline's is
answered by an exact permutation test, which shuffles which rows are the window's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.runtime.monitoring.quality.chance import logit_interval, wilson
from orchestrator.runtime.monitoring.quality.measured import Measured

Table = npt.NDArray[np.float64]
BETAS = {"f0_5": 0.5, "f1": 1.0, "f2": 2.0}
CHUNK = 2_000_000
"""So many numbers of permuted matrices are held at once."""


def share(count: float, of: float, confidence: float, reason: str, *, good: bool = True) -> Measured:
    """A share as a metric; with ``good`` false it is the share of all but ``count``."""
    if not of:
        return Measured(None, reason=reason)
    value = count / of if good else 1 - count / of
    interval = wilson(count if good else of - count, of, confidence)
    return Measured(value, math.sqrt(value * (1 - value) / of), interval, int(of))


def f_score(tables: Table, beta: float) -> Any:
    """F-beta of the positive class (the second label) of matrices of two labels; 0 without any positives."""
    correct = (1 + beta**2) * tables[..., 1, 1]
    whole = correct + beta**2 * tables[..., 1, 0] + tables[..., 0, 1]
    return correct / np.where(whole > 0, whole, 1)


def weighted(tables: Table, name: str) -> Any:
    """``weighted_precision``, ``weighted_recall`` or ``weighted_f...``: of each label, weighted by its rows."""
    labels, predictions = tables.sum(axis=-1), tables.sum(axis=-2)
    correct = np.diagonal(tables, axis1=-2, axis2=-1)
    if name == "weighted_recall":
        whole, parts = labels, correct
    elif name == "weighted_precision":
        whole, parts = predictions, correct
    else:
        beta = BETAS[name.removeprefix("weighted_")] ** 2
        whole, parts = beta * labels + predictions, (1 + beta) * correct
    each = parts / np.where(whole > 0, whole, 1)
    total = labels.sum(axis=-1)
    return (labels * each).sum(axis=-1) / np.where(total > 0, total, 1)


def smooth(table: Table, function: Callable[[Table], Any], confidence: float) -> Measured:
    """A smooth metric of a matrix, with the standard error of its gradient."""
    of = float(table.sum())
    value = float(function(table))
    gradient = _gradient(table, function)
    error = math.sqrt(max(0.0, float((table * gradient**2).sum() - (table * gradient).sum() ** 2 / of)))
    return Measured(value, error, logit_interval(value, error, of, confidence), int(of))


def _gradient(table: Table, function: Callable[[Table], Any]) -> Table:
    """The derivative by each cell that is not empty, by central differences."""
    places = np.argwhere(table > 0)
    found = np.zeros_like(table)
    size = len(table)
    step = np.minimum(1e-3, table[tuple(places.T)] * 1e-3)
    block = max(1, CHUNK // (size * size))
    for start in range(0, len(places), block):
        some, by = places[start : start + block], step[start : start + block]
        near = np.broadcast_to(table, (len(some), size, size))
        change = np.zeros_like(near)
        change[np.arange(len(some)), some[:, 0], some[:, 1]] = by
        found[tuple(some.T)] = (function(near + change) - function(near - change)) / (2 * by)
    return found


def permutation_tails(baseline: Table, window: Table, functions: Mapping[str, Callable[[Table], Any]],
                      draws: int, seed: int = 20260730) -> dict[str, float]:  # fmt: skip
    """How often the window's metric falls as far below the baseline's when rows change places at random.

    Given all rows together, which of them are the window's is a draw without replacement: matrices of the window are
    multivariate hypergeometric. The p-value counts the observed matrix as one of the draws, so that its level is exact
    (Phipson and Smyth, 2010). ``seed`` is fixed: the same documents always give the same p-value.
    """
    pooled = (baseline + window).astype(np.int64)
    places = np.argwhere(pooled > 0)
    colours, size = pooled[tuple(places.T)], len(pooled)
    gap = {name: float(function(baseline) - function(window)) for name, function in functions.items()}
    beyond = dict.fromkeys(functions, 0)
    random = np.random.default_rng(seed)
    block = max(1, CHUNK // (size * size))
    for start in range(0, draws, block):
        many = min(block, draws - start)
        drawn = random.multivariate_hypergeometric(colours, int(window.sum()), size=many, method="marginals")
        tables = np.zeros((many, size, size))
        tables[:, places[:, 0], places[:, 1]] = drawn
        others = pooled - tables
        for name, function in functions.items():
            beyond[name] += int((function(others) - function(tables) >= gap[name] - 1e-12).sum())
    return {name: (1 + count) / (1 + draws) for name, count in beyond.items()}


def matrix_of(document: Mapping[str, Any], labels: Sequence[str]) -> Table:
    """A confusion matrix of a document as an array with a row and a column for each of the labels."""
    return np.array([[float((document.get(row) or {}).get(column, 0)) for column in labels] for row in labels])


def document_of(table: Table, labels: Sequence[str]) -> dict[str, dict[str, int]]:
    """A confusion matrix as it stands in the statistics: label -> prediction -> rows."""
    return {
        row: {column: int(table[i, j]) for j, column in enumerate(labels)} for i, row in enumerate(labels)
    }  # fmt: skip
