"""A config is read as a whole: what is right becomes a workload, what is wrong is all told at once."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.errors import ConfigInvalid, Problem
from orchestrator.model import Reference, Stage

FORGE: dict[str, Any] = {"name": "forge", "pipeline_type": "forge", "ore": {"main": {"place": "mine/ore.csv"}}}
BOOTH: dict[str, Any] = {"name": "booth", "pipeline_type": "booth", "count": 2, "blade": {"from": "forge"}}


def workload(*pipelines: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": 2, "model_name": "sword", "pipelines": list(pipelines or (FORGE, BOOTH)), **more}


# ---- what is right ----


def test_a_workload(read: Callable[..., Any]) -> None:
    body = workload(description="A sword.", tags={"team": "smiths"}, **{"$schema": "x"})
    before = copy.deepcopy(body)
    found = read(body)
    assert (found.form, found.model_name, found.description, found.tags) == (2, "sword", "A sword.", {"team": "smiths"})
    assert [stage.name for stage in found.stages] == ["dev", "prod"]
    forge, booth = found.pipelines
    assert (forge.name, forge.kind, forge.pipeline_type) == ("forge", "forge", "forge")
    assert booth.config == {"count": 2}
    assert booth.references == {"blade": Reference("forge", "Blade")}
    assert found.source is body
    assert body == before


def test_defaults_are_filled_in_at_any_depth(read: Callable[..., Any]) -> None:
    forge, booth = read(workload(FORGE, {**BOOTH, "place": {}})).pipelines
    assert forge.config["rounds"] == 5
    assert forge.config["hot"] is False
    assert forge.config["ore"] == {"main": {"place": "mine/ore.csv", "weight": 1}}
    assert booth.config["place"] == {"width": 3}


def test_stages_of_the_config(read: Callable[..., Any]) -> None:
    stages = [
        {"name": "dev", "account": "222222222222"},
        {"name": "prod", "account": "444444444444", "region": "us-east-1"},
        {"name": "far", "account": "555555555555", "approval": False},
    ]
    assert read(workload(stages=stages)).stages == (
        Stage("dev", "222222222222", "us-east-1", approval=False),
        Stage("prod", "444444444444", "us-east-1", approval=True),
        Stage("far", "555555555555", "us-east-1", approval=False),
    )


def test_stages_in_another_region_are_refused_each(read: Callable[..., Any]) -> None:
    stages = [
        {"name": "dev", "account": "222222222222", "region": "us-esat-1"},
        {"name": "prod", "account": "444444444444", "region": "eu-west-1"},
    ]
    with pytest.raises(ConfigInvalid) as refused:
        read(workload(stages=stages))
    told = {problem.path: problem for problem in refused.value.problems}
    assert set(told) == {"$.stages[0].region", "$.stages[1].region"}
    assert told["$.stages[0].region"].allowed == "`us-east-1`"


def test_values_by_stage_name_exactly_the_stages(read: Callable[..., Any]) -> None:
    place = {"spot": {"dev": "A", "default": "B"}}
    booth = {
        **BOOTH,
        "count": {"default": 3},
        "place": place,
        "paint": {"dev": {"wall": "red"}, "prod": {"wall": "blue"}},
    }
    config = read(workload(FORGE, booth)).pipelines[1].config
    assert config["count"] == {"dev": 3, "prod": 3}
    assert config["place"] == {"spot": {"dev": "A", "prod": "B"}, "width": 3}
    assert config["paint"] == {"dev": {"wall": "red"}, "prod": {"wall": "blue"}}


def test_null_is_no_value_in_that_stage(read: Callable[..., Any], told: Callable[..., Any]) -> None:
    config = read(workload(FORGE, {**BOOTH, "open": {"prod": True, "default": None}})).pipelines[1].config
    assert config["open"] == {"dev": None, "prod": True}
    assert "is missing" in told(workload(FORGE, {**BOOTH, "count": {"dev": 1, "prod": None}}))["$.pipelines[1].count"]


def test_an_object_that_may_be_a_value_is_one_unless_it_names_stages(read: Callable[..., Any]) -> None:
    config = read(workload(FORGE, {**BOOTH, "paint": {"dev": "red", "wall": "blue"}})).pipelines[1].config
    assert config["paint"] == {"dev": "red", "wall": "blue"}


def test_one_pipeline(read: Callable[..., Any]) -> None:
    found = read(
        {"pipeline_type": "forge", "model_name": "sword", "ore": FORGE["ore"], "tags": {"a": "b"}, "version": 1}
    )
    assert (found.form, found.model_name, found.tags) == (1, "sword", {"a": "b"})
    assert found.pipelines[0].name == "forge"
    assert [stage.name for stage in found.stages] == ["dev", "prod"]


def test_a_whole_number_may_be_written_with_a_point(read: Callable[..., Any]) -> None:
    forge = read(workload({**FORGE, "rounds": 3.0})).pipelines[0]
    assert forge.config["rounds"] == 3 and isinstance(forge.config["rounds"], int)


def test_old_keys_are_taken_under_current_types_with_a_warning(check: Callable[..., Any]) -> None:
    body = workload({"name": "forge", "pipeline_type": "forge", "ore_place": "mine/ore.csv"})
    found, warnings = check(body)
    assert found.pipelines[0].config["ore"] == {"main": {"place": "mine/ore.csv", "weight": 1}}
    assert [(each.path, each.fix) for each in warnings] == [("$.pipelines[0].ore_place", "Write `ore.main.place`.")]


def test_a_pairing_that_may_not_work_is_a_warning(check: Callable[..., Any]) -> None:
    image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"
    booth = {"name": "booth", "pipeline_type": "booth", "count": 1, "image": image, "instance_type": "ml.g5.xlarge"}
    _, warnings = check(workload(booth))
    assert [each.path for each in warnings] == ["$.pipelines[0].instance_type"]


# ---- what is wrong ----


def by_path(problems: Callable[..., Any], body: object) -> dict[str, Problem]:
    return {problem.path: problem for problem in problems(body)}


def test_ten_mistakes_are_ten_problems(problems: Callable[..., Any]) -> None:
    found = by_path(
        problems,
        workload(
            {**FORGE, "rounds": "5", "hott": True, "seal": "loin"},
            {"name": "forge", "pipeline_type": "booth", "count": {"dev": 1}},
            {"name": "shop", "pipeline_type": "boooth"},
            {"name": "Fair", "pipeline_type": "booth", "count": 12, "blade": {"from": "forgery"}},
            model_name="my sword",
            stages=[{"name": "dev", "account": "22"}, {"name": "prod", "account": "444444444444"}],
        ),
    )
    assert set(found) == {
        "$.model_name",
        "$.stages[0].account",
        "$.pipelines[0].hott",
        "$.pipelines[0].rounds",
        "$.pipelines[0].seal",
        "$.pipelines[0].label",
        "$.pipelines[1].name",
        "$.pipelines[1].count",
        "$.pipelines[2].pipeline_type",
        "$.pipelines[3].name",
        "$.pipelines[3].count",
        "$.pipelines[3].blade.from",
    }
    assert found["$.pipelines[0].hott"].fix == "Did you mean `hot`?"
    assert found["$.pipelines[0].rounds"].fix == "Write 5 without quotes."
    assert found["$.pipelines[0].seal"].allowed == "One of lion, eagle."
    assert found["$.pipelines[0].seal"].fix == "Did you mean `lion`?"
    assert found["$.pipelines[0].label"].allowed == "A seal needs a label."
    assert found["$.pipelines[1].count"].fix == "Add `prod`, or `default` for all others."
    assert found["$.pipelines[2].pipeline_type"].fix == "Did you mean `booth`?"
    assert found["$.pipelines[3].count"].allowed == "A whole number from 1 to 9."
    assert found["$.pipelines[3].blade.from"].fix == "Did you mean `forge`?"


@pytest.mark.parametrize("body", [None, [], "text", 3, True])
def test_what_is_no_object(problems: Callable[..., Any], body: Any) -> None:
    assert problems(body)[0].message == "The config must be an object."


@pytest.mark.parametrize(
    "body, path, said",
    [
        ({}, "$", "neither a workload nor a pipeline"),
        ({"version": 2}, "$.pipelines", "`pipelines` is missing."),
        (workload(version=3), "$.version", "must be 2"),
        ({**workload(), "pipelines": []}, "$.pipelines", "at least 1 items"),
        ({**workload(), "pipelines": {}}, "$.pipelines", "must be a list; this is an object"),
        ({**workload(), "pipelines": ["forge"]}, "$.pipelines[0]", "must be an object; this is text"),
        (workload(stage=[]), "$.stage", "There is no key `stage`"),
        (workload(pipeline_type="forge"), "$.pipeline_type", "There is no key"),
        (workload(model_name=7), "$.model_name", "must be text; this is a number"),
        (workload(tags={"aws:x": "y"}), "$.tags", "'aws:x' cannot be a key"),
        (workload(tags={"x": 1}), "$.tags.x", 'Write it in quotes: "1"'),
        (workload(stages=[]), "$.stages", "at least 1 items"),
        (workload(stages=[{"name": "default", "account": "1" * 12}]), "$.stages[0].name", "are taken"),
        (workload(stages=[{"name": "a", "account": 111111111111}]), "$.stages[0].account", "quotes"),
        (
            workload(stages=[{"name": "a", "account": "1" * 12, "region": "us_east_1"}]),
            "$.stages[0].region",
            "valid region",
        ),
        (workload(stages=[{"name": "a", "account": "1" * 12}] * 2), "$.stages[1].name", "another stage called 'a'"),
        (
            workload(stages=[{"name": "forge", "account": "1" * 12, "approval": True}]),
            "$.pipelines[0].name",
            "the reviews of both would be `Review-forge`",
        ),
        (workload(stages=[{"name": f"s{i}", "account": "1" * 12} for i in range(11)]), "$.stages", "at most 10"),
        ({"pipeline_type": "forge", "ore": FORGE["ore"]}, "$.model_name", "`model_name` is missing."),
        ({"pipeline_type": 3, "model_name": "x"}, "$.pipeline_type", "Pipeline type 3 is not supported."),
        ({"pipeline_type": "Forge", "model_name": "x"}, "$.pipeline_type", "Did you mean `forge`?"),
    ],
)
def test_the_document(told: Callable[..., Any], body: Any, path: str, said: str) -> None:
    found = told(body)
    assert said in found[path]


@pytest.mark.parametrize(
    "changes, path, said",
    [
        ({"ore": {}}, "ore", "at least 1 keys"),
        ({"ore": {"main": {}}}, "ore.main.place", "`place` is missing."),
        ({"ore": {"main": {"place": "MINE"}}}, "ore.main.place", "'MINE' is not a valid place."),
        ({"ore": {"a b": {"place": "x", "wieght": 1}}}, 'ore["a b"].wieght', "Did you mean `weight`?"),
        ({"ore": [1]}, "ore", "must be an object; this is a list"),
        ({"rounds": 0}, "rounds", "too small"),
        ({"rounds": 1.5}, "rounds", "must be a whole number; this is a number"),
        ({"rounds": True}, "rounds", "this is true or false"),
        ({"rounds": None}, "rounds", "this is null"),
        ({"hot": "true"}, "hot", "Write true without quotes."),
        ({"marks": "ab"}, "marks", "Write a list, even of one item."),
        ({"marks": ["ab", "ab"]}, "marks", "holds an item twice"),
        ({"marks": ["ab", "c"]}, "marks[1]", "at least 2 characters"),
        ({"marks": ["ab", "cd", "ef", "gh"]}, "marks", "at most 3 items"),
        ({"coins": {"gold": "x"}}, "coins.gold", "The gold must be a whole number; this is text."),
        ({"rounds": 60}, "rounds", "More rounds than the limit. At most `limit`."),
        ({"purty": 1, "purity": 2}, "purty", "say the same thing"),
        ({"framework": "xgbost", "framework_version": "1"}, "framework", "Did you mean `xgboost`?"),
        ({"framework": "xgboost", "framework_version": "latest"}, "framework_version", "image of 2018"),
        ({"framework": "xgboost"}, "framework_version", "image of 2018"),
        ({"framework": "sklearn", "framework_version": "1.2"}, "framework_version", "Did you mean `1.2-1`?"),
        ({"framework": "vllm", "framework_version": "0.30.0"}, "framework", "are not for training"),
        ({"image": "x", "framework": "pca"}, "image", "`image` and `framework` do not go together."),
    ],
)
def test_the_keys_of_a_pipeline(told: Callable[..., Any], changes: dict[str, Any], path: str, said: str) -> None:
    found = told(workload({**FORGE, **changes}))
    assert list(found) == [f"$.pipelines[0].{path}"]
    assert said in found[f"$.pipelines[0].{path}"]


@pytest.mark.parametrize(
    "changes, path, said",
    [
        ({"count": {"dev": 1}}, "count", "There is no value for `prod`."),
        ({"count": {"dev": 1, "prod": 2, "prd": 3}},
         "count.prd", "There is no stage `prd`. One of dev, prod. Did you mean `prod`?"),
        ({"count": {"dev": 1, "prod": 12}}, "count.prod", "too large"),
        ({"count": {"dev": 1, "default": 12}}, "count.default", "too large"),
        ({"count": {}}, "count", "There is no value for `dev`, `prod`."),
        ({"place": {"spot": {"dev": "A", "prod": "b"}}}, "place.spot.prod", "not a valid spot"),
        ({"blade": "knife"}, "blade", '{"from": "<an earlier pipeline>"}'),
        ({"blade": {"from": "forge", "x": 1}}, "blade", "has the key `from` only"),
        ({"blade": {"from": "booth"}}, "blade.from", "'booth' does not come before this one"),
        ({"blade": {"from": "later"}}, "blade.from", "'later' does not come before this one"),
        ({"blade": {"from": ["forge"]}}, "blade.from", "There is no pipeline"),
        ({"badge": {"from": "forge"}}, "badge.from", "'forge' (forge) has no result Badge."),
        ({"framework": "pytorch", "framework_version": "2.6",
          "instance_type": {"dev": "ml.m5.large", "prod": "ml.trn1.2xlarge"}},
         "instance_type.prod", "no image for instance_type 'ml.trn1.2xlarge'"),
        ({"framework": "vllm", "framework_version": "0.30.0", "instance_type": "ml.g6.xlarge",
          "inference_ami": "al2-ami-sagemaker-inference-gpu-3-1"}, "inference_ami", "built for CUDA 13.0"),
        ({"framework": "pytorch", "framework_version": "2.6", "instance_type": "ml.m5.large", "py_version": "py39"},
         "py_version", "One of py312."),
        ({"image": "1.dkr.ecr.us-east-1.amazonaws.com/mine:cu130",
          "instance_type": {"dev": "ml.g6.xlarge", "prod": "ml.m5.large"}},
         "instance_type.prod", "needs a GPU"),
    ],
)  # fmt: skip
def test_the_keys_of_a_pipeline_in_every_stage(
    told: Callable[..., Any], changes: dict[str, Any], path: str, said: str
) -> None:
    later = {"name": "later", "pipeline_type": "booth", "count": 1}
    found = told(workload(FORGE, {**BOOTH, **changes}, later))
    assert list(found) == [f"$.pipelines[1].{path}"]
    assert said in found[f"$.pipelines[1].{path}"]


def test_an_image_must_exist_in_every_region(problems: Callable[..., Any]) -> None:
    stages = [{"name": "a", "account": "1" * 12}, {"name": "b", "account": "1" * 12, "region": "us-mars-1"}]
    booth = {**BOOTH, "framework": "xgboost", "framework_version": "1.7-1"}
    found = by_path(problems, workload(FORGE, booth, stages=stages))
    assert found["$.pipelines[1].framework"].message == "There is no image of 'xgboost' in us-mars-1."


def test_what_runs_before_the_stages_has_one_value(told: Callable[..., Any]) -> None:
    found = told(workload({**FORGE, "label": {"dev": "a", "prod": "b"}}))
    assert found == {"$.pipelines[0].label": "This pipeline runs once, before the stages.  Give one value."}


def test_what_runs_before_the_stages_cannot_use_what_is_deployed_in_them(told: Callable[..., Any]) -> None:
    booth = {"name": "booth", "pipeline_type": "booth", "count": 1}
    found = told(workload(booth, {**FORGE, "badge": {"from": "booth"}}))
    assert list(found) == ["$.pipelines[1].badge.from"]
    assert "runs before the stages; 'booth' is deployed in them" in found["$.pipelines[1].badge.from"]


def test_a_single_pipeline_cannot_refer_to_another(told: Callable[..., Any]) -> None:
    found = told({"pipeline_type": "booth", "model_name": "x", "count": 1, "blade": {"from": "forge"}})
    assert "cannot refer to another" in found["$.blade.from"]


def test_a_problem_of_one_pipeline_does_not_hide_those_of_the_next(told: Callable[..., Any]) -> None:
    found = told(workload({**FORGE, "pipeline_type": "nothing"}, {**BOOTH, "count": 0}))
    assert set(found) == {"$.pipelines[0].pipeline_type", "$.pipelines[1].count"}


def test_there_is_an_end_to_problems(problems: Callable[..., Any]) -> None:
    found = problems(workload({**FORGE, **{f"key{i}": 1 for i in range(3000)}}))
    assert len(found) == 101
    assert found[-1].message == "There are more problems than these."


def test_a_thousand_pipelines_are_read(read: Callable[..., Any]) -> None:
    pipelines = [{**FORGE, "name": f"p{i}"} for i in range(1000)]
    assert len(read(workload(*pipelines)).pipelines) == 1000


def test_problems_can_be_written_as_json(problems: Callable[..., Any]) -> None:
    found = problems(workload({**FORGE, "label": "\ud800" + "x" * 500, "\x00": {"a": ["b" * 300]}}))
    text = json.dumps([problem.as_dict() for problem in found], ensure_ascii=False).encode("utf-8")
    assert len(text) < 3000
