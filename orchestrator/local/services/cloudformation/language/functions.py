"""The intrinsic functions. Importing this module registers them with the evaluator."""

from __future__ import annotations

import base64
import ipaddress
import itertools
import json
import re
from typing import Any

from orchestrator.local.services.cloudformation.faults import invalid
from orchestrator.local.services.cloudformation.language.evaluation import LATER, Evaluator, function, later, text
from orchestrator.local.services.cloudformation.language.names import NO_VALUE

SUB_VARIABLE = re.compile(r"\$\{([^}]*)\}")
SUB_NAME = re.compile(r"[A-Za-z0-9_.:]+")
ZONES = "abc"


def _arguments(argument: Any, counts: tuple[int, ...], complaint: str) -> list[Any]:
    if not isinstance(argument, list) or len(argument) not in counts:
        raise invalid(f"Template error: {complaint}")
    return argument


@function("Ref")
def _ref(evaluator: Evaluator, argument: Any) -> Any:
    if not isinstance(argument, str):
        raise invalid("Template error: every Ref object must have a single String value.")
    return evaluator.name(argument)


@function("Fn::GetAtt")
def _get_att(evaluator: Evaluator, argument: Any) -> Any:
    logical, attribute = attribute_of(argument)
    return evaluator.lookup.attribute(logical, text(evaluator.value(attribute)))


def attribute_of(argument: Any) -> tuple[str, Any]:
    """The resource and the attribute that a ``Fn::GetAtt`` names."""
    parts = argument.split(".", 1) if isinstance(argument, str) else argument
    if not isinstance(parts, list) or len(parts) != 2 or not isinstance(parts[0], str) or not all(parts):
        raise invalid(
            "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the"
            " resource attribute"
        )
    return parts[0], parts[1]


@function("Fn::Sub")
def _sub(evaluator: Evaluator, argument: Any) -> str:
    template, values = sub_arguments(argument)

    def substitute(match: re.Match[str]) -> str:
        name = match.group(1)
        if name.startswith("!"):
            return "${" + name[1:] + "}"
        if name in values:
            return text(evaluator.value(values[name]))
        if "." in name:
            return text(evaluator.lookup.attribute(*name.split(".", 1)))
        return text(evaluator.name(name))

    return SUB_VARIABLE.sub(substitute, template)


def sub_arguments(argument: Any) -> tuple[str, dict[str, Any]]:
    """The text and the local values of a ``Fn::Sub``."""
    parts = [argument, {}] if isinstance(argument, str) else argument
    if (
        not isinstance(parts, list)
        or len(parts) != 2
        or not isinstance(parts[0], str)
        or not isinstance(parts[1], dict)
    ):
        raise invalid(
            "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a"
            " string as first argument, and an optional second argument to specify a mapping of values to replace in"
            " the string"
        )
    for name in sub_names(parts[0]):
        if not SUB_NAME.fullmatch(name):
            raise invalid(
                "Template error: variable names in Fn::Sub syntax must contain only alphanumeric characters,"
                " underscores, periods, and colons"
            )
    return parts[0], parts[1]


def sub_names(template: str) -> list[str]:
    """The names that a ``Fn::Sub`` text uses."""
    return [name for name in SUB_VARIABLE.findall(template) if not name.startswith("!")]


@function("Fn::Join")
def _join(evaluator: Evaluator, argument: Any) -> str:
    complaint = (
        "every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined"
        " or a function that returns a list of strings (such as Fn::GetAZs) to be joined."
    )
    delimiter, parts = _arguments(argument, (2,), complaint)
    values = evaluator.value(parts)
    if not isinstance(delimiter, str) or (not isinstance(values, list) and not later(values)):
        raise invalid(f"Template error: {complaint}")
    return delimiter.join(map(text, values)) if isinstance(values, list) else LATER


@function("Fn::Split")
def _split(evaluator: Evaluator, argument: Any) -> list[str]:
    complaint = (
        "every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a"
        " function that returns a string to be split."
    )
    delimiter, source = _arguments(argument, (2,), complaint)
    value = evaluator.value(source)
    if not isinstance(delimiter, str) or not delimiter or not isinstance(value, str):
        raise invalid(f"Template error: {complaint}")
    return value.split(delimiter)


@function("Fn::Select")
def _select(evaluator: Evaluator, argument: Any) -> Any:
    complaint = "Fn::Select requires a list argument with two elements: an integer index and a list"
    parts = _arguments(argument, (2,), complaint)
    index, values = text(evaluator.value(parts[0])), evaluator.value(parts[1])
    if later(values) and (not isinstance(values, list) or later(index)):
        return LATER
    if not re.fullmatch(r"\d+", index) or not isinstance(values, list):
        raise invalid(f"Template error: {complaint}")
    if int(index) >= len(values):
        if later(values):
            return LATER
        raise invalid(f"Template error: Fn::Select cannot select nonexistent value at index {index}")
    return values[int(index)]


@function("Fn::FindInMap")
def _find_in_map(evaluator: Evaluator, argument: Any) -> Any:
    parts = _arguments(
        argument,
        (3, 4),
        "every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return"
        " value",
    )
    name, key, attribute = (text(evaluator.value(part)) for part in parts[:3])
    try:
        return evaluator.mappings[name][key][attribute]
    except KeyError:
        if len(parts) == 4 and isinstance(parts[3], dict) and "DefaultValue" in parts[3]:
            return evaluator.value(parts[3]["DefaultValue"])
        raise invalid(f"Template error: Unable to get mapping for {name}::{key}::{attribute}") from None


@function("Fn::If")
def _if(evaluator: Evaluator, argument: Any) -> Any:
    parts = _arguments(argument, (3,), "Fn::If requires a list argument with three elements")
    if not isinstance(parts[0], str):
        raise invalid("Template error: the first element of Fn::If must be the name of a condition")
    return evaluator.value(parts[1] if evaluator.condition(parts[0]) else parts[2])


@function("Fn::Equals")
def _equals(evaluator: Evaluator, argument: Any) -> bool:
    first, second = _arguments(argument, (2,), "every Fn::Equals object requires a list of 2 string parameters.")
    return bool(_comparable(evaluator.value(first)) == _comparable(evaluator.value(second)))


def _comparable(value: Any) -> Any:
    return value if isinstance(value, (list, dict)) or value is NO_VALUE else text(value)


@function("Fn::Not")
def _not(evaluator: Evaluator, argument: Any) -> bool:
    (one,) = _arguments(argument, (1,), "every Fn::Not object requires one boolean parameter.")
    return not evaluator.truth(one)


@function("Fn::And")
def _and(evaluator: Evaluator, argument: Any) -> bool:
    parts = _arguments(argument, tuple(range(2, 11)), _MANY.format("Fn::And"))
    return all(evaluator.truth(part) for part in parts)


@function("Fn::Or")
def _or(evaluator: Evaluator, argument: Any) -> bool:
    parts = _arguments(argument, tuple(range(2, 11)), _MANY.format("Fn::Or"))
    return any(evaluator.truth(part) for part in parts)


_MANY = "every {} object requires a list of at least 2 and at most 10 boolean parameters."


@function("Fn::Contains")
def _contains(evaluator: Evaluator, argument: Any) -> bool:
    parts = _arguments(argument, (2,), "every Fn::Contains object requires a list of strings and a string.")
    values, value = evaluator.value(parts[0]), evaluator.value(parts[1])
    return text(value) in map(text, values)


@function("Fn::EachMemberIn")
def _each_member_in(evaluator: Evaluator, argument: Any) -> bool:
    parts = _arguments(argument, (2,), "every Fn::EachMemberIn object requires two lists of strings.")
    values, allowed = evaluator.value(parts[0]), evaluator.value(parts[1])
    return set(map(text, values)) <= set(map(text, allowed))


@function("Fn::EachMemberEquals")
def _each_member_equals(evaluator: Evaluator, argument: Any) -> bool:
    parts = _arguments(argument, (2,), "every Fn::EachMemberEquals object requires a list of strings and a string.")
    values, wanted = evaluator.value(parts[0]), evaluator.value(parts[1])
    return all(text(value) == text(wanted) for value in values)


@function("Fn::Base64")
def _base64(evaluator: Evaluator, argument: Any) -> str:
    value = evaluator.value(argument)
    if not isinstance(value, str):
        raise invalid("Template error: every Fn::Base64 object must have a String-typed value.")
    return value if later(value) else base64.b64encode(value.encode()).decode()


@function("Fn::GetAZs")
def _get_azs(evaluator: Evaluator, argument: Any) -> list[str]:
    region = text(evaluator.value(argument)) or evaluator.names["AWS::Region"]
    return [f"{region}{zone}" for zone in ZONES]


@function("Fn::ImportValue")
def _import_value(evaluator: Evaluator, argument: Any) -> str:
    value = evaluator.value(argument)
    if not isinstance(value, str):
        raise invalid(
            "Template error: the attribute in Fn::ImportValue must be a string or a function that returns one"
        )
    return evaluator.lookup.exported(value)


@function("Fn::Cidr")
def _cidr(evaluator: Evaluator, argument: Any) -> Any:
    complaint = "Fn::Cidr requires a list argument with two or three elements: a block, a count and the CIDR bits"
    parts = [evaluator.value(part) for part in _arguments(argument, (2, 3), complaint)]
    if later(*parts):
        return LATER
    try:
        network = ipaddress.ip_network(parts[0], strict=False)
        count, bits = int(parts[1]), int(parts[2]) if len(parts) == 3 else 8
        subnets = network.subnets(new_prefix=network.max_prefixlen - bits)
        blocks = [str(subnet) for subnet in itertools.islice(subnets, count)]
    except (TypeError, ValueError) as error:
        raise invalid(f"Template error: {complaint} ({error})") from error
    if not 1 <= count <= 256 or len(blocks) < count:
        raise invalid(f"Template error: Fn::Cidr cannot make {count} blocks of {bits} bits in {parts[0]}")
    return blocks


@function("Fn::ToJsonString", extension=True)
def _to_json_string(evaluator: Evaluator, argument: Any) -> str:
    if not isinstance(argument, (dict, list)):
        raise invalid("Template error: every Fn::ToJsonString object requires an object or a list.")
    return json.dumps(evaluator.value(argument), separators=(",", ":"), ensure_ascii=False)


@function("Fn::Length", extension=True)
def _length(evaluator: Evaluator, argument: Any) -> Any:
    value = evaluator.value(argument)
    if later(value) and not isinstance(value, list):
        return LATER
    if not isinstance(value, list):
        raise invalid("Template error: every Fn::Length object requires a list or a function that returns a list.")
    return len(value)
