"""Metrics read from what a job printed, by the regular expressions of its metric definitions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

XGBOOST_METRICS = (
    "accuracy", "auc", "aucpr", "balanced_accuracy", "f1", "f1_binary", "f1_macro", "map", "ndcg", "precision",
    "precision_macro", "precision_micro", "r2", "recall", "recall_macro", "recall_micro", "aft-nloglik",
    "cox-nloglik", "error", "gamma-deviance", "gamma-nloglik", "interval-regression-accuracy", "logloss", "mae",
    "mape", "merror", "mlogloss", "mphe", "mse", "poisson-nloglik", "rmse", "rmsle", "tweedie-nloglik",
)  # fmt: skip
"""What SageMaker's XGBoost reports. Source: https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost-tuning.html"""


NUMBER = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"


def builtin_definitions(kind: str) -> list[dict[str, str]]:
    """The metric definitions an image's own algorithm brings along; a request cannot change them."""
    if kind != "xgboost":
        return []
    return [
        {"Name": f"{channel}:{metric}", "Regex": rf".*\[[0-9]+\].*#011{channel}-{metric}:{NUMBER}.*"}
        for metric in XGBOOST_METRICS
        for channel in ("train", "validation")
    ]


def final_values(lines: Iterable[str], definitions: Sequence[Mapping[str, str]], now: float) -> list[dict[str, Any]]:
    """The last value of every metric that was seen, in the form of ``FinalMetricDataList``."""
    patterns = [(definition["Name"], re.compile(definition["Regex"])) for definition in definitions]
    last: dict[str, float] = {}
    for line in lines:
        for name, pattern in patterns:
            match = pattern.search(line)
            value = _number(match[1] if match and pattern.groups else None)
            if value is not None:
                last[name] = value
    return [{"MetricName": name, "Value": last[name], "Timestamp": now} for name, _ in patterns if name in last]


def values_of(lines: Iterable[str], regex: str) -> Iterator[float]:
    """Every value of one metric, in the order in which it was printed."""
    pattern = re.compile(regex)
    for line in lines:
        match = pattern.search(line)
        value = _number(match[1] if match and pattern.groups else None)
        if value is not None:
            yield value


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
