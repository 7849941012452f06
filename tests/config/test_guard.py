"""What no config may hold is refused before anything else looks at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.guard import MAX_BYTES, MAX_DEPTH, hostile, oversized


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "body, said",
    [
        ({"a": "x" * MAX_BYTES}, "too large"),
        (nested(MAX_DEPTH + 1), "nested too deeply"),
        (nested(100_000), "nested too deeply"),
        ({"a": {1, 2}}, "not JSON"),
        ({"a": b"x"}, "not JSON"),
        ({("a", "b"): 1}, "not JSON"),
    ],
)
def test_sizes_and_kinds(body: Any, said: str) -> None:
    problem = oversized(body)
    assert problem is not None and problem.path == "$" and said in problem.message


@pytest.mark.parametrize("body", [{}, [], "x", 1, None, nested(MAX_DEPTH), {"a": "\ud800"}, {"a": float("nan")}])
def test_what_is_small_enough(body: Any) -> None:
    assert oversized(body) is None


@pytest.mark.parametrize(
    "value, path",
    [
        ("{{resolve:ssm:x}}", "$.a"),
        ("a ${AWS::Region}", "$.a"),
        ("nul \x00", "$.a"),
        ("escape \x1b[0m", "$.a"),
        ("delete \x7f", "$.a"),
        ("half \udc00", "$.a"),
        (float("nan"), "$.a"),
        (float("inf"), "$.a"),
        (-float("inf"), "$.a"),
        (10**30, "$.a"),
        (-1e300, "$.a"),
        ([1, {"b": ["${x}"]}], "$.a[1].b[0]"),
        ({"{{resolve:x": 1}, "$.a"),
        ({"a b": "\x01"}, '$.a["a b"]'),
        ({7: 1}, "$.a"),
    ],
)
def test_hostile_values(value: Any, path: str) -> None:
    assert [problem.path for problem in hostile({"a": value})] == [path]


@pytest.mark.parametrize(
    "value", ["tab\tand\nline", "{resolve}", "$5 {a}", "ünïcödé 日本 🚀", 0.1, 2**62, None, [], {}]
)
def test_harmless_values(value: Any) -> None:
    assert list(hostile({"a": value})) == []


def test_hostile_values_are_told_beside_other_problems(told: Callable[..., Any]) -> None:
    found = told({"pipeline_type": "forge", "model_name": "x", "ore": {"main": {"place": "${x}"}}, "rounds": 0})
    assert "substitution of CloudFormation" in found["$.ore.main.place"]
    assert "too small" in found["$.rounds"]


def test_a_body_that_is_too_large_is_told_alone(told: Callable[..., Any]) -> None:
    assert list(told({"pipeline_type": "x" * MAX_BYTES})) == ["$"]
