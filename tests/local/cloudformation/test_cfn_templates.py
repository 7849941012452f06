"""Templates as text: what is read, and what is refused before anything else happens."""

from __future__ import annotations

import json

import pytest
from cloudformation_language import frame_of

from orchestrator.local.service import ServiceError
from orchestrator.local.services.cloudformation.language.source import read

TOPIC = "Resources: {T: {Type: AWS::SNS::Topic}}"


def test_yaml_and_json_say_the_same() -> None:
    text = """
Resources:
  T:
    Type: AWS::SNS::Topic
    Properties:
      DisplayName: !Join ["", [!Ref AWS::Region, !GetAtt A.B.C, !Sub "${X}"]]
"""
    long_form = {
        "Fn::Join": ["", [{"Ref": "AWS::Region"}, {"Fn::GetAtt": ["A", "B.C"]}, {"Fn::Sub": "${X}"}]],
    }
    document = {"Resources": {"T": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": long_form}}}}
    assert read(text) == document == read(json.dumps(document))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "YAML not well-formed. (line 2, column 1)"),
        ('{"a": ', "JSON not well-formed. (line 1, column 7)"),
        ("- a", "unsupported structure"),
        ("just text", "unsupported structure"),
        ("", "unsupported structure"),
        ("a: &x 1\nb: *x", "YAML aliases are not allowed"),
        ("a: 1\na: 2", "duplicate key a"),
        ('{"a": 1, "a": 2}', "duplicate key a"),
        ("{}", "At least one Resources member must be defined"),
        ("Resources: {}", "At least one Resources member must be defined"),
        ("Resources: {T: {}}", "Every Resources object must contain a Type member"),
        ("Resources: {T: text}", "[/Resources/T] must be an object"),
        ("Resources: {a-b: {Type: X}}", "Resource name a-b is non alphanumeric"),
        ("Resources: {T: {Type: X, Propertys: {}}}", "Invalid template resource property 'Propertys'"),
        ("Resources: {T: {Type: X, DependsOn: U}}", "Unresolved resource dependencies [U]"),
        ("Resources: {T: {Type: X, DependsOn: {}}}", "DependsOn must be a string or list of strings"),
        ("Resources: {T: {Type: X, DeletionPolicy: Keep}}", "Unrecognized DeletionPolicy Keep"),
        ("Resources: {T: {Type: X, DeletionPolicy: Snapshot}}", "does not support DeletionPolicy Snapshot"),
        ("Resources: {T: {Type: X, UpdatePolicy: {}}}", "does not support the resource attribute UpdatePolicy"),
        ("Resources: {T: {Type: X, CreationPolicy: {}}}", "does not support the resource attribute CreationPolicy"),
        ("Resources: {T: {Type: X, Condition: C}}", "Unresolved condition dependency C in resource T"),
        (f"{TOPIC}\nResource: {{}}", "Invalid template property or properties [Resource]"),
        (f"{TOPIC}\nHooks: {{}}", "does not support the template section Hooks"),
        (f"{TOPIC}\nTransform: AWS::Serverless-2016-10-31", "does not support the transform AWS::Serverless"),
        (f"{TOPIC}\nTransform: [MyMacro]", "does not support the transform MyMacro"),
        (f"{TOPIC}\nAWSTemplateFormatVersion: '2020-01-01'", "Unsupported template format version"),
        (f"{TOPIC}\nDescription: {'x' * 1025}", "length is greater than 1024"),
        (f"{TOPIC}\nMappings: {{M: {{a: text}}}}", "Every Mappings attribute"),
        (f"{TOPIC}\nMappings: {{M: {{a: {{b: {{c: d}}}}}}}}", "Every Mappings attribute"),
        (f"{TOPIC}\nOutputs: {{O: {{Description: x}}}}", "Every Outputs member must contain a Value object"),
        (f"{TOPIC}\nOutputs: {{O: {{Value: x, Exports: {{}}}}}}", "unknown members [Exports]"),
        (f"{TOPIC}\nOutputs: {{O: {{Value: !Ref U}}}}", "Unresolved resource dependencies [U] in the Outputs block"),
        (f"{TOPIC}\nOutputs: {{O: {{Value: x, Export: y}}}}", "Export must be an object with a Name"),
        (
            f"{TOPIC}\nParameters: {{T: {{Type: String, Default: x}}}}",
            "Resource name [T] is also the name of a parameter",
        ),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ServiceError) as caught:
        frame_of(text)
    assert message in caught.value.message
    assert caught.value.code == "ValidationError"


def test_circles_are_named_without_what_only_waits_for_them() -> None:
    text = """
Resources:
  A: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Ref B}}
  B: {Type: AWS::SNS::Topic, DependsOn: C}
  C: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Sub "${A}"}}
  Waits: {Type: AWS::SNS::Topic, DependsOn: A}
  Free: {Type: AWS::SNS::Topic}
"""
    with pytest.raises(ServiceError, match=r"Circular dependency between resources: \[A, B, C\]"):
        frame_of(text)


def test_a_resource_may_not_need_itself() -> None:
    with pytest.raises(ServiceError, match=r"Circular dependency between resources: \[T\]"):
        frame_of("Resources: {T: {Type: AWS::SNS::Topic, Properties: {DisplayName: !GetAtt T.TopicName}}}")


RULES = """
Parameters: {Env: {Type: String, Default: dev}, Size: {Type: String, Default: big}}
Rules:
  SmallInDev:
    RuleCondition: !Equals [!Ref Env, dev]
    Assertions:
      - Assert: {"Fn::Contains": [[small, tiny], !Ref Size]}
        AssertDescription: dev is small
Resources: {T: {Type: AWS::SNS::Topic}}
"""


def test_rules_are_enforced_when_their_condition_holds() -> None:
    with pytest.raises(ServiceError, match="Rule SmallInDev failed: dev is small"):
        frame_of(RULES)
    assert frame_of(RULES, Size="tiny").active
    assert frame_of(RULES, Env="prod").active


def test_the_number_of_resources_is_limited() -> None:
    many = {"Resources": {f"T{number}": {"Type": "AWS::SNS::Topic"} for number in range(501)}}
    with pytest.raises(ServiceError, match="Number of resources, 501, is greater than maximum allowed, 500"):
        frame_of(json.dumps(many))
