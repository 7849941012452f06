"""One pass over the rows of a regression, to its statistics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

from orchestrator.runtime.monitoring.calls import LABEL, PREDICTION
from orchestrator.runtime.monitoring.quality.binary import mean_of
from orchestrator.runtime.monitoring.quality.chance import deviations
from orchestrator.runtime.monitoring.quality.measured import Measured
from orchestrator.runtime.monitoring.quality.scores import Moments
from orchestrator.runtime.monitoring.quality.usable import Rows
from orchestrator.runtime.monitoring.sketch import Numbers, QuantileSketch, compact

KEY = "regression"
SAMPLE = 16_384
STORED = 512
BINS = 10
LARGE = "large_error"
CONSTANT = "all labels are equal"
NOTHING = "there are no rows"


class Regression:
    """Takes frames of labelled rows in."""

    key = KEY

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._absolute, self._squared = Moments(), Moments()
        self._residuals = QuantileSketch(4096, seed=7)
        self._origin: float | None = None
        self._powers = np.zeros(7)
        self._sample: list[Numbers] = []
        self._stride, self._seen = 1, 0

    def update(self, frame: pl.DataFrame) -> None:
        """Take in rows of ``@label`` and ``@prediction``."""
        label, prediction = (frame[name].cast(pl.Float64, strict=False) for name in (LABEL, PREDICTION))
        frame = frame.with_columns(label.alias("@y"), prediction.alias("@p"))
        frame = self._rows.without_labels(frame, label.is_finite(), "Labels that are no numbers were left out.")
        usable = frame["@p"].is_finite() & (frame["@p"] - frame["@y"]).abs().lt(1e150)
        frame = self._rows.take(frame, usable, "Predictions that are no finite numbers cannot be judged.")
        if not frame.height:
            return
        y, p = frame["@y"].to_numpy(), frame["@p"].to_numpy()
        residuals = p - y
        self._absolute.update(np.abs(residuals))
        self._squared.update(np.square(residuals))
        self._residuals.update(residuals)
        self._spread(y, np.square(residuals))
        self._take_sample(np.column_stack([p, residuals]))
        self._rows.worst.update(frame, LARGE, (pl.col("@p") - pl.col("@y")).abs())

    def _spread(self, y: Numbers, squares: Numbers) -> None:
        """Power sums for R2 and its error, of labels from near their mean (so that nothing cancels)."""
        if self._origin is None:
            self._origin = float(y.mean())
        d = y - self._origin
        d2 = d * d
        self._powers += [
            len(d), d.sum(), d2.sum(), (d2 * d).sum(), (d2 * d2).sum(), (squares * d).sum(), (squares * d2).sum()
        ]  # fmt: skip

    def _take_sample(self, rows: Numbers) -> None:
        """Every ``stride``-th row, for the plots; the stride doubles when there are too many."""
        self._sample.append(rows[-self._seen % self._stride :: self._stride])
        self._seen += len(rows)
        if sum(map(len, self._sample)) > SAMPLE:
            whole = np.concatenate(self._sample)
            while len(whole) > SAMPLE:
                whole, self._stride = whole[::2], self._stride * 2
            self._sample = [whole]

    def statistics(self, confidence: float) -> dict[str, Any]:
        """The statistics document."""
        body: dict[str, Any] = {}
        if self._squared.count:
            mse = mean_of(self._squared, confidence)
            root = math.sqrt(self._squared.mean)
            low, high = mse.interval or (0.0, 0.0)
            metrics = {
                "mae": mean_of(self._absolute, confidence),
                "mse": mse,
                "rmse": Measured(root, mse.error / (2 * root) if root else 0.0, (math.sqrt(low), math.sqrt(high)),
                                 mse.of),
                "r2": self._r2(confidence),
            }  # fmt: skip
            body["residuals"] = {"sketch": {"data": compact(self._residuals.distribution(), STORED)}}
            body["residuals_by_prediction"] = self._by_prediction(confidence)
        else:
            metrics = {name: Measured(None, reason=NOTHING) for name in ("mae", "mse", "rmse", "r2")}
        metrics["unusable_prediction_rate"] = self._rows.rate(confidence)
        body = {name: metric.as_dict() for name, metric in metrics.items()} | body
        return {"version": 0.0, "dataset": self._rows.dataset(), f"{KEY}_metrics": body}

    def _r2(self, confidence: float) -> Measured:
        """R2 with the standard error of its influence function."""
        n, s1, s2, s3, s4, e1, e2 = (float(each) for each in self._powers)
        mean = s1 / n
        spread = s2 / n - mean**2
        if spread <= 1e-12 * (s2 / n + 1e-300):
            return Measured(None, of=int(n), reason=CONSTANT)
        error = self._squared.mean
        ratio = error / spread
        fourth = s4 / n - 4 * mean * s3 / n + 6 * mean**2 * s2 / n - 3 * mean**4
        together = (e2 - 2 * mean * e1) / n + mean**2 * error  # the mean of (error * distance to the mean)²
        variance = (self._squared.squares / n - 2 * ratio * (together - error * spread)
                    + ratio**2 * (fourth - spread**2))  # fmt: skip
        deviation = math.sqrt(max(0.0, variance) / n) / spread
        half = deviations(confidence) * deviation
        return Measured(1 - ratio, deviation, (1 - ratio - half, min(1.0, 1 - ratio + half)), int(n))

    def _by_prediction(self, confidence: float) -> list[dict[str, float]]:
        """The mean residual in bins of equal share of the predictions, from an even sample of the rows."""
        rows = np.concatenate(self._sample)
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        found = []
        for part in np.array_split(rows, min(BINS, len(rows))):
            error = float(part[:, 1].std(ddof=1) / math.sqrt(len(part))) if len(part) > 1 else 0.0
            found.append(
                {
                    "mean_prediction": float(part[:, 0].mean()),
                    "mean_residual": float(part[:, 1].mean()),
                    "half_interval": deviations(confidence) * error,
                    "sampled": len(part),
                }
            )
        return found
