"""Reads the launch templates: YAML with CloudFormation's short forms, and what a role in them may do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
LAUNCH = ROOT / "templates" / "launch"


class Loader(yaml.SafeLoader):
    """Keeps ``!Ref x`` as ``{"Ref": "x"}`` and the like."""


def _short_form(loader: Loader, suffix: str, node: yaml.Node) -> Any:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {name: loader.construct_mapping(node, deep=True)}


Loader.add_multi_constructor("!", _short_form)


def resources(name: str) -> dict[str, Any]:
    """The resources of a launch template."""
    document: dict[str, Any] = yaml.load((LAUNCH / name).read_text(), Loader)
    return document["Resources"]


def statements(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements of a role's policies, or of a managed policy."""
    properties = resource["Properties"]
    documents = [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
    documents += [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    return [statement for document in documents for statement in document["Statement"]]


def actions(statement: dict[str, Any]) -> set[str]:
    """The actions of a statement."""
    given = statement["Action"]
    return {given} if isinstance(given, str) else set(given)


def allowed(resource: dict[str, Any]) -> set[str]:
    """Every action a role or policy allows."""
    return {one for statement in statements(resource) if statement["Effect"] == "Allow" for one in actions(statement)}
