"""The template language in a table: an expression in, a value or an error out."""

from __future__ import annotations

from typing import Any

import pytest
from cloudformation_language import frame_of, value_of

from orchestrator.local.service import ServiceError

EXTENSIONS = "Transform: AWS::LanguageExtensions\n"
SECTIONS = """
Parameters:
  Env: {Type: String, Default: dev}
  Count: {Type: Number, Default: 3}
  Names: {Type: CommaDelimitedList, Default: "one, two,three"}
  Numbers: {Type: List<Number>, Default: "1,2"}
  Empty: {Type: CommaDelimitedList, Default: ""}
  Team: {Type: "AWS::SSM::Parameter::Value<String>", Default: /team/name}
  Zones: {Type: "AWS::SSM::Parameter::Value<List<String>>", Default: /team/zones}
Mappings:
  Sizes:
    us-east-1: {small: ml.t2.medium, list: [a, b], count: 2}
    dev: {small: tiny}
Conditions:
  IsProd: !Equals [!Ref Env, prod]
  IsDev: !Not [!Condition IsProd]
  Both: !And [!Condition IsDev, !Equals [!Ref Count, "3"]]
  Either: !Or [!Condition IsProd, !Equals [!Ref AWS::Region, us-east-1]]
  FromMap: !Equals [!FindInMap [Sizes, !Ref Env, small], tiny]
"""

VALUES: list[tuple[str, Any]] = [
    # Ref
    ("!Ref Env", "dev"),
    ("!Ref Count", "3"),
    ("!Ref Names", ["one", "two", "three"]),
    ("!Ref Numbers", ["1", "2"]),
    ("!Ref Empty", []),
    ("!Ref Team", "vision"),
    ("!Ref Zones", ["a", "b"]),
    ("!Ref Topic", "topic-1"),
    ("Ref: Topic", "topic-1"),
    # pseudo parameters
    ("!Ref AWS::AccountId", "111111111111"),
    ("!Ref AWS::Region", "us-east-1"),
    ("!Ref AWS::Partition", "aws"),
    ("!Ref AWS::URLSuffix", "amazonaws.com"),
    ("!Ref AWS::StackName", "probe"),
    ("!Ref AWS::StackId", "arn:aws:cloudformation:us-east-1:111111111111:stack/probe/0"),
    ("!Ref AWS::NotificationARNs", ["arn:topic"]),
    # GetAtt
    ("!GetAtt Topic.TopicName", "Topic.TopicName"),
    ("Fn::GetAtt: [Topic, TopicName]", "Topic.TopicName"),
    ("Fn::GetAtt: Topic.TopicName", "Topic.TopicName"),
    # Sub
    ("!Sub 'a-${Env}-${AWS::Region}'", "a-dev-us-east-1"),
    ("!Sub '${Topic}/${Topic.TopicArn}/${!Env}'", "topic-1/Topic.TopicArn/${Env}"),
    ("!Sub ['${a}-${b}-${Env}', {a: !Ref Count, b: !GetAtt Topic.TopicName}]", "3-Topic.TopicName-dev"),
    ("!Sub '${Names}'", "one,two,three"),
    ("!Sub plain", "plain"),
    # Join, Split, Select
    ("!Join ['-', [a, !Ref Env, 5, true]]", "a-dev-5-true"),
    ("!Join [',', !Ref Names]", "one,two,three"),
    ("!Join ['', [a, !Ref AWS::NoValue, b]]", "ab"),
    ("!Join ['', []]", ""),
    ("!Split ['/', a/b/c]", ["a", "b", "c"]),
    ("!Select [1, !Split ['/', a/b/c]]", "b"),
    ("!Select ['0', [x, y]]", "x"),
    ("!Select [!FindInMap [Sizes, us-east-1, count], !Ref Names]", "three"),
    ("!Select [2, !GetAZs '']", "us-east-1c"),
    # FindInMap
    ("!FindInMap [Sizes, !Ref AWS::Region, small]", "ml.t2.medium"),
    ("!FindInMap [Sizes, us-east-1, list]", ["a", "b"]),
    # If and NoValue
    ("!If [IsProd, big, small]", "small"),
    ("!If [IsDev, !If [Both, b, e], p]", "b"),
    ("!If [Either, {a: 1}, {a: 2}]", {"a": 1}),
    ("!If [FromMap, yes it is, no]", "yes it is"),
    ("{a: 1, b: !If [IsProd, 1, !Ref AWS::NoValue]}", {"a": 1}),
    ("[a, !If [IsProd, b, !Ref AWS::NoValue], c]", ["a", "c"]),
    # Base64, GetAZs, Cidr, ImportValue
    ("Fn::Base64: !Sub '${Env}'", "ZGV2"),
    ("!GetAZs ''", ["us-east-1a", "us-east-1b", "us-east-1c"]),
    ("Fn::GetAZs: !Ref AWS::Region", ["us-east-1a", "us-east-1b", "us-east-1c"]),
    ("!Cidr [10.0.0.0/16, 2, 8]", ["10.0.0.0/24", "10.0.1.0/24"]),
    ("!Cidr [10.0.0.0/24, 4, 4]", ["10.0.0.0/28", "10.0.0.16/28", "10.0.0.32/28", "10.0.0.48/28"]),
    ("!ImportValue shared-topic", "arn:aws:sns:us-east-1:111111111111:shared"),
    ("Fn::ImportValue: !Sub 'shared-${x}'", "bad"),
    # plain data stays as it is
    ("2012-10-17", "2012-10-17"),
    ("{Condition: {StringEquals: {a: b}}}", {"Condition": {"StringEquals": {"a": "b"}}}),
    ("{on: 1, 5: x, 012345678901: y}", {"true": 1, "5": "x", "012345678901": "y"}),
]
VALUES = [case for case in VALUES if case[1] != "bad"]

EXTENDED: list[tuple[str, Any]] = [
    ("Fn::ToJsonString: {a: [1, !Ref Env], b: true}", '{"a":[1,"dev"],"b":true}'),
    ("Fn::Length: !Ref Names", 3),
    ("Fn::Length: [a, b]", 2),
    ("!FindInMap [Sizes, nowhere, small, {DefaultValue: !Ref Env}]", "dev"),
    ("!FindInMap [Sizes, dev, small, {DefaultValue: x}]", "tiny"),
    (
        "Fn::ForEach::Members: [M, !Ref Names, {'Key${M}': '${M}!'}]",
        {"Keyone": "one!", "Keytwo": "two!", "Keythree": "three!"},
    ),
    ("Fn::ForEach::Members: [M, [a-b], {'Key&{M}': !Ref M}]", {"Keyab": "a-b"}),
]

ERRORS = [
    ("!Ref Nobody", "Unresolved resource dependencies [Nobody] in the Resources block"),
    ("!Sub '${Nobody}'", "Unresolved resource dependencies [Nobody]"),
    ("!GetAtt Nobody.Arn", "instance of Fn::GetAtt references undefined resource Nobody"),
    ("!Sub '${Nobody.Arn}'", "references undefined resource Nobody"),
    ("!GetAtt Topic", "every Fn::GetAtt object requires two non-empty parameters"),
    ("!Join [a]", "every Fn::Join object requires two parameters"),
    ("!Join [',', text]", "every Fn::Join object requires two parameters"),
    ("!Split [',']", "every Fn::Split object requires two parameters"),
    ("!Select [9, [a]]", "Fn::Select cannot select nonexistent value at index 9"),
    ("!Select [x, [a]]", "Fn::Select requires a list argument"),
    ("!FindInMap [Sizes, nowhere, small]", "Unable to get mapping for Sizes::nowhere::small"),
    ("!FindInMap [Sizes, dev]", "every Fn::FindInMap object requires three parameters"),
    ("!If [Nothing, a, b]", "Unresolved condition dependency Nothing"),
    ("!If [IsProd, a]", "Fn::If requires a list argument with three elements"),
    ("!Sub [a, b, c]", "One or more Fn::Sub intrinsic functions don't specify expected arguments"),
    ("!Sub '${a b}'", "variable names in Fn::Sub syntax"),
    ("Fn::Base64: [a]", "every Fn::Base64 object must have a String-typed value"),
    ("Fn::Jion: ['', []]", "Fn::Jion is not an intrinsic function"),
    ("{'Fn::Sub': a, other: b}", "Fn::Sub must be the only member of its object"),
    ("!Transform {Name: 'AWS::Include'}", "Fn::Transform is not an intrinsic function"),
    ("Fn::ToJsonString: {a: 1}", "needs Transform: AWS::LanguageExtensions"),
    ("Fn::Length: [a]", "needs Transform: AWS::LanguageExtensions"),
    ("!FindInMap [Sizes, x, y, {DefaultValue: z}]", "needs Transform: AWS::LanguageExtensions"),
    ("Fn::ForEach::X: [M, [a], {'k${M}': v}]", "needs Transform: AWS::LanguageExtensions"),
    ("!Cidr [10.0.0.0/24, 300, 4]", "Fn::Cidr cannot make 300 blocks"),
    ("!Cidr [nonsense, 2, 4]", "Fn::Cidr requires"),
]


@pytest.mark.parametrize(("expression", "expected"), VALUES, ids=[case[0] for case in VALUES])
def test_value(expression: str, expected: Any) -> None:
    assert value_of(expression, SECTIONS) == expected


@pytest.mark.parametrize(("expression", "expected"), EXTENDED, ids=[case[0] for case in EXTENDED])
def test_value_with_language_extensions(expression: str, expected: Any) -> None:
    assert value_of(expression, EXTENSIONS + SECTIONS) == expected


@pytest.mark.parametrize(("expression", "message"), ERRORS, ids=[case[0] for case in ERRORS])
def test_error(expression: str, message: str) -> None:
    with pytest.raises(ServiceError) as caught:
        value_of(expression, SECTIONS)
    assert caught.value.code == "ValidationError"
    assert message in caught.value.message


def test_equals_compares_what_values_look_like() -> None:
    sections = "Conditions: {C: !Equals [%s, %s]}"
    assert value_of("!If [C, same, other]", sections % ("true", '"true"')) == "same"
    assert value_of("!If [C, same, other]", sections % ("3", '"3"')) == "same"
    assert value_of("!If [C, same, other]", sections % ("a", "A")) == "other"


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ("{A: {Condition: B}, B: {Condition: A}}", "Found circular condition dependency: A, B"),
        ("{A: !Equals [!Ref Topic, x]}", "Cannot reference resources in the Conditions block"),
        ("{A: !Not [!Condition Nobody]}", "Unresolved condition dependency Nobody"),
        ("{A: !And [!Equals [a, a]]}", "every Fn::And object requires a list of at least 2"),
        ("{A: !Not [a, b]}", "every Fn::Not object requires one boolean parameter"),
        ("{A: !Equals [a]}", "every Fn::Equals object requires a list of 2 string parameters"),
        ("{A: !Ref AWS::Region}", "a condition must be one of the condition functions"),
    ],
)
def test_condition_errors(conditions: str, message: str) -> None:
    with pytest.raises(ServiceError) as caught:
        value_of("x", f"Conditions: {conditions}\n")
    assert message in caught.value.message


def test_loops_unroll_resources_outputs_and_policies() -> None:
    frame = frame_of("""
Transform: AWS::LanguageExtensions
Parameters: {Names: {Type: CommaDelimitedList, Default: "a,b"}, Keep: {Type: String, Default: Retain}}
Resources:
  Fn::ForEach::Outer:
    - Name
    - !Ref Names
    - Fn::ForEach::Inner:
        - Size
        - [S, M]
        - Queue${Name}${Size}:
            Type: AWS::SQS::Queue
            DeletionPolicy: !Ref Keep
            Properties: {QueueName: !Sub "${Name}-${Size}"}
Outputs:
  Fn::ForEach::Urls: [Name, !Ref Names, {"Url${Name}": {Value: !Ref "Queue${Name}S"}}]
""")
    assert sorted(frame.active) == ["QueueaM", "QueueaS", "QueuebM", "QueuebS"]
    assert frame.active["QueuebM"].properties == {"QueueName": {"Fn::Sub": "b-M"}}
    assert frame.active["QueueaS"].deletion_policy == "Retain"
    assert frame.outputs["Urla"] == {"Value": {"Ref": "QueueaS"}}


def test_conditions_decide_which_resources_and_outputs_are_there() -> None:
    text = """
Parameters: {Env: {Type: String}}
Conditions: {Prod: !Equals [!Ref Env, prod]}
Resources:
  Always: {Type: AWS::SNS::Topic, Properties: {DisplayName: !If [Prod, !GetAtt Sometimes.TopicName, none]}}
  Sometimes: {Type: AWS::SNS::Topic, Condition: Prod}
  After: {Type: AWS::SNS::Topic, DependsOn: [Sometimes, Always]}
Outputs:
  Arn: {Condition: Prod, Value: !Ref Sometimes}
"""
    dev, prod = frame_of(text, Env="dev"), frame_of(text, Env="prod")
    assert (sorted(dev.active), list(dev.outputs)) == (["After", "Always"], [])
    assert (sorted(prod.active), list(prod.outputs)) == (["After", "Always", "Sometimes"], ["Arn"])
    assert dev.dependencies["Always"] == frozenset()
    assert prod.dependencies["Always"] == {"Sometimes"}
    assert prod.dependencies["After"] == {"Always", "Sometimes"}


def test_a_reference_to_a_resource_that_is_not_there_is_refused() -> None:
    text = """
Conditions: {Never: !Equals [a, b]}
Resources:
  Sometimes: {Type: AWS::SNS::Topic, Condition: Never}
  Uses: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Ref Sometimes}}
"""
    with pytest.raises(ServiceError, match=r"Unresolved resource dependencies \[Sometimes\]"):
        frame_of(text)
