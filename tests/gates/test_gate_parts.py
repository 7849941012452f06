"""The parts of the gates that are ours: whether a default can be reached, what a statement says, what is open."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gates.audit import audit
from tests.gates.defaults import never_default
from tests.gates.policies import statements
from tests.gates.subjects import Subject

GIVEN = {"Fn::Not": [{"Fn::Equals": [{"Ref": "Size"}, "0"]}]}
USE = {"Fn::If": ["Given", {"Ref": "Size"}, {"Ref": "AWS::NoValue"}]}


def template(properties: Any, **members: Any) -> dict[str, Any]:
    return {
        "Parameters": {"Size": {"Type": "Number", "Default": "0"}},
        "Conditions": {"Given": GIVEN, "Both": {"Fn::And": [{"Condition": "Given"}, GIVEN]}},
        "Resources": {"A": {"Type": "T", "Properties": properties, **members}},
    }


@pytest.mark.parametrize(
    ("document", "safe"),
    [
        (template({"Size": USE}), True),
        (template({"Size": {"Ref": "Size"}}), False),
        (template({"Size": {"Ref": "Size"}}, Condition="Both"), True),
        (template({"Size": {"Fn::If": ["Given", 1, {"Ref": "Size"}]}}), False),
        (template({"Size": USE, "Text": {"Fn::Sub": "${Size} GB"}}), False),
        (template({"Text": {"Fn::Sub": "${Sizes}"}}), True),
    ],
)
def test_whether_a_default_can_be_reached(document: Any, safe: bool) -> None:
    assert never_default(document, "Size", "A") is safe


def test_statements_of_both_sides_of_a_condition() -> None:
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {"Statement": {"Principal": {"Service": "lambda.amazonaws.com"}}},
            "Policies": [
                {"Fn::If": [
                    "X",
                    {"PolicyName": "p", "PolicyDocument": {"Statement": [{"Sid": "S", "Action": "s3:GetObject",
                     "Resource": {"Fn::Sub": "arn:${AWS::Partition}:s3:::${Bucket}/*"}}]}},
                    {"Ref": "AWS::NoValue"},
                ]}
            ],
        },
    }  # fmt: skip
    trust, read = statements({"Resources": {"R": role}})
    assert (trust.kind, trust.principals) == ("trust", {"Service": ("lambda.amazonaws.com",)})
    assert (read.place, read.resources) == ("R.p/S", ("arn:aws:s3:::VALUE/*",))


@pytest.mark.parametrize(
    ("statement", "rules"),
    [
        ({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::a/b"}, []),
        ({"Action": "s3:GetObject", "Resource": {"Fn::Sub": "arn:aws:s3:::${Bucket}/*"}}, []),
        ({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::a/*"}, ["IAM-WILDCARD"]),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::a/b"}, ["IAM-ACTION-STAR"]),
        ({"Action": "s3:GetThing", "Resource": "arn:aws:s3:::a/b"}, ["IAM-UNKNOWN-ACTION"]),
        ({"Action": "sagemaker:ListModels", "Resource": "*"}, []),
        ({"Action": ["sagemaker:ListModels", "s3:GetObject"], "Resource": "*"}, ["IAM-RESOURCE-STAR"]),
        ({"Action": "iam:PassRole", "Resource": "arn:aws:iam::1:role/r"}, ["IAM-PASSROLE"]),
        ({"Effect": "Deny", "Action": "*", "Resource": "*"}, []),
    ],
)
def test_what_the_audit_says_of_a_statement(statement: Any, rules: list[str]) -> None:
    policy = {"Type": "AWS::IAM::Policy", "Properties": {"PolicyDocument": {"Statement": [statement]}}}
    found = audit(Subject("launch-x", {"Resources": {"P": policy}}))
    assert [each.rule for each in found] == rules


def test_a_form_of_wildcards_holds_only_where_it_is_meant() -> None:
    statement = {
        "Action": "sagemaker:DescribeModel",
        "Resource": {"Fn::Sub": "arn:aws:sagemaker:${AWS::Region}:${AWS::AccountId}:model/*"},
    }
    policy = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": {"Statement": [statement]}}}
    found = {name: audit(Subject(name, {"Resources": {"P": policy}})) for name in ("launch-x", "model_training-x")}
    assert found["launch-x"] == []
    assert [each.rule for each in found["model_training-x"]] == ["IAM-WILDCARD"]


def test_a_policy_inside_of_a_role_is_told() -> None:
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "PermissionsBoundary": "b",
            "Policies": [{"PolicyName": "p", "PolicyDocument": {"Statement": []}}],
        },
    }
    assert [each.rule for each in audit(Subject("x", {"Resources": {"R": role}}))] == ["IAM-INLINE"]
