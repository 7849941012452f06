"""One embedded AWS in one folder: two on the same state would destroy it."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path


class HomeInUse(Exception):
    """Another process holds the folder."""


class HomeLock:
    """Held from its making until ``release`` or the end of the process, however it ends.

    The operating system keeps the lock; the file only says who holds it. Raises HomeInUse.
    """

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o700)  # the state holds secrets, among them every SecretString
        path = home / "lock"
        self._file = path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            raise HomeInUse(f"{home} is held by {holder}.") from None
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()}, started {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
        self._file.flush()

    def release(self) -> None:
        """Let the next one in."""
        self._file.close()
