"""What IAM refuses and moto lets through: quotas of managed policies, and the removal of those in use.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicy.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.local.journal import moto_access
from orchestrator.local.service import ServiceError

LARGEST_POLICY = 6144
"""Characters of a managed policy; white space does not count."""
MOST_ATTACHED = 10
"""Managed policies of one role, user or group, unless AWS was asked for more."""


def check(account: str, operation: str, parameters: Mapping[str, Any]) -> None:
    """Raise ServiceError, in IAM's words, for a request that moto would wrongly grant."""
    rule = RULES.get(operation)
    if rule is not None:
        rule(account, parameters)


def _create_policy(account: str, parameters: Mapping[str, Any]) -> None:
    _check_size(parameters)
    name = str(parameters.get("PolicyName", ""))
    if name.lower() in {arn.rpartition("/")[2].lower() for arn in moto_access.managed_policies(account)}:
        text = f"A policy called {name} already exists. Duplicate names are not allowed."
        raise ServiceError("EntityAlreadyExists", text, 409)


def _check_size(parameters: Mapping[str, Any]) -> None:
    if len("".join(str(parameters.get("PolicyDocument", "")).split())) > LARGEST_POLICY:
        raise ServiceError("LimitExceeded", f"Cannot exceed quota for PolicySize: {LARGEST_POLICY}", 409)


def _attach(kind: str) -> Callable[[str, Mapping[str, Any]], None]:
    def rule(account: str, parameters: Mapping[str, Any]) -> None:
        has = moto_access.attached_policies(account, kind, str(parameters.get(f"{kind}Name", "")))
        wanted = parameters.get("PolicyArn")
        known = wanted in moto_access.managed_policies(account)
        if known and wanted not in has and len(has) >= MOST_ATTACHED:
            text = f"Cannot exceed quota for PoliciesPer{kind}: {MOST_ATTACHED}"
            raise ServiceError("LimitExceeded", text, 409)

    return rule


def _delete_policy(account: str, parameters: Mapping[str, Any]) -> None:
    arn = str(parameters.get("PolicyArn", ""))
    if moto_access.is_attached(account, arn):
        raise ServiceError("DeleteConflict", "Cannot delete a policy attached to entities.", 409)
    if moto_access.managed_policies(account).get(arn, 0) > 1:
        text = (
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions."
            " The default version is deleted with the policy."
        )
        raise ServiceError("DeleteConflict", text, 409)


RULES: dict[str, Callable[[str, Mapping[str, Any]], None]] = {
    "AttachGroupPolicy": _attach("Group"),
    "AttachRolePolicy": _attach("Role"),
    "AttachUserPolicy": _attach("User"),
    "CreatePolicy": _create_policy,
    "CreatePolicyVersion": lambda _, parameters: _check_size(parameters),
    "DeletePolicy": _delete_policy,
}
