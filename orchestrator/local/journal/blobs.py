"""Large contents, each kept once under its SHA-256, and S3 object bodies that live there instead of in memory."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

LARGE = 16 * 1024
"""Contents up to this many bytes are kept where they are used; longer ones become blobs."""


class Blobs:
    """A folder of contents. Safe to use from every thread."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()

    def put(self, content: bytes) -> str:
        """Keep the content, on disk when this returns; its digest."""
        digest = hashlib.sha256(content).hexdigest()
        self._write(digest, content)
        return digest

    @contextmanager
    def holding(self, content: bytes) -> Iterator[str]:
        """Like ``put``; a sweep spares the blob until the block ends."""
        digest = hashlib.sha256(content).hexdigest()
        with self._lock:
            self._held[digest] += 1
        try:
            self._write(digest, content)
            yield digest
        finally:
            with self._lock:
                self._held[digest] -= 1
                self._held += Counter()  # drops what is at zero

    def _write(self, digest: str, content: bytes) -> None:
        path = self._folder / digest
        if path.exists():
            return
        temporary = path.with_suffix(f".{threading.get_ident()}")
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)

    def get(self, digest: str, start: int = 0, length: int = -1) -> bytes:
        """The content, or the part of it that begins at ``start``; raises FileNotFoundError."""
        with (self._folder / digest).open("rb") as file:
            file.seek(start)
            return file.read(length)

    def size(self, digest: str) -> int:
        """Bytes in the blob."""
        return (self._folder / digest).stat().st_size

    def sweep(self, keep: Collection[str]) -> None:
        """Delete every blob that is neither in ``keep`` nor held."""
        with self._lock:
            for path in self._folder.iterdir():
                if path.name not in keep and not any(path.name.startswith(held) for held in self._held):
                    path.unlink(missing_ok=True)


class Body:
    """An S3 object's body as moto uses one: a file that is written once, then read again and again.

    A large one is a blob, so a thousand objects need neither memory nor open files, and a snapshot only names
    it. ``blobs`` is set for the whole process, since moto makes bodies wherever it likes.
    """

    blobs: Blobs | None = None

    def __init__(self, max_size: int = 0) -> None:  # noqa: ARG002  moto passes the size up to which to use memory
        self._content = b""
        self._digest = ""
        self._position = 0

    @property
    def digest(self) -> str:
        """The blob that holds the body, if one does."""
        return self._digest

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        """Move as files do; only from the start or to the end."""
        self._position = position if whence == os.SEEK_SET else self._size() + position
        return self._position

    def read(self, length: int = -1) -> bytes:
        """Up to ``length`` bytes from where it stands."""
        part = self._part(self._position, length)
        self._position += len(part)
        return part

    def write(self, content: bytes) -> int:
        """Write at the position; what lies behind it is replaced."""
        before = self._part(0, self._position)
        whole = before + bytes(content) if before else bytes(content)
        if len(whole) > LARGE and self.blobs is not None:
            self._content, self._digest = b"", self.blobs.put(whole)
        else:
            self._content, self._digest = whole, ""
        self._position = len(whole)
        return len(content)

    def truncate(self) -> int:
        """Cut off what lies behind the position."""
        if self._position == 0:
            self._content, self._digest = b"", ""
        else:
            self.write(b"")
        return self._position

    def close(self) -> None:
        """Nothing is open."""

    def _part(self, start: int, length: int) -> bytes:
        if self._digest:
            return self._blobs().get(self._digest, start, length)
        if length < 0:
            return self._content[start:] if start else self._content
        return self._content[start : start + length]

    def _size(self) -> int:
        return self._blobs().size(self._digest) if self._digest else len(self._content)

    def _blobs(self) -> Blobs:
        if self.blobs is None:
            raise ValueError("the blobs of S3 bodies are not set")
        return self.blobs
