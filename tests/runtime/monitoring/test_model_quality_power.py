"""How often model quality cries although the model is as good as it was, and how often it finds one that is worse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from orchestrator.runtime.monitoring.calls import EVENT, FILE, LABEL, PLACE, PREDICTION, PROBABILITY, ROW, SIZE
from orchestrator.runtime.monitoring.quality.binary import Binary
from orchestrator.runtime.monitoring.quality.judging import Judging
from orchestrator.runtime.monitoring.quality.multiclass import Multiclass
from orchestrator.runtime.monitoring.quality.policy import QualityPolicy
from orchestrator.runtime.monitoring.quality.regression import Regression
from orchestrator.runtime.monitoring.quality.rules import suggested
from orchestrator.runtime.monitoring.quality.settings import Problem, Settings
from orchestrator.runtime.monitoring.quality.usable import Rows

Random = np.random.Generator
Make = Callable[[Random, int], pl.DataFrame]


def frame(**columns: Any) -> pl.DataFrame:
    rows = len(columns[LABEL])
    return pl.DataFrame(
        columns | {EVENT: [""] * rows, FILE: ["f"] * rows, ROW: range(rows), PLACE: [0] * rows, SIZE: [1] * rows}
    )


def fraud(random: Random, rows: int, share: float = 0.3, apart: float = 2.0) -> pl.DataFrame:
    """A binary problem; ``apart``: how far the scores of positives lie from those of negatives, in sigma."""
    label = random.random(rows) < share
    p = 1 / (1 + np.exp(-(random.standard_normal(rows) + apart * label - apart / 2)))
    return frame(
        **{LABEL: np.where(label, "1", "0"), PREDICTION: np.where(p > 0.5, "1", "0"), PROBABILITY: p}
    )  # fmt: skip


def animals(random: Random, rows: int, wrong: float = 0.1) -> pl.DataFrame:
    names = np.array(["ant", "bee", "cat"])
    label = random.choice(3, rows, p=[0.6, 0.3, 0.1])
    guess = np.where(random.random(rows) < wrong, (label + random.integers(1, 3, rows)) % 3, label)
    return frame(**{LABEL: names[label], PREDICTION: names[guess]})


def prices(random: Random, rows: int, noise: float = 1.0, heavy: bool = False) -> pl.DataFrame:
    guess = random.lognormal(3, 1, rows) if heavy else random.normal(50, 10, rows)
    error = guess * random.normal(0, 0.2, rows) if heavy else random.normal(0, 3, rows)
    return frame(**{LABEL: (guess + error * noise).astype(str), PREDICTION: guess.astype(str)})


def measured(problem: Problem, rows: pl.DataFrame) -> dict[str, Any]:
    task: Any = Regression(Rows())
    if problem is Problem.BINARY:
        task = Binary(Settings(problem, "y", "p", "q"), Rows(), thresholded=False)
    elif problem is Problem.MULTICLASS:
        task = Multiclass(Rows())
    task.update(rows)
    found: dict[str, Any] = task.statistics(0.95)
    return found


def alarms(problem: Problem, baseline: dict[str, Any], window: pl.DataFrame, policy: QualityPolicy) -> list[str]:
    judging = Judging(problem, baseline, measured(problem, window), suggested(problem, baseline), policy)
    judging.run()
    return [each.name for each in judging.judgements if each.violated]


CALM: dict[str, tuple[Problem, Make, int, int]] = {
    "binary": (Problem.BINARY, fraud, 3000, 300),
    "rare positives, good model": (Problem.BINARY, lambda r, n: fraud(r, n, 0.06, 5.0), 800, 300),
    "small baseline": (Problem.BINARY, lambda r, n: fraud(r, n, 0.1, 1.5), 400, 1500),
    "multiclass": (Problem.MULTICLASS, animals, 3000, 300),
    "regression": (Problem.REGRESSION, prices, 1000, 300),
    "regression with heavy errors": (Problem.REGRESSION, lambda r, n: prices(r, n, heavy=True), 400, 1500),
}


@pytest.mark.parametrize("name", CALM)
def test_false_alarms_stay_under_the_stated_level(name: str) -> None:
    """400 windows of each kind, 2,400 in all, whose model is as good as it was; 10 beside each baseline."""
    random = np.random.default_rng(21)
    problem, make, before, rows = CALM[name]
    cried = 0
    for _ in range(40):
        baseline = measured(problem, make(random, before))
        cried += sum(bool(alarms(problem, baseline, make(random, rows), QualityPolicy(alpha=0.05))) for _ in range(10))
    assert cried / 400 <= 0.05


def test_the_level_of_a_strict_policy_is_none() -> None:
    """What the tests are for: without them, nearly every window has a metric below its baseline's."""
    random = np.random.default_rng(22)
    baseline = measured(Problem.BINARY, fraud(random, 3000))
    cried = [bool(alarms(Problem.BINARY, baseline, fraud(random, 300), QualityPolicy(strict=True))) for _ in range(30)]
    assert sum(cried) >= 24


WORSE: dict[str, tuple[Problem, Make, Make, str]] = {
    "binary": (Problem.BINARY, fraud, lambda r, n: fraud(r, n, apart=1.5), "auc"),
    "multiclass": (Problem.MULTICLASS, animals, lambda r, n: animals(r, n, 0.16), "accuracy"),
    "regression": (Problem.REGRESSION, prices, lambda r, n: prices(r, n, 1.2), "mse"),
}


@pytest.mark.parametrize("name", WORSE)
@pytest.mark.parametrize("rows, least, most", [(100, 0.0, 0.6), (1000, 0.85, 1.0)])
def test_a_worse_model_is_found_the_surer_the_more_rows(name: str, rows: int, least: float, most: float) -> None:
    random = np.random.default_rng(23)
    problem, make, worse, metric = WORSE[name]
    found = 0
    for _ in range(4):
        baseline = measured(problem, make(random, 3000))
        found += sum(metric in alarms(problem, baseline, worse(random, rows), QualityPolicy()) for _ in range(10))
    assert least <= found / 40 <= most
