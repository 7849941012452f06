"""Whether a role exists and who may take it: what AWS asks of IAM before a service acts as somebody's role."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from orchestrator.local.world import World


class Trust:
    """Looks at roles and their trust policies; remembers those that were good."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._good: set[tuple[str, ...]] = set()

    def fault(self, role: str, *principals: str) -> str:
        """Why none of the principals (services, accounts, ARNs) can take a role, or ''."""
        if (role, *principals) in self._good:
            return ""
        iam = self._world.client("iam", role.split(":")[4], self._world.region)
        try:
            policy = iam.get_role(RoleName=role.rpartition("/")[2])["Role"]["AssumeRolePolicyDocument"]
        except ClientError as problem:
            if problem.response["Error"]["Code"] != "NoSuchEntity":
                raise
            return f"the role {role} does not exist"
        if not {"*", *principals} & trusted(policy):
            return f"the role {role} does not trust {principals[0]}"
        self._good.add((role, *principals))
        return ""


def trusted(policy: Any) -> set[str]:
    """The principals that a trust policy allows to take the role."""
    found: set[str] = set()
    for statement in _listed(policy.get("Statement", [])):
        principal = statement.get("Principal", {})
        if statement.get("Effect") == "Allow":
            groups = principal.values() if isinstance(principal, dict) else [principal]
            found |= {each for group in groups for each in _listed(group)}
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
