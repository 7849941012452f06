"""HTTP to model servers, over connections that are kept."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

MOST_IDLE = 16
IDLE_SECONDS = 60.0
"""Shorter than a model server keeps a silent connection open."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model server said."""

    status: int
    body: bytes
    content_type: str
    headers: Mapping[str, str]


class NoAnswer(Exception):
    """The server is not there, or took too long; ``timed_out`` tells which."""

    def __init__(self, message: str, *, timed_out: bool) -> None:
        super().__init__(message)
        self.timed_out = timed_out


class Connections:
    """A pool of connections for each port."""

    def __init__(self) -> None:
        self._idle: dict[int, list[tuple[float, http.client.HTTPConnection]]] = {}
        self._lock = threading.Lock()

    def post(self, port: int, path: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Answer:
        """Ask once. A kept connection that turns out to be closed is replaced; raises NoAnswer."""
        kept = self._take(port)
        if kept is not None:
            try:
                return self._ask(kept, port, path, body, headers, seconds)
            except (http.client.RemoteDisconnected, ConnectionError):
                kept.close()  # it was closed while it was idle; the request was not read
        fresh = http.client.HTTPConnection("127.0.0.1", port)
        try:
            return self._ask(fresh, port, path, body, headers, seconds)
        except TimeoutError as error:
            raise NoAnswer(f"no answer within {seconds:.0f} seconds", timed_out=True) from error
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(f"{type(error).__name__}: {error}", timed_out=False) from error

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        port: int,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        seconds: float,
    ) -> Answer:
        connection.timeout = seconds
        if connection.sock is not None:
            connection.sock.settimeout(seconds)
        try:
            connection.request("POST", path, body, dict(headers))
            response = connection.getresponse()
            answer = Answer(
                response.status,
                response.read(),
                response.getheader("Content-Type") or "application/octet-stream",
                {name.lower(): value for name, value in response.getheaders()},
            )
        except BaseException:
            connection.close()
            raise
        self._give_back(port, connection)
        return answer

    def _take(self, port: int) -> http.client.HTTPConnection | None:
        with self._lock:
            idle = self._idle.get(port, [])
            while idle:
                since, connection = idle.pop()
                if time.monotonic() - since < IDLE_SECONDS:
                    return connection
                connection.close()
        return None

    def _give_back(self, port: int, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            idle = self._idle.setdefault(port, [])
            if connection.sock is not None and len(idle) < MOST_IDLE:
                idle.append((time.monotonic(), connection))
                return
        connection.close()

    def close(self) -> None:
        """Close what is kept."""
        with self._lock:
            for idle in self._idle.values():
                for _, connection in idle:
                    connection.close()
            self._idle.clear()
