"""Whatever the settings of the bias and explainability monitors are, they are taken or refused; never a crash."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.runtime.monitoring.bias.chance import flipped
from orchestrator.runtime.monitoring.bias.documents import number, read_constraints, read_number
from orchestrator.runtime.monitoring.bias.flipping import flip_test, nearest
from orchestrator.runtime.monitoring.bias.settings import (
    BIAS_CONFIG,
    PREDICTED_LABEL,
    SETTINGS,
    BiasPolicy,
    settings_of,
)
from orchestrator.runtime.monitoring.bias.settings import text_of as label_text
from orchestrator.runtime.monitoring.explainability import documents as explained
from orchestrator.runtime.monitoring.explainability import settings as shap
from orchestrator.runtime.monitoring.failures import InputUnreadable

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
GOOD: dict[str, Any] = {"bias_config": {"label_values_or_threshold": [1], "facet_name": "sex"}}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SETTINGS), JSON)
def test_any_bias_setting(name: str, value: Any) -> None:
    with suppress(InputUnreadable):
        settings_of({**GOOD, name: value})


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([*BIAS_CONFIG, *PREDICTED_LABEL]), JSON)
def test_any_member_of_the_configs(name: str, value: Any) -> None:
    part = "bias_config" if name in BIAS_CONFIG else "predicted_label_config"
    with suppress(InputUnreadable):
        settings_of({**GOOD, part: {**GOOD.get(part, {}), name: value}})


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([*shap.SETTINGS, *shap.SHAP]), JSON)
def test_any_explainability_setting(name: str, value: Any) -> None:
    with suppress(InputUnreadable):
        shap.settings_of({"shap_config": {name: value}} if name in shap.SHAP else {name: value})


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["alpha", "least_difference", "least_rows", "seed", "ndcg", "rows"]), JSON))
def test_any_policy(document: dict[str, Any]) -> None:
    for policy in (BiasPolicy, shap.ShapPolicy):
        with suppress(InputUnreadable):
            policy.of(document)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["monitoring", "explanations", "version"]), JSON))
def test_any_constraints(document: dict[str, Any]) -> None:
    with pytest.raises(InputUnreadable):
        read_constraints(document, lambda counts, view: {})
    with pytest.raises(InputUnreadable):
        explained.read_constraints(document)


@pytest.mark.parametrize("value", [0.0, -1.5, math.inf, -math.inf, math.nan])
def test_numbers_are_json_and_come_back(value: float) -> None:
    written = number(value)
    assert written is None or isinstance(written, str) or math.isfinite(written)
    assert read_number(written) == value or math.isnan(value)


def test_a_label_is_the_same_however_it_is_written() -> None:
    assert {label_text(each) for each in (1, 1.0, "1", " 1.0", "1e0")} == {"1"}
    assert (label_text(True), label_text("ja "), label_text(0.5)) == ("true", "ja", "0.5")


def test_what_is_looked_for_in_an_answer() -> None:
    def answer(**changes: Any) -> Any:
        return settings_of({**GOOD, **changes}).answer

    assert answer().label == "0"
    assert answer(predicted_label_config={"probability_threshold": 0.8}).probability == "0"
    assert answer(predicted_label_config={"label_headers": ["a", "b"]}).label == ""
    both = answer(predicted_label_config={"label": 1}, prediction_attribute="$.label", probability_threshold="0.3")
    assert (both.label, both.threshold) == ("$.label", 0.3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 5))
def test_the_nearest_are_the_nearest(seed: int, count: int, features: int) -> None:
    random = np.random.default_rng(seed)
    rows, others = random.normal(size=(7, features)), random.normal(size=(count, features)) + 100
    wanted = min(count, 5)
    found = nearest(rows, others, wanted)
    for place, row in enumerate(rows):
        distances = ((others - row) ** 2).sum(axis=1)
        assert np.allclose(distances[found[place]], np.sort(distances)[:wanted])


def test_the_flip_test_raises_few_false_alarms() -> None:
    """80 windows without drift, at a level of 5%: 4 alarms on average, more than 9 in one case of a hundred."""
    random = np.random.default_rng(3)

    def flips(rows: int, seed: int) -> Any:
        x, facet = random.normal(size=(rows, 2)), random.random(rows) < 0.35
        positive = random.random(rows) < 1 / (1 + np.exp(-2 * x[:, 0] + 0.5 * facet))
        return flip_test(x, facet, positive, seed)

    assert sum(flipped(flips(400, seed), flips(150, seed + 1)) <= 0.05 for seed in range(80)) <= 9
