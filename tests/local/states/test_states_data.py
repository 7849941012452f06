"""Paths, intrinsic functions, payload templates and Choice rules: tables of what goes in and what comes out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from states_drive import Drive, one, result

from orchestrator.local.services.states import intrinsics, paths
from orchestrator.local.services.states.choice import holds
from orchestrator.local.services.states.errors import StateFailure

DATA = {
    "a": {"b": [1, 2, {"c": "deep"}], "x-y": "dash", "odd name": 1, "it's": 2, "null": None},
    "list": [{"n": "one", "v": 1}, {"n": "two", "v": 2}],
    "text": "hello",
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", DATA),
        ("$.text", "hello"),
        ("$.a.b[0]", 1),
        ("$.a.b[-1].c", "deep"),
        ("$.a['b'][2]['c']", "deep"),
        ('$["a"]["x-y"]', "dash"),
        ("$.a.x-y", "dash"),
        ("$.a['odd name']", 1),
        (r"$.a['it\'s']", 2),
        ("$.a.null", None),
        ("$.list[*].n", ["one", "two"]),
        ("$.list[0:1]", [{"n": "one", "v": 1}]),
        ("$.list[1:].v", [2]),
        ("$.list[5:].v", []),
        ("$.text.*", []),
        ("$.list[0].*", ["one", 1]),
    ],
)
def test_paths_find(path: str, value: Any) -> None:
    assert paths.select(paths.parse(path), DATA) == value


@pytest.mark.parametrize("path", ["$.b", "$.a.b[9]", "$.text.length", "$.a.b.c", "$.a[0]"])
def test_paths_that_lead_nowhere(path: str) -> None:
    with pytest.raises(paths.PathNotFound):
        paths.select(paths.parse(path), DATA)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("a.b", "begins with"),
        ("$..b", "recursive descent"),
        ("$.a[?(@.b == 1)]", "filters"),
        ("$.a[", "position 3"),
        ("$.a b", "position 3"),
        ("$a", "position 1"),
    ],
)
def test_paths_refused(path: str, reason: str) -> None:
    with pytest.raises(paths.PathSyntaxError, match=reason):
        paths.parse(path)


@pytest.mark.parametrize(
    ("path", "document", "after"),
    [
        ("$", {"a": 1}, "new"),
        ("$.a", {"a": 1, "b": 2}, {"a": "new", "b": 2}),
        ("$.x.y.z", {"a": 1}, {"a": 1, "x": {"y": {"z": "new"}}}),
        ("$.l[1].v", {"l": [{}, {}]}, {"l": [{}, {"v": "new"}]}),
        ("$.l[0]", {"l": [1, 2]}, {"l": ["new", 2]}),
    ],
)
def test_assign(path: str, document: Any, after: Any) -> None:
    before = json.dumps(document)
    assert paths.assign(paths.parse(path), document, "new") == after
    assert json.dumps(document) == before


@pytest.mark.parametrize(("path", "document"), [("$.a.b", {"a": 1}), ("$.l[2]", {"l": [1]}), ("$.x", [1])])
def test_assign_nowhere(path: str, document: Any) -> None:
    with pytest.raises(paths.PathNotFound):
        paths.assign(paths.parse(path), document, "new")


@given(st.lists(st.text(min_size=1, max_size=8).filter(lambda name: "\\" not in name), min_size=1, max_size=4))
def test_what_is_assigned_is_found(names: list[str]) -> None:
    path = paths.parse("$" + "".join("['" + name.replace("'", "\\'") + "']" for name in names))
    assert paths.select(path, paths.assign(path, {}, 7)) == 7


def call(text: str, data: Any = DATA, context: Any = None) -> Any:
    return intrinsics.evaluate(intrinsics.compile(text), {"$": data, "$$": context or {}})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("States.Format('plain')", "plain"),
        ("States.Format('{} and {}', $.text, 5)", "hello and 5"),
        (r"States.Format('\{\} it\'s {}', 'x')", "{} it's x"),
        ("States.Format('{}', $.a.b)", '[1,2,{"c":"deep"}]'),
        ("States.Format('{}-{}', null, true)", "null-true"),
        ("States.Format('{}', $$.Execution.Name)", "run"),
        ("States.StringToJson('{\"a\": [1]}')", {"a": [1]}),
        ("States.JsonToString($.list[0])", '{"n":"one","v":1}'),
        ("States.Array()", []),
        ("States.Array($.text, 1, 'x')", ["hello", 1, "x"]),
        ("States.ArrayGetItem($.a.b, 1)", 2),
        ("States.ArrayLength($.list[*].v)", 2),
        ("States.StringSplit('1,2;;3', ',;')", ["1", "2", "3"]),
        ("States.StringSplit('arn:aws:s3', ':')", ["arn", "aws", "s3"]),
        ("States.ArrayGetItem(States.StringSplit('a/b/c', '/'), 2)", "c"),
        ("States.MathAdd($.list[0].v, -3)", -2),
        ("States.JsonMerge($.list[0], $.list[1], false)", {"n": "two", "v": 2}),
        ("States.Base64Encode('hi')", "aGk="),
        ("States.Hash('input data', 'SHA-1')", "aaff4a450a104cd177d28d18d74485e8cae074b7"),
        ("  States.Format( '{}' , $.a['odd name'] )  ", "1"),
        ("States.Format('{}', $.a['it\\'s'])", "2"),
    ],
)
def test_intrinsics(text: str, value: Any) -> None:
    assert call(text, context={"Execution": {"Name": "run"}}) == value


def test_uuid_is_a_new_one_each_time() -> None:
    assert call("States.UUID()") != call("States.UUID()")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("States.MathRandom(1, 2)", "States.MathRandom is not supported"),
        ("States.Format()", "got 0 arguments"),
        ("States.Format('{}', $.a) x", "unexpected text"),
        ("States.Format('{}' $.a)", "',' or '\\)' expected"),
        ("States.Format(nonsense)", "not a call"),
        ("Format('x')", "not a call"),
        ("States.Array($..a)", "recursive descent"),
    ],
)
def test_intrinsics_refused(text: str, reason: str) -> None:
    with pytest.raises(intrinsics.IntrinsicSyntaxError, match=reason):
        intrinsics.compile(text)


@pytest.mark.parametrize(
    "text",
    [
        "States.Format('{} {}', 1)",
        "States.Format('{}', 1, 2)",
        "States.Format('{', 1)",
        "States.StringToJson('nonsense')",
        "States.StringToJson($.a)",
        "States.ArrayGetItem($.a.b, 9)",
        "States.ArrayGetItem($.a.b, -1)",
        "States.ArrayLength($.text)",
        "States.MathAdd('1', 2)",
        "States.JsonMerge($.a, $.a, true)",
        "States.JsonMerge($.a, 1, false)",
        "States.Hash('x', 'CRC')",
        "States.Base64Encode(1)",
        "States.Format('{}', $.nowhere)",
    ],
)
def test_intrinsics_fail_with_their_own_error(text: str) -> None:
    with pytest.raises(StateFailure) as caught:
        call(text)
    assert caught.value.error == "States.IntrinsicFailure"


RULE_DATA = {
    "s": "beta", "n": 5, "f": 5.0, "t": "2030-01-01T00:00:00Z", "b": True, "null": None,
    "other": "alpha", "more": 6, "later": "2030-01-01T02:00:00+01:00", "star": "a*b", "path": "log-7.txt", "yes": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("variable", "operator", "operand", "holds_"),
    [
        ("$.s", "StringEquals", "beta", True),
        ("$.s", "StringEquals", "Beta", False),
        ("$.n", "StringEquals", "5", False),
        ("$.s", "StringLessThan", "gamma", True),
        ("$.s", "StringGreaterThan", "alpha", True),
        ("$.s", "StringLessThanEquals", "beta", True),
        ("$.s", "StringGreaterThanEquals", "gamma", False),
        ("$.s", "StringGreaterThanPath", "$.other", True),
        ("$.path", "StringMatches", "log-*.txt", True),
        ("$.path", "StringMatches", "log-*.csv", False),
        ("$.star", "StringMatches", r"a\*b", True),
        ("$.path", "StringMatches", r"log\*", False),
        ("$.n", "NumericEquals", 5.0, True),
        ("$.b", "NumericEquals", 1, False),
        ("$.n", "NumericLessThan", 6, True),
        ("$.n", "NumericGreaterThan", 5, False),
        ("$.n", "NumericLessThanEquals", 5, True),
        ("$.n", "NumericGreaterThanEquals", 5, True),
        ("$.n", "NumericLessThanPath", "$.more", True),
        ("$.s", "NumericLessThanPath", "$.more", False),
        ("$.b", "BooleanEquals", True, True),
        ("$.b", "BooleanEqualsPath", "$.yes", True),
        ("$.n", "BooleanEquals", True, False),
        ("$.t", "TimestampEquals", "2030-01-01T01:00:00+01:00", True),
        ("$.t", "TimestampLessThanPath", "$.later", True),
        ("$.t", "TimestampGreaterThan", "2029-12-31T23:59:59.999Z", True),
        ("$.s", "TimestampLessThan", "2030-01-01T00:00:00Z", False),
        ("$.null", "IsNull", True, True),
        ("$.null", "IsPresent", True, True),
        ("$.nothing", "IsPresent", False, True),
        ("$.nothing", "IsPresent", True, False),
        ("$.n", "IsNumeric", True, True),
        ("$.b", "IsNumeric", True, False),
        ("$.s", "IsString", True, True),
        ("$.b", "IsBoolean", True, True),
        ("$.t", "IsTimestamp", True, True),
        ("$.s", "IsTimestamp", False, True),
        ("$$.Execution.Name", "StringEquals", "run", True),
    ],
)
def test_choice_operators(variable: str, operator: str, operand: Any, holds_: bool) -> None:
    documents = {"$": RULE_DATA, "$$": {"Execution": {"Name": "run"}}}
    assert holds({"Variable": variable, operator: operand}, documents) is holds_


def test_choice_joins() -> None:
    yes = {"Variable": "$.s", "StringEquals": "beta"}
    no = {"Not": yes}
    documents = {"$": RULE_DATA, "$$": {}}
    assert holds({"And": [yes, {"Or": [no, yes]}]}, documents)
    assert not holds({"And": [yes, no]}, documents)
    assert not holds({"Or": [no, no]}, documents)


def test_choice_of_a_missing_variable_fails() -> None:
    with pytest.raises(StateFailure, match=r"States.Runtime: Invalid path '\$.nothing'"):
        holds({"Variable": "$.nothing", "StringEquals": "x"}, {"$": {}, "$$": {}})


PASS_INPUT = {"a": 1, "in": {"x": 2}}


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        ({}, PASS_INPUT),
        ({"InputPath": "$.in"}, {"x": 2}),
        ({"InputPath": None}, {}),
        ({"Result": {"r": 1}}, {"r": 1}),
        ({"Result": "{}", "ResultPath": "$.new.place"}, {**PASS_INPUT, "new": {"place": "{}"}}),
        ({"ResultPath": None, "Result": 1}, PASS_INPUT),
        ({"OutputPath": "$.in.x"}, 2),
        ({"OutputPath": None}, {}),
        ({"Parameters": {"k.$": "$.in.x", "fix": [{"n.$": "$$.Execution.Name"}]}}, {"k": 2, "fix": [{"n": "e"}]}),
        (
            {"Parameters": {"id.$": "States.Format('{}-x', $.a)"}, "ResultPath": "$.p"},
            {**PASS_INPUT, "p": {"id": "1-x"}},
        ),
        ({"InputPath": "$.in", "Parameters": {"y.$": "$.x"}}, {"y": 2}),
        ({"InputPath": "$.in", "ResultPath": "$.back"}, {**PASS_INPUT, "back": {"x": 2}}),
        ({"InputPath": "$$.Execution.Input"}, PASS_INPUT),
        ({"Parameters": {"machine.$": "$$.StateMachine.Name", "all.$": "$"}}, {"machine": "m", "all": PASS_INPUT}),
    ],
)
def test_what_a_pass_state_makes(fields: dict[str, Any], output: Any) -> None:
    assert result({"Type": "Pass", **fields}, PASS_INPUT) == output


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"InputPath": "$.none"}, "States.Runtime"),
        ({"OutputPath": "$.none"}, "States.Runtime"),
        ({"Parameters": {"a.$": "$.none"}}, "States.ParameterPathFailure"),
        ({"Parameters": {"a.$": "States.ArrayLength($.a)"}}, "States.IntrinsicFailure"),
        ({"ResultPath": "$.a.deeper"}, "States.ResultPathMatchFailure"),
        ({"Result": "x" * 300_000}, "States.DataLimitExceeded"),
    ],
)
def test_how_data_fails(fields: dict[str, Any], error: str) -> None:
    document = Drive(one({"Type": "Pass", **fields}), PASS_INPUT).document
    assert (document["status"], document["error"]) == ("FAILED", error)
    assert "executing the state 'S' (entered at the event id #2)" in document["cause"] or error.endswith("Exceeded")


def test_a_task_uses_all_five_filters() -> None:
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sagemaker:listModels",
        "InputPath": "$.ask",
        "Parameters": {"NameContains.$": "$.name"},
        "ResultSelector": {"first.$": "$.Models[0].ModelName"},
        "ResultPath": "$.found",
        "OutputPath": "$.found",
    }
    drive = Drive(one(state), {"ask": {"name": "x"}}).run({"Models": [{"ModelName": "x1"}]})
    assert drive.made == [{"NameContains": "x"}]
    assert drive.output == {"first": "x1"}
