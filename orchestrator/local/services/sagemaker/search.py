"""Which hyperparameters a tuning job tries next: random, Bayesian (by Optuna), or every combination of a grid.

A choice depends only on the tuning job's name (or its seed), the number of the trial and the trials before it: asked
again after a crash, the answer is the same.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

RANGES = ("ContinuousParameterRanges", "IntegerParameterRanges", "CategoricalParameterRanges")
WIDE = 100.0
"""A range whose ends differ by this factor is searched by magnitude when its scaling is left to us (Auto)."""
Trial = Mapping[str, Any]
"""A trial so far: ``parameters`` (texts, as the training job gets them), ``value`` once it has one, ``state``."""


class BadRange(ValueError):
    """A range that holds nothing, or is scaled in a way that is not possible."""


def check(ranges: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Raise BadRange for ranges that cannot be searched."""
    names = [item["Name"] for kind in RANGES for item in ranges.get(kind, [])]
    if not names:
        raise BadRange("there is no range to search")
    if len(set(names)) < len(names):
        raise BadRange("a hyperparameter has two ranges")
    for kind, item in _each(ranges):
        if kind == RANGES[2]:
            continue
        try:
            low, high = float(item["MinValue"]), float(item["MaxValue"])
        except ValueError:
            raise BadRange(f"the range of {item['Name']} is not one of numbers") from None
        scaling = item.get("ScalingType", "Auto")
        if low > high:
            raise BadRange(f"the range of {item['Name']} ends ({high:g}) before it begins ({low:g})")
        if scaling == "ReverseLogarithmic":
            raise BadRange(f"ReverseLogarithmic scaling of {item['Name']} is not supported")
        if scaling == "Logarithmic" and low <= 0:
            raise BadRange(f"the range of {item['Name']} must be above 0 for Logarithmic scaling")


def combinations(ranges: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, str]]:
    """Every combination of a grid, which has categories only; raises BadRange for other ranges."""
    if ranges.get(RANGES[0]) or ranges.get(RANGES[1]):
        raise BadRange("the Grid strategy takes categorical ranges only")
    items = ranges.get(RANGES[2], [])
    names = [item["Name"] for item in items]
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*(item["Values"] for item in items))]


def suggest(
    strategy: str,
    ranges: Mapping[str, Sequence[Mapping[str, Any]]],
    trials: Sequence[Trial],
    *,
    seed: str,
    maximize: bool,
) -> dict[str, str]:
    """The parameters of the next trial, after ``trials``."""
    if strategy == "Grid":
        return combinations(ranges)[len(trials)]
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    number = int.from_bytes(hashlib.sha256(f"{seed}/{len(trials)}".encode()).digest()[:4], "big")
    sampler: Any
    if strategy == "Random":
        sampler = optuna.samplers.RandomSampler(seed=number)
    else:  # trials that still run count as bad ones, so that parallel trials do not all try the same
        sampler = optuna.samplers.TPESampler(seed=number, n_startup_trials=5, constant_liar=True, multivariate=True)
    study = optuna.create_study(direction="maximize" if maximize else "minimize", sampler=sampler)
    space = {name: _distribution(optuna, kind, item) for kind, item in _each(ranges) for name in [item["Name"]]}
    for trial in trials:
        study.add_trial(_past(optuna, trial, space))
    chosen = study.ask(space).params
    return {name: _text(chosen[name]) for name in space}


def _past(optuna: Any, trial: Trial, space: Mapping[str, Any]) -> Any:
    states = optuna.trial.TrialState
    value = trial.get("value")
    state = states.COMPLETE if value is not None else states.RUNNING if trial["state"] == "InProgress" else states.FAIL
    parameters = {name: _value(optuna, text, space[name]) for name, text in trial["parameters"].items()}
    return optuna.trial.create_trial(params=parameters, distributions=dict(space), value=value, state=state)


def _distribution(optuna: Any, kind: str, item: Mapping[str, Any]) -> Any:
    distributions = optuna.distributions
    if kind == RANGES[2]:
        return distributions.CategoricalDistribution(item["Values"])
    low, high = float(item["MinValue"]), float(item["MaxValue"])
    scaling = item.get("ScalingType", "Auto")
    log = scaling == "Logarithmic" or (scaling == "Auto" and low > 0 and high / low >= WIDE)
    if kind == RANGES[1]:
        return distributions.IntDistribution(int(low), int(high), log=log)
    return distributions.FloatDistribution(low, high, log=log)


def _value(optuna: Any, text: str, distribution: Any) -> Any:
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return text
    return int(text) if isinstance(distribution, optuna.distributions.IntDistribution) else float(text)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _each(ranges: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for kind in RANGES:
        for item in ranges.get(kind, []):
            yield kind, item


def falls_behind(curve: Sequence[float], others: Sequence[Sequence[float]], *, maximize: bool) -> bool:
    """The median rule of early stopping: whether a running trial's best value so far is worse than the median of
    what the finished trials averaged up to the same point.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-early-stopping.html
    """
    point = len(curve)
    if point < LEAST_POINTS:
        return False
    comparable = [sum(other[:point]) / point for other in others if len(other) >= point]
    if len(comparable) < LEAST_TRIALS:
        return False
    middle = sorted(comparable)[len(comparable) // 2]
    return max(curve) < middle if maximize else min(curve) > middle


LEAST_POINTS = 2
LEAST_TRIALS = 3
