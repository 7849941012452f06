"""The one door to AWS: every call of the core passes here, and nothing else imports boto3.

Clients are made when first needed, one for each service, account, region and role. The orchestrator's own account
is reached with the credentials of the process, every other one by assuming a role there. ``AWS_ENDPOINT_URL`` is
honoured as by every AWS tool, so the embedded AWS needs nothing of its own here.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import AwsFailed
from orchestrator.settings import Settings

SESSION_NAME = "mlops-orchestrator"
RENEW_BEFORE_END_SECONDS = 300
ABSENT_OBJECT = frozenset({"404", "NoSuchKey", "NotFound"})
"""Codes of an S3 object that is not there; HeadObject answers without a body and hence with the bare status."""


@dataclass(frozen=True, slots=True)
class _Kept:
    client: Any
    until: float


class Aws:
    """AWS as the orchestrator's account sees it.

    ``calls`` counts every request made, by ``service.operation``, for tests and figures. ``session`` is a
    ``boto3.Session`` (the process's own when None). Not meant for use by several threads.
    """

    def __init__(self, settings: Settings, session: Any = None) -> None:
        self.settings = settings
        self.calls: Counter[str] = Counter()
        self._session = session
        self._clients: dict[tuple[str, str, str, str], _Kept] = {}
        self._roles: dict[str, tuple[dict[str, str], float]] = {}

    def call(
        self, service: str, operation: str, *, account: str = "", region: str = "", role: str = "read",
        **parameters: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """One API call: ``call("s3", "head_object", Bucket=..., Key=...)``.

        ``account`` and ``region`` default to the orchestrator's; in another account ``role`` (``read`` or
        ``pipeline-action``) is assumed. Throttled calls and lost connections are tried again (botocore's standard
        mode). Raises AwsFailed, whose ``code`` is the service's error code or, when no answer came, the name of
        botocore's error.
        """
        client = self._client(service, account, region, role)
        self.calls[f"{service}.{operation}"] += 1
        with _Translated(f"{service}.{operation}"):
            answer: dict[str, Any] = getattr(client, operation)(**parameters)
        return answer

    def items(
        self, service: str, operation: str, member: str, *, account: str = "", region: str = "", role: str = "read",
        **parameters: Any,
    ) -> Iterator[dict[str, Any]]:  # fmt: skip
        """All items of a listing, page after page; ``member`` is the answer's list. Errors as in ``call``."""
        client = self._client(service, account, region, role)
        pages = iter(client.get_paginator(operation).paginate(**parameters))
        while True:
            self.calls[f"{service}.{operation}"] += 1
            with _Translated(f"{service}.{operation}"):
                page = next(pages, None)
            if page is None:
                self.calls[f"{service}.{operation}"] -= 1  # the end is known without another request
                return
            yield from page.get(member, [])

    def _client(self, service: str, account: str, region: str, role: str) -> Any:
        """The client, kept until shortly before its credentials end."""
        region = region or self.settings.region
        role_arn = "" if account in ("", self.settings.account) else self.settings.role_arn(account, role)
        name = (service, region, account if role_arn else "", role if role_arn else "")
        kept = self._clients.get(name)
        if kept is None or kept.until < time.time():
            kept = self._clients[name] = self._make(service, region, role_arn)
        return kept.client

    def _make(self, service: str, region: str, role_arn: str) -> _Kept:
        from botocore.config import Config

        credentials, until = self._assume(role_arn) if role_arn else ({}, float("inf"))
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 4},
            connect_timeout=5,
            read_timeout=30,
            user_agent_extra=SESSION_NAME,
        )
        with _Translated(f"{service}.client"):
            client = self.session.client(service, region_name=region, config=config, **credentials)
        return _Kept(client, until)

    @property
    def session(self) -> Any:
        """The boto3 session behind the clients."""
        if self._session is None:
            import boto3

            self._session = boto3.Session()
        return self._session

    def _assume(self, role_arn: str) -> tuple[dict[str, str], float]:
        kept = self._roles.get(role_arn)
        if kept is None or kept[1] < time.time():
            answer = self.call("sts", "assume_role", RoleArn=role_arn, RoleSessionName=SESSION_NAME)["Credentials"]
            keys = {
                "aws_access_key_id": answer["AccessKeyId"],
                "aws_secret_access_key": answer["SecretAccessKey"],
                "aws_session_token": answer["SessionToken"],
            }
            kept = self._roles[role_arn] = (keys, answer["Expiration"].timestamp() - RENEW_BEFORE_END_SECONDS)
        return kept


class _Translated:
    """Turns botocore's errors into AwsFailed; told apart by code, never by the English text."""

    def __init__(self, operation: str) -> None:
        self.operation = operation

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError):
            told = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 502)
            raise AwsFailed(
                str(told.get("Code", "Unknown")), str(told.get("Message", "")), operation=self.operation, status=status
            ) from error
        if isinstance(error, BotoCoreError):
            raise AwsFailed(type(error).__name__, str(error), operation=self.operation) from error
