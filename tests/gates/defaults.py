"""Whether the default of a parameter, which stands for "not given", can reach a property.

It cannot when every use of the parameter in a resource lies behind a condition that is false for the default: in the
first branch of an ``Fn::If``, or in a resource with that condition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.gates.policies import references

Template = Mapping[str, Any]


def never_default(template: Template, parameter: str, name: str) -> bool:
    """Whether the default of the parameter stays out of the resource of this name."""
    rule = template.get("Parameters", {}).get(parameter, {})
    if "Default" not in rule:
        return False
    guards = {
        guard
        for guard, each in template.get("Conditions", {}).items()
        if _needs_a_value(template, each, parameter, rule)
    }
    resource = template["Resources"].get(name, {})
    return resource.get("Condition") in guards or not any(_unguarded(resource.get("Properties", {}), parameter, guards))


def _needs_a_value(template: Template, condition: Any, parameter: str, rule: Mapping[str, Any]) -> bool:
    """Whether a condition can only hold when the parameter is not its default."""
    if not isinstance(condition, dict) or len(condition) != 1:
        return False
    ((function, argument),) = condition.items()
    if function == "Fn::And":
        return any(_needs_a_value(template, each, parameter, rule) for each in argument)
    if function == "Condition":
        return _needs_a_value(template, template["Conditions"][argument], parameter, rule)
    if function != "Fn::Not" or set(argument[0]) != {"Fn::Equals"}:
        return False
    left, right = argument[0]["Fn::Equals"]
    default = str(rule["Default"])
    plain = {"Ref": parameter}
    joined = {"Fn::Join": ["", plain]}
    return (left in (plain, joined) and str(right) == default) or (right in (plain, joined) and str(left) == default)


def _unguarded(node: Any, parameter: str, guards: set[str]) -> Iterator[bool]:
    """True for every use outside the first branch of an ``Fn::If`` of a guard."""
    if isinstance(node, dict):
        if set(node) == {"Fn::If"} and node["Fn::If"][0] in guards:
            yield from _unguarded(node["Fn::If"][2], parameter, guards)
            return
        if set(node) in ({"Ref"}, {"Fn::Sub"}):
            if parameter in references(node):
                yield True
            return
        for inside in node.values():
            yield from _unguarded(inside, parameter, guards)
    elif isinstance(node, list):
        for inside in node:
            yield from _unguarded(inside, parameter, guards)
