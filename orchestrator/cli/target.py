"""Which AWS a command talks to: the embedded one that is up, or the account of the user's profile."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from typing import Any

from orchestrator import settings as settings_room
from orchestrator.cli import home
from orchestrator.cli.console import Console
from orchestrator.errors import AwsFailed, SettingsMissing
from orchestrator.model import Stage
from orchestrator.settings import Settings

PRESET_ACCOUNTS = {
    "orchestrator": "111111111111",
    "dev": "222222222222",
    "staging": "333333333333",
    "prod": "444444444444",
}
PREFIX_VARIABLE = "MLOPS_NAME_PREFIX"


def name_prefix() -> str:
    """What the names of the deployment begin with: ``MLOPS_NAME_PREFIX`` says it where it is not mlops."""
    return os.environ.get(PREFIX_VARIABLE) or "mlops"


def function_name(prefix: str = "") -> str:
    """The name of the orchestrator's function, with this name prefix or the environment's."""
    return f"{prefix or name_prefix()}-orchestrator"


@dataclass(frozen=True, slots=True)
class Target:
    """An AWS to talk to. ``running`` is None when it is the real one."""

    region: str
    running: home.Running | None

    @property
    def endpoint(self) -> str | None:
        """The URL of the embedded AWS; None for the real one."""
        return self.running.endpoint if self.running else None

    def client(self, service: str, account: str = "") -> Any:
        """A boto3 client; ``account`` (an id) picks another account of the embedded AWS."""
        import boto3
        from botocore.exceptions import BotoCoreError

        try:
            if self.running is None:
                return boto3.client(service, region_name=self.region or None)
            return boto3.client(
                service,
                region_name=self.region,
                endpoint_url=self.endpoint,
                aws_access_key_id=account or self.running.accounts["orchestrator"],
                aws_secret_access_key="local",  # noqa: S106 - the embedded AWS reads the account from the key id alone
                aws_session_token=None,
            )
        except BotoCoreError as error:
            raise not_connected(str(error)) from error

    def settings(self, prefix: str = "") -> Settings:
        """The settings of the orchestrator deployed there (with this name prefix), read from its Lambda function."""
        from botocore.exceptions import BotoCoreError, ClientError

        function, name = self.client("lambda"), function_name(prefix)
        try:
            configuration = function.get_function_configuration(FunctionName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                raise SettingsMissing(
                    f"There is no orchestrator (function {name}) in this account and region.",
                    hint="Run `mlops local up`, or `mlops deploy --profile ...`; its name prefix, if it is not mlops,"
                    f" is said by {PREFIX_VARIABLE}.",
                ) from error
            raise AwsFailed(error.response["Error"]["Code"], error.response["Error"]["Message"]) from error
        except BotoCoreError as error:
            raise not_connected(str(error)) from error
        environment = configuration.get("Environment", {})
        if "Error" in environment:  # it is encrypted, and the caller may not use the key
            raise AwsFailed(environment["Error"]["ErrorCode"], environment["Error"]["Message"])
        variables = environment.get("Variables", {})
        return settings_room.from_environment({"AWS_REGION": function.meta.region_name, **variables})

    def enter(self) -> None:
        """Make this process's default AWS the target, for code that makes its own clients."""
        if self.running is not None:
            os.environ.update(
                AWS_ACCESS_KEY_ID=self.running.accounts["orchestrator"],
                AWS_SECRET_ACCESS_KEY="local",  # noqa: S106
                AWS_ENDPOINT_URL=self.running.endpoint,
                AWS_REGION=self.region,
                AWS_DEFAULT_REGION=self.region,
            )
            for variable in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
                os.environ.pop(variable, None)


def not_connected(why: str) -> SettingsMissing:
    """The error of a machine that knows no AWS."""
    return SettingsMissing(
        f"No AWS to talk to: {why}",
        hint="Run `mlops local up` for an embedded AWS, or set up AWS credentials and give --profile.",
    )


def find(arguments: argparse.Namespace, console: Console) -> Target:
    """The target of a command: ``--profile`` means the real AWS, else the embedded one if it is up."""
    if arguments.profile:
        os.environ["AWS_PROFILE"] = arguments.profile
    elif (running := home.active()) is not None:
        console.say(f"(embedded AWS at {running.endpoint})")
        target = Target(arguments.region or running.region, running)
        target.enter()
        return target
    region = arguments.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION", "")
    return Target(region, None)


def offline_settings() -> Settings:
    """Settings for looking at a config without any AWS: those of a fresh embedded one."""
    hub, region = PRESET_ACCOUNTS["orchestrator"], "us-east-1"
    stages = [{"name": n, "account": PRESET_ACCOUNTS[n], "approval": n != "dev"} for n in ("dev", "staging", "prod")]
    return settings_room.from_environment(
        {
            "MLOPS_ACCOUNT": hub,
            "AWS_REGION": region,
            "ASSETS_BUCKET": f"mlops-assets-{hub}-{region}",
            "ARTIFACT_BUCKET": f"mlops-artifacts-{hub}-{region}",
            "ARTIFACT_KEY_ARN": f"arn:aws:kms:{region}:{hub}:key/00000000-0000-4000-8000-000000000000",
            "MLOPS_NOTIFICATIONS_SNS_TOPIC": f"arn:aws:sns:{region}:{hub}:mlops-notifications",
            "MLOPS_FUNCTION_ARN": f"arn:aws:lambda:{region}:{hub}:function:{function_name('mlops')}",
            "CFN_ROLE_ARN": f"arn:aws:iam::{hub}:role/mlops-cloudformation",
            "STAGES": json.dumps(stages),
            "BLUEPRINT_BUCKET": f"mlops-blueprints-{hub}-{region}",
            "STACK_SETS_CALL_AS": "DELEGATED_ADMIN",
        }
    )


def in_reach(arguments: argparse.Namespace) -> bool:
    """Whether a command that could do without an AWS should ask one: it is named, an embedded one is up, or
    ``MLOPS_TARGET=aws`` says that the credentials of the environment are meant (as in continuous integration)."""
    return bool(arguments.profile or home.active() is not None or os.environ.get("MLOPS_TARGET") == "aws")


def settings_for_reading(arguments: argparse.Namespace, console: Console) -> Settings:
    """The deployed orchestrator's settings if one can be reached, else the offline ones, and says which."""
    if in_reach(arguments):
        return find(arguments, console).settings()
    console.say("(no AWS in reach: using the accounts of a fresh embedded AWS)")
    return offline_settings()


def stages_text(stages: tuple[Stage, ...]) -> str:
    """``dev 222222222222 → staging 333333333333 (approval)``."""
    return " → ".join(f"{s.name} {s.account}{' (approval)' if s.approval else ''}" for s in stages)
