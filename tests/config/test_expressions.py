"""The expressions of blueprints: lenient about absent keys, loud about everything else."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.errors import BlueprintBroken, ConfigInvalid, Problem
from orchestrator.expressions import evaluate, members_of


def refuse() -> None:
    raise ConfigInvalid([Problem("$", "no")])


NAMES: dict[str, Any] = {"config": {"a": 1, "items": 3, "n": None, "o": {"p": "q"}}, "size": len, "refuse": refuse}


@pytest.mark.parametrize(
    "expression, value",
    [
        ("config.a + 1", 2),
        ("config.items", 3),
        ("config['o'].p", "q"),
        ("config.b", None),
        ("config.b.c.d", None),
        ("config.b == none", True),
        ("config.b is none", True),
        ("config.n is none", True),
        ("config.b is defined", False),
        ("config.n is defined", True),
        ("config.b or 5", 5),
        ("config.b and 1", None),
        ("not config.b", True),
        ("size('abc')", 3),
        ("{'x': config.b, 'y': [config.b, config.a]}", {"y": [1]}),
    ],
)
def test_evaluates(expression: str, value: Any) -> None:
    assert evaluate(expression, NAMES) == value


@pytest.mark.parametrize(
    "expression",
    [
        "nowhere",
        "nowhere is defined",
        "config.a.b",
        "config.b < 3",
        "config.b + 1",
        "config.b()",
        "size(",
        "size.__class__",
        "().__class__.__base__.__subclasses__()",
        "config.update({'a': 2})",
        "1 / 0",
    ],
)
def test_everything_unknown_or_unsafe_fails_loudly(expression: str) -> None:
    with pytest.raises(BlueprintBroken):
        evaluate(expression, NAMES)


def test_errors_of_the_orchestrator_pass_through() -> None:
    with pytest.raises(ConfigInvalid):
        evaluate("refuse()", NAMES)


def test_members_are_found() -> None:
    assert members_of("config", "config.a + config.b.c if stage.name else config.d") == {"a", "b", "d"}
