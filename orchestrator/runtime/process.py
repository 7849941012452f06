"""Processes that outlive their starter: locks that tell who is alive, files written whole, groups ended whole."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

PACKAGE_ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds the ``orchestrator`` package; children find it through ``PYTHONPATH``."""


def hold(path: Path) -> int | None:
    """Take the file's lock for the life of this process; the descriptor, or None when another process has it.

    The kernel gives the lock back when the last process that has the descriptor ends, however it ends.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def is_held(path: Path) -> bool:
    """Whether some process holds the file's lock."""
    if not path.exists():
        return False
    descriptor = hold(path)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write the document so that a reader sees the old file or the new one, never half of one."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file, indent=1)
    Path(name).replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """The document, or None when there is no such file."""
    try:
        document: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return document


def detach(log: Path) -> None:
    """Go on as a child of init in a session of our own, with the standard streams on ``log``.

    The starter's ``subprocess.run`` returns as soon as this is done; locks that are held stay held.
    """
    if os.fork():
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(null)
    os.close(output)


def start_supervisor(module: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Start ``python -m module folder`` as a process of its own; returns once it holds the folder's lock.

    When a supervisor of this folder is alive already, the new one ends at once and nothing changes.
    """
    subprocess.run(
        [sys.executable, "-m", module, str(folder), "--detach"],
        env={**clean_environment(), **environment, "PYTHONPATH": str(PACKAGE_ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
        timeout=60,
    )


def clean_environment() -> dict[str, str]:
    """What a job may see of the machine's environment: where programs are and which language people speak."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE")
    return {name: os.environ[name] for name in kept if name in os.environ}


class Child:
    """A program in a process group of its own.

    Every process of the group that keeps its descriptors open holds ``lock``; so a later supervisor can tell
    that some of it is left, and which group to end, without trusting a process id that may be somebody else's.
    ``descriptors`` are open files the program gets besides.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        log: Path,
        descriptors: Sequence[int] = (),
    ) -> None:
        lock = hold(folder / "process.lock")
        if lock is None:
            raise RuntimeError(f"a process of an earlier run still holds {folder / 'process.lock'}")
        self._record = folder / "process.json"
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                list(argv),
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock, *descriptors],
            )
        os.close(lock)
        write_json(self._record, {"pid": self.popen.pid})

    @property
    def exit_code(self) -> int | None:
        """As a shell gives it (128 + n for signal n), or None while the program runs."""
        code = self.popen.poll()
        return code if code is None or code >= 0 else 128 - code

    def terminate(self) -> None:
        """Ask the main process to end; like ``docker stop``, its children are not told."""
        with_live_process(self.popen.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the whole group at once."""
        with_live_group(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        self._record.unlink(missing_ok=True)


def end_leftovers(folder: Path) -> None:
    """End the process group that a supervisor which died has left in this folder, if any."""
    record = read_json(folder / "process.json")
    if record and is_held(folder / "process.lock"):
        with_live_group(record["pid"], signal.SIGKILL)
        deadline = time.monotonic() + 10
        while is_held(folder / "process.lock") and time.monotonic() < deadline:
            time.sleep(0.02)
    (folder / "process.json").unlink(missing_ok=True)


def with_live_process(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that is gone is no error."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def with_live_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process group; a group that is gone is no error."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):  # macOS says EPERM of a group of zombies
        return


def supervisor_main(module: str, supervise: Callable[[Path], None]) -> None:
    """``python -m <module> <folder> [--detach]``: take the folder's lock and supervise its job.

    Ends quietly when another supervisor has the lock. What goes wrong is raised, and Python tells it on the
    supervisor's own log; the next supervisor of the folder goes on.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--detach", action="store_true", help="go on in the background once the lock is held")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    if hold(folder / "lock") is None:
        return
    if arguments.detach:
        detach(folder / "supervisor.log")
    supervise(folder)
