"""What is judged: for each metric, which side is worse, and which test answers whether chance explains it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np

from orchestrator.runtime.monitoring.quality import binary, multiclass, regression
from orchestrator.runtime.monitoring.quality.settings import Problem
from orchestrator.runtime.monitoring.quality.tables import BETAS, Table, f_score, weighted

LESS, GREATER = "LessThanThreshold", "GreaterThanThreshold"


class Test(StrEnum):
    """How chance is asked: shares by Fisher's exact test (beside a fixed threshold: the binomial test), functions of
    the confusion matrix by permutation, areas under curves by a normal test of their angles, means by Welch's."""

    SHARE = "fisher_exact"
    TABLE = "permutation"
    AREA = "normal"
    MEAN = "welch"


@dataclass(frozen=True, slots=True)
class Rule:
    """``worse``: Model Monitor's operator that makes a violation. ``question``: metrics with the same one stand or fall
    together and are asked about once. ``bad``: of a confusion matrix, the rows that count against the metric, and of
    how many. ``function``: the metric of many matrices at once."""

    worse: str
    test: Test
    question: str
    bad: Callable[[Table], tuple[float, float]] | None = None
    function: Callable[[Table], Any] | None = None
    groups: tuple[str, ...] = ()


def _wrong(table: Table) -> tuple[float, float]:
    return float(table.sum() - np.trace(table)), float(table.sum())


def _false_positives(table: Table) -> tuple[float, float]:
    return float(table[0, 1]), float(table[0].sum())


def _false_negatives(table: Table) -> tuple[float, float]:
    return float(table[1, 0]), float(table[1].sum())


def _imprecise(table: Table) -> tuple[float, float]:
    return float(table[0, 1]), float(table[:, 1].sum())


def _unlike(table: Table) -> tuple[float, float]:
    """Wrong rows among those that are positive or predicted so: F1 is ``2 q / (1 + q)`` of the share of the others."""
    return float(table[0, 1] + table[1, 0]), float(table.sum() - table[0, 0])


UNUSABLE = Rule(GREATER, Test.SHARE, "unusable", groups=("unusable",))
POSITIVE, NEGATIVE = (binary.FALSE_POSITIVE,), (binary.FALSE_NEGATIVE,)
WRONG = POSITIVE + NEGATIVE
BINARY = {
    "recall": Rule(LESS, Test.SHARE, "recall", _false_negatives, groups=NEGATIVE),
    "precision": Rule(LESS, Test.SHARE, "precision", _imprecise, groups=POSITIVE),
    "accuracy": Rule(LESS, Test.SHARE, "accuracy", _wrong, groups=WRONG),
    "true_positive_rate": Rule(LESS, Test.SHARE, "recall", _false_negatives, groups=NEGATIVE),
    "true_negative_rate": Rule(LESS, Test.SHARE, "specificity", _false_positives, groups=POSITIVE),
    "false_positive_rate": Rule(GREATER, Test.SHARE, "specificity", _false_positives, groups=POSITIVE),
    "false_negative_rate": Rule(GREATER, Test.SHARE, "recall", _false_negatives, groups=NEGATIVE),
    "f0_5": Rule(LESS, Test.TABLE, "f0_5", function=partial(f_score, beta=BETAS["f0_5"]), groups=WRONG),
    "f1": Rule(LESS, Test.SHARE, "f1", _unlike, groups=WRONG),
    "f2": Rule(LESS, Test.TABLE, "f2", function=partial(f_score, beta=BETAS["f2"]), groups=WRONG),
    "auc": Rule(LESS, Test.AREA, "auc", groups=WRONG),
    "au_prc": Rule(LESS, Test.AREA, "au_prc", groups=WRONG),
    "log_loss": Rule(GREATER, Test.MEAN, "log_loss", groups=WRONG),
    "brier": Rule(GREATER, Test.MEAN, "brier", groups=WRONG),
    "unusable_prediction_rate": UNUSABLE,
}


def _weighted(name: str) -> Rule:
    return Rule(LESS, Test.TABLE, name, function=partial(weighted, name=name))


MULTICLASS = {
    "accuracy": Rule(LESS, Test.SHARE, "accuracy", _wrong),
    "weighted_recall": Rule(LESS, Test.SHARE, "accuracy", _wrong),
    **{name: _weighted(name) for name in multiclass.WEIGHTED if name != "weighted_recall"},
    "unusable_prediction_rate": UNUSABLE,
}
LARGE = (regression.LARGE,)
REGRESSION = {
    "mae": Rule(GREATER, Test.MEAN, "mae", groups=LARGE),
    "mse": Rule(GREATER, Test.MEAN, "mse", groups=LARGE),
    "rmse": Rule(GREATER, Test.MEAN, "mse", groups=LARGE),
    "r2": Rule(LESS, Test.MEAN, "r2", groups=LARGE),
    "unusable_prediction_rate": UNUSABLE,
}
RULES: Mapping[Problem, Mapping[str, Rule]] = {
    Problem.BINARY: BINARY, Problem.MULTICLASS: MULTICLASS, Problem.REGRESSION: REGRESSION,
}  # fmt: skip
KEYS = {Problem.BINARY: binary.KEY, Problem.MULTICLASS: multiclass.KEY, Problem.REGRESSION: regression.KEY}


def suggested(problem: Problem, statistics: Mapping[str, Any]) -> dict[str, Any]:
    """The constraints a baseline suggests: every metric as good as it was, in Model Monitor's form."""
    body = statistics[f"{KEYS[problem]}_metrics"]
    assert isinstance(body, Mapping)
    rules = {
        name: {"threshold": body[name]["value"], "comparison_operator": rule.worse}
        for name, rule in RULES[problem].items()
        if name in body and body[name]["value"] is not None
    }
    return {"version": 0.0, f"{KEYS[problem]}_constraints": rules}
