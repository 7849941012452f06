"""Properties against the table of resource types, and the table against its source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.local.services.cloudformation.faults import ResourceFailed
from orchestrator.local.services.cloudformation.providers import providers
from orchestrator.local.services.cloudformation.schema import extract
from orchestrator.local.services.cloudformation.schema.check import conform, shape_problems
from orchestrator.local.services.cloudformation.schema.table import FOLDER, ResourceType, resource_type


def kind(name: str) -> ResourceType:
    found = resource_type(name)
    assert found is not None
    return found


VARIANT = {"VariantName": "a", "ModelName": "m"}


@pytest.mark.parametrize(
    ("name", "properties", "problems"),
    [
        ("AWS::SNS::Topic", {}, []),
        ("AWS::SNS::Topic", {"Name": "x"}, ["#: extraneous key [Name] is not permitted"]),
        ("AWS::SNS::Topic", {"TopicArn": "x"}, ["#: extraneous key [TopicArn] is not permitted: it is read-only"]),
        ("AWS::SNS::Subscription", {"Protocol": "sqs"}, ["#: required key [TopicArn] not found"]),
        (
            "AWS::SageMaker::EndpointConfig",
            {"ProductionVariants": [{**VARIANT, "InstanceTyp": "x"}]},
            ["#/ProductionVariants/0: extraneous key [InstanceTyp] is not permitted"],
        ),
        (
            "AWS::SageMaker::EndpointConfig",
            {"ProductionVariants": [{"Fn::If": ["C", VARIANT, {"Ref": "AWS::NoValue"}]}]},
            [],
        ),
        (
            "AWS::SageMaker::EndpointConfig",
            {"ProductionVariants": [{"Fn::If": ["C", VARIANT, {"VariantName": "b", "Modell": "x"}]}]},
            ["#/ProductionVariants/0: extraneous key [Modell] is not permitted"],
        ),
        ("AWS::SageMaker::EndpointConfig", {"ProductionVariants": {"Ref": "P"}}, []),
        ("AWS::IAM::Role", {"AssumeRolePolicyDocument": {"Anything": {"goes": "here"}}}, []),
        ("AWS::Lambda::Function", {"Code": {}, "Role": "r", "Environment": {"Variables": {"ANY": "thing"}}}, []),
        (
            "AWS::Lambda::Function",
            {"Code": {}, "Role": "r", "Environment": {"Variable": {}}},
            ["#/Environment: extraneous key [Variable] is not permitted"],
        ),
    ],
)
def test_shape(name: str, properties: dict[str, Any], problems: list[str]) -> None:
    assert shape_problems(kind(name), properties) == problems


@pytest.mark.parametrize(
    ("name", "given", "conformed"),
    [
        ("AWS::SQS::Queue", {"DelaySeconds": "5", "FifoQueue": "true"}, {"DelaySeconds": 5, "FifoQueue": True}),
        ("AWS::SNS::Topic", {"DisplayName": 5, "FifoTopic": "FALSE"}, {"DisplayName": "5", "FifoTopic": False}),
        ("AWS::SNS::Topic", {"DisplayName": True}, {"DisplayName": "true"}),
        ("AWS::CloudWatch::Alarm", {"Threshold": "0.5"}, {"Threshold": 0.5}),
        ("AWS::CloudWatch::Alarm", {"Threshold": "5"}, {"Threshold": 5}),
        ("AWS::SQS::Queue", {"RedrivePolicy": {"maxReceiveCount": 5}}, {"RedrivePolicy": {"maxReceiveCount": 5}}),
        ("AWS::SNS::Topic", {"DisplayName": "{{resolve:ssm:x}}"}, {"DisplayName": "{{resolve:ssm:x}}"}),
        ("AWS::SQS::Queue", {"DelaySeconds": "{{resolve:ssm:x}}"}, {"DelaySeconds": "{{resolve:ssm:x}}"}),
        (
            "AWS::StepFunctions::StateMachine",
            {"RoleArn": "r", "DefinitionSubstitutions": {"Any": 5, "Other": "x"}},
            {"RoleArn": "r", "DefinitionSubstitutions": {"Any": 5, "Other": "x"}},
        ),
    ],
)
def test_values_take_the_types_of_the_schema(name: str, given: dict[str, Any], conformed: dict[str, Any]) -> None:
    assert conform(kind(name), given) == conformed


@pytest.mark.parametrize(
    ("name", "properties", "problem"),
    [
        ("AWS::SQS::Queue", {"DelaySeconds": "soon"}, "#/DelaySeconds: expected type: Integer, found: String"),
        ("AWS::SQS::Queue", {"DelaySeconds": 1.5}, "#/DelaySeconds: expected type: Integer, found: Double"),
        ("AWS::SNS::Topic", {"DisplayName": ["x"]}, "#/DisplayName: expected type: String, found: JSONArray"),
        ("AWS::SNS::Subscription", {"Protocol": "sqs"}, "#: required key [TopicArn] not found"),
        (
            "AWS::SageMaker::ModelPackageGroup",
            {"ModelPackageGroupName": "-bad"},
            "#/ModelPackageGroupName: failed validation constraint for keyword [pattern]",
        ),
        (
            "AWS::ECR::Repository",
            {"ImageTagMutability": "SOMETIMES"},
            "#/ImageTagMutability: SOMETIMES is not a valid enum value",
        ),
        ("AWS::Lambda::Function", {"Code": {}, "Role": "x" * 9}, "#/Role: "),
        ("AWS::Logs::LogGroup", {"LogGroupName": ""}, "#/LogGroupName: expected minLength: 1, actual: 0"),
        ("AWS::SageMaker::EndpointConfig", {"ProductionVariants": []}, "#/ProductionVariants: expected minimum item"),
    ],
)
def test_values_that_are_not_allowed(name: str, properties: dict[str, Any], problem: str) -> None:
    with pytest.raises(ResourceFailed) as caught:
        conform(kind(name), properties)
    assert problem in caught.value.message


def test_every_provider_has_its_type_and_knows_its_properties() -> None:
    for name, provider in providers().items():
        described = kind(name)
        if provider.supported is not None:
            assert provider.supported <= described.properties.keys(), name
        assert provider.refused() <= described.writable, name
        if provider.naming and provider.naming.property:
            assert provider.naming.property in described.writable, name


def test_every_type_of_the_table_has_a_provider() -> None:
    assert set(extract.TYPES) <= providers().keys()
    assert len([name for name in providers() if name.startswith("AWS::SageMaker::")]) > 30


def test_the_table_is_fresh(tmp_path: Path) -> None:
    """Made again from the installed cfn-lint, it has the same types (their details may move with its version)."""
    extract.main(tmp_path)
    made = {path.name: sorted(json.loads(path.read_text())) for path in tmp_path.iterdir()}
    assert made == {path.name: sorted(json.loads(path.read_text())) for path in FOLDER.iterdir()}
