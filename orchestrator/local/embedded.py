"""The embedded AWS as one object: made, started, stopped. ``__main__`` and the tests both use it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestrator.local import services as service_packages
from orchestrator.local.gateway.application import Gateway
from orchestrator.local.gateway.http_server import Server
from orchestrator.local.journal import moto_app
from orchestrator.local.journal.journal import Journal
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
    """All services of all accounts on one port of the loopback interface, with their state in ``home``."""

    def __init__(
        self,
        home: Path,
        port: int = 0,
        accounts: Mapping[str, str] = DEFAULT_ACCOUNTS,
        region: str = "us-east-1",
        services: Iterable[type[Service]] | None = None,
    ) -> None:
        self.home = home
        self._server = Server(port, self._answer, LARGEST_BODY)
        self.endpoint = f"http://127.0.0.1:{self._server.port}"
        self.world = World(home, self.endpoint, accounts, region)
        self.services = {kind.name: kind(self.world) for kind in (find_services() if services is None else services)}
        self.journal = Journal(
            home / "journal", lambda request, account: moto_app.call(request, account, self._server.port)
        )
        self._gateway = Gateway(self.services, self._perform, moto_app.owner_of_user_key)

    def start(self) -> None:
        """Bring back what is in ``home``, begin to answer, and let every service go on where it was."""
        self.replay = self.journal.recover()
        self._server.start()
        for service in self.services.values():
            service.recover()
        self.world.tasks.start()

    def stop(self) -> None:
        """Stop tidily; everything is on disk already."""
        for service in self.services.values():
            service.close()
        self.world.tasks.stop()
        self._server.stop()
        self.journal.close()
        self.world.close()
        self.world.store.close()

    def _answer(self, request: Request) -> Response:
        return self._gateway.answer(request)

    def _perform(self, request: Request, account: str) -> Response:
        return self.journal.perform(request, account).response


def find_services() -> list[type[Service]]:
    """The ``SERVICE`` of every package in ``services/``."""
    packages = (
        importlib.import_module(f"{service_packages.__name__}.{module.name}")
        for module in pkgutil.iter_modules(service_packages.__path__)
    )
    return [package.SERVICE for package in packages if hasattr(package, "SERVICE")]
