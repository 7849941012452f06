"""How often the bias monitor cries when nothing has changed, and what it finds when something has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from orchestrator.runtime.monitoring.bias.chance import SAME_AS_DPL, Family, against, intervals, step_down, values
from orchestrator.runtime.monitoring.bias.formulas import METRICS
from orchestrator.runtime.monitoring.bias.settings import BiasPolicy
from orchestrator.runtime.monitoring.bias.tables import Cell, Counts, View

NAMES = [name for name, metric in METRICS.items() if metric.formula and name not in SAME_AS_DPL]
VIEW = View("sex", 0, "1", "female")
CELLS: list[Cell] = [
    (facet, label, predicted, group) for facet in "01" for label in "01" for predicted in "01" for group in "ab"
]


def shares(
    facet: float = 0.3, positive: Sequence[float] = (0.5, 0.45), wrong: Sequence[float] = (0.15, 0.15)
) -> np.ndarray:
    """The share of each cell; ``positive`` and ``wrong`` of everybody else and of the facet."""
    found = []
    for side, label, predicted, group in CELLS:
        place = int(str(side))
        share = facet if place else 1 - facet
        share *= positive[place] if label == "1" else 1 - positive[place]
        share *= wrong[place] if label != predicted else 1 - wrong[place]
        found.append(share * (0.6 if group == "a" else 0.4))
    return np.array(found)


def drawn(random: np.random.Generator, rows: int, of: np.ndarray) -> Counts:
    counts = random.multinomial(rows, of)
    return Counts(["sex"], {cell: int(count) for cell, count in zip(CELLS, counts, strict=True) if count})


def found(before: Counts, now: Counts, *, draws: int, alpha: float, seed: int = 0) -> set[str]:
    tested = Family({VIEW: NAMES}).run(before, now, draws, seed)
    return {name for (_, name), (_, adjusted) in tested.items() if adjusted <= alpha}


def test_false_alarms_stay_at_the_stated_level() -> None:
    """1,000 windows of 400 rows without drift, each beside a baseline of its own, 17 tests in each.

    At a level of 5% there are 50 alarms on average, and more than 67 in one case of a hundred.
    """
    random = np.random.default_rng(21)
    alarms = sum(
        bool(found(drawn(random, 3000, shares()), drawn(random, 400, shares()), draws=19, alpha=0.05, seed=seed))
        for seed in range(1000)
    )
    assert 34 <= alarms <= 67


def test_few_rows_raise_no_more_false_alarms() -> None:
    random = np.random.default_rng(22)
    rare = shares(facet=0.1)
    alarms = sum(
        bool(found(drawn(random, 1000, rare), drawn(random, 60, rare), draws=19, alpha=0.05, seed=seed))
        for seed in range(200)
    )
    assert alarms <= 18


def test_a_change_of_one_thing_is_not_taken_for_another() -> None:
    """The facet has become rarer: that is CI, and nobody is treated worse. 60 windows."""
    random = np.random.default_rng(23)
    windows = [
        found(drawn(random, 3000, shares(facet=0.4)), drawn(random, 1000, shares(facet=0.2)), draws=39, alpha=0.05,
              seed=seed)
        for seed in range(60)
    ]  # fmt: skip
    assert all("CI" in names for names in windows)
    assert sum(len(names) > 1 for names in windows) <= 8


@pytest.mark.parametrize("metric, drift", [
    ("DPPL", {"positive": (0.5, 0.2)}), ("RD", {"wrong": (0.15, 0.5)}), ("AD", {"wrong": (0.15, 0.35)}),
    ("DPL", {"positive": (0.5, 0.25)}), ("CDDL", {"positive": (0.5, 0.2)}), ("GE", {"wrong": (0.35, 0.35)}),
])  # fmt: skip
def test_drift_is_found(metric: str, drift: dict[str, Sequence[float]]) -> None:
    random = np.random.default_rng(24)
    hits = sum(
        metric in found(drawn(random, 5000, shares()), drawn(random, 1000, shares(**drift)), draws=199, alpha=0.01)
        for _ in range(3)
    )
    assert hits == 3


def test_step_down_is_never_below_the_plain_p_value_and_keeps_its_order() -> None:
    random = np.random.default_rng(25)
    dealt = random.normal(size=(999, 6))
    observed = np.array([0.0, 4.0, 2.0, 2.5, -1.0, 3.2])
    plain, adjusted = step_down(observed, dealt)
    assert (adjusted >= plain).all()
    assert (np.diff(adjusted[np.argsort(-observed)]) >= 0).all()
    assert adjusted[1] == pytest.approx(1 / 1000, abs=2e-3)
    one, same = step_down(observed[:1], dealt[:, :1])
    assert one == pytest.approx(same)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(26)
    truth = {name: values(Counts(["sex"], dict(zip(CELLS, (shares() * 1e9).astype(int), strict=True))), VIEW)[name]
             for name in ("DPPL", "RD", "DI", "CI")}  # fmt: skip
    covered = dict.fromkeys(truth, 0)
    for seed in range(60):
        known = intervals(drawn(random, 800, shares()), VIEW, seed)
        for name, value in truth.items():
            covered[name] += known[name][0] <= value <= known[name][1]
    assert all(count >= 52 for count in covered.values()), covered


def test_an_edited_constraint_is_compared_as_a_number() -> None:
    counts = drawn(np.random.default_rng(27), 4000, shares(positive=(0.5, 0.3)))
    assert against(0.05, "DPPL", counts, VIEW) < 1e-5
    assert against(0.5, "DPPL", counts, VIEW) > 0.999
    assert against(0.9, "DI", counts, VIEW) < 1e-6 < 0.5 < against(0.3, "DI", counts, VIEW)


def test_draws_are_fine_enough_for_the_level() -> None:
    assert BiasPolicy().draws == 1999
    assert 1 / (BiasPolicy(alpha=0.001).draws + 1) <= 0.001 / 20
