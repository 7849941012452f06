"""The search itself: repeatable, within its ranges, and better than chance."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.local.services.sagemaker import search

RANGES: dict[str, Any] = {
    "ContinuousParameterRanges": [{"Name": "x", "MinValue": "-5", "MaxValue": "5"}],
    "IntegerParameterRanges": [{"Name": "n", "MinValue": "1", "MaxValue": "1000"}],
    "CategoricalParameterRanges": [{"Name": "c", "Values": ["a", "b", "c"]}],
}


def loss(parameters: dict[str, str]) -> float:
    return (float(parameters["x"]) - 1) ** 2 + abs(int(parameters["n"]) - 10) / 100 + (parameters["c"] != "b")


def searched(strategy: str, count: int, seed: str = "s") -> list[dict[str, Any]]:
    trials: list[dict[str, Any]] = []
    for _ in range(count):
        parameters = search.suggest(strategy, RANGES, trials, seed=seed, maximize=False)
        trials.append({"parameters": parameters, "value": loss(parameters), "state": "Completed"})
    return trials


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_the_same_search_finds_the_same(strategy: str) -> None:
    assert searched(strategy, 12) == searched(strategy, 12)
    assert searched(strategy, 3) != searched(strategy, 3, seed="other")


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_every_value_is_within_its_range(strategy: str) -> None:
    for trial in searched(strategy, 25):
        parameters = trial["parameters"]
        assert -5 <= float(parameters["x"]) <= 5
        assert 1 <= int(parameters["n"]) <= 1000
        assert parameters["c"] in ("a", "b", "c")


def test_what_was_learnt_is_used() -> None:
    def late(strategy: str) -> float:
        runs = [searched(strategy, 40, seed=f"seed {number}")[20:] for number in range(4)]
        return sum(trial["value"] for run in runs for trial in run)

    assert late("Bayesian") < late("Random") / 2


def test_trials_in_parallel_differ() -> None:
    trials: list[dict[str, Any]] = searched("Bayesian", 10)
    for _ in range(4):
        parameters = search.suggest("Bayesian", RANGES, trials, seed="s", maximize=False)
        trials.append({"parameters": parameters, "state": "InProgress"})
    assert len({trial["parameters"]["x"] for trial in trials[10:]}) == 4


@pytest.mark.parametrize(("curve", "behind"), [([0.1, 0.2], True), ([0.9, 0.95], False), ([0.1], False), ([], False)])
def test_the_median_rule(curve: list[float], behind: bool) -> None:
    others = [[0.5, 0.6, 0.7], [0.6, 0.7, 0.8], [0.4, 0.6, 0.6]]
    assert search.falls_behind(curve, others, maximize=True) is behind
    assert not search.falls_behind(curve, others[:2], maximize=True)
    assert search.falls_behind([-v for v in curve], [[-v for v in o] for o in others], maximize=False) is behind
