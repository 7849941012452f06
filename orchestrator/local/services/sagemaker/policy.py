"""The resource policy of a model package group: which other accounts may do what with its packages."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any


def allows(policy: Mapping[str, Any], account: str, action: str, resource: str) -> bool:
    """Whether the policy lets principals of an account do the action; an explicit Deny goes before any Allow."""
    effects = {
        statement.get("Effect")
        for statement in _several(policy.get("Statement", []))
        if _names(statement, account)
        and _covers(statement, "Action", action)
        and _covers(statement, "Resource", resource)
    }
    return "Allow" in effects and "Deny" not in effects


def _names(statement: Mapping[str, Any], account: str) -> bool:
    principal = statement.get("Principal", {})
    if principal == "*":
        return True
    named = _several(principal.get("AWS", []))
    return any(name in ("*", account) or name.split(":")[4:5] == [account] for name in named)


def _covers(statement: Mapping[str, Any], member: str, value: str) -> bool:
    return any(fnmatch.fnmatchcase(value.lower(), pattern.lower()) for pattern in _several(statement.get(member, [])))


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
