"""Constraints of a botocore model, checked as AWS checks them: every violation in one message.

The message follows AWS's own form, "2 validation errors detected: Value 'x' at 'name' failed to satisfy constraint:
Member must ...", which tools and people already know.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from orchestrator.local.service import ServiceError


def validate(shape: Any, value: Any, code: str, unknown: list[str]) -> None:
    """Raise ServiceError(code) when the value breaks its shape's constraints or had members no shape has."""
    problems = [f"Unknown member at '{path}'" for path in unknown]
    if shape is not None:
        _check(shape, value, "", problems)
    if problems:
        noun = "error" if len(problems) == 1 else "errors"
        raise ServiceError(code, f"{len(problems)} validation {noun} detected: {'; '.join(problems)}")


def _check(shape: Any, value: Any, path: str, problems: list[str]) -> None:
    match shape.type_name:
        case "structure" if not getattr(shape, "is_document_type", False):
            _check_structure(shape, value, path, problems)
        case "list":
            _check_range(shape, len(value), "length", value, path, problems)
            for number, element in enumerate(value, 1):
                _check(shape.member, element, f"{path}.{number}.member", problems)
        case "map":
            _check_range(shape, len(value), "length", value, path, problems)
            for key, element in value.items():
                _check(shape.key, key, f"{path}.{key}.key", problems)
                _check(shape.value, element, f"{path}.{key}.value", problems)
        case "string":
            _check_string(shape, value, path, problems)
        case "blob":
            _check_range(shape, len(value), "length", "(bytes)", path, problems)
        case "integer" | "long" | "float" | "double":
            _check_range(shape, value, "value", value, path, problems)


def _check_structure(shape: Any, value: dict[str, Any], path: str, problems: list[str]) -> None:
    for member in shape.required_members:
        if member not in value:
            problems.append(_failed("null", _join(path, member), "Member must not be null"))
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        problems.append(_failed(f"{len(value)} members", path, f"exactly one of {list(shape.members)} must be given"))
    for member, element in value.items():
        _check(shape.members[member], element, _join(path, member), problems)


def _check_string(shape: Any, value: str, path: str, problems: list[str]) -> None:
    _check_range(shape, len(value), "length", value, path, problems)
    if shape.enum and value not in shape.enum:
        problems.append(_failed(value, path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"))
    pattern = shape.metadata.get("pattern")
    compiled = _pattern(pattern) if pattern else None
    if compiled and not compiled.fullmatch(value):
        problems.append(_failed(value, path, f"Member must satisfy regular expression pattern: {pattern}"))


def _check_range(shape: Any, size: float, noun: str, value: Any, path: str, problems: list[str]) -> None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        problems.append(_failed(value, path, f"Member must have {noun} greater than or equal to {low}"))
    if high is not None and size > high:
        problems.append(_failed(value, path, f"Member must have {noun} less than or equal to {high}"))


def _failed(value: Any, path: str, constraint: str) -> str:
    return f"Value '{value!s:.200}' at '{path}' failed to satisfy constraint: {constraint}"


def _join(path: str, member: str) -> str:
    return f"{path}.{member}" if path else member


@cache
def _pattern(source: str) -> re.Pattern[str] | None:
    """Models are written for Java; a pattern Python cannot read (``\\p{L}``) is not enforced."""
    try:
        return re.compile(source)
    except re.error:
        return None
