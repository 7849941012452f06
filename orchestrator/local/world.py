"""What every service of the embedded AWS can reach: the store, the tasks, other services through boto3, events."""

from __future__ import annotations

import copy
import json
import re
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from botocore.config import Config

from orchestrator.local.clock import Clock, Walk
from orchestrator.local.credentials import Credentials, service_credentials
from orchestrator.local.protocol.models import client_maker
from orchestrator.local.store import Store
from orchestrator.local.tasks import Tasks

ROLE_ARN = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/.+")
ROLE_SESSION_SECONDS = 3600
RENEWAL_SECONDS = 300
OFFSET_VARIABLE = "MLOPS_CLOCK_OFFSET_SECONDS"
MAKING = threading.Lock()  # botocore's client factory is not thread-safe, and the session is one for all worlds
CONFIGURATION = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=5,
    read_timeout=120,
    max_pool_connections=32,
    s3={"addressing_style": "path"},
    proxies={},  # a proxy of the user's environment must not stand between this machine and itself
)


class World:
    """The embedded AWS as its own services see it.

    ``endpoint`` is the gateway's URL, ``home`` the folder with all state, ``accounts`` maps a friendly name
    (``orchestrator``, ``dev``) to an account id. ``principal`` is the service that looks, as IAM names it; '' for
    somebody from outside, who is the root of an account.
    """

    def __init__(self, home: Path, endpoint: str, accounts: Mapping[str, str], region: str) -> None:
        self.home = home
        self.endpoint = endpoint
        self.accounts = dict(accounts)
        self.region = region
        self.store = Store(home / "state.db")
        self.clock = Clock(self.store)
        self.tasks = Tasks(self.store, now=self.clock.now)
        self.walk = Walk(self.clock, self.tasks)
        self.principal = ""
        self._clients: dict[tuple[Any, ...], tuple[Credentials, Any]] = {}
        self._sessions: dict[tuple[str, ...], tuple[float, Credentials]] = {}
        self._lock = threading.Lock()

    def now(self) -> float:
        """POSIX seconds by the clock of the embedded AWS, which may have been moved forward."""
        return self.clock.now()

    def acting_as(self, principal: str) -> World:
        """The same world, seen by a service: ``sagemaker.amazonaws.com`` takes the roles that trust it."""
        seen = copy.copy(self)
        seen.principal = principal
        return seen

    def client(
        self,
        service: str,
        account: str,
        region: str,
        role_arn: str = "",
        *,
        patience: float = 0,
        through: str = "",
        source: str = "",
    ) -> Any:
        """A boto3 client on the gateway, as a role (session kept and renewed) or, without one, in an account.

        ``through`` is a role that takes the role in place of the service itself. Without a role a service does what
        AWS does by itself, which needs no permission; with a ``source`` it acts for that resource (an ARN, or ``-``
        for one that is not told), and the policy of what it calls must let it. With ``patience`` it waits that many
        seconds for an answer and never asks twice: for calls that run somebody's code, such as a Lambda function.
        Calls inside a store transaction raise RuntimeError.
        """
        if role_arn:
            credentials = self.assume(role_arn, "embedded-aws", through=through)
        else:
            credentials = self._own_credentials(account, source)
        name = (service, region, role_arn or account, patience, through, source, self.principal)
        with self._lock:
            kept = self._clients.get(name)
        if kept is not None and kept[0] == credentials:
            return kept[1]
        client = self._make_client(service, region, credentials, patience)
        with self._lock:
            self._clients[name] = (credentials, client)
        return client

    def client_with(self, credentials: Credentials, service: str, region: str) -> Any:
        """A client with somebody's own keys: what AWS does for a caller with the caller's permissions."""
        name = (service, region, credentials)
        with self._lock:
            kept = self._clients.get(name)
        if kept is None:
            kept = (credentials, self._make_client(service, region, credentials, 0))
            with self._lock:
                self._clients[name] = kept
        return kept[1]

    def _own_credentials(self, account: str, source: str = "") -> Credentials:
        if self.principal:
            return service_credentials(account, self.principal, source)
        return Credentials(account, "local")

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

    def assume(self, role_arn: str, session_name: str, *, through: str = "") -> Credentials:
        """Temporary keys of a role, through STS; kept until five minutes before they end.

        Raises botocore's ClientError when the role does not trust who asks: the service, or the role ``through``.
        """
        name, now = (role_arn, session_name, through, self.principal), time.time()
        with self._lock:
            kept = self._sessions.get(name)
        if kept and kept[0] > now + RENEWAL_SECONDS:
            return kept[1]
        if not ROLE_ARN.fullmatch(role_arn):
            raise ValueError(f"{role_arn!r} is not the ARN of a role")
        account = role_arn.split(":")[4]
        taker = (through.split(":")[4], through) if through else (account, "")
        sts = self.client("sts", taker[0], self.region, taker[1], source="" if through else "-")
        answer = sts.assume_role(
            RoleArn=role_arn, RoleSessionName=session_name[:64], DurationSeconds=ROLE_SESSION_SECONDS
        )["Credentials"]
        credentials = Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])
        with self._lock:
            for each in [each for each, (ends, _) in self._sessions.items() if ends <= now + RENEWAL_SECONDS]:
                del self._sessions[each]
            self._sessions[name] = (now + ROLE_SESSION_SECONDS, credentials)
        return credentials

    def queue_url(self, arn: str) -> str:
        """The URL of the queue with this ARN: a service that fills a queue may send to it and need not look for it."""
        _, _, _, _, account, name = arn.split(":", 5)
        return f"{self.endpoint}/{account}/{name}"

    def close(self) -> None:
        """Close the connections of every client."""
        with self._lock:
            clients = [client for _, client in self._clients.values()]
            self._clients.clear()
        for client in clients:
            client.close()

    def child_environment(self, role_arn: str, region: str, session_name: str) -> dict[str, str]:
        """The AWS variables of a child process (job, endpoint, Lambda): its role's keys and nothing else.

        When the clock was moved, how many seconds the process has to add to its own to know the time here.
        """
        credentials = self.assume(role_arn, session_name)
        moved = {OFFSET_VARIABLE: f"{self.clock.offset:.3f}"} if self.clock.offset else {}
        return {
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_SESSION_TOKEN": credentials.session_token,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
            **moved,
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
