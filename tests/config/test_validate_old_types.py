"""Deprecated types are read as leniently as their predecessor read them; what could not work is told at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

OLD_FORGE: dict[str, Any] = {"pipeline_type": "old_forge", "model_name": "Sword", "ore_place": "mine/ore.csv"}
OLD_BOOTH: dict[str, Any] = {"pipeline_type": "old_booth", "model_name": "Sword", "size": 2}


def test_old_names_become_ours(read: Callable[..., Any]) -> None:
    found = read(OLD_FORGE)
    spec = found.pipelines[0]
    assert (found.form, found.model_name, spec.pipeline_type, spec.kind) == (1, "Sword", "old_forge", "forge")
    assert spec.config["ore"] == {"main": {"place": "mine/ore.csv", "weight": 1}}


def test_the_types_own_defaults_win_over_the_schemas(read: Callable[..., Any]) -> None:
    assert read(OLD_FORGE).pipelines[0].config["rounds"] == 7
    assert read({**OLD_FORGE, "rounds": 9}).pipelines[0].config["rounds"] == 9


@pytest.mark.parametrize(
    "written, key, value",
    [
        ({"rounds": "12"}, "rounds", 12),
        ({"rounds": " 12 "}, "rounds", 12),
        ({"rounds": ""}, "rounds", 7),
        ({"rounds": None}, "rounds", 7),
        ({"hot": "True"}, "hot", True),
        ({"hot": "False"}, "hot", False),
        ({"marks": '["ab", "cd"]'}, "marks", ["ab", "cd"]),
        ({"label": " sword "}, "label", "sword"),
        ({"purity": 3}, "purity", 3),
        ({"framework_version": 1}, "framework_version", "1"),
    ],
)
def test_old_forms_of_values(read: Callable[..., Any], written: dict[str, Any], key: str, value: Any) -> None:
    assert read({**OLD_FORGE, **written}).pipelines[0].config[key] == value


@pytest.mark.parametrize("written", [{"rounds": "many"}, {"rounds": "1.5"}, {"rounds": "true"}, {"rounds": "Infinity"}])
def test_what_never_was_a_number_is_a_problem(told: Callable[..., Any], written: dict[str, Any]) -> None:
    assert list(told({**OLD_FORGE, **written})) == ["$.rounds"]


def test_unknown_keys_are_ignored_with_a_warning(check: Callable[..., Any]) -> None:
    workload, warnings = check(
        {**OLD_FORGE, "colour": "red", "stages": 3, "tags": [], "description": {}, "version": "x"}
    )
    assert "colour" not in workload.pipelines[0].config
    assert workload.tags == {} and [stage.name for stage in workload.stages] == ["dev", "prod"]
    assert {each.path for each in warnings} == {"$.colour", "$.stages", "$.tags", "$.description", "$.version"}


@pytest.mark.parametrize("name", ["  Sword ", 7])
def test_the_name_of_the_model_is_taken_as_it_was(read: Callable[..., Any], name: Any) -> None:
    assert read({**OLD_FORGE, "model_name": name}).model_name == str(name).strip()


def test_spaces_around_the_type_do_not_matter(read: Callable[..., Any]) -> None:
    assert read({**OLD_FORGE, "pipeline_type": " old_forge "}).pipelines[0].pipeline_type == "old_forge"


def test_a_type_may_take_its_name_from_another_key(read: Callable[..., Any], told: Callable[..., Any]) -> None:
    body = {"pipeline_type": "image_forge", "label": "lance", "ore_place": "a"}
    assert read(body).model_name == "lance"
    assert read(body).pipelines[0].config["label"] == "lance"
    assert "`label` is missing." in told({**body, "label": None})["$.label"]


def test_missing_keys_are_told_in_the_types_order_and_under_its_names(problems: Callable[..., Any]) -> None:
    found = problems({"pipeline_type": "old_forge", "model_name": "Sword"}, use_model_registry=True)
    assert [(each.path, each.message) for each in found] == [
        ("$.ore_place", "`ore_place` is missing."),
        ("$.seal", "`seal` is missing."),
    ]


def test_a_condition_decides_whether_a_key_is_required(read: Callable[..., Any], told: Callable[..., Any]) -> None:
    assert read(OLD_FORGE, use_model_registry=False)
    assert list(told(OLD_FORGE, use_model_registry=True)) == ["$.seal"]


def test_problems_speak_of_the_name_that_was_written(told: Callable[..., Any]) -> None:
    assert list(told({**OLD_FORGE, "ore_place": "MINE"})) == ["$.ore_place"]
    assert list(told({**OLD_BOOTH, "size": {"dev": 1, "prod": 12}})) == ["$.size.prod"]
    assert list(told({**OLD_BOOTH, "spot": {"dev": "A"}})) == ["$.spot"]


def test_values_by_stage(read: Callable[..., Any]) -> None:
    body = {**OLD_BOOTH, "size": {"dev": "1", "staging": "2", "prod": "3"}, "spot": {"dev": "A", "prod": "B"}}
    config = read(body).pipelines[0].config
    assert config["count"] == {"dev": 1, "prod": 3}
    assert config["place"]["spot"] == {"dev": "A", "prod": "B"}


def test_an_empty_value_in_one_stage_is_no_value_there(read: Callable[..., Any]) -> None:
    body = {**OLD_BOOTH, "spot": {"dev": "", "prod": "B"}}
    assert read(body).pipelines[0].config["place"]["spot"] == {"dev": None, "prod": "B"}


def test_the_image_of_2018_is_still_served(read: Callable[..., Any]) -> None:
    body = {**OLD_FORGE, "framework": "xgboost", "framework_version": "latest"}
    assert read(body).pipelines[0].config["framework_version"] == "latest"
