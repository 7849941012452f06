"""The rules of a Choice state."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from orchestrator.local.services.states.dataflow import lookup
from orchestrator.local.services.states.errors import NO_CHOICE_MATCHED, RUNTIME, StateFailure
from orchestrator.local.services.states.intrinsics import Documents
from orchestrator.local.services.states.paths import PathNotFound, parse, select

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "GreaterThan": operator.gt,
    "LessThanEquals": operator.le,
    "GreaterThanEquals": operator.ge,
}


def timestamp(text: Any) -> datetime | None:
    """The moment an RFC 3339 timestamp names, or None when the value is no such timestamp."""
    if not isinstance(text, str) or not TIMESTAMP.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


KINDS: dict[str, Callable[[Any], Any]] = {
    "String": _text,
    "Numeric": _number,
    "Timestamp": timestamp,
    "Boolean": _boolean,
}
CHECKS: dict[str, Callable[[Any], bool]] = {
    "IsNull": lambda value: value is None,
    "IsString": lambda value: isinstance(value, str),
    "IsNumeric": lambda value: _number(value) is not None,
    "IsBoolean": lambda value: isinstance(value, bool),
    "IsTimestamp": lambda value: timestamp(value) is not None,
}
COMPARED = {
    f"{kind}{comparison}": (kind, comparison)
    for kind in KINDS
    for comparison in COMPARISONS
    if kind != "Boolean" or comparison == "Equals"
}
OPERATORS = frozenset({"StringMatches", "IsPresent", *CHECKS, *COMPARED, *(f"{name}Path" for name in COMPARED)})
"""Every data-test operator of a rule; And, Or and Not join them."""


def chosen(state: dict[str, Any], documents: Documents) -> str:
    """The state that a Choice state goes on with: of the first rule that holds, or its Default."""
    for rule in state["Choices"]:
        if holds(rule, documents):
            return str(rule["Next"])
    if "Default" not in state:
        raise StateFailure(NO_CHOICE_MATCHED, "No choice rule matched and the state has no Default.")
    return str(state["Default"])


def holds(rule: dict[str, Any], documents: Documents) -> bool:
    """Whether the rule is true for the documents; raises States.Runtime when its Variable leads nowhere.

    Values of another kind than the operator's are not equal, not less and not greater: the test is false.
    """
    if "And" in rule:
        return all(holds(part, documents) for part in rule["And"])
    if "Or" in rule:
        return any(holds(part, documents) for part in rule["Or"])
    if "Not" in rule:
        return not holds(rule["Not"], documents)
    name = next(member for member in rule if member in OPERATORS)
    path = parse(rule["Variable"])
    try:
        found = select(path, documents[path.root])
    except PathNotFound:
        if name == "IsPresent":
            return not rule[name]
        raise StateFailure(
            RUNTIME, f"Invalid path '{path.text}': The choice state's condition path references an invalid value."
        ) from None
    if name == "IsPresent":
        return bool(rule[name])
    if name in CHECKS:
        return CHECKS[name](found) is rule[name]
    if name == "StringMatches":
        return isinstance(found, str) and _wildcard(rule[name]).fullmatch(found) is not None
    kind, comparison = COMPARED[name.removesuffix("Path")]
    wanted = lookup(rule, name, documents) if name.endswith("Path") else rule[name]
    left, right = KINDS[kind](found), KINDS[kind](wanted)
    return left is not None and right is not None and COMPARISONS[comparison](left, right)


def _wildcard(pattern: str) -> re.Pattern[str]:
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    return re.compile("".join(".*" if part == "*" else re.escape(part[-1]) for part in parts), re.DOTALL)
