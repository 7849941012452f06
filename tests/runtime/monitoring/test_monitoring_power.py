"""How often a monitor cries without drift, and how often it finds drift that is there."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from bench.monitoring_power import baseline_of, violations
from bench.monitoring_power import table as calm
from orchestrator.runtime.monitoring.policy import Policy

NO_LEAST_DIFFERENCE = Policy(alpha=0.05, ks=0.0, psi=0.0, jensen_shannon=0.0, cramers_v=0.0)


@pytest.mark.parametrize(
    "policy, level", [(NO_LEAST_DIFFERENCE, 0.05), (Policy(), 0.01)], ids=["tests alone", "default"]
)
def test_false_alarms_stay_under_the_stated_level(policy: Policy, level: float) -> None:
    """1,000 windows without drift, 25 beside each of 40 baselines."""
    random = np.random.default_rng(11)
    alarms = 0
    for _ in range(40):
        baseline = baseline_of(calm(random, 4000))
        alarms += sum(bool(violations(baseline, calm(random, 300), policy)) for _ in range(25))
    assert alarms / 1000 <= level


POWER = {0.1: (0.0, 0.75), 0.25: (0.55, 1.0), 0.5: (0.999, 1.0), 1.0: (1.0, 1.0)}
"""Shift in standard deviations -> between which shares of windows of 500 rows must find it, at the default level."""


@pytest.mark.parametrize("shift", POWER)
def test_power_grows_with_the_shift(shift: float) -> None:
    random = np.random.default_rng(12)
    least, most = POWER[shift]
    found = 0
    for _ in range(4):
        baseline = baseline_of(calm(random, 4000))
        for _ in range(10):
            alarms = violations(baseline, calm(random, 500, shift), Policy())
            found += any(alarm["feature_name"] == "normal" for alarm in alarms)
    assert least <= found / 40 <= most


def test_a_tenth_of_a_sigma_is_found_in_a_large_window() -> None:
    random = np.random.default_rng(13)
    baseline = baseline_of(calm(random, 50_000))
    alarms = violations(baseline, calm(random, 20_000, 0.1), Policy())
    assert [alarm["feature_name"] for alarm in alarms] == ["normal"]


def test_insignificant_differences_of_huge_windows_raise_nothing() -> None:
    random = np.random.default_rng(14)
    baseline = baseline_of(calm(random, 100_000))
    assert violations(baseline, calm(random, 100_000, 0.03), Policy()) == []


def test_texts_that_made_the_list_by_chance_are_no_drift() -> None:
    """5,000 equally frequent texts: the 100 most frequent of the baseline are so by luck."""
    random = np.random.default_rng(15)

    def many(rows: int) -> pl.DataFrame:
        return pl.DataFrame({"id": pl.Series(random.integers(0, 5000, rows)).cast(pl.String)})

    assert violations(baseline_of(many(10_000)), many(5000), Policy()) == []
