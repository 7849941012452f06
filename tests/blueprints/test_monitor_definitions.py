"""What a monitor's jobs are told is what its engine takes: each definition goes through the engine's own checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from walking import EXAMPLES

from orchestrator.blueprint import load_catalog
from orchestrator.flow import prepare
from orchestrator.runtime.monitoring import definition
from orchestrator.runtime.monitoring.bias.settings import BiasPolicy
from orchestrator.runtime.monitoring.bias.settings import settings_of as bias_settings
from orchestrator.runtime.monitoring.explainability.settings import ShapPolicy
from orchestrator.runtime.monitoring.explainability.settings import settings_of as shap_settings
from orchestrator.runtime.monitoring.policy import Policy
from orchestrator.runtime.monitoring.quality.policy import QualityPolicy
from orchestrator.runtime.monitoring.quality.settings import Settings
from tests.dropin.old_product import Case, cases

CATALOG = load_catalog()
OURS = {
    f"{example}/{stack.stage.name}": (stack.job_input or {})["Definition"]
    for example in EXAMPLES
    if example.blueprint.kind.endswith("_monitor") and example.name != "model_monitor"
    for stack in example.plan.pipelines[-1].stacks
}
RECORDED = [case for case in cases() if str(case.body.get("pipeline_type")).endswith("_monitor")]


def told_of(case: Case, **changes: Any) -> Any:
    body = {key: value for key, value in {**case.body, **changes}.items() if value is not None}
    (stack,) = prepare(body, case.settings, CATALOG).plan.pipelines[0].stacks
    return (stack.job_input or {})["Definition"]


def assert_taken(document: Mapping[str, Any]) -> Any:
    """What the engine makes of the settings; it raises for everything that it would not take in a job."""
    told = definition.checked(dict(document)).told
    if told.monitor == "model_quality":
        QualityPolicy.of(told.policy)
        return Settings.of(told.settings, captured=True)
    if told.monitor == "model_bias":
        BiasPolicy.of(told.policy)
        return bias_settings(told.settings)
    if told.monitor == "model_explainability":
        ShapPolicy.of(told.policy)
        return shap_settings({**told.settings, "shap_config": _local(told.settings["shap_config"])})
    assert told.monitor == "data_quality"
    assert set(told.settings) <= {"ignore", "part"}
    return Policy.of(told.policy)


def _local(config: Mapping[str, Any]) -> dict[str, Any]:
    """Background rows in S3 are brought by the job before the engine sees them."""
    return {key: value for key, value in config.items() if not isinstance(value, str) or key != "baseline"}


@pytest.mark.parametrize("name", OURS)
def test_what_an_example_says_is_taken(name: str) -> None:
    assert_taken(OURS[name])


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case.name)
def test_what_the_old_product_was_asked_for_is_taken(case: Case) -> None:
    assert_taken(told_of(case))


def test_what_the_old_product_ignored_stops_nothing() -> None:
    """It used probabilities of binary models only, whatever else was said."""
    quality = next(case for case in RECORDED if "quality" in case.name and "model" in case.name)
    more = {"baseline_probability_attribute": "score", "monitor_probability_attribute": "1"}
    assert_taken(told_of(quality, **more, probability_threshold_attribute="0.7"))
    binary = {**more, "problem_type": "BinaryClassification", "monitor_inference_attribute": None}
    binary["monitor_probability_attribute"] = None
    assert assert_taken(told_of(quality, **binary)).probability_attribute == "0"
