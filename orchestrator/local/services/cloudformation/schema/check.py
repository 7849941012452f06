"""Properties against the table: before anything is made by their shape, and, once evaluated, by their values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.local.services.cloudformation.faults import ResourceFailed
from orchestrator.local.services.cloudformation.language.evaluation import call_of, later
from orchestrator.local.services.cloudformation.schema.table import Node, ResourceType

NAMES = {
    "array": "JSONArray",
    "boolean": "Boolean",
    "integer": "Integer",
    "null": "Null",
    "number": "Number",
    "object": "JSONObject",
    "string": "String",
}
DYNAMIC_REFERENCE = "{{resolve:"


def shape_problems(kind: ResourceType, properties: Mapping[str, Any]) -> list[str]:
    """What can be seen in properties as they are written: members that do not exist, required ones that are absent.

    Functions are looked into only where they choose (``Fn::If``). Each problem is a sentence as CloudFormation
    writes it (``#/Tags/0: extraneous key [key] is not permitted``).
    """
    problems = list(_shape(kind, kind.root, properties, "#"))
    for name in properties:
        if name in kind.read_only:
            problems.append(f"#: extraneous key [{name}] is not permitted: it is read-only")
    return problems


def _shape(kind: ResourceType, node: Node, value: Any, where: str) -> Iterator[str]:
    node = kind.follow(node)
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _shape(kind, node.get("items", {}), item, f"{where}/{index}")
    if not isinstance(value, dict):
        return
    called = call_of(value)
    if called:
        branches = value[called][1:] if called == "Fn::If" else []
        for branch in branches:
            if branch != {"Ref": "AWS::NoValue"}:
                yield from _shape(kind, node, branch, where)
        return
    members = kind.members(node)
    for name, member in value.items():
        if name in members:
            yield from _shape(kind, members[name], member, f"{where}/{name}")
        elif members and node.get("additionalProperties") is False and not _patterned(node, name):
            yield f"{where}: extraneous key [{name}] is not permitted"
    if members:
        for name in node.get("required", []):
            if name not in value:
                yield f"{where}: required key [{name}] not found"


def _patterned(node: Node, name: str) -> Node | None:
    for pattern, member in node.get("patternProperties", {}).items():
        if re.search(pattern, name):
            found: Node = member
            return found
    return None


def conform(kind: ResourceType, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluated properties with every scalar in the type the schema asks for ("5" becomes 5).

    Raises ResourceFailed naming every value the schema does not allow.
    """
    problems: list[str] = []
    conformed: dict[str, Any] = _conform(kind, kind.root, dict(properties), "#", problems)
    if problems:
        raise ResourceFailed("Properties validation failed with message:\n" + "\n".join(problems), "InvalidRequest")
    return conformed


def _conform(kind: ResourceType, node: Node, value: Any, where: str, problems: list[str]) -> Any:
    node = kind.follow(node)
    types = kind.types(node)
    if isinstance(value, dict) and (not types or "object" in types):
        return _conform_object(kind, node, value, where, problems)
    if isinstance(value, list) and (not types or "array" in types):
        _check_count(node, value, where, problems)
        items = node.get("items", {})
        return [_conform(kind, items, item, f"{where}/{index}", problems) for index, item in enumerate(value)]
    if (isinstance(value, str) and (DYNAMIC_REFERENCE in value or later(value))) or not types:
        return value
    converted = _convert(value, types)
    if converted is None:
        expected = " or ".join(sorted(NAMES[name] for name in types))
        problems.append(f"{where}: expected type: {expected}, found: {_found(value)}")
        return value
    _check_scalar(node, converted, where, problems)
    return converted


def _conform_object(
    kind: ResourceType, node: Node, value: dict[str, Any], where: str, problems: list[str]
) -> dict[str, Any]:
    members = kind.members(node)
    conformed = {}
    for name, member in value.items():
        schema = members.get(name) or _patterned(node, name)
        if schema is None and members and node.get("additionalProperties") is False:
            problems.append(f"{where}: extraneous key [{name}] is not permitted")
        conformed[name] = _conform(kind, schema, member, f"{where}/{name}", problems) if schema else member
    for name in node.get("required", []) if members else []:
        if name not in value:
            problems.append(f"{where}: required key [{name}] not found")
    return conformed


def _convert(value: Any, types: frozenset[str]) -> Any:
    """The value as one of the types, or None when it is none of them."""
    if isinstance(value, bool):
        return value if "boolean" in types else str(value).lower() if "string" in types else None
    if isinstance(value, (int, float)):
        return _convert_number(value, types)
    if not isinstance(value, str):
        return json.dumps(value) if "string" in types and "object" in types else None
    if "string" in types:
        return value
    if "boolean" in types and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if types & {"integer", "number"} and re.fullmatch(r"[+-]?\d+", value):
        return int(value)
    if "number" in types:
        try:
            return float(value)
        except ValueError:
            return None
    return None


def _convert_number(value: float, types: frozenset[str]) -> Any:
    if "number" in types or ("integer" in types and float(value).is_integer()):
        return value if "number" in types else int(value)
    return json.dumps(value) if "string" in types else None


def _found(value: Any) -> str:
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, int):
        return "Integer"
    if isinstance(value, float):
        return "Double"
    if isinstance(value, str):
        return "String"
    return "JSONObject" if isinstance(value, dict) else "JSONArray" if isinstance(value, list) else "Null"


def _check_count(node: Node, value: list[Any], where: str, problems: list[str]) -> None:
    if len(value) < node.get("minItems", 0):
        problems.append(f"{where}: expected minimum item count: {node['minItems']}, found: {len(value)}")
    if "maxItems" in node and len(value) > node["maxItems"]:
        problems.append(f"{where}: expected maximum item count: {node['maxItems']}, found: {len(value)}")


def _check_scalar(node: Node, value: Any, where: str, problems: list[str]) -> None:
    if "enum" in node and value not in node["enum"]:
        problems.append(f"{where}: {value} is not a valid enum value{_choices(node['enum'])}")
    if isinstance(value, str):
        if len(value) < node.get("minLength", 0):
            problems.append(f"{where}: expected minLength: {node['minLength']}, actual: {len(value)}")
        if "maxLength" in node and len(value) > node["maxLength"]:
            problems.append(f"{where}: expected maxLength: {node['maxLength']}, actual: {len(value)}")
        if "pattern" in node and not re.search(node["pattern"], value):
            problems.append(f"{where}: failed validation constraint for keyword [pattern]: {node['pattern']}")
    elif not isinstance(value, bool):
        if "minimum" in node and value < node["minimum"]:
            problems.append(f"{where}: {value} is not greater or equal to {node['minimum']}")
        if "maximum" in node and value > node["maximum"]:
            problems.append(f"{where}: {value} is not less or equal to {node['maximum']}")


def _choices(values: list[Any]) -> str:
    return f" [{', '.join(map(str, values))}]" if len(values) <= 12 else ""
