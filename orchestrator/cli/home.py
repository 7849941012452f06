"""Where the embedded AWS of this user lives on disk, and which one is up.

``MLOPS_HOME`` (default ``~/.mlops``) holds one folder for each embedded AWS (``local``, ``demo``) and the file
``active``, which names the one that commands talk to.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def root() -> Path:
    """The user's folder."""
    return Path(os.environ.get("MLOPS_HOME") or Path.home() / ".mlops").expanduser().absolute()


def home(name: str) -> Path:
    """The folder of one embedded AWS."""
    return root() / name


@dataclass(frozen=True, slots=True)
class Running:
    """An embedded AWS that is up: its folder, URL, process id and accounts (name -> id), and what it does about
    requests that IAM does not allow."""

    home: Path
    endpoint: str
    pid: int
    accounts: dict[str, str]
    region: str
    authorization: str = "enforce"


def read(folder: Path) -> Running | None:
    """The embedded AWS of this folder, if it is up."""
    try:
        document: dict[str, Any] = json.loads((folder / "local.json").read_text())
    except (OSError, ValueError):
        return None
    if not alive(document["pid"]):
        return None
    names = ("endpoint", "pid", "accounts", "region", "authorization")
    return Running(folder, **{name: document[name] for name in names if name in document})


def denials(running: Running) -> list[str]:
    """The newest requests that IAM denied (or would have), in AWS's words, the oldest first."""
    try:
        lines = (running.home / "denied.log").read_text().splitlines()
    except OSError:
        return []
    return [str(json.loads(line)["message"]) for line in lines]


def last() -> Path | None:
    """The folder of the embedded AWS that was made active last, up or not."""
    try:
        return Path((root() / "active").read_text().strip())
    except OSError:
        return None


def active() -> Running | None:
    """The embedded AWS that commands talk to, if one is up."""
    folder = last()
    return read(folder) if folder else None


def activate(folder: Path) -> None:
    """Make this the one that commands talk to."""
    root().mkdir(parents=True, exist_ok=True)
    (root() / "active").write_text(str(folder))


def alive(pid: int) -> bool:
    """Whether a process with this id runs; a dead child of this process is buried first."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
