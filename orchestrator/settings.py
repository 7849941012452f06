"""The deployment's settings, read once from the environment of the Lambda (or of the CLI's process)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.errors import SettingsMissing
from orchestrator.model import Stage


@dataclass(frozen=True, slots=True)
class Settings:
    """Where this orchestrator lives and what it may use. ``stages`` are the defaults for configs without their own.

    ``stages_that_need_approval`` are those of them that no config can change without a review (see ``floor``).
    ``stack_sets_call_as`` is how the account asks for stack sets of the organization: ``SELF`` (the management account)
    or ``DELEGATED_ADMIN``; empty where it has none.
    """

    account: str
    region: str
    assets_bucket: str
    artifact_bucket: str
    artifact_key_arn: str
    notifications_topic_arn: str
    function_arn: str
    cloudformation_role_arn: str
    stages: tuple[Stage, ...]
    partition: str = "aws"
    name_prefix: str = "mlops"
    blueprint_bucket: str = ""
    ecr_repository_arn: str = ""
    use_model_registry: bool = False
    detailed_errors: bool = True
    monitoring_engine: str = "mlops"
    stages_that_need_approval: tuple[str, ...] = ()
    stack_sets_call_as: str = ""

    @property
    def multi_account(self) -> bool:
        """Whether any default stage lies outside the orchestrator's account."""
        return any(stage.account != self.account for stage in self.stages)

    def role_arn(self, account: str, purpose: str) -> str:
        """The ARN of one of the roles every stage account has: pipeline-action, cloudformation or read."""
        return f"arn:{self.partition}:iam::{account}:role/{self.name_prefix}-{purpose}"


REQUIRED = {
    "account": "MLOPS_ACCOUNT",
    "region": "AWS_REGION",
    "assets_bucket": "ASSETS_BUCKET",
    "artifact_bucket": "ARTIFACT_BUCKET",
    "artifact_key_arn": "ARTIFACT_KEY_ARN",
    "notifications_topic_arn": "MLOPS_NOTIFICATIONS_SNS_TOPIC",
    "function_arn": "MLOPS_FUNCTION_ARN",
    "cloudformation_role_arn": "CFN_ROLE_ARN",
}


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises SettingsMissing, naming every variable that is absent, or STAGES when it is not a JSON list of
    ``{"name", "account", "region", "approval"}`` objects.
    """
    missing = [variable for variable in REQUIRED.values() if not environment.get(variable)]
    if missing:
        raise SettingsMissing(
            f"These environment variables are not set: {', '.join(missing)}.",
            hint="Run `mlops local up` for an embedded AWS, or deploy the orchestrator to your account.",
        )
    account, region = environment["MLOPS_ACCOUNT"], environment["AWS_REGION"]
    try:
        given = json.loads(environment.get("STAGES") or "[]")
        stages = tuple(
            Stage(
                item["name"],
                str(item["account"]),
                item.get("region", region),
                bool(item.get("approval", False)),
                item.get("organizational_unit", ""),
            )
            for item in given
        )
    except (ValueError, TypeError, KeyError) as error:
        raise SettingsMissing(f"STAGES is not a JSON list of stages: {error!r}.") from error
    return Settings(
        **{name: environment[variable] for name, variable in REQUIRED.items()},
        stages=stages or (Stage("prod", account, region),),
        partition=environment.get("AWS_PARTITION", "aws"),
        name_prefix=environment.get("NAME_PREFIX", "mlops"),
        blueprint_bucket=environment.get("BLUEPRINT_BUCKET", ""),
        ecr_repository_arn=environment.get("ECR_REPO_ARN", ""),
        use_model_registry=environment.get("USE_MODEL_REGISTRY", "No") == "Yes",
        detailed_errors=environment.get("ALLOW_DETAILED_ERROR_MESSAGE", "Yes") == "Yes",
        monitoring_engine=environment.get("MONITORING_ENGINE", "mlops"),
        stages_that_need_approval=tuple(
            name.strip() for name in environment.get("STAGES_THAT_NEED_APPROVAL", "").split(",") if name.strip()
        ),
        stack_sets_call_as=environment.get("STACK_SETS_CALL_AS", ""),
    )
