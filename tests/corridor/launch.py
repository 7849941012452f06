"""Reads the launch templates, and what a role in them may do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
LAUNCH = ROOT / "templates" / "launch"
SINGLE, MULTI, STAGE = (f"{kind}-account.template.json" for kind in ("single", "multi", "stage"))


def template(name: str) -> dict[str, Any]:
    """A launch template."""
    found: dict[str, Any] = json.loads((LAUNCH / name).read_text())
    return found


def resources(name: str) -> dict[str, Any]:
    """The resources of a launch template."""
    found: dict[str, Any] = template(name)["Resources"]
    return found


def statements(resource: Mapping[str, Any], among: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The statements of a managed policy, or of all policies of a role among these resources."""
    properties = resource["Properties"]
    if "PolicyDocument" in properties:
        return list(properties["PolicyDocument"]["Statement"])
    assert "Policies" not in properties
    attached = [one["Fn::If"][1] if "Fn::If" in one else one for one in properties["ManagedPolicyArns"]]
    return [statement for one in attached for statement in statements(among[one["Ref"]], among)]


def actions(statement: Mapping[str, Any]) -> set[str]:
    """The actions of a statement."""
    given = statement["Action"]
    return {given} if isinstance(given, str) else set(given)


def allowed(resource: Mapping[str, Any], among: Mapping[str, Any]) -> set[str]:
    """Every action a role or policy allows."""
    return {
        one for statement in statements(resource, among) if statement["Effect"] == "Allow" for one in actions(statement)
    }
