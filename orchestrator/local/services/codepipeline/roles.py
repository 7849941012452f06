"""Whether CodePipeline may take a role: the one of a pipeline, or one that a pipeline's role takes for an action."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from orchestrator.local.world import World

PRINCIPAL = "codepipeline.amazonaws.com"


class Roles:
    """Looks at roles and their trust policies; remembers those that were good."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._good: set[tuple[str, str]] = set()

    def fault(self, role: str, pipeline_role: str = "") -> str:
        """Why a role cannot be taken, or ''.

        Without ``pipeline_role`` it is CodePipeline itself that takes the role, else it may also be the pipeline's.
        """
        if (role, pipeline_role) in self._good:
            return ""
        account = role.split(":")[4]
        iam = self._world.client("iam", account, self._world.region)
        try:
            policy = iam.get_role(RoleName=role.rpartition("/")[2])["Role"]["AssumeRolePolicyDocument"]
        except ClientError as problem:
            if problem.response["Error"]["Code"] != "NoSuchEntity":
                raise
            return f"The role {role} does not exist"
        welcome = {PRINCIPAL, "*"}
        if pipeline_role:
            home = pipeline_role.split(":")[4]
            welcome |= {pipeline_role, home, f"arn:{pipeline_role.split(':')[1]}:iam::{home}:root"}
        if not welcome & trusted(policy):
            return f"The role {role} does not trust {pipeline_role or PRINCIPAL}"
        self._good.add((role, pipeline_role))
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
