"""Whether SageMaker may take the role that a request names."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from orchestrator.local.service import Call
from orchestrator.local.services.sagemaker.plane import invalid
from orchestrator.local.world import World

PRINCIPAL = "sagemaker.amazonaws.com"


def check_role(world: World, call: Call, role_arn: str) -> None:
    """Raise, as SageMaker does, for a role of another account, one that is not there, or one that does not trust us."""
    account = role_arn.split(":")[4]
    if account != call.account:
        raise invalid("RoleArn: Cross-account pass role is not allowed.")
    message = (
        f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal"
        f" '{PRINCIPAL}' to assume the role."
    )
    try:
        role = world.client("iam", account, call.region).get_role(RoleName=role_arn.rpartition("/")[2])["Role"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchEntity":
            raise invalid(message) from error
        raise
    if not trusts(role["AssumeRolePolicyDocument"]):
        raise invalid(message)


def trusts(policy: Any) -> bool:
    """Whether a trust policy lets SageMaker in."""
    statements = policy.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", {})
        services = principal.get("Service", []) if isinstance(principal, dict) else principal
        allowed = [services] if isinstance(services, str) else services
        if statement.get("Effect") == "Allow" and {"*", PRINCIPAL} & set(allowed):
            return True
    return False
