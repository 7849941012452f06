"""HTTP messages as the gateway passes them on: whole, in memory, and easy to write to a log and read back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Request:
    """``target`` is the path and query as they arrived, percent-encoding and all."""

    method: str
    target: str
    headers: Headers
    body: bytes = b""

    @property
    def raw_path(self) -> str:
        """The path still percent-encoded, so that an encoded slash inside one part can be told from a real one."""
        return self.target.partition("?")[0]

    @cached_property
    def query(self) -> tuple[tuple[str, str], ...]:
        """The decoded parameters of the query string, in order."""
        return tuple(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @cached_property
    def fields(self) -> dict[str, str]:
        """The headers under lower-case names; of a repeated header the values joined by commas."""
        fields: dict[str, str] = {}
        for name, value in self.headers:
            key = name.lower()
            fields[key] = f"{fields[key]},{value}" if key in fields else value
        return fields


@dataclass(frozen=True)
class Response:
    """``headers`` need no Content-Length: the server writes it."""

    status: int
    headers: Headers
    body: bytes = b""
