"""What every service of the embedded AWS can reach: the store, the tasks, other services through boto3, events."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.config import Config

from orchestrator.local.protocol.models import client_maker
from orchestrator.local.store import Store
from orchestrator.local.tasks import Tasks

ROLE_ARN = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/.+")
ROLE_SESSION_SECONDS = 3600
RENEWAL_SECONDS = 300
MAKING = threading.Lock()  # botocore's client factory is not thread-safe, and the session is one for all worlds
CONFIGURATION = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=5,
    read_timeout=120,
    max_pool_connections=32,
    s3={"addressing_style": "path"},
    proxies={},  # a proxy of the user's environment must not stand between this machine and itself
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Keys for a child process or a client."""

    access_key: str
    secret_key: str
    session_token: str = ""


class World:
    """The embedded AWS as its own services see it.

    ``endpoint`` is the gateway's URL, ``home`` the folder with all state, ``accounts`` maps a friendly name
    (``orchestrator``, ``dev``) to an account id.
    """

    def __init__(self, home: Path, endpoint: str, accounts: Mapping[str, str], region: str) -> None:
        self.home = home
        self.endpoint = endpoint
        self.accounts = dict(accounts)
        self.region = region
        self.store = Store(home / "state.db")
        self.tasks = Tasks(self.store)
        self._clients: dict[tuple[str, str, str, float], tuple[Credentials, Any]] = {}
        self._sessions: dict[tuple[str, str], tuple[float, Credentials]] = {}
        self._lock = threading.Lock()

    def now(self) -> float:
        """POSIX seconds."""
        return time.time()

    def client(self, service: str, account: str, region: str, role_arn: str = "", *, patience: float = 0) -> Any:
        """A boto3 client on the gateway, as the account itself or as a role of it (session kept and renewed).

        With ``patience`` it waits that many seconds for an answer and never asks twice: for calls that run
        somebody's code, such as a Lambda function. Calls inside a store transaction raise RuntimeError.
        """
        credentials = self.assume(role_arn, "embedded-aws") if role_arn else Credentials(account, "local")
        name = (service, region, role_arn or account, patience)
        with self._lock:
            kept = self._clients.get(name)
        if kept is not None and kept[0] == credentials:
            return kept[1]
        client = self._make_client(service, region, credentials, patience)
        with self._lock:
            self._clients[name] = (credentials, client)
        return client

    def _make_client(self, service: str, region: str, credentials: Credentials, patience: float) -> Any:
        configuration = CONFIGURATION
        if patience:
            once = Config(retries={"mode": "standard", "total_max_attempts": 1}, read_timeout=patience)
            configuration = CONFIGURATION.merge(once)
        with MAKING:
            client = client_maker().client(
                service,
                region_name=region,
                endpoint_url=self.endpoint,
                aws_access_key_id=credentials.access_key,
                aws_secret_access_key=credentials.secret_key,
                aws_session_token=credentials.session_token or None,
                config=configuration,
            )
        client.meta.events.register("before-call", self._refuse_in_transaction)
        return client

    def _refuse_in_transaction(self, **_: Any) -> None:
        if self.store.in_transaction:
            raise RuntimeError("a call to the embedded AWS inside a store transaction would wait for itself")

    def assume(self, role_arn: str, session_name: str) -> Credentials:
        """Temporary keys of a role, through STS; kept until five minutes before they end."""
        name, now = (role_arn, session_name), time.time()
        with self._lock:
            kept = self._sessions.get(name)
        if kept and kept[0] > now + RENEWAL_SECONDS:
            return kept[1]
        if not ROLE_ARN.fullmatch(role_arn):
            raise ValueError(f"{role_arn!r} is not the ARN of a role")
        answer = self.client("sts", role_arn.split(":")[4], self.region).assume_role(
            RoleArn=role_arn, RoleSessionName=session_name[:64], DurationSeconds=ROLE_SESSION_SECONDS
        )["Credentials"]
        credentials = Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])
        with self._lock:
            self._sessions = {key: value for key, value in self._sessions.items() if value[0] > now + RENEWAL_SECONDS}
            self._sessions[name] = (now + ROLE_SESSION_SECONDS, credentials)
        return credentials

    def close(self) -> None:
        """Close the connections of every client."""
        with self._lock:
            clients = [client for _, client in self._clients.values()]
            self._clients.clear()
        for client in clients:
            client.close()

    def child_environment(self, role_arn: str, region: str, session_name: str) -> dict[str, str]:
        """The AWS variables of a child process (job, endpoint, Lambda): its role's keys and nothing else."""
        credentials = self.assume(role_arn, session_name)
        return {
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_SESSION_TOKEN": credentials.session_token,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def emit(
        self,
        account: str,
        region: str,
        source: str,
        detail_type: str,
        detail: Mapping[str, Any],
        resources: Sequence[str] = (),
    ) -> None:
        """Put an event of an AWS service (``source`` as ``aws.codepipeline``) on the account's default bus."""
        self.client("events", account, region).put_events(
            Entries=[
                {
                    "Source": source,
                    "DetailType": detail_type,
                    "Detail": json.dumps(detail),
                    "Resources": list(resources),
                    "EventBusName": "default",
                }
            ]
        )
