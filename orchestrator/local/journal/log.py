"""An append-only file of records, each on disk before anyone hears of it.

A record is one line: the CRC-32 of its JSON in hexadecimal, a space, the JSON. A last line that is torn was never
acknowledged and is cut off; a damaged line before it means that the disk lied, and reading refuses to guess.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class DamagedLog(Exception):
    """A record in the middle of the log cannot be read."""


class Log:
    """One file of the log. ``append`` is for one thread at a time, ``sync`` for many."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = 0
        self._file = path.open("ab", buffering=0)
        self._written = path.stat().st_size
        self._synced = self._written
        self._syncing = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes written."""
        return self._written

    def append(self, record: Record) -> int:
        """Write the record; the position up to which ``sync`` must be called before it is safe."""
        line = memoryview(_line(record))
        while line:
            line = line[self._file.write(line) :]
        self._written = self._file.tell()
        self.records += 1
        return self._written

    def sync(self, position: int) -> None:
        """Return once everything up to the position is on disk; several callers share one fsync."""
        with self._syncing:
            if self._synced < position:
                reaching = self._written
                os.fsync(self._file.fileno())
                self._synced = reaching

    def close(self) -> None:
        """Everything is on disk; nothing more is appended."""
        with self._syncing:
            if not self._file.closed:
                os.fsync(self._file.fileno())
                self._synced = self._written
                self._file.close()


def _line(record: Record) -> bytes:
    text = json.dumps(record, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def read(path: Path) -> Iterator[Record]:
    """The records of a log in order; cuts off a torn end. Raises DamagedLog."""
    if not path.exists():
        return
    good = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            record = _parse(line)
            if record is None:
                if file.read(1):
                    raise DamagedLog(f"record {number} of {path} is damaged")
                break
            good += len(line)
            yield record
    if good < path.stat().st_size:
        os.truncate(path, good)


def _parse(line: bytes) -> Record | None:
    checksum, _, text = line.partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text[:-1]):
        return None
    record: Record = json.loads(text)
    return record
