"""What the roles in the templates may do: named actions on named things, and who may take them on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cfnlint
import pytest
from resolving import resolved, stack_of
from walking import EXAMPLES, FRAME_STAGES, Example, frame_of, templates

from orchestrator.infra.rights import jobs

ALL_TEMPLATES = {
    **{f"{example}/{name}": body for example in EXAMPLES for name, body in templates(example.rendering).items()},
    **{f"frame/{name}": json.loads(frame_of(stages)) for name, stages in FRAME_STAGES.items()},
}
WALK = pytest.mark.parametrize("template", ALL_TEMPLATES.values(), ids=list(ALL_TEMPLATES))


def roles(template: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::IAM::Role":
            yield name, resource["Properties"]


def policies(template: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            yield name, resource["Properties"]


def statements(template: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for _, policy in policies(template):
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@WALK
def test_actions_and_resources_are_named(template: dict[str, Any]) -> None:
    for statement in statements(template):
        assert not [action for action in listed(statement["Action"]) if "*" in action], statement["Sid"]
        assert "*" not in listed(statement["Resource"]), f"{statement['Sid']}: the launch templates grant this"


@WALK
def test_a_role_has_one_policy_of_its_own_and_known_ones_of_the_launch_templates(template: dict[str, Any]) -> None:
    own = dict(policies(template))
    assert all(policy["Path"] == "/mlops-pipelines/" for policy in own.values())
    named = []
    for name, role in roles(template):
        first, *others = role["ManagedPolicyArns"]
        assert "Policies" not in role, name
        assert {each["Fn::Sub"].partition(":policy/${NamePrefix}-")[2] for each in others} <= set(jobs.policies()), name
        named.append(first["Ref"])
    assert sorted(named) == sorted(own)


@WALK
def test_a_role_is_passed_to_a_named_service_only(template: dict[str, Any]) -> None:
    for statement in statements(template):
        if "iam:PassRole" in listed(statement["Action"]):
            assert statement["Action"] == "iam:PassRole"
            assert statement["Condition"]["StringEquals"]["iam:PassedToService"]


@WALK
def test_roles_trust_one_service_for_this_account_and_stay_within_the_boundary(template: dict[str, Any]) -> None:
    for name, role in roles(template):
        assert role["PermissionsBoundary"]["Fn::Sub"].endswith("policy/${NamePrefix}-boundary"), name
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert list(trust["Principal"]) == ["Service"], name
        assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}, name


@WALK
def test_every_parameter_is_constrained_and_explained(template: dict[str, Any]) -> None:
    for name, about in template["Parameters"].items():
        assert about["Description"], name
        bounded = {"AllowedPattern", "AllowedValues"} & set(about) or {"MinValue", "MaxValue"} <= set(about)
        assert bounded, f"{name} takes anything"
        pattern = about.get("AllowedPattern", "^$")
        assert pattern.startswith("^"), name
        assert pattern.endswith("$"), name
        assert "{{" not in pattern, name


@WALK
def test_no_secret_of_the_deployment_stands_in_a_template(template: dict[str, Any]) -> None:
    assert "{{resolve:" not in json.dumps(template)


def test_the_wildcards_in_parameters_are_the_documented_ones() -> None:
    found = set()
    for example in EXAMPLES:
        for pipeline in example.plan.pipelines:
            for stack in pipeline.stacks:
                found |= {
                    (pipeline.kind, name)
                    for name, value in stack.parameters.items()
                    if "*" in value and name not in ("ReadableObjects", "ScheduleExpression")
                }
    # A package named by its ARN alone does not tell its image: the README of the blueprint says so.
    assert found == {("batch_inference", "ImageRepositoryArn"), ("realtime_inference", "ImageRepositoryArn")}


# ---- actions and what they act on ----


@cache
def authorization() -> Any:
    """The Service Authorization Reference, as cfn-lint carries it: actions, and the ARNs they can be limited to."""
    return json.loads((Path(cfnlint.__file__).parent / "data/AdditionalSpecs/Policies.json").read_text())


def arns_of(action: str) -> list[re.Pattern[str]]:
    """The ARNs an action can be limited to; none when it has no resource level."""
    service, _, name = action.partition(":")
    about = authorization()[service]
    formats = [
        form
        for kind in about["Actions"][name.lower()].get("Resources", [])
        for form in about["Resources"].get(kind, {}).get("ARNFormats", [])
    ]
    return [re.compile(re.sub(r"\$\{\w+\}", "[^:]*", form)) for form in formats]


def effective_statements(resources: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for properties in resources.values():
        if "PolicyDocument" in properties:
            yield from properties["PolicyDocument"]["Statement"]


def assert_limits_apply(statement: dict[str, Any]) -> None:
    """A statement grants an action only on ARNs of a kind that the action knows; on others it grants nothing."""
    for action in listed(statement["Action"]):
        named = listed(statement["Resource"])
        assert any(pattern.fullmatch(arn) for pattern in arns_of(action) for arn in named), (action, named)


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_every_grant_is_one(example: Example) -> None:
    for pipeline in example.plan.pipelines:
        for stage in range(len(pipeline.stacks)):
            for statement in effective_statements(stack_of(example, pipeline, stage=stage)):
                assert_limits_apply(statement)


def test_every_grant_of_the_pipeline_is_one() -> None:
    for example in EXAMPLES:
        for statement in effective_statements(
            resolved(example.rendering.pipeline_template, example.plan.pipeline_parameters)
        ):
            assert_limits_apply(statement)


def test_policies_stay_within_the_limits_of_iam() -> None:
    """IAM: a managed policy holds at most 6,144 characters, blanks not counted; a role has at most ten of them."""
    for example in EXAMPLES:
        for pipeline in example.plan.pipelines:
            for name, properties in stack_of(example, pipeline).items():
                size = len(json.dumps(properties.get("PolicyDocument")).replace(" ", ""))
                assert size <= 6_144, (str(example), name, size)
                assert len(properties.get("ManagedPolicyArns", [])) <= 10, (str(example), name)
