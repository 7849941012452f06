"""An embedded AWS with chosen services, so that a target can be told to fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.local.embedded import EmbeddedAws
from orchestrator.local.service import Service


class Chosen:
    """The part of the ``aws`` fixture that these tests need, over an AWS with other services."""

    def __init__(self, embedded: EmbeddedAws) -> None:
        self.embedded = embedded
        self.world = embedded.world
        self.services: dict[str, Any] = dict(embedded.services)

    def account(self, account: str) -> str:
        return self.world.accounts.get(account, account)

    def client(self, service: str, account: str = "orchestrator", region: str = "us-east-1") -> Any:
        return self.world.client(service, self.account(account), region)


@pytest.fixture
def make_aws(tmp_path: Path) -> Iterator[Callable[..., Chosen]]:
    running: list[EmbeddedAws] = []

    def make(*services: type[Service]) -> Chosen:
        embedded = EmbeddedAws(tmp_path / "home", services=services)
        embedded.start()
        running.append(embedded)
        return Chosen(embedded)

    yield make
    for embedded in running:
        embedded.stop()
