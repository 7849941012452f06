"""AWS as a monitor's job meets it: clients with the role of the job, and their refusals as sentences.

boto3 is imported here, when a job needs it; the command line over local files does without.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from orchestrator.runtime.monitoring.failures import MonitoringError, PackagesMissing

ATTEMPTS = 8
"""Throttled calls and server errors are tried again, each time after a longer pause (about a minute in all)."""
DENIED = ("AccessDenied", "AccessDeniedException", "403", "Forbidden", "UnauthorizedOperation")


class AwsRefused(MonitoringError):
    """A call to AWS that the job cannot do without was refused."""


def client(service: str, *, read_seconds: float = 60) -> Any:
    """A client with the keys and the region of the job. Raises PackagesMissing without boto3."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise PackagesMissing("The job needs boto3.", hint="pip install boto3") from error
    region = region_of(os.environ)
    retries: Any = {"mode": "standard", "total_max_attempts": ATTEMPTS}
    config = Config(retries=retries, connect_timeout=10, read_timeout=read_seconds)
    return boto3.client(service, region_name=region, config=config)


def region_of(environment: Mapping[str, str]) -> str | None:
    """The region a job runs in: as its variables say it, or as the job's ARN does, which every processing container
    is told; None leaves it to boto3.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/byoc-config.html
    """
    told = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    parts = environment.get("PROCESSING_JOB_ARN", "").split(":")
    return told or (parts[3] if len(parts) > 3 else None)


@contextmanager
def refusals(doing: str, permission: str, resource: str) -> Iterator[None]:
    """Turns what botocore raises into AwsRefused: what was tried, and the permission that is missing if one is.

    ``permission`` is the IAM action, ``resource`` what it must be allowed on.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        code, message = str(told.get("Code", "")), str(told.get("Message", error))
        hint = ""
        if code in DENIED:
            action = (
                "kms:Decrypt on the key that encrypts it" if "kms" in message.lower() else f"{permission} on {resource}"
            )
            hint = f"Allow the job's role {action}."
        raise AwsRefused(f"{doing} failed: {code}: {message}", hint=hint) from error
    except BotoCoreError as error:
        raise AwsRefused(f"{doing} failed: {error}", hint="Check the network and the job's role.") from error
