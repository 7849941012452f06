"""What stops a monitor: input that cannot be read at all, or output that would overwrite something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class MonitoringError(Exception):
    """The root; ``hint`` says what to do next."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputMissing(MonitoringError):
    """A file or folder that was named does not exist."""


class InputUnreadable(MonitoringError):
    """The input exists but is not data of the stated format, or holds no rows."""


class OutputExists(MonitoringError):
    """A file of the same name is there already; nothing was written."""


class PackagesMissing(MonitoringError):
    """polars or numpy is not installed."""


class ModelFailed(MonitoringError):
    """The model was asked and did not answer, or not as it should."""


def strange(name: str, document: Mapping[str, Any], known: Sequence[str]) -> list[str]:
    """The problem of a document with members that are not known, if it has any."""
    unknown = sorted(set(document) - set(known))
    return [f"{name} has no {', '.join(unknown)}; it has: {', '.join(known)}."] if unknown else []


def refuse(problems: Sequence[str], chapter: str) -> None:
    """Raise InputUnreadable with all problems, if there is one; ``chapter`` is that of docs/monitoring.md."""
    if problems:
        raise InputUnreadable(" ".join(problems), hint=f"See docs/monitoring.md, '{chapter}'.")
