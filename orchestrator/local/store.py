"""Durable documents: the only memory of our own services.

One SQLite file, one row a document, every change one transaction that is on disk when the call returns.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

Document = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    account TEXT NOT NULL, region TEXT NOT NULL, service TEXT NOT NULL, type TEXT NOT NULL, name TEXT NOT NULL,
    document TEXT NOT NULL, sequence INTEGER NOT NULL,
    PRIMARY KEY (account, region, service, type, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_age ON documents (service, type, sequence);
CREATE TABLE IF NOT EXISTS tasks (
    kind TEXT NOT NULL, key TEXT NOT NULL, due REAL NOT NULL, failures INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
"""


class Key(NamedTuple):
    """Where a document lives. ``type`` and ``name`` are the service's own words (``TrainingJob``, its name)."""

    account: str
    region: str
    service: str
    type: str
    name: str


class AlreadyExists(Exception):
    """A document with this key is there already."""


class Store:
    """Documents by key, listed in order of creation. Safe to use from every thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._depth = 0
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")  # survives kill -9 of the process; not loss of power
        self._database.executescript(SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside happens or nothing does. May be nested: an inner one that fails undoes itself alone.

        Other threads wait meanwhile, so nothing slow belongs inside, and no request to the embedded AWS at all:
        its answer may need the store.
        """
        with self._lock:
            level = self._depth
            self._database.execute(f"SAVEPOINT level{level}" if level else "BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._database
                self._database.execute(f"RELEASE level{level}" if level else "COMMIT")
            except BaseException:
                self._undo(level)
                raise
            finally:
                self._depth -= 1

    def _undo(self, level: int) -> None:
        if not self._database.in_transaction:
            return  # SQLite undid everything itself: the disk is full or broken
        self._database.execute(f"ROLLBACK TO level{level}" if level else "ROLLBACK")
        if level:
            self._database.execute(f"RELEASE level{level}")

    @property
    def in_transaction(self) -> bool:
        """Whether this very thread is inside a transaction."""
        if not self._lock.acquire(blocking=False):
            return False  # another thread is
        try:
            return self._depth > 0
        finally:
            self._lock.release()

    def get(self, key: Key) -> Document | None:
        """A fresh copy of the document, or None."""
        with self._lock:
            row = self._database.execute(
                "SELECT document FROM documents WHERE (account, region, service, type, name) = (?, ?, ?, ?, ?)", key
            ).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, key: Key, document: Document) -> None:
        """Write the document, whether it is new or not; it keeps its place in the order of creation."""
        with self.transaction() as database:
            database.execute(
                "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, (SELECT COALESCE(MAX(sequence), 0) + 1 FROM documents"
                " WHERE service = ? AND type = ?)) ON CONFLICT DO UPDATE SET document = excluded.document",
                (*key, json.dumps(document), key.service, key.type),
            )

    def create(self, key: Key, document: Document) -> None:
        """Write a document that must not exist yet; raises AlreadyExists."""
        with self.transaction():
            if self.get(key) is not None:
                raise AlreadyExists(key.name)
            self.put(key, document)

    def update(self, key: Key, change: Callable[[Document], Document | None]) -> Document | None:
        """Read, change and write in one transaction.

        ``change`` gets the document and may change it in place or return another. Returns what was written,
        or None when there is no such document.
        """
        with self.transaction():
            document = self.get(key)
            if document is None:
                return None
            document = change(document) or document
            self.put(key, document)
            return document

    def patch(self, key: Key, **members: Any) -> Document | None:
        """Set these members of the document; None when there is no such document."""
        return self.update(key, lambda document: {**document, **members})

    def delete(self, key: Key) -> bool:
        """Remove the document; whether it was there."""
        with self.transaction() as database:
            cursor = database.execute(
                "DELETE FROM documents WHERE (account, region, service, type, name) = (?, ?, ?, ?, ?)", key
            )
            return cursor.rowcount > 0

    def list(
        self, service: str, type: str, account: str | None = None, region: str | None = None, prefix: str = ""
    ) -> list[tuple[Key, Document]]:
        """All documents of a type, oldest first; ``prefix`` restricts the names."""
        query = "SELECT account, region, service, type, name, document FROM documents WHERE service = ? AND type = ?"
        arguments: list[Any] = [service, type]
        for column, value in (("account", account), ("region", region)):
            if value is not None:
                query += f" AND {column} = ?"
                arguments.append(value)
        if prefix:
            query += " AND substr(name, 1, ?) = ?"
            arguments += [len(prefix), prefix]
        with self._lock:
            rows = self._database.execute(query + " ORDER BY sequence", arguments).fetchall()
        return [(Key(*row[:5]), json.loads(row[5])) for row in rows]

    def close(self) -> None:
        with self._lock:
            self._database.close()
