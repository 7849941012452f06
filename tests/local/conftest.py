"""The embedded AWS inside the test process: ``aws`` starts one in the test's own folder on a free port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.local.embedded import EmbeddedAws
from orchestrator.local.journal.journal import Journal, Replay
from orchestrator.local.world import World


class Aws:
    """An embedded AWS that a test can talk to and start again."""

    def __init__(self, home: Path, authorization: str = "report") -> None:
        self.home = home
        self.authorization = authorization
        self._embedded = EmbeddedAws(home, authorization=authorization)
        self._running = True
        self._embedded.start()

    @property
    def embedded(self) -> EmbeddedAws:
        """The embedded AWS itself."""
        return self._embedded

    @property
    def world(self) -> World:
        return self._embedded.world

    @property
    def endpoint(self) -> str:
        return self._embedded.endpoint

    @property
    def services(self) -> dict[str, Any]:
        """Our own services by botocore name."""
        return self._embedded.services

    @property
    def journal(self) -> Journal:
        return self._embedded.journal

    @property
    def replay(self) -> Replay:
        """What the last start found in the journal."""
        return self._embedded.replay

    def account(self, account: str) -> str:
        """The id of an account given by its name; an id stays as it is."""
        return self.world.accounts.get(account, account)

    def client(self, service: str, account: str = "orchestrator", region: str = "us-east-1") -> Any:
        return self.world.client(service, self.account(account), region)

    def restart(self) -> None:
        """Stop and start again on the same home and port; old clients keep working."""
        port = int(self.endpoint.rpartition(":")[2])
        self.stop()
        self._embedded = EmbeddedAws(self.home, port, authorization=self.authorization)
        self._running = True
        self._embedded.start()

    def snapshot(self) -> None:
        """Save moto's state, so that a restart reads it instead of the log."""
        self.journal.snapshot()

    def stop(self) -> None:
        """Stop, if it is running."""
        if self._running:
            self._embedded.stop()
        self._running = False


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    running = Aws(tmp_path / "home")
    yield running
    running.stop()
