"""The fields of each state type, and what their values must look like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.local.services.states import intrinsics, paths
from orchestrator.local.services.states.choice import CHECKS, COMPARED, KINDS, OPERATORS, timestamp
from orchestrator.local.services.states.errors import ALL

Found = Iterator[tuple[str, str]]
"""What is wrong, as (location, message)."""
Check = Callable[[Any, str], Found]

LONGEST_SECONDS = 99_999_999
LONGEST_RETRY_DELAY_SECONDS = 31_622_400


def text(value: Any, place: str) -> Found:
    """Any string."""
    if not isinstance(value, str):
        yield place, "Expected value of type String"


def flag(value: Any, place: str) -> Found:
    """``true`` or ``false``."""
    if not isinstance(value, bool):
        yield place, "Expected value of type Boolean"


def anything(value: Any, place: str) -> Found:  # noqa: ARG001
    """Any JSON value."""
    yield from ()


def query_language(value: Any, place: str) -> Found:
    """Only JSONPath."""
    if value != "JSONPath":
        yield place, f"The query language {value!r} is not supported by the embedded AWS; use 'JSONPath'"


def whole_number(least: int, most: int = LONGEST_SECONDS) -> Check:
    """An integer within bounds."""

    def check(value: Any, place: str) -> Found:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            yield place, f"Expected an integer between {least} and {most}"

    return check


def moment(value: Any, place: str) -> Found:
    """An RFC 3339 timestamp."""
    if timestamp(value) is None:
        yield place, "Expected a timestamp such as 2030-01-31T12:00:00Z"


def path(value: Any, place: str) -> Found:
    """A JSONPath."""
    if not isinstance(value, str):
        yield place, "Expected value of type String"
        return
    try:
        paths.parse(value)
    except paths.PathSyntaxError as problem:
        yield place, f"The value for the field '{place.rpartition('/')[2]}' must be a valid JSONPath: {problem}"


def definite_path(value: Any, place: str) -> Found:
    """A JSONPath to one place."""
    yield from path(value, place)
    if isinstance(value, str) and _parsed(value) and not paths.parse(value).definite:
        yield place, f"The value for the field '{place.rpartition('/')[2]}' must name one place: {value}"


def path_or_null(value: Any, place: str) -> Found:
    """InputPath and OutputPath."""
    if value is not None:
        yield from path(value, place)


def result_path(value: Any, place: str) -> Found:
    """A path that can be written to, or null."""
    if value is None:
        return
    yield from path(value, place)
    if isinstance(value, str) and _parsed(value):
        parsed = paths.parse(value)
        if parsed.root != "$" or not parsed.reference:
            yield place, f"The value for the field 'ResultPath' must be a valid reference path: {value}"


def _parsed(value: str) -> bool:
    try:
        paths.parse(value)
    except paths.PathSyntaxError:
        return False
    return True


def expression(value: Any, place: str) -> Found:
    """A JSONPath or a call of an intrinsic function."""
    if isinstance(value, str) and not value.startswith("$"):
        try:
            intrinsics.compile(value)
        except intrinsics.IntrinsicSyntaxError as problem:
            name = place.rpartition("/")[2]
            yield place, f"The value for the field '{name}' must be a JSONPath or an intrinsic function call: {problem}"
    else:
        yield from path(value, place)


def template(value: Any, place: str) -> Found:
    """A payload template: JSON in which the values of ``name.$`` are expressions."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from template(item, f"{place}[{number}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            check = expression if name.endswith(".$") else template
            yield from check(item, f"{place}/{name}")


def retriers(value: Any, place: str) -> Found:
    """The Retry list."""
    if not isinstance(value, list):
        yield place, "Expected value of type Array"
        return
    for number, rule in enumerate(value):
        yield from members(rule, f"{place}[{number}]", RETRY, ("ErrorEquals",))
    yield from _order(value, place)


def catchers(value: Any, place: str) -> Found:
    """The Catch list; whether the targets exist is checked with the other transitions."""
    if not isinstance(value, list):
        yield place, "Expected value of type Array"
        return
    for number, rule in enumerate(value):
        yield from members(rule, f"{place}[{number}]", CATCH, ("ErrorEquals", "Next"))
    yield from _order(value, place)


def _order(rules: list[Any], place: str) -> Found:
    for number, rule in enumerate(rules):
        names = rule.get("ErrorEquals") if isinstance(rule, dict) else None
        if isinstance(names, list) and ALL in names and (len(names) > 1 or number != len(rules) - 1):
            yield f"{place}[{number}]/ErrorEquals", f"{ALL} must appear alone and in the last element of the list"


def error_names(value: Any, place: str) -> Found:
    """A non-empty list of error names."""
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        yield place, "Expected a non-empty array of error names"


def rate(value: Any, place: str) -> Found:
    """BackoffRate."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 1:
        yield place, "Expected a number greater than or equal to 1"


def jitter(value: Any, place: str) -> Found:
    """JitterStrategy."""
    if value not in ("FULL", "NONE"):
        yield place, "Expected one of FULL, NONE"


def members(value: Any, place: str, known: dict[str, Check], required: tuple[str, ...]) -> Found:
    """An object with these members and no others."""
    if not isinstance(value, dict):
        yield place, "Expected value of type Object"
        return
    for name in required:
        if name not in value:
            yield place, f"The field '{name}' is required but was missing"
    for name, item in value.items():
        if name in known:
            yield from known[name](item, f"{place}/{name}")
        else:
            yield f"{place}/{name}", f"Field '{name}' is not supported by the embedded AWS"


def rules(value: Any, place: str) -> Found:
    """The Choices of a Choice state."""
    if not isinstance(value, list) or not value:
        yield place, "Expected a non-empty array"
        return
    for number, rule in enumerate(value):
        at = f"{place}[{number}]"
        if isinstance(rule, dict) and "Next" not in rule:
            yield at, "The field 'Next' is required but was missing"
        plain = {name: item for name, item in rule.items() if name != "Next"} if isinstance(rule, dict) else rule
        yield from condition(plain, at)


def condition(rule: Any, place: str) -> Found:
    """One rule, which may join others."""
    if not isinstance(rule, dict):
        yield place, "Expected value of type Object"
        return
    operators = [name for name in rule if name in OPERATORS or name in ("And", "Or", "Not")]
    for name in rule.keys() - {*operators, "Variable", "Comment"}:
        yield f"{place}/{name}", f"Field '{name}' is not supported by the embedded AWS"
    if len(operators) != 1:
        yield place, f"A rule has exactly one operator; found {len(operators)}"
        return
    name, at = operators[0], f"{place}/{operators[0]}"
    if name in ("And", "Or"):
        if not isinstance(rule[name], list) or not rule[name]:
            yield at, "Expected a non-empty array"
        else:
            for number, part in enumerate(rule[name]):
                yield from condition(part, f"{at}[{number}]")
    elif name == "Not":
        yield from condition(rule[name], at)
    else:
        yield from definite_path(rule.get("Variable"), f"{place}/Variable")
        yield from operand(name, rule[name], at)


def operand(name: str, value: Any, place: str) -> Found:
    """What a value is compared with."""
    if name == "IsPresent" or name in CHECKS:
        yield from flag(value, place)
    elif name == "StringMatches":
        yield from text(value, place)
    elif name.endswith("Path"):
        yield from definite_path(value, place)
    elif KINDS[COMPARED[name][0]](value) is None:
        yield place, f"Expected value of type {COMPARED[name][0]}"


RETRY: dict[str, Check] = {
    "ErrorEquals": error_names,
    "IntervalSeconds": whole_number(1),
    "MaxAttempts": whole_number(0),
    "BackoffRate": rate,
    "MaxDelaySeconds": whole_number(1, LONGEST_RETRY_DELAY_SECONDS),
    "JitterStrategy": jitter,
    "Comment": text,
}
CATCH: dict[str, Check] = {"ErrorEquals": error_names, "Next": text, "ResultPath": result_path, "Comment": text}

COMMON: dict[str, Check] = {"Type": text, "Comment": text, "QueryLanguage": query_language}
FLOW: dict[str, Check] = {"Next": text, "End": flag}
DATA: dict[str, Check] = {"InputPath": path_or_null, "OutputPath": path_or_null}
WORK: dict[str, Check] = {
    "Parameters": template,
    "ResultSelector": template,
    "ResultPath": result_path,
    "Retry": retriers,
    "Catch": catchers,
}
FIELDS: dict[str, dict[str, Check]] = {
    "Task": {
        **COMMON, **FLOW, **DATA, **WORK,
        "Resource": text, "TimeoutSeconds": whole_number(1), "TimeoutSecondsPath": path,
    },
    "Parallel": {**COMMON, **FLOW, **DATA, **WORK, "Branches": anything},
    "Pass": {**COMMON, **FLOW, **DATA, "Result": anything, "Parameters": template, "ResultPath": result_path},
    "Wait": {
        **COMMON, **FLOW, **DATA,
        "Seconds": whole_number(0), "SecondsPath": path, "Timestamp": moment, "TimestampPath": path,
    },
    "Choice": {**COMMON, **DATA, "Choices": rules, "Default": text},
    "Succeed": {**COMMON, **DATA},
    "Fail": {**COMMON, "Error": text, "ErrorPath": expression, "Cause": text, "CausePath": expression},
}  # fmt: skip
REQUIRED: dict[str, tuple[str, ...]] = {"Task": ("Resource",), "Parallel": ("Branches",), "Choice": ("Choices",)}
ONE_OF: dict[str, tuple[tuple[str, ...], ...]] = {
    "Wait": (("Seconds", "SecondsPath", "Timestamp", "TimestampPath"),),
    "Task": (("TimeoutSeconds", "TimeoutSecondsPath"),),
    "Fail": (("Error", "ErrorPath"), ("Cause", "CausePath")),
}
"""Fields of which a state has at most one; of the first group of a Wait exactly one."""
