"""Probabilities beside labels: ROC, precision and recall, calibration, and the losses, in bounded memory.

Up to ``EXACT`` rows are kept as they are. Beyond that, probabilities are counted in bins whose width is 1/4096 of the
distance to the nearer end, 0 or 1, at most: the area under the ROC curve then lies within ``error`` of the exact one,
half the share of pairs that share a bin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from orchestrator.runtime.monitoring.quality.chance import logit_interval
from orchestrator.runtime.monitoring.quality.measured import Measured
from orchestrator.runtime.monitoring.sketch import Numbers

EXACT = 1 << 20
BITS = 12
SHIFT = 52 - BITS
LEAST = 2.0**-40
"""Distances to the end below this share one bin."""
FIRST = int(np.float64(LEAST).view(np.int64)) >> SHIFT
SIDE = (int(np.float64(0.5).view(np.int64)) >> SHIFT) - FIRST + 2
CLIP = float(np.finfo(np.float64).eps)
"""Probabilities are kept this far from 0 and 1 in the logarithmic loss, as scikit-learn does."""
BOTH = "there are no positives or no negatives"


@dataclass(slots=True)
class Moments:
    """The mean of a loss and its standard error, one batch after the other (Chan, Golub and LeVeque)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def update(self, values: Numbers) -> None:
        """Take in some losses."""
        if not len(values):
            return
        count, mean = len(values), float(values.mean())
        gap, total = mean - self.mean, self.count + count
        self.squares += float(np.square(values - mean).sum()) + gap * gap * self.count * count / total
        self.mean += gap * count / total
        self.count = total

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return math.sqrt(self.squares / (self.count - 1) / self.count) if self.count > 1 else 0.0


def _bins(scores: Numbers) -> npt.NDArray[np.int64]:
    """The bin of each probability, in order; relative to the nearer end."""
    near = np.minimum(scores, 1 - scores)
    place = (np.maximum(near, LEAST).view(np.int64) >> SHIFT) - FIRST
    place[near < LEAST] = 0
    return np.where(scores <= 0.5, place, 2 * SIDE - 1 - place)


def _middles() -> Numbers:
    """A probability for each bin."""
    low = ((np.arange(SIDE, dtype=np.int64) + FIRST) << SHIFT).view(np.float64)
    high = ((np.arange(1, SIDE + 1, dtype=np.int64) + FIRST) << SHIFT).view(np.float64)
    near = np.minimum((low + high) / 2, 0.5)
    near[0] = 0.0
    return np.concatenate([near, (1 - near)[::-1]])


@dataclass(frozen=True, slots=True)
class Ranking:
    """Positives and negatives at each different probability, in ascending order."""

    scores: Numbers
    positives: Numbers
    negatives: Numbers
    error: float = 0.0

    @property
    def both(self) -> bool:
        """Whether there are rows of both labels."""
        return bool(self.positives.sum() and self.negatives.sum())


@dataclass(slots=True)
class Scores:
    """Takes probabilities in with their labels (true: positive)."""

    exact: int = EXACT
    log_loss: Moments = field(default_factory=Moments)
    brier: Moments = field(default_factory=Moments)
    _waiting: list[tuple[Numbers, npt.NDArray[np.bool_]]] = field(default_factory=list)
    _count: int = 0
    _binned: npt.NDArray[np.int64] | None = None

    def update(self, scores: Numbers, positive: npt.NDArray[np.bool_]) -> None:
        """Take in probabilities between 0 and 1."""
        towards = np.where(positive, scores, 1 - scores)
        self.log_loss.update(-np.log(np.clip(towards, CLIP, 1 - CLIP)))
        self.brier.update(np.square(scores - positive))
        self._waiting.append((scores.copy(), positive.copy()))
        self._count += len(scores)
        if self._count > self.exact:
            self._bin()

    def _bin(self) -> None:
        if self._binned is None:
            self._binned = np.zeros((2, 2 * SIDE), dtype=np.int64)
        for scores, positive in self._waiting:
            places = _bins(scores)
            for row, mask in enumerate((~positive, positive)):
                self._binned[row] += np.bincount(places[mask], minlength=2 * SIDE)
        self._waiting = []

    def ranking(self) -> Ranking:
        """The rows seen so far."""
        if self._binned is not None:
            negatives, positives = self._binned.astype(np.float64)
            there = (positives + negatives) > 0
            pairs = positives.sum() * negatives.sum()
            error = 0.5 * float((positives * negatives).sum() / pairs) if pairs else 0.0
            return Ranking(_middles()[there], positives[there], negatives[there], error)
        if not self._waiting:
            return Ranking(np.empty(0), np.empty(0), np.empty(0))
        scores = np.concatenate([each for each, _ in self._waiting])
        positive = np.concatenate([each for _, each in self._waiting])
        values, places = np.unique(scores, return_inverse=True)
        return Ranking(
            values,
            np.bincount(places[positive], minlength=len(values)).astype(np.float64),
            np.bincount(places[~positive], minlength=len(values)).astype(np.float64),
        )


def auc(ranking: Ranking, confidence: float) -> Measured:
    """The area under the ROC curve, ties counted half; DeLong's standard error (Biometrics 44, 1988)."""
    positives, negatives = ranking.positives, ranking.negatives
    p, n = positives.sum(), negatives.sum()
    if not ranking.both:
        return Measured(None, of=int(p + n), reason=BOTH)
    below = (np.cumsum(negatives) - negatives / 2) / n
    above = 1 - (np.cumsum(positives) - positives / 2) / p
    value = float((positives * below).sum() / p)
    first = float((positives * np.square(below - value)).sum() / max(1.0, p - 1) / p)
    second = float((negatives * np.square(above - value)).sum() / max(1.0, n - 1) / n)
    error = math.sqrt(first + second)
    return Measured(value, error, logit_interval(value, error, float(min(p, n)), confidence), int(p + n))


def average_precision(ranking: Ranking, confidence: float) -> Measured:
    """The area under the precision-recall curve as average precision (no interpolation).

    The standard error is that of its influence function: what one more row of each kind would change.
    """
    positives, negatives = ranking.positives, ranking.negatives
    p, n = positives.sum(), negatives.sum()
    if not ranking.both:
        return Measured(None, of=int(p + n), reason=BOTH)
    true, false = np.cumsum(positives[::-1])[::-1], np.cumsum(negatives[::-1])[::-1]
    seen = true + false
    precision = true / seen
    value = float((positives * precision).sum() / p)
    weight = positives / p
    for_positive = precision - value + np.cumsum(weight * false / seen**2) * p
    for_negative = -np.cumsum(weight * true / seen**2) * p
    squares = float((positives * for_positive**2).sum() + (negatives * for_negative**2).sum())
    error = math.sqrt(squares) / p
    return Measured(value, error, logit_interval(value, error, float(p), confidence), int(p + n))


def curves(ranking: Ranking, points: int = 200) -> dict[str, dict[str, list[float]]]:
    """The ROC and the precision-recall curve, thinned to about so many points, from high to low thresholds."""
    if not ranking.both:
        return {}
    true = np.concatenate([[0.0], np.cumsum(ranking.positives[::-1])])
    false = np.concatenate([[0.0], np.cumsum(ranking.negatives[::-1])])
    rates = true / true[-1], false / false[-1]
    way = np.maximum.accumulate((rates[0] + rates[1]) / 2)
    kept = np.unique(np.searchsorted(way, np.linspace(0, 1, points), side="left").clip(0, len(way) - 1))
    precision = true[kept] / np.maximum(1, true[kept] + false[kept])
    if len(precision) > 1 and kept[0] == 0:
        precision[0] = precision[1]
    return {
        "receiver_operating_characteristic_curve": {
            "false_positive_rates": rates[1][kept].tolist(),
            "true_positive_rates": rates[0][kept].tolist(),
        },
        "precision_recall_curve": {"precisions": precision.tolist(), "recalls": rates[0][kept].tolist()},
    }


def calibration(ranking: Ranking, bins: int = 10) -> list[dict[str, float]]:
    """Even bins of the probability: rows, their mean probability, and how many of them were positive."""
    places = np.minimum((ranking.scores * bins).astype(int), bins - 1)
    rows = ranking.positives + ranking.negatives
    counts, sums = np.bincount(places, rows, bins), np.bincount(places, rows * ranking.scores, bins)
    positive = np.bincount(places, ranking.positives, bins)
    return [
        {
            "lower_bound": place / bins,
            "upper_bound": (place + 1) / bins,
            "count": int(counts[place]),
            "mean_probability": float(sums[place] / counts[place]),
            "positives": int(positive[place]),
        }
        for place in range(bins)
        if counts[place]
    ]
