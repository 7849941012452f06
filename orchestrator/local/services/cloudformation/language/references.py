"""Who refers to whom: what an expression names, and the order that follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from orchestrator.local.services.cloudformation.faults import invalid
from orchestrator.local.services.cloudformation.language.evaluation import EXTENSIONS, call_of
from orchestrator.local.services.cloudformation.language.functions import attribute_of, sub_arguments, sub_names

Choose = Callable[[str], bool]
"""Decides a condition by name."""


class Reference(NamedTuple):
    """One name used in an expression: ``kind`` is ref, attribute or condition."""

    kind: str
    name: str
    attribute: str = ""


def references(node: Any, choose: Choose | None = None) -> Iterator[Reference]:
    """Every name the expression uses.

    With ``choose``, only those in the branches of ``Fn::If`` that are taken. Raises ValidationError for malformed
    or unknown functions anywhere in the expression.
    """
    if isinstance(node, list):
        for item in node:
            yield from references(item, choose)
    elif isinstance(node, dict):
        called = call_of(node)
        if called:
            yield from _of_call(called, node[called], choose)
        else:
            for member in node.values():
                yield from references(member, choose)


def _of_call(called: str, argument: Any, choose: Choose | None) -> Iterator[Reference]:
    if called == "Ref":
        if not isinstance(argument, str):
            raise invalid("Template error: every Ref object must have a single String value.")
        yield Reference("ref", argument)
    elif called == "Fn::GetAtt":
        logical, attribute = attribute_of(argument)
        yield Reference("attribute", logical, attribute if isinstance(attribute, str) else "")
        yield from references(attribute, choose)
    elif called == "Fn::Sub":
        template, values = sub_arguments(argument)
        for name in sub_names(template):
            if name in values:
                continue
            logical, dot, attribute = name.partition(".")
            yield Reference("attribute", logical, attribute) if dot else Reference("ref", name)
        for value in values.values():
            yield from references(value, choose)
    elif called == "Fn::If":
        yield from _of_if(argument, choose)
    else:
        yield from references(_without_condition_references(argument), choose)
        yield from _condition_references(argument)


def _of_if(argument: Any, choose: Choose | None) -> Iterator[Reference]:
    if not isinstance(argument, list) or len(argument) != 3 or not isinstance(argument[0], str):
        raise invalid("Template error: Fn::If requires a list argument with three elements")
    yield Reference("condition", argument[0])
    if choose is None:
        yield from references(argument[1:], choose)
    else:
        yield from references(argument[1] if choose(argument[0]) else argument[2], choose)


def _is_condition_reference(node: Any) -> bool:
    return isinstance(node, dict) and set(node) == {"Condition"} and isinstance(node["Condition"], str)


def _without_condition_references(argument: Any) -> Any:
    if isinstance(argument, list):
        return [item for item in argument if not _is_condition_reference(item)]
    return argument


def _condition_references(argument: Any) -> Iterator[Reference]:
    for item in argument if isinstance(argument, list) else []:
        if _is_condition_reference(item):
            yield Reference("condition", item["Condition"])


def import_arguments(node: Any, choose: Choose) -> Iterator[Any]:
    """The arguments of every ``Fn::ImportValue`` in the branches that are taken."""
    if isinstance(node, list):
        for item in node:
            yield from import_arguments(item, choose)
    elif isinstance(node, dict):
        called = call_of(node)
        if called == "Fn::ImportValue":
            yield node[called]
        elif called == "Fn::If":
            yield from import_arguments(node[called][1 if choose(node[called][0]) else 2], choose)
        else:
            for member in node.values():
                yield from import_arguments(member, choose)


def extensions_used(node: Any) -> Iterator[str]:
    """The functions in the expression that need the AWS::LanguageExtensions transform."""
    if isinstance(node, list):
        for item in node:
            yield from extensions_used(item)
    elif isinstance(node, dict):
        for key, member in node.items():
            if key in EXTENSIONS or key.startswith("Fn::ForEach"):
                yield key.partition("ForEach")[0] + ("ForEach" if "ForEach" in key else "")
            elif key == "Fn::FindInMap" and isinstance(member, list) and len(member) == 4:
                yield "the DefaultValue of Fn::FindInMap"
            yield from extensions_used(member)


def circle(dependencies: Mapping[str, set[str]]) -> list[str]:
    """The names that stand in a circle, or wait for one; empty when there is an order."""
    left = {name: set(needs) for name, needs in dependencies.items()}
    while True:
        free = [name for name, needs in left.items() if not needs & left.keys()]
        if not free:
            break
        for name in free:
            del left[name]
    needed = set().union(*left.values()) if left else set()
    while needed:  # drop what only waits for the circle
        waiting = [name for name in left if name not in needed]
        if not waiting:
            break
        for name in waiting:
            del left[name]
        needed = set().union(*left.values()) if left else set()
    return sorted(left)
