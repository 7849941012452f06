"""The embedded AWS as one object: made, started, stopped. ``__main__`` and the tests both use it."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestrator.local import services as service_packages
from orchestrator.local.authorization.asked import PREFIXES, principal_of
from orchestrator.local.authorization.authorizer import REPORT, Authorizer
from orchestrator.local.authorization.denials import Denials
from orchestrator.local.authorization.knowledge import Knowledge
from orchestrator.local.gateway.application import Gateway
from orchestrator.local.gateway.execute_api import ExecuteApi
from orchestrator.local.gateway.http_server import Server
from orchestrator.local.gateway.kept import Kept
from orchestrator.local.gateway.permission import Permission
from orchestrator.local.gateway.request_log import RequestLog
from orchestrator.local.gateway.s3_events import S3Events
from orchestrator.local.home_lock import HomeLock
from orchestrator.local.journal import moto_app
from orchestrator.local.journal.journal import Journal, Replay
from orchestrator.local.messages import Request, Response
from orchestrator.local.service import Service
from orchestrator.local.world import World

LARGEST_BODY = 1024**3
DEFAULT_ACCOUNTS = {
    "orchestrator": "111111111111",
    "dev": "222222222222",
    "staging": "333333333333",
    "prod": "444444444444",
}


class EmbeddedAws:
    """All services of all accounts on one port of the loopback interface, with their state in ``home``.

    ``authorization`` says what happens to requests that IAM does not allow: ``enforce`` (refused), ``report`` (noted in
    ``denied.log`` and answered) or ``off``. Making one takes the lock of the home and the port: raises HomeInUse or
    PortInUse. One at a time in a process: moto's state belongs to the process.
    """

    def __init__(
        self,
        home: Path,
        port: int = 0,
        accounts: Mapping[str, str] = DEFAULT_ACCOUNTS,
        region: str = "us-east-1",
        services: Iterable[type[Service]] | None = None,
        authorization: str = REPORT,
    ) -> None:
        self._lock = HomeLock(home)
        try:
            self._server = Server(port, self._answer, LARGEST_BODY)
        except BaseException:
            self._lock.release()
            raise
        self.home = home
        self._announcement.unlink(missing_ok=True)  # of a process that was killed
        self.replay = Replay()
        self.endpoint = f"http://127.0.0.1:{self._server.port}"
        self.world = World(home, self.endpoint, accounts, region)
        kinds = find_services() if services is None else services
        self.services = {kind.name: kind(self.world.acting_as(principal_of(kind.name))) for kind in kinds}
        self.journal = Journal(home / "journal", self._moto)
        self._kept = Kept(self.journal.perform, moto_app.tells_eventbridge)
        self._log = RequestLog(home / "requests.log")
        self.authorizer = Authorizer(
            authorization, Knowledge(_by_prefix(self.services.values()), self.world.now), Denials(home)
        )
        self._gateway = Gateway(
            self.services,
            self._kept,
            S3Events(self.world.acting_as(principal_of("s3"))),
            ExecuteApi(self.world.acting_as(principal_of("apigateway")), moto_app.home_of_api),
            moto_app.owner_of_user_key,
            self._log,
            Permission(self.authorizer),
            {"clock": self.world.walk},
        )

    def start(self) -> None:
        """Bring back what is in the home, begin to answer, and let every service go on where it was."""
        self.replay = self.journal.recover()
        self._server.start()
        for service in self.services.values():
            service.recover()
        self.world.tasks.start()
        self._announce()

    def stop(self) -> None:
        """Stop tidily; everything is on disk already."""
        self._announcement.unlink(missing_ok=True)
        for service in self.services.values():
            service.close()
        self._kept.stop()
        self.world.tasks.stop()
        self._server.stop()
        self.world.close()
        self.journal.close()
        self.world.store.close()
        self._log.close()
        self.authorizer.denials.close()
        self._lock.release()

    def _answer(self, request: Request) -> Response:
        return self._gateway.answer(request)

    def _moto(self, request: Request, account: str) -> moto_app.Answer:
        return moto_app.call(request, account, self._server.port)

    @property
    def _announcement(self) -> Path:
        return self.home / "local.json"

    def _announce(self) -> None:
        """Write ``local.json``: it is there as long as the embedded AWS is ready, and complete whenever it is."""
        document = {
            "endpoint": self.endpoint,
            "pid": os.getpid(),
            "accounts": self.world.accounts,
            "region": self.world.region,
            "authorization": self.authorizer.mode,
        }
        temporary = self._announcement.with_suffix(".tmp")
        temporary.write_text(json.dumps(document, indent=2) + "\n")
        temporary.rename(self._announcement)


def _by_prefix(services: Iterable[Service]) -> dict[str, list[Service]]:
    """The services by their name in ARNs, which SageMaker and its runtime share."""
    found: dict[str, list[Service]] = {}
    for service in services:
        found.setdefault(PREFIXES.get(service.name, service.name), []).append(service)
    return found


def find_services() -> list[type[Service]]:
    """The ``SERVICE`` of every package in ``services/``."""
    packages = (
        importlib.import_module(f"{service_packages.__name__}.{module.name}")
        for module in pkgutil.iter_modules(service_packages.__path__)
    )
    return [package.SERVICE for package in packages if hasattr(package, "SERVICE")]
