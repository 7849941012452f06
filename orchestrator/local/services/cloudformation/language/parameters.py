"""Parameters: what a template declares, what a caller gives, and every constraint between the two."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.local.services.cloudformation.faults import invalid, unsupported

SSM_VALUE = re.compile(r"AWS::SSM::Parameter::Value<(.+)>")
PLAIN_TYPES = frozenset({"String", "Number", "List<Number>", "CommaDelimitedList", "AWS::SSM::Parameter::Name"})
SSM_INNER_TYPES = frozenset({"String", "List<String>", "CommaDelimitedList"})
CONSTRAINTS = frozenset(
    {"AllowedPattern", "AllowedValues", "ConstraintDescription", "MaxLength", "MaxValue", "MinLength", "MinValue"}
)
MEMBERS = CONSTRAINTS | {"Default", "Description", "NoEcho", "Type"}
MASK = "****"

FetchParameters = Callable[[list[str]], Mapping[str, str]]
"""Values of SSM parameters by name; a name that does not exist is left out."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """One entry of the Parameters section."""

    name: str
    type: str
    default: str | None
    description: str
    hidden: bool
    constraints: Mapping[str, Any]

    @property
    def from_ssm(self) -> bool:
        """Whether the value names an SSM parameter whose value is used."""
        return SSM_VALUE.fullmatch(self.type) is not None

    @property
    def inner_type(self) -> str:
        """The type of the value in use."""
        match = SSM_VALUE.fullmatch(self.type)
        return match.group(1) if match else self.type

    @property
    def is_list(self) -> bool:
        """Whether ``Ref`` gives a list."""
        return self.inner_type == "CommaDelimitedList" or self.inner_type.startswith("List<")


@dataclass(frozen=True, slots=True)
class Value:
    """A parameter of a stack: what was given (or the default) and, for SSM types, what it named at that time."""

    name: str
    given: str
    resolved: str | None = None
    hidden: bool = False

    @property
    def text(self) -> str:
        """The value in use."""
        return self.given if self.resolved is None else self.resolved


def declarations(section: Mapping[str, Mapping[str, Any]]) -> dict[str, Declaration]:
    """Read the Parameters section; raises ValidationError for what CloudFormation refuses in it."""
    return {name: _declaration(name, entry) for name, entry in section.items()}


def _declaration(name: str, entry: Mapping[str, Any]) -> Declaration:
    kind = entry.get("Type")
    if not isinstance(kind, str):
        raise invalid(f"Template format error: Every Parameters object must contain a Type member. ({name})")
    inner = SSM_VALUE.fullmatch(kind)
    if (inner and inner.group(1) not in SSM_INNER_TYPES) or (not inner and kind not in PLAIN_TYPES):
        if re.fullmatch(r"(List<)?AWS::[A-Za-z0-9:]+>?", inner.group(1) if inner else kind):
            raise unsupported(f"the parameter type {kind} (parameter {name})")
        raise invalid(f"Template format error: Unrecognized parameter type: {kind}")
    unknown = sorted(entry.keys() - MEMBERS)
    if unknown:
        raise invalid(f"Invalid template parameter property '{unknown[0]}'")
    pattern = entry.get("AllowedPattern")
    if pattern is not None:
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            raise invalid(f"Template format error: AllowedPattern of {name} is not a pattern: {error}") from error
    return Declaration(
        name=name,
        type=kind,
        default=_scalar(name, entry["Default"]) if "Default" in entry else None,
        description=str(entry.get("Description", "")),
        hidden=str(entry.get("NoEcho", "")).lower() == "true",
        constraints={member: entry[member] for member in entry.keys() & CONSTRAINTS},
    )


def _scalar(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return str(value)
    raise invalid(f"Template format error: Every Default member must be a string. ({name})")


def merge(
    declared: Mapping[str, Declaration], given: list[Mapping[str, Any]], previous: Mapping[str, Value] | None
) -> dict[str, str]:
    """The text of every parameter: given, or used before, or the default.

    ``given`` are the request's ``Parameters``; ``previous`` the stack's (None when it is being created). Raises
    ValidationError for parameters the template does not have, for missing values, and for ``UsePreviousValue``
    where there is none.
    """
    values: dict[str, str] = {}
    for entry in given:
        name = entry["ParameterKey"]
        if entry.get("UsePreviousValue"):
            if previous is None or name not in previous:
                raise invalid(
                    f"Invalid input for parameter key {name}. Cannot specify usePreviousValue as true for a parameter"
                    " key not in the previous template"
                )
            if entry.get("ParameterValue") is not None:
                raise invalid(f"Invalid input for parameter key {name}. Cannot specify usePreviousValue and a value")
            if name in declared:
                values[name] = previous[name].given
        elif entry.get("ParameterValue") is None:
            raise invalid(f"Parameters: [{name}] must have values")
        else:
            values[name] = entry["ParameterValue"]
    unknown = [name for name in values if name not in declared]
    if unknown:
        raise invalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    for declaration in declared.values():
        if declaration.name not in values and declaration.default is not None:
            values[declaration.name] = declaration.default
    missing = [name for name in declared if name not in values]
    if missing:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    return {name: values[name] for name in declared}


def settle(declared: Mapping[str, Declaration], texts: Mapping[str, str], fetch: FetchParameters) -> dict[str, Value]:
    """Look up SSM values and check every constraint.

    Raises ValidationError with CloudFormation's sentence for the first constraint that is broken.
    """
    wanted = [texts[name] for name, declaration in declared.items() if declaration.from_ssm]
    found = fetch(sorted(set(wanted))) if wanted else {}
    absent = [name for name in wanted if name not in found]
    if absent:
        raise invalid(f"Unable to fetch parameters [{','.join(absent)}] from parameter store for this account.")
    values = {}
    for name, declaration in declared.items():
        text = texts[name]
        _check(declaration, text)
        resolved = found[text] if declaration.from_ssm else None
        values[name] = Value(name, text, resolved, declaration.hidden)
    return values


def as_python(declaration: Declaration, value: Value) -> str | list[str]:
    """What ``Ref`` of the parameter gives."""
    if not declaration.is_list:
        return value.text
    return [item.strip() for item in value.text.split(",")] if value.text else []


def _check(declaration: Declaration, text: str) -> None:
    constraints = declaration.constraints
    is_list = declaration.type in ("CommaDelimitedList", "List<Number>")
    for item in [part.strip() for part in text.split(",")] if is_list else [text]:
        broken = (
            _broken_number(declaration, item)
            or _broken_choice(declaration, item)
            or _broken_length(declaration, item)
            or _broken_pattern(declaration, item)
        )
        if broken:
            described = constraints.get("ConstraintDescription")
            raise invalid(
                f"Parameter {declaration.name} failed to satisfy constraint: {described}" if described else broken
            )


def _broken_number(declaration: Declaration, item: str) -> str:
    if declaration.type not in ("Number", "List<Number>"):
        return ""
    try:
        number = float(item)
    except ValueError:
        return f"Parameter '{declaration.name}' must be a number."
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", item):
        return f"Parameter '{declaration.name}' must be a number."
    least, most = declaration.constraints.get("MinValue"), declaration.constraints.get("MaxValue")
    if least is not None and number < float(least):
        return f"Parameter '{declaration.name}' must be a number not less than {least}"
    if most is not None and number > float(most):
        return f"Parameter '{declaration.name}' must be a number not greater than {most}"
    return ""


def _broken_choice(declaration: Declaration, item: str) -> str:
    allowed = declaration.constraints.get("AllowedValues")
    if allowed is None or item in [_scalar(declaration.name, choice) for choice in allowed]:
        return ""
    return f"Parameter '{declaration.name}' must be one of AllowedValues"


def _broken_length(declaration: Declaration, item: str) -> str:
    least, most = declaration.constraints.get("MinLength"), declaration.constraints.get("MaxLength")
    if least is not None and len(item) < int(least):
        return f"Parameter '{declaration.name}' must contain at least {least} characters"
    if most is not None and len(item) > int(most):
        return f"Parameter '{declaration.name}' must contain at most {most} characters"
    return ""


def _broken_pattern(declaration: Declaration, item: str) -> str:
    pattern = declaration.constraints.get("AllowedPattern")
    if pattern is None or re.fullmatch(pattern, item):
        return ""
    return f"Parameter '{declaration.name}' must match pattern {pattern}"
