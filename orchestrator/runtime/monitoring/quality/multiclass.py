"""One pass over the rows of a problem of several classes, to its statistics."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from orchestrator.runtime.monitoring.calls import LABEL, PREDICTION
from orchestrator.runtime.monitoring.failures import InputUnreadable
from orchestrator.runtime.monitoring.quality.measured import Measured
from orchestrator.runtime.monitoring.quality.tables import document_of, share, smooth, weighted
from orchestrator.runtime.monitoring.quality.usable import Rows

KEY = "multiclass_classification"
CLASSES = 200
"""More different labels and predictions than this are no classes."""
WEIGHTED = ("weighted_precision", "weighted_recall", "weighted_f0_5", "weighted_f1", "weighted_f2")
NOTHING = "there are no rows"


def cell(label: str, prediction: str) -> str:
    """The name of a cell of the confusion matrix, as a group of wrong rows."""
    return f"{label}\0{prediction}"


class Multiclass:
    """Takes frames of labelled rows in. Raises InputUnreadable for more than ``CLASSES`` classes."""

    key = KEY

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._counts: Counter[tuple[str, str]] = Counter()
        self._classes: set[str] = set()

    def update(self, frame: pl.DataFrame) -> None:
        """Take in rows of ``@label`` and ``@prediction``."""
        message = "Rows without a prediction cannot be judged."
        frame = self._rows.take(frame, frame[PREDICTION].is_not_null(), message)
        for label, prediction, count in frame.group_by(LABEL, PREDICTION).len().iter_rows():
            self._counts[label, prediction] += count
            self._classes |= {label, prediction}
        if len(self._classes) > CLASSES:
            raise InputUnreadable(
                f"There are more than {CLASSES} different labels and predictions, such as "
                f"{', '.join(map(repr, sorted(self._classes)[:3]))}.",
                hint="Is this a Regression? Else check which columns and attributes are named.",
            )
        wrong = frame.filter(pl.col(LABEL) != pl.col(PREDICTION))
        self._rows.worst.update(wrong, pl.concat_str(LABEL, PREDICTION, separator="\0"), 0.0)

    def statistics(self, confidence: float) -> dict[str, Any]:
        """The statistics document."""
        labels = sorted(self._classes)
        places = {label: place for place, label in enumerate(labels)}
        table = np.zeros((len(labels), len(labels)))
        for (label, prediction), count in self._counts.items():
            table[places[label], places[prediction]] = count
        of = float(table.sum())
        metrics = {"accuracy": share(float(np.trace(table)), of, confidence, NOTHING)}
        for name in WEIGHTED:
            metrics[name] = Measured(None, reason=NOTHING)
            if of:
                metrics[name] = smooth(table, partial(weighted, name=name), confidence)
        metrics["unusable_prediction_rate"] = self._rows.rate(confidence)
        body: dict[str, Any] = {name: metric.as_dict() for name, metric in metrics.items()}
        body["confusion_matrix"] = document_of(table, labels)
        return {"version": 0.0, "dataset": self._rows.dataset(), f"{KEY}_metrics": body}
