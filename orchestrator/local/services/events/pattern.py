"""The pattern language of EventBridge: which events a rule wants.

A pattern is an object that mirrors the event; its leaves are arrays of which any element may match. See
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html.
"""

from __future__ import annotations

import ipaddress
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

LARGEST_NUMBER = 5_000_000_000
ANYTHING_BUT = ("prefix", "suffix", "equals-ignore-case", "wildcard")
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
    "=": lambda value, bound: value == bound,
}


class InvalidPattern(ValueError):
    """The pattern cannot be understood; the message says where and why."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(f"Event pattern is not valid. Reason: {reason}" + (f" at {path}" if path else ""))


def parse(text: str) -> dict[str, Any]:
    """The pattern in this JSON text, checked whole; raises InvalidPattern."""
    try:
        pattern = json.loads(text, object_pairs_hook=_without_duplicates)
    except ValueError as problem:
        raise InvalidPattern(str(problem)) from None
    if not isinstance(pattern, dict):
        raise InvalidPattern("Filter is not an object")
    _check_object(pattern, "$")
    return pattern


def matches(pattern: Mapping[str, Any], event: Any) -> bool:
    """Whether an event satisfies a pattern that ``parse`` has accepted."""
    return all(
        any(matches(choice, event) for choice in part)
        if name == "$or"
        else _field_matches(part, event.get(name) if name in event else [])
        for name, part in pattern.items()
    )


def _field_matches(part: Any, value: Any) -> bool:
    """``value`` is [] where the event has nothing: only ``{"exists": false}`` is satisfied by that."""
    if isinstance(part, Mapping):
        if isinstance(value, list) and value:  # one element must satisfy all conditions by itself
            return any(_field_matches(part, element) for element in value)
        return matches(part, value if isinstance(value, dict) else {})
    leaves = list(_leaves(value))
    return any(_rule_matches(rule, leaves) for rule in part)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for element in value:
            yield from _leaves(element)
    elif not isinstance(value, dict):
        yield value


def _rule_matches(rule: Any, leaves: Sequence[Any]) -> bool:
    if not isinstance(rule, Mapping):
        return any(_equal(rule, leaf) for leaf in leaves)
    ((name, operand),) = rule.items()
    if name == "exists":
        return bool(leaves) is operand
    return any(OPERATORS[name].matches(operand, leaf) for leaf in leaves)


def _equal(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(value, bool):
        return wanted is value
    if isinstance(wanted, int | float) and isinstance(value, int | float):
        return wanted == value
    return type(wanted) is type(value) and bool(wanted == value)


def _prefix(operand: Any, value: Any) -> bool:
    if isinstance(operand, Mapping):
        return isinstance(value, str) and value.lower().startswith(operand["equals-ignore-case"].lower())
    return isinstance(value, str) and value.startswith(operand)


def _suffix(operand: Any, value: Any) -> bool:
    if isinstance(operand, Mapping):
        return isinstance(value, str) and value.lower().endswith(operand["equals-ignore-case"].lower())
    return isinstance(value, str) and value.endswith(operand)


def _equals_ignore_case(operand: Any, value: Any) -> bool:
    return isinstance(value, str) and value.lower() == operand.lower()


def _wildcard(operand: Any, value: Any) -> bool:
    return isinstance(value, str) and _wildcard_expression(operand).fullmatch(value) is not None


def _numeric(operand: Any, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return all(COMPARISONS[sign](value, bound) for sign, bound in zip(operand[::2], operand[1::2], strict=True))


def _cidr(operand: Any, value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(operand, strict=False)
    except ValueError:
        return False


def _anything_but(operand: Any, value: Any) -> bool:
    if isinstance(operand, Mapping):
        ((name, unwanted),) = operand.items()
        return not any(OPERATORS[name].matches(each, value) for each in _listed(unwanted))
    return not any(_equal(each, value) for each in _listed(operand))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@lru_cache(1024)
def _wildcard_expression(text: str) -> re.Pattern[str]:
    """``*`` stands for any characters, ``\\*`` for a star and ``\\\\`` for a backslash."""
    parts = re.findall(r"\\[*\\]|\*|[^*\\]+|\\", text)
    if "\\" in parts:
        raise ValueError("Invalid escape character in wildcard")
    if any(left == right == "*" for left, right in itertools.pairwise(parts)):
        raise ValueError("Consecutive wildcard characters")
    literal = {"*": ".*", r"\*": r"\*", r"\\": r"\\"}
    return re.compile("".join(literal.get(part) or re.escape(part) for part in parts), re.DOTALL)


# --- checking -------------------------------------------------------------------------------------------------------


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError(f"Duplicate keys in {sorted(name for name, _ in pairs)}")
    return members


def _check_object(pattern: dict[str, Any], path: str) -> None:
    if not pattern:
        raise InvalidPattern("Empty objects are not allowed", path)
    for name, part in pattern.items():
        inner = f"{path}.{name}"
        if name == "$or":
            if not isinstance(part, list) or len(part) < 2 or not all(isinstance(choice, dict) for choice in part):
                raise InvalidPattern('"$or" must be an array of two or more objects', inner)
            for choice in part:
                _check_object(choice, inner)
        elif isinstance(part, dict):
            _check_object(part, inner)
        elif isinstance(part, list):
            if not part:
                raise InvalidPattern("Empty arrays are not allowed", inner)
            for rule in part:
                _check_rule(rule, inner)
        else:
            raise InvalidPattern(f'"{name}" must be an object or an array', inner)


def _check_rule(rule: Any, path: str) -> None:
    if isinstance(rule, list):
        raise InvalidPattern("Match value must be String, number, true, false, or null", path)
    if not isinstance(rule, dict):
        return
    if len(rule) != 1:
        raise InvalidPattern("Only one key allowed in match expression", path)
    ((name, operand),) = rule.items()
    if name == "exists":
        reason = "" if isinstance(operand, bool) else "exists match pattern must be either true or false."
    elif name in OPERATORS:
        reason = OPERATORS[name].fault(operand)
    else:
        reason = f"Unrecognized match type {name}"
    if reason:
        raise InvalidPattern(reason, path)


def _fault_of_affix(operand: Any) -> str:
    if isinstance(operand, dict):
        if set(operand) != {"equals-ignore-case"}:
            return "prefix and suffix match patterns take a string or equals-ignore-case"
        operand = operand["equals-ignore-case"]
    return _fault_of_text(operand)


def _fault_of_text(operand: Any) -> str:
    return "" if isinstance(operand, str) and operand else "match pattern must be a non-empty string"


def _fault_of_wildcard(operand: Any) -> str:
    if fault := _fault_of_text(operand):
        return fault
    try:
        _wildcard_expression(operand)
    except ValueError as problem:
        return str(problem)
    return ""


def _fault_of_numeric(operand: Any) -> str:
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        return "numeric match pattern must be an array of one or two comparisons"
    signs, bounds = operand[::2], operand[1::2]
    if any(sign not in COMPARISONS for sign in signs):
        return f"Unrecognized numeric range operator in {signs}"
    if any(isinstance(bound, bool) or not isinstance(bound, int | float) for bound in bounds):
        return "Value of numeric operators must be numeric"
    if any(abs(bound) > LARGEST_NUMBER for bound in bounds):
        return f"Value must be between -{LARGEST_NUMBER} and {LARGEST_NUMBER}, inclusive"
    if len(signs) == 2 and not (signs[0] in (">", ">=") and signs[1] in ("<", "<=") and bounds[0] < bounds[1]):
        return "Bottom must be less than top"
    return ""


def _fault_of_cidr(operand: Any) -> str:
    try:
        ipaddress.ip_network(operand, strict=False)
    except (ValueError, TypeError):
        return "Malformed CIDR, an IP address with a prefix length is needed"
    return "" if "/" in str(operand) else "Malformed CIDR, one '/' required"


def _fault_of_anything_but(operand: Any) -> str:
    if isinstance(operand, dict):
        if len(operand) != 1 or next(iter(operand)) not in ANYTHING_BUT:
            return f"Unsupported anything-but pattern: {sorted(operand)}"
        ((name, unwanted),) = operand.items()
        faults = [OPERATORS[name].fault(each) for each in _listed(unwanted)]
        return next(filter(None, faults), "") if faults else "Empty arrays are not allowed"
    unwanted = _listed(operand)
    if not unwanted:
        return "Empty arrays are not allowed"
    if any(isinstance(each, bool) or not isinstance(each, str | int | float) for each in unwanted):
        return "Inside anything but, only strings and numbers are supported"
    kinds = {"text" if isinstance(each, str) else "number" for each in unwanted}
    return "" if len(kinds) == 1 else "Inside anything but list, types must not be mixed"


class Operator(NamedTuple):
    """``matches(operand, value)`` for one value of the event; ``fault(operand)`` says what is wrong, or ''."""

    matches: Callable[[Any, Any], bool]
    fault: Callable[[Any], str]


OPERATORS = {
    "prefix": Operator(_prefix, _fault_of_affix),
    "suffix": Operator(_suffix, _fault_of_affix),
    "equals-ignore-case": Operator(_equals_ignore_case, _fault_of_text),
    "wildcard": Operator(_wildcard, _fault_of_wildcard),
    "numeric": Operator(_numeric, _fault_of_numeric),
    "cidr": Operator(_cidr, _fault_of_cidr),
    "anything-but": Operator(_anything_but, _fault_of_anything_but),
}
