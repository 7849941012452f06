"""The words between the web application and whatever answers: request, reply, and errors that carry a status."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

CSV = "text/csv"
JSON = "application/json"
NPY = "application/x-npy"
ANY = "*/*"


@dataclass(frozen=True, slots=True)
class Request:
    """One call of ``/invocations``; ``accept`` is empty when the caller does not care."""

    body: bytes
    content_type: str = ""
    accept: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer; an iterator as body is sent in pieces as they come."""

    body: bytes | Iterator[bytes]
    content_type: str = CSV
    status: int = 200


class InferenceError(Exception):
    """The model refuses a request, with the HTTP status SageMaker's own container would give."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status


class CannotServe(Exception):
    """The model cannot be loaded; the message says what is wrong with the archive or the code."""


class Handler(Protocol):
    """Answers requests. One handler is never called by two threads at once."""

    def invoke(self, request: Request) -> Reply:
        """The answer; may raise anything, which becomes an HTTP error."""


def media_type(header: str) -> str:
    """``text/csv`` of ``Text/CSV; charset=utf-8``."""
    return header.partition(";")[0].strip().lower()
