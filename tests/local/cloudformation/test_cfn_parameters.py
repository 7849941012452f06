"""Parameters: every constraint, where values come from, and what is refused."""

from __future__ import annotations

import pytest
from cloudformation_language import SSM, frame_of

from orchestrator.local.service import ServiceError
from orchestrator.local.services.cloudformation.language.parameters import Value, declarations, merge, settle


def accepted(declaration: str, value: str) -> bool:
    text = f"Parameters: {{P: {declaration}}}\nResources: {{T: {{Type: AWS::SNS::Topic}}}}"
    try:
        frame_of(text, P=value)
    except ServiceError as error:
        assert error.code == "ValidationError"
        return False
    return True


@pytest.mark.parametrize(
    ("declaration", "good", "bad"),
    [
        ("{Type: String, AllowedValues: [a, b]}", ["a", "b"], ["c", "", "A"]),
        ("{Type: String, AllowedValues: [true, 5]}", ["true", "5"], ["True", "5.0"]),
        ("{Type: String, AllowedPattern: '[a-z]+'}", ["abc"], ["", "aB", "abc1", "abc\n"]),
        ("{Type: String, AllowedPattern: '^a$'}", ["a"], ["ab"]),
        ("{Type: String, MinLength: 2, MaxLength: 3}", ["ab", "abc"], ["a", "abcd"]),
        ("{Type: String, MinLength: '2'}", ["ab"], ["a"]),
        ("{Type: Number, MinValue: 1, MaxValue: 5}", ["1", "5", "2.5", "1e0"], ["0", "6", "x", "", "nan", "1 "]),
        ("{Type: Number, AllowedValues: [1, 2]}", ["1"], ["3"]),
        ("{Type: CommaDelimitedList, AllowedPattern: '[a-z]'}", ["a", "a,b", "a, b"], ["a,B", "", "ab"]),
        ("{Type: CommaDelimitedList, AllowedValues: [x, y]}", ["x", "y,x"], ["x,z"]),
        ("{Type: List<Number>, MinValue: 2}", ["2,3"], ["1,2", "2,x"]),
        ("{Type: 'AWS::SSM::Parameter::Name'}", ["/anything"], []),
        ("{Type: 'AWS::SSM::Parameter::Value<String>'}", ["/team/name"], ["/nobody"]),
    ],
)
def test_constraints(declaration: str, good: list[str], bad: list[str]) -> None:
    assert [value for value in good if not accepted(declaration, value)] == []
    assert [value for value in bad if accepted(declaration, value)] == []


@pytest.mark.parametrize(
    ("declaration", "value", "message"),
    [
        ("{Type: String, AllowedValues: [a]}", "b", "Parameter 'P' must be one of AllowedValues"),
        ("{Type: String, AllowedPattern: '[a]+'}", "b", "Parameter 'P' must match pattern [a]+"),
        ("{Type: String, MinLength: 2}", "b", "Parameter 'P' must contain at least 2 characters"),
        ("{Type: String, MaxLength: 1}", "bb", "Parameter 'P' must contain at most 1 characters"),
        ("{Type: Number, MinValue: 2}", "1", "Parameter 'P' must be a number not less than 2"),
        ("{Type: Number, MaxValue: 2}", "3", "Parameter 'P' must be a number not greater than 2"),
        (
            "{Type: String, AllowedPattern: '[a]+', ConstraintDescription: only a}",
            "b",
            "Parameter P failed to satisfy constraint: only a",
        ),
        ("{Type: 'AWS::SSM::Parameter::Value<String>'}", "/no", "Unable to fetch parameters [/no]"),
        ("{Type: Strin}", "x", "Unrecognized parameter type: Strin"),
        ("{Type: 'AWS::EC2::VPC::Id'}", "x", "does not support the parameter type AWS::EC2::VPC::Id"),
        ("{Default: x}", "x", "Every Parameters object must contain a Type member"),
        ("{Type: String, Alowed: x}", "x", "Invalid template parameter property 'Alowed'"),
        ("{Type: String, AllowedPattern: '['}", "x", "is not a pattern"),
        ("{Type: String, Default: [x]}", "x", "Every Default member must be a string"),
    ],
)
def test_messages(declaration: str, value: str, message: str) -> None:
    with pytest.raises(ServiceError) as caught:
        frame_of(f"Parameters: {{P: {declaration}}}\nResources: {{T: {{Type: AWS::SNS::Topic}}}}", P=value)
    assert message in caught.value.message


DECLARED = declarations(
    {"A": {"Type": "String"}, "B": {"Type": "String", "Default": True}, "C": {"Type": "Number", "Default": 5}}
)


def test_defaults_are_text() -> None:
    assert merge(DECLARED, [{"ParameterKey": "A", "ParameterValue": ""}], None) == {"A": "", "B": "true", "C": "5"}


def test_unknown_and_missing_parameters_are_named() -> None:
    with pytest.raises(ServiceError, match=r"Parameters: \[X, Y\] do not exist in the template"):
        merge(DECLARED, [{"ParameterKey": name, "ParameterValue": "1"} for name in "XYA"], None)
    with pytest.raises(ServiceError, match=r"Parameters: \[A\] must have values"):
        merge(DECLARED, [], None)


def test_previous_values_are_used_only_when_asked_for() -> None:
    previous = {"A": Value("A", "old"), "B": Value("B", "older"), "Gone": Value("Gone", "x")}
    ask = [{"ParameterKey": "A", "UsePreviousValue": True}, {"ParameterKey": "Gone", "UsePreviousValue": True}]
    assert merge(DECLARED, ask, previous) == {"A": "old", "B": "true", "C": "5"}
    with pytest.raises(ServiceError, match="Cannot specify usePreviousValue as true for a parameter key not in"):
        merge(DECLARED, ask, {})
    with pytest.raises(ServiceError, match="Cannot specify usePreviousValue"):
        merge(DECLARED, ask, None)
    with pytest.raises(ServiceError, match=r"Parameters: \[A\] must have values"):
        merge(DECLARED, [], previous)


def test_ssm_values_are_kept_with_what_named_them() -> None:
    declared = declarations({"P": {"Type": "AWS::SSM::Parameter::Value<String>", "NoEcho": True}})
    values = settle(declared, {"P": "/team/name"}, lambda names: SSM)
    assert values == {"P": Value("P", "/team/name", "vision", hidden=True)}
