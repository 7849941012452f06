"""An embedded AWS of its own, as a process, with the orchestrator installed: what a user has after `mlops local up`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from orchestrator.cli import embedded, home
from orchestrator.cli.console import Console
from orchestrator.cli.walk import Event, Walk

PIPELINES = Path(__file__).parent.parent.parent / "pipelines"
QUIET = Console(quiet=True)


class Machine:
    """One embedded AWS in a folder; survives being killed.

    ``accounts`` (``orchestrator`` and the stages, by name) are those that the orchestrator is installed for; all that
    there are when not given.
    """

    def __init__(self, folder: Path, accounts: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.home = folder / "aws"
        self.running = embedded.start(self.home, QUIET)
        wanted = replace(self.running, accounts=dict(accounts)) if accounts else self.running
        self.outputs = embedded.install(wanted, QUIET)
        self._walks = 0

    def walk(self, example: str) -> Walk:
        """A walk of an example with a scratch folder of its own."""
        self._walks += 1
        scratch = self.folder / f"walk-{self._walks}"
        scratch.mkdir()
        return Walk(self.running, PIPELINES / example, scratch)

    def kill(self) -> None:
        """kill -9 of the server alone; its children live on, as after a crash."""
        os.kill(self.running.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while home.alive(self.running.pid) and time.monotonic() < deadline:
            time.sleep(0.01)

    def restart(self) -> None:
        """Start again on the same folder and port."""
        port = int(self.running.endpoint.rsplit(":", 1)[1])
        self.running = embedded.start(self.home, QUIET, port=port)

    def stop(self) -> None:
        """Clean stop."""
        embedded.stop(self.home)


def finish(walk: Walk, project: str, run: str, decide: Callable[[Event], bool] = lambda event: True) -> dict[str, str]:
    """Follow a run to its end, approving where ``decide`` says so; (stage/action) -> last status."""
    last = {}
    for event in walk.follow(project, run):
        last[f"{event.stage}/{event.action}"] = event.status
        if event.approval and decide(event):
            walk.approve(project, event.approval, "approved by a test")
    return last


M = TypeVar("M", bound=Machine)


@contextmanager
def at_home(folder: Path, made: Callable[[Path], M]) -> Iterator[M]:
    """A machine in a folder that is home to it; it is stopped afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_HOME", str(folder / "home"))
        machine = made(folder)
        try:
            yield machine
        finally:
            machine.stop()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """An embedded AWS for the tests of one module."""
    with at_home(tmp_path_factory.mktemp("machine"), Machine) as made:
        yield made
