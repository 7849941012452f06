"""KernelSHAP for any model: Shapley values by asking it about rows of which some features are the background's.

The same coalitions of features are asked about for every row, so that one small matrix turns the answers of all rows
into attributions: a weighted regression on the coalitions whose coefficients must add up to what the row's answer
differs from the background's by. Where all coalitions fit into the samples, the values are exact. Otherwise the small
and the large coalitions, which weigh most, are enumerated as far as they fit, and the others drawn, each with its
complement, which halves the variance.

Sources: Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", 2017; Covert and Lee, "Improving
KernelSHAP", 2021.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.runtime.monitoring.answers import answered, batch_rows
from orchestrator.runtime.monitoring.failures import InputUnreadable
from orchestrator.runtime.monitoring.kinds import Predict

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Cells = NDArray[Any]
"""Rows x features: numbers, or objects where there are texts."""
EXTRA_SAMPLES = 512
"""Coalitions beside two for each feature, where nothing is said."""
MOST_CELLS = 100_000_000
"""Values the model is asked about at most."""
EDGE = 1e-7


@dataclass(frozen=True, slots=True)
class Coalitions:
    """Which features are the row's own (coalitions x features), and how much each coalition weighs."""

    members: Flags
    weights: Numbers
    exact: bool


@dataclass(frozen=True, slots=True)
class Explained:
    """Attributions (outputs x rows x features), and the answer for the background (outputs)."""

    values: Numbers
    expected: Numbers


def coalitions(features: int, samples: int, seed: int) -> Coalitions:
    """At most ``samples`` coalitions of so many features, all of them where they fit; ``samples`` must be enough."""
    everything = 2**features - 2
    if features < 2 or everything <= samples:
        sizes = range(1, features)
        parts = [_of_size(features, size) for size in sizes]
        weights = [np.full(len(part), _weight(features, size) / len(part))
                   for size, part in zip(sizes, parts, strict=True)]  # fmt: skip
        members = np.concatenate(parts) if parts else np.zeros((0, features), dtype=bool)
        return Coalitions(members, np.concatenate(weights) if weights else np.zeros(0), exact=True)
    return _drawn(features, samples, np.random.default_rng(seed))


def enough(features: int, samples: int) -> int:
    """How many samples are taken where ``samples`` are asked for (0: nothing was said).

    Fewer than two for each feature cannot tell the features apart.
    """
    return max(samples, 2 * features) if samples else 2 * features + EXTRA_SAMPLES


def _weight(features: int, size: int) -> float:
    """The weight of all coalitions of a size together, up to a constant."""
    return (features - 1) / (size * (features - size))


def _of_size(features: int, size: int) -> Flags:
    found = np.zeros((comb(features, size), features), dtype=bool)
    for place, chosen in enumerate(combinations(range(features), size)):
        found[place, list(chosen)] = True
    return found


def _drawn(features: int, samples: int, random: np.random.Generator) -> Coalitions:
    """Sizes from the ends inwards while they fit in full, then draws."""
    parts, weights, left = [], [], samples
    size = 1
    while size < features - size or size == features - size:
        both = 1 if size == features - size else 2
        count = comb(features, size)
        rest = sum(_weight(features, each) for each in range(size, features - size + 1))
        if size > 1 and left * both * _weight(features, size) / rest < both * count:
            break  # single features always fit: without each of them, the regression would be singular
        found = _of_size(features, size)
        parts += [found, ~found][:both]
        weights += [np.full(count, _weight(features, size) / count)] * both
        left -= both * count
        size += 1
    sizes = np.arange(size, features - size + 1)
    if left > 1 and len(sizes):
        share = np.array([_weight(features, each) for each in sizes.tolist()])
        chosen = random.choice(sizes, size=left // 2, p=share / share.sum())
        ranks = np.argsort(np.argsort(random.random((left // 2, features)), axis=1), axis=1)
        some = ranks < chosen[:, None]
        members, counts = np.unique(np.concatenate([some, ~some]), axis=0, return_counts=True)
        parts.append(members)
        weights.append(counts * share.sum() / counts.sum())
    return Coalitions(np.concatenate(parts), np.concatenate(weights), exact=False)


def regression(known: Coalitions) -> tuple[Numbers, Numbers]:
    """Two matrices: attributions are the first times (answers of the coalitions less the background's), plus the
    second times what the row's own answer differs from the background's by."""
    members = known.members.astype(np.float64)
    features = members.shape[1]
    if features == 1:
        return np.zeros((1, 0)), np.ones(1)
    weighted = members.T * known.weights
    inverse = np.linalg.pinv(weighted @ members, hermitian=True)
    ones = inverse.sum(axis=1)
    total = ones.sum()
    part = inverse @ weighted
    return part - np.outer(ones, part.sum(axis=0)) / total, ones / total


def rows_that_fit(rows: int, features: int, samples: int, background: int, model_rows: int, least: int) -> int:
    """How many of the rows can be explained. Raises InputUnreadable when they are fewer than ``least``."""
    each = max(1, min(samples, (1 << features) - 2)) * background
    fit = min(model_rows // each, MOST_CELLS // max(1, each * features))
    if fit < min(least, rows):
        raise InputUnreadable(
            f"To explain {min(least, rows)} rows of {features:,} features, the model would be asked about "
            f"{min(least, rows) * each:,} rows; {fit * each:,} are allowed.",
            hint="Name fewer num_samples or fewer rows in shap_config.baseline, raise policy.model_rows, or give a "
            "model_file of XGBoost.",
        )
    return min(rows, fit)


def explain(rows: Cells, background: Cells, known: Coalitions, predict: Predict, *, logit: bool = False) -> Explained:
    """The attributions of each row. Raises ModelFailed when the model does not answer as it should."""
    asked = _Asked(predict, rows.shape[1], logit)
    expected = asked(len(background), lambda place: background[place]).mean(axis=0)
    own = asked(len(rows), lambda place: rows[place])
    count, many = len(known.members), len(background)

    def mixed(place: NDArray[np.intp]) -> Cells:
        row, coalition, other = place // (count * many), place // many % count, place % many
        return np.where(known.members[coalition], rows[row], background[other])

    answers = asked(len(rows) * count * many, mixed)
    outputs = own.shape[1]
    answers = answers.reshape(len(rows), count, many, outputs).mean(axis=2) - expected
    first, second = regression(known)
    values = np.einsum("fc,rco->orf", first, answers) + np.einsum("f,ro->orf", second, own - expected)
    return Explained(values, expected)


class _Asked:
    """The model as a function of places: rows are made and asked about in batches."""

    def __init__(self, predict: Predict, width: int, logit: bool) -> None:
        self._predict, self._step, self._logit = predict, batch_rows(width), logit
        self._count = 0
        self._outputs = 0

    def __call__(self, total: int, made: Callable[[NDArray[np.intp]], Cells]) -> Numbers:
        found = []
        for start in range(0, total, self._step):
            rows = _listed(made(np.arange(start, min(start + self._step, total))))
            answers = answered(self._predict, rows, self._count)
            self._count += len(rows)
            found.append(self._checked(answers))
        return np.concatenate(found) if found else np.zeros((0, max(1, self._outputs)))

    def _checked(self, answers: list[list[float]]) -> Numbers:
        widths = {len(row) for row in answers} | ({self._outputs} if self._outputs else set())
        if len(widths) > 1:
            raise InputUnreadable(
                f"The model answers {' and '.join(map(str, sorted(widths)))} scores for different rows.",
                hint="Say in model_scores where the scores lie.",
            )
        (self._outputs,) = widths
        scores = np.array(answers, dtype=np.float64)
        if not self._logit:
            return scores
        if (scores < 0).any() or (scores > 1).any():
            raise InputUnreadable("use_logit needs probabilities; the model answers numbers that are none.")
        sure = np.clip(scores, EDGE, 1 - EDGE)
        return np.asarray(np.log(sure / (1 - sure)))


def _listed(cells: Cells) -> list[list[Any]]:
    """Rows as lists, with None for what is missing."""
    rows: list[list[Any]] = cells.tolist()
    if cells.dtype == np.float64 and not np.isnan(cells).any():
        return rows
    return [[None if value != value else value for value in row] for row in rows]
