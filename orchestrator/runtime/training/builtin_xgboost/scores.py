"""The metrics SageMaker's container adds to XGBoost's own, on scikit-learn's definitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xgboost

Scorer = Callable[[Any, Any], float]


def _scorers() -> dict[str, Scorer]:
    from sklearn import metrics

    def averaged(name: str, average: str) -> Scorer:
        score = getattr(metrics, f"{name}_score")
        return lambda truth, label: float(score(truth, label, average=average, zero_division=0))

    return {
        "accuracy": lambda truth, label: float(metrics.accuracy_score(truth, label)),
        "balanced_accuracy": lambda truth, label: float(metrics.balanced_accuracy_score(truth, label)),
        "f1": averaged("f1", "macro"),
        "f1_binary": averaged("f1", "binary"),
        "f1_macro": averaged("f1", "macro"),
        "precision": averaged("precision", "binary"),
        "precision_macro": averaged("precision", "macro"),
        "precision_micro": averaged("precision", "micro"),
        "recall": averaged("recall", "binary"),
        "recall_macro": averaged("recall", "macro"),
        "recall_micro": averaged("recall", "micro"),
        "mse": lambda truth, value: float(metrics.mean_squared_error(truth, value)),
        "r2": lambda truth, value: float(metrics.r2_score(truth, value)),
    }


REGRESSION = {"mse", "r2"}
CUSTOM = {"accuracy", "balanced_accuracy", "f1", "f1_binary", "f1_macro", "precision", "precision_macro",
          "precision_micro", "recall", "recall_macro", "recall_micro"} | REGRESSION  # fmt: skip


def split_metrics(wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """XGBoost's own metrics, and the container's."""
    return [name for name in wanted if name not in CUSTOM], [name for name in wanted if name in CUSTOM]


def custom_metric(
    names: Sequence[str], parameters: Mapping[str, Any]
) -> Callable[[Any, xgboost.DMatrix], list[tuple[str, float]]]:
    """A function for ``xgboost.train`` that scores predictions; they arrive transformed (probabilities, labels)."""
    scorers = _scorers()
    raw = parameters.get("objective") == "binary:logitraw"

    def score(predictions: Any, matrix: xgboost.DMatrix) -> list[tuple[str, float]]:
        truth = matrix.get_label()
        labels = _labels(np.asarray(predictions), 0.0 if raw else 0.5)
        return [(name, scorers[name](truth, predictions if name in REGRESSION else labels)) for name in names]

    return score


def _labels(predictions: Any, threshold: float) -> Any:
    if predictions.ndim > 1:
        return predictions.argmax(axis=1)
    whole = np.array_equal(predictions, predictions.astype(int))
    return predictions if whole else (predictions > threshold).astype(int)
