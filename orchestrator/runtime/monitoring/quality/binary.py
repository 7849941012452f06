"""One pass over the rows of a binary problem, to its statistics."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import polars as pl

from orchestrator.runtime.monitoring.calls import LABEL, PREDICTION, PROBABILITY
from orchestrator.runtime.monitoring.quality.chance import deviations
from orchestrator.runtime.monitoring.quality.measured import Measured
from orchestrator.runtime.monitoring.quality.scores import (
    CLIP,
    Moments,
    Scores,
    auc,
    average_precision,
    calibration,
    curves,
)
from orchestrator.runtime.monitoring.quality.settings import Settings
from orchestrator.runtime.monitoring.quality.tables import BETAS, document_of, f_score, share, smooth
from orchestrator.runtime.monitoring.quality.usable import Rows

POSITIVE = ["1", "true", "yes", "t", "y"]
NEGATIVE = ["0", "false", "no", "f", "n", "-1"]
KEY = "binary_classification"
FALSE_POSITIVE, FALSE_NEGATIVE = "false_positive", "false_negative"
NO_POSITIVES, NO_NEGATIVES = "no row is positive", "no row is negative"
NOTHING_PREDICTED = "no row is predicted positive"
NO_PROBABILITIES = "there are no probabilities"


class Binary:
    """Takes frames of labelled rows in. ``thresholded``: predictions are made of the probabilities."""

    key = KEY

    def __init__(self, settings: Settings, rows: Rows, *, thresholded: bool) -> None:
        self._settings, self._rows, self._thresholded = settings, rows, thresholded
        self._table = np.zeros((2, 2))
        self._scores = Scores()

    def update(self, frame: pl.DataFrame) -> None:
        """Take in rows of ``@label`` with ``@prediction``, ``@probability`` or both."""
        labels = self._sides(frame[LABEL])
        words = f"Labels that are neither positive nor negative ({', '.join(POSITIVE)}; {', '.join(NEGATIVE)}) " \
                "were left out."  # fmt: skip
        frame = self._rows.without_labels(frame.with_columns(labels.alias("@positive")), labels.is_not_null(), words)
        scores = self._probabilities(frame)
        if self._thresholded:
            predicted = scores > self._settings.threshold
            message = "Rows without a probability between 0 and 1 cannot be judged."
        else:
            predicted = self._sides(frame[PREDICTION])
            message = "Predictions that are neither positive nor negative cannot be judged."
        frame = frame.with_columns(predicted.alias("@predicted"), scores.alias(PROBABILITY))
        frame = self._rows.take(frame, predicted.is_not_null(), message)
        if not frame.height:
            return
        for (actual, guess), rows in frame.group_by(["@positive", "@predicted"]):
            self._table[int(bool(actual)), int(bool(guess))] += rows.height
        known = frame.filter(pl.col(PROBABILITY).is_not_null())
        if known.height:
            self._scores.update(known[PROBABILITY].to_numpy(), known["@positive"].to_numpy())
        self._look(frame)

    def _sides(self, texts: pl.Series) -> pl.Series:
        """True for positive, False for negative, null for neither."""
        if self._settings.positive_label:
            return texts == self._settings.positive_label
        lower = texts.str.to_lowercase()
        positive = lower.is_in(POSITIVE)
        return positive.set(~(positive | lower.is_in(NEGATIVE)), None)

    def _probabilities(self, frame: pl.DataFrame) -> pl.Series:
        if PROBABILITY not in frame.columns:
            return pl.Series(PROBABILITY, [None] * frame.height, dtype=pl.Float64)
        values = frame[PROBABILITY]
        return values.set(~values.is_between(0, 1).fill_null(False), None)

    def _look(self, frame: pl.DataFrame) -> None:
        """Remember the wrong rows, the surest first."""
        wrong = frame.filter(pl.col("@positive") != pl.col("@predicted"))
        towards = pl.when(pl.col("@positive")).then(pl.col(PROBABILITY)).otherwise(1 - pl.col(PROBABILITY))
        group = pl.when(pl.col("@positive")).then(pl.lit(FALSE_NEGATIVE)).otherwise(pl.lit(FALSE_POSITIVE))
        wrong = wrong.with_columns(
            pl.coalesce(pl.col(PREDICTION) if PREDICTION in wrong.columns else pl.lit(None, dtype=pl.String),
                        pl.col("@predicted").cast(pl.Int8).cast(pl.String)).alias(PREDICTION)
        )  # fmt: skip
        self._rows.worst.update(wrong, group, -(towards.clip(CLIP, 1 - CLIP).log()))

    def statistics(self, confidence: float) -> dict[str, Any]:
        """The statistics document."""
        (tn, fp), (fn, tp) = self._table
        of = self._table.sum()
        nothing = "there are no rows"
        metrics = {
            "recall": share(tp, tp + fn, confidence, NO_POSITIVES),
            "precision": share(tp, tp + fp, confidence, NOTHING_PREDICTED),
            "accuracy": share(tp + tn, of, confidence, nothing),
            "true_positive_rate": share(tp, tp + fn, confidence, NO_POSITIVES),
            "true_negative_rate": share(tn, tn + fp, confidence, NO_NEGATIVES),
            "false_positive_rate": share(fp, tn + fp, confidence, NO_NEGATIVES),
            "false_negative_rate": share(fn, tp + fn, confidence, NO_POSITIVES),
        }
        for name, beta in BETAS.items():
            metrics[name] = Measured(None, reason=NO_POSITIVES)
            if tp + fn:
                metrics[name] = smooth(self._table, partial(f_score, beta=beta), confidence)
        body: dict[str, Any] = {"confusion_matrix": document_of(self._table, ("0", "1"))}
        ranking = self._scores.ranking()
        if len(ranking.scores):
            metrics["auc"] = auc(ranking, confidence)
            metrics["au_prc"] = average_precision(ranking, confidence)
            metrics["log_loss"] = mean_of(self._scores.log_loss, confidence)
            metrics["brier"] = mean_of(self._scores.brier, confidence)
            body |= curves(ranking)
            body["calibration"] = calibration(ranking)
            body["auc_error_at_most"] = ranking.error
        metrics["unusable_prediction_rate"] = self._rows.rate(confidence)
        body = {name: metric.as_dict() for name, metric in metrics.items()} | body
        return {"version": 0.0, "dataset": self._rows.dataset(), f"{KEY}_metrics": body}


def mean_of(moments: Moments, confidence: float) -> Measured:
    """The mean of a loss as a metric."""
    half = deviations(confidence) * moments.error
    interval = max(0.0, moments.mean - half), moments.mean + half
    return Measured(moments.mean, moments.error, interval, moments.count)
