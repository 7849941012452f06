"""``deployment: stackset`` asks its stages for units, and everything that is wrong is told at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.model import Stage

HUB, DEV, PROD = "111111111111", "222222222222", "444444444444"
UNIT = "ou-ab12-34cdefgh"
ABLE = {"blueprint_bucket": "blueprints", "stack_sets_call_as": "SELF"}


def workload(*stages: dict[str, Any], **more: Any) -> dict[str, Any]:
    forge = {"name": "forge", "pipeline_type": "forge", "ore": {"main": {"place": "mine/ore.csv"}}}
    document = {"version": 2, "model_name": "sword", "pipelines": [forge], "deployment": "stackset", **more}
    return {**document, "stages": list(stages)} if stages else document


def stage(name: str, account: str, unit: str = UNIT) -> dict[str, Any]:
    return {"name": name, "account": account, **({"organizational_unit": unit} if unit else {})}


def test_stages_with_units(read: Callable[..., Any]) -> None:
    found = read(workload(stage("dev", DEV), stage("prod", PROD, "r-ab12")), **ABLE)
    assert found.deployment == "stackset"
    assert [each.organizational_unit for each in found.stages] == [UNIT, "r-ab12"]


def test_the_stages_of_the_deployment_may_have_them(read: Callable[..., Any]) -> None:
    stages = (Stage("dev", DEV, "us-east-1", organizational_unit=UNIT),)
    assert read(workload(), **ABLE, stages=stages).stages == stages
    assert read(workload(deployment="change_set"), **ABLE, stages=stages).deployment == "change_set"


def test_the_default_are_change_sets(read: Callable[..., Any]) -> None:
    document = workload(stage("dev", DEV, ""))
    del document["deployment"]
    assert read(document).deployment == "change_set"


def test_everything_is_told_at_once(told: Callable[..., dict[str, str]]) -> None:
    found = told(workload(stage("dev", DEV, ""), {"account": PROD}, stage("hub", HUB), stage("here", HUB)), **ABLE)
    assert "`dev` has no organizational unit" in found["$.stages[0]"]
    assert "Add `organizational_unit`" in found["$.stages[0]"]
    assert "own account" in found["$.stages[3].account"]
    assert "$.stages[1].name" in found or "$.stages[1]" in found


def test_stages_of_the_deployment_without_units(told: Callable[..., dict[str, str]]) -> None:
    assert "Give `stages` with units." in told(workload(), **ABLE)["$.stages"]


def test_a_unit_without_stack_sets_is_refused(told: Callable[..., dict[str, str]]) -> None:
    found = told(workload(stage("dev", DEV), deployment="change_set"), **ABLE)
    assert "no stack set deploys it" in found["$.stages[0].organizational_unit"]


@pytest.mark.parametrize("unit", ["stages", "ou-1", "OU-AB12-34CDEFGH", "ou-ab12-34cdefgh\n", ""])
def test_what_no_unit_is(told: Callable[..., dict[str, str]], unit: str) -> None:
    document = workload({**stage("dev", DEV), "organizational_unit": unit})
    assert any(path.startswith("$.stages[0]") for path in told(document, **ABLE))


def test_another_way_is_refused(told: Callable[..., dict[str, str]]) -> None:
    assert "change_set, stackset" in told(workload(stage("dev", DEV), deployment="stack_sets"), **ABLE)["$.deployment"]


def test_an_orchestrator_of_one_account_has_no_stack_sets(told: Callable[..., dict[str, str]]) -> None:
    for missing in ABLE:
        able = {key: value for key, value in ABLE.items() if key != missing}
        assert "has no stack sets" in told(workload(stage("dev", DEV)), **able)["$.deployment"]


def test_one_pipeline_has_no_such_key(told: Callable[..., dict[str, str]]) -> None:
    body = {"pipeline_type": "forge", "model_name": "sword", "ore": {"main": {"place": "mine/ore.csv"}}}
    assert "$.deployment" in told({**body, "deployment": "stackset"}, **ABLE)
    found = told({**body, "stages": [stage("dev", DEV)]}, **ABLE)
    assert "write a workload" in found["$.stages[0].organizational_unit"]
