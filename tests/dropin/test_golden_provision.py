"""Requests recorded with the old product: the same answers, names, bundle layout and effective values from ours."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from orchestrator.blueprint import Catalog, load_catalog
from orchestrator.flow import prepare
from orchestrator.handler import Orchestrator
from tests.corridor.cloud import HUB as CLOUD_HUB
from tests.corridor.cloud import Cloud
from tests.dropin.old_product import Case, agree, cases, expected, names, old_parameters, ours

CATALOG = load_catalog()
COVERED = [case for case in cases() if case.first["status"] == 400 or case.body["pipeline_type"] in CATALOG.types]
ACCEPTED = [case for case in COVERED if case.first["status"] == 200]


def by_name(found: list[Case]) -> Any:
    return pytest.mark.parametrize("case", found, ids=lambda case: case.name)


def orchestrator(case: Case, cloud: Cloud, catalog: Catalog = CATALOG) -> Orchestrator:
    members = {name: getattr(case.settings, name) for name in ("stages", "assets_bucket", "use_model_registry")}
    aws = cloud.aws(**members)
    return Orchestrator(aws.settings, aws, catalog)


def post(ours: Orchestrator, body: Any) -> tuple[int, Any]:
    event = {"httpMethod": "POST", "path": "/provisionpipeline", "body": json.dumps(body)}
    answer = ours.handle(event, "request")
    assert answer is not None
    return answer["statusCode"], json.loads(answer["body"])


def test_every_type_of_the_catalog_is_compared() -> None:
    """A recorded type counts as covered as soon as a blueprint serves it; what is missing is told by name."""
    recorded = {case.body["pipeline_type"] for case in cases() if case.first["status"] == 200}
    covered = recorded & CATALOG.types.keys()
    print("not covered yet:", ", ".join(sorted(recorded - covered)) or "none")
    assert covered == {case.body["pipeline_type"] for case in ACCEPTED}
    lacking = {CATALOG.for_type(name).kind for name in covered} - names().keys()
    assert not lacking, f"tests/dropin/parameter_names.yaml does not say where the parameters of {lacking} went"


@by_name(COVERED)
def test_the_answer_is_the_old_one(case: Case) -> None:
    cloud = Cloud()
    ours = orchestrator(case, cloud)
    for recorded in (case.first, case.again):
        status, answer = post(ours, case.body)
        assert status == recorded["status"]
        assert answer["message"] == recorded["body"]["message"]
        if status == 400:
            assert answer["detailedMessage"] == recorded["body"]["detailedMessage"]
            assert cloud.log == []
            continue
        pattern = re.escape(recorded["body"]["pipeline_id"]).replace("<guid>", r"[^/]+").replace("123456789012", r"\d+")
        assert re.fullmatch(pattern, answer["pipeline_id"])
    if case.first["status"] == 200:
        assert [name for account, name in cloud.stacks if account == CLOUD_HUB] == [case.stack]
        assert cloud.calls("cloudformation.create_stack", "cloudformation.update_stack") == [
            "cloudformation.create_stack"
        ]


@by_name(ACCEPTED)
def test_stacks_have_their_old_names(case: Case) -> None:
    plan = prepare(case.body, case.settings, CATALOG).plan
    assert plan.pipeline_stack == case.stack
    stacks = [stack.stack_name for stack in plan.pipelines[0].stacks]
    name = case.workload_stack
    assert stacks == ([name] if len(stacks) == 1 else [f"{name}-{stage}" for stage in ("dev", "staging", "prod")])


@by_name(ACCEPTED)
def test_the_bundle_lies_where_it_lay_and_holds_what_it_held(case: Case) -> None:
    ready = prepare(case.body, case.settings, CATALOG)
    if not case.bundles:  # the image builder had none
        return
    assert [*case.bundles] == [ready.plan.bundle_key]
    assert set(case.bundles[ready.plan.bundle_key]) <= set(ready.rendering.files)


@by_name(ACCEPTED)
def test_every_value_of_old_takes_the_same_effect(case: Case) -> None:
    ready = prepare(case.body, case.settings, CATALOG)
    (pipeline,) = ready.plan.pipelines
    where = names()[pipeline.kind]
    members = case.bundles.get(ready.plan.bundle_key, {})
    for stack in pipeline.stacks:
        old = old_parameters(members[stack.parameters_file]) if members else case.arguments
        assert set(old) <= set(where)
        for name, value in old.items():
            about = where[name]
            if "gone" in about or old.get(about.get("unless", "")):
                continue
            wanted, found = expected(value, about, case.settings), ours(stack, about)
            generated = value == "" and name == "EndpointName"
            same = bool(found) if generated else agree(wanted, found, about)
            assert same, f"{name} in {stack.stage.name}: {found!r}, not {wanted!r}"
