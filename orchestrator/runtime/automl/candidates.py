"""The candidates, in the order in which they are tried: simple and quick ones first."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

SKLEARN, XGBOOST = "sklearn", "xgboost"
IMAGES = {SKLEARN: "sagemaker-scikit-learn:1.2-1-cpu-py3", XGBOOST: "sagemaker-xgboost:1.7-1"}
"""Which image trains and serves a candidate of a framework."""

HIGHER, LOWER = "Maximize", "Minimize"
METRICS: Mapping[str, Mapping[str, str]] = {
    "BinaryClassification": {
        "F1": HIGHER, "Accuracy": HIGHER, "AUC": HIGHER, "BalancedAccuracy": HIGHER, "Precision": HIGHER,
        "Recall": HIGHER,
    },
    "MulticlassClassification": {
        "Accuracy": HIGHER, "F1macro": HIGHER, "BalancedAccuracy": HIGHER, "PrecisionMacro": HIGHER,
        "RecallMacro": HIGHER,
    },
    "Regression": {"MSE": LOWER, "RMSE": LOWER, "MAE": LOWER, "R2": HIGHER},
}  # fmt: skip
"""The metrics of each type of problem and which way is better; the first is the objective when none is named.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/autopilot-metrics-validation.html
"""
MOST_CLASSES = 20
"""A target of numbers with more different values than this is a quantity, not a class."""


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """One model: what it is called, which framework brings it, the estimator and its parameters."""

    name: str
    estimator: str
    parameters: Mapping[str, Any]
    framework: str = SKLEARN


CANDIDATES = (
    Candidate("linear", "linear", {"strength": 1.0}),
    Candidate("forest", "forest", {"n_estimators": 200}),
    Candidate("boosting", "hist-boosting", {"learning_rate": 0.1, "max_iter": 150}),
    Candidate("xgboost", "xgboost", {"n_estimators": 150, "max_depth": 4, "learning_rate": 0.1}, XGBOOST),
    Candidate("extra-trees", "extra-trees", {"n_estimators": 200}),
    Candidate("neighbours", "neighbours", {"n_neighbors": 7}),
    Candidate("mlp", "mlp", {"hidden_layer_sizes": [64, 32], "max_iter": 400}),
    Candidate("linear-strict", "linear", {"strength": 0.05}),
    Candidate("boosting-slow", "hist-boosting", {"learning_rate": 0.03, "max_iter": 400}),
    Candidate("xgboost-deep", "xgboost", {"n_estimators": 300, "max_depth": 7, "learning_rate": 0.05}, XGBOOST),
)


def problem_of(values: list[str]) -> str:
    """The type of problem that a target's values pose."""
    different = set(values)
    if len(different) == 2:
        return "BinaryClassification"
    if len(different) > MOST_CLASSES and all(_is_number(value) for value in different):
        return "Regression"
    return "MulticlassClassification"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
