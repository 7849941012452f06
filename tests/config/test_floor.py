"""The reviews that a deployment demands: a config can ask for more of them, and cannot have one less."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from orchestrator.blueprint import load_catalog
from orchestrator.errors import ConfigInvalid, SettingsMissing
from orchestrator.model import Stage
from orchestrator.plan import plan
from orchestrator.render import render
from orchestrator.settings import Settings, from_environment
from orchestrator.validate import validate

CATALOG = load_catalog()
HUB, DEV, PROD, OTHER = "111111111111", "222222222222", "444444444444", "555555555555"
BOOTH: dict[str, Any] = {"name": "booth", "pipeline_type": "booth", "count": 2}
MODEL = {"name": "registry", "pipeline_type": "model_registration", "model": {"from": "training"}}
ENDPOINT = {
    "name": "endpoint",
    "pipeline_type": "realtime_inference",
    "model_package": {"from": "registry"},
    "instance_type": "ml.m5.large",
}
TRAINING: dict[str, Any] = {
    "name": "training",
    "pipeline_type": "model_training",
    "framework": "xgboost",
    "framework_version": "1.7-1",
    "channels": {"train": {"location": "data/train.csv"}},
}
Read = Callable[..., Any]


def stage(name: str, account: str, *approval: Any) -> dict[str, Any]:
    return {"name": name, "account": account} | ({"approval": approval[0]} if approval else {})


def config(*stages: dict[str, Any], pipelines: Any = (BOOTH,)) -> dict[str, Any]:
    body: dict[str, Any] = {"version": 2, "model_name": "sword", "pipelines": list(pipelines)}
    return body | ({"stages": list(stages)} if stages else {})


@pytest.fixture
def floor(deployed: Callable[..., Settings]) -> Settings:
    """A deployment of dev and prod in which prod is reviewed."""
    return deployed(stages_that_need_approval=("prod",))


def accepted(body: Any, settings: Settings) -> tuple[Stage, ...]:
    return validate(body, CATALOG, settings).stages


def refused(body: Any, settings: Settings) -> dict[str, Any]:
    with pytest.raises(ConfigInvalid) as caught:
        validate(body, CATALOG, settings)
    return {problem.path: problem for problem in caught.value.problems}


def test_without_a_floor_the_config_decides(read: Read) -> None:
    assert not any(each.approval for each in read(config(stage("live", PROD, False), stage("prod", DEV, False))).stages)


@pytest.mark.parametrize(
    "name, account, why",
    [
        ("prod", PROD, "the stage itself"),
        ("live", PROD, "another name for the same account"),
        ("prod", OTHER, "the name elsewhere: its people expect a review"),
    ],
)
def test_a_review_cannot_be_switched_off(told: Read, name: str, account: str, why: str) -> None:
    body = config(stage("dev", DEV), stage(name, account, False))
    found = told(body, stages_that_need_approval=("prod",))
    assert found == {
        "$.stages[1].approval": "This deployment has every change reviewed in the stage `prod` and in its account."
        " `true` Write `true`, or leave `approval` out."
    }, why


def test_it_is_told_with_everything_else_that_is_wrong(problems: Read) -> None:
    body = config(stage("a", PROD, False), stage("b", PROD, False), pipelines=[{**BOOTH, "count": "many"}])
    found = {problem.path: problem for problem in problems(body, stages_that_need_approval=("prod",))}
    assert set(found) == {"$.stages[0].approval", "$.stages[1].approval", "$.pipelines[0].count"}
    assert found["$.stages[0].approval"].value is False


def test_what_is_not_said_is_a_review(read: Read) -> None:
    """The first stage of a config needs none unless the deployment says so."""
    for stages in ([stage("live", PROD)], [stage("live", PROD, True)], [stage("live", PROD), stage("dev", DEV, False)]):
        found = read(config(*stages), stages_that_need_approval=("prod",)).stages
        assert {each.name: each.approval for each in found}["live"] is True
        assert [each.approval for each in found if each.account == DEV] in ([], [False])


def test_the_deployment_s_own_stages_have_the_review(read: Read) -> None:
    stages = (Stage("dev", DEV, "us-east-1"), Stage("prod", PROD, "us-east-1"))
    found = read(config(), stages=stages, stages_that_need_approval=("prod",)).stages
    assert [each.approval for each in found] == [False, True]
    found = read({"pipeline_type": "booth", "model_name": "sword", "count": 2}, stages=stages,
                 stages_that_need_approval=("prod",)).stages  # fmt: skip
    assert [each.approval for each in found] == [False, True]


def test_in_one_account_every_stage_is_reviewed(read: Read, told: Read) -> None:
    """Accounts are what separates stages: who may change one there may change the other."""
    stages = (Stage("dev", DEV, "us-east-1"), Stage("prod", DEV, "us-east-1", approval=True))
    deployment = {"stages": stages, "stages_that_need_approval": ("prod",)}
    assert all(each.approval for each in read(config(), **deployment).stages)
    assert set(told(config(stage("dev", DEV, False)), **deployment)) == {"$.stages[0].approval"}


def test_one_pipeline_with_stages_of_its_own(told: Read, read: Read) -> None:
    body = {"pipeline_type": "booth", "model_name": "sword", "count": 2, "stages": [stage("live", PROD, False)]}
    assert set(told(body, stages_that_need_approval=("prod",))) == {"$.stages[0].approval"}
    body["stages"] = [stage("live", PROD)]
    assert [each.approval for each in read(body, stages_that_need_approval=("prod",)).stages] == [True]


@pytest.mark.parametrize(
    "account, path",
    [(f"{PROD}\n", "account"), (f" {PROD}", "account"), ("٤" * 12, "account"), (int(PROD), "account")],
)
def test_an_account_that_only_looks_different_is_none(floor: Settings, account: Any, path: str) -> None:
    found = refused(config(stage("live", account, False), pipelines=[TRAINING, MODEL, ENDPOINT]), floor)
    assert f"$.stages[0].{path}" in found


@pytest.mark.parametrize("approval", [0, None, "false", "", []])
def test_an_approval_that_is_no_word_of_json_s_is_refused(floor: Settings, approval: Any) -> None:
    found = refused(config(stage("live", PROD, approval), pipelines=[TRAINING, MODEL, ENDPOINT]), floor)
    assert "$.stages[0].approval" in found


def test_a_stage_that_the_deployment_lost_stops_provisioning(deployed: Callable[..., Settings]) -> None:
    settings = deployed(stages_that_need_approval=("prod", "gone", "lost"))
    with pytest.raises(SettingsMissing, match="does not have: gone, lost") as caught:
        accepted(config(pipelines=[TRAINING]), settings)
    assert "--require-approval" in caught.value.hint


# ---- the review of a model ----


def test_a_model_for_a_reviewed_stage_is_approved_by_a_person(floor: Settings) -> None:
    unseen = {**MODEL, "approval": "automatic"}
    found = refused(config(pipelines=[TRAINING, unseen, ENDPOINT]), floor)
    assert set(found) == {"$.pipelines[1].approval"}
    problem = found["$.pipelines[1].approval"]
    assert (problem.value, problem.allowed) == ("automatic", "One of manual.")
    assert problem.fix == "Write `manual`, or leave `approval` out."
    found = refused(config(stage("live", PROD), pipelines=[TRAINING, unseen, {**ENDPOINT, "colour": 1}]), floor)
    assert {"$.pipelines[1].approval", "$.pipelines[2].colour"} <= set(found)


def test_a_model_that_gets_nowhere_near_may_approve_itself(floor: Settings) -> None:
    unseen = {**MODEL, "approval": "automatic"}
    accepted(config(stage("dev", DEV), pipelines=[TRAINING, unseen, ENDPOINT]), floor)
    accepted(config(pipelines=[TRAINING, unseen]), floor)  # nothing is deployed to a stage
    accepted(config(pipelines=[TRAINING, {**MODEL, "approval": "manual"}]), floor)


def test_every_kind_with_a_review_says_what_switches_it_off() -> None:
    for blueprint in CATALOG:
        marked = [rule for rule in blueprint.schema["properties"].values() if "x-review" in rule]
        assert len(marked) == (1 if blueprint.review else 0), blueprint.kind
        assert all(rule["x-review"] == rule["default"] and rule["x-review"] in rule["enum"] for rule in marked)


# ---- what is rendered ----


NAMES = st.sampled_from(["dev", "prod", "live", "a", "b"])
STAGES = st.lists(
    st.builds(
        lambda name, account, more: {"name": name, "account": account, **more},
        NAMES,
        st.sampled_from([DEV, PROD, OTHER, HUB]),
        st.sampled_from([{}, {"approval": True}, {"approval": False}]),
    ),
    max_size=4,
    unique_by=lambda each: each["name"],
)
REVIEWED = st.sampled_from(["prod", "dev", "dev,prod"])
STAGES_OF_THE_DEPLOYMENT = json.dumps([{"name": "dev", "account": DEV}, {"name": "prod", "account": PROD}])
ENVIRONMENT = {
    "MLOPS_ACCOUNT": HUB,
    "BLUEPRINT_BUCKET": "blueprints",
    "STACK_SETS_CALL_AS": "SELF",
    "AWS_REGION": "us-east-1",
    "ASSETS_BUCKET": "assets",
    "ARTIFACT_BUCKET": "artifacts",
    "ARTIFACT_KEY_ARN": "arn:aws:kms:us-east-1:111111111111:key/k",
    "MLOPS_NOTIFICATIONS_SNS_TOPIC": "arn:aws:sns:us-east-1:111111111111:t",
    "MLOPS_FUNCTION_ARN": "arn:aws:lambda:us-east-1:111111111111:function:mlops-orchestrator",
    "CFN_ROLE_ARN": "arn:aws:iam::111111111111:role/mlops-cloudformation",
}


@given(STAGES, REVIEWED, st.booleans())
@examples(max_examples=80, deadline=None, derandomize=True)
def test_whatever_is_accepted_is_reviewed_before_it_reaches_a_protected_account(
    stages: Any, reviewed: str, by_stack_sets: bool
) -> None:
    settings = from_environment(
        {**ENVIRONMENT, "STAGES": STAGES_OF_THE_DEPLOYMENT, "STAGES_THAT_NEED_APPROVAL": reviewed}
    )
    names_of_them = settings.stages_that_need_approval
    accounts = {each.account for each in settings.stages if each.name in names_of_them}
    if by_stack_sets:
        stages = [{**each, "organizational_unit": "ou-ab12-34cdefgh"} for each in stages if each["account"] != HUB]
    body = config(*stages, pipelines=[TRAINING, MODEL, ENDPOINT])
    body |= {"deployment": "stackset"} if by_stack_sets and stages else {}
    try:
        workload = validate(body, CATALOG, settings)
    except ConfigInvalid as error:
        lowered = [each for each in stages if each.get("approval") is False]
        assert any(each["account"] in accounts or each["name"] in names_of_them for each in lowered), error.problems
        return
    frame = json.loads(render(plan(workload, settings, CATALOG), CATALOG, settings).pipeline_template)
    names = [each["Name"] for each in frame["Resources"]["Pipeline"]["Properties"]["Stages"]]
    for each in workload.stages:
        if each.account in accounts or each.name in names_of_them:
            assert names[names.index(f"Deploy-{each.name}") - 1] == f"Review-{each.name}"


def test_no_bundle_starts_a_pipeline_that_was_made_before_the_review(floor: Settings) -> None:
    """A single pipeline's bundle always has one key: where a review is demanded, another shape has another one."""
    body = {
        "pipeline_type": "realtime_inference",
        "model_name": "m",
        "model_data": "models/m.tar.gz",
        "framework": "xgboost",
        "framework_version": "1.7-1",
        "instance_type": "ml.m5.large",
        "stages": [stage("live", PROD)],
    }
    before = replace(floor, stages_that_need_approval=())
    old, new = (plan(validate(body, CATALOG, each), each, CATALOG) for each in (before, floor))
    assert not old.stages[0].approval and new.stages[0].approval
    assert old.project == new.project and old.bundle_key != new.bundle_key
    elsewhere = {**body, "stages": [stage("dev", DEV)]}
    assert len({plan(validate(elsewhere, CATALOG, each), each, CATALOG).bundle_key for each in (before, floor)}) == 1


# ---- the setting ----


def test_an_account_without_quotes_is_the_same_account() -> None:
    """Somebody writes Stages by hand; a number would never be equal to what a config says."""
    stages = json.dumps([{"name": "prod", "account": int(PROD)}])
    settings = from_environment({**ENVIRONMENT, "STAGES": stages, "STAGES_THAT_NEED_APPROVAL": "prod"})
    assert settings.stages[0].account == PROD
    found = refused(config(stage("live", PROD, False), pipelines=[TRAINING, MODEL, ENDPOINT]), settings)
    assert set(found) == {"$.stages[0].approval"}


def test_the_setting_is_read_from_the_environment() -> None:
    assert from_environment(ENVIRONMENT).stages_that_need_approval == ()
    for text, names in (("", ()), ("prod", ("prod",)), ("staging, prod,", ("staging", "prod"))):
        assert from_environment({**ENVIRONMENT, "STAGES_THAT_NEED_APPROVAL": text}).stages_that_need_approval == names
