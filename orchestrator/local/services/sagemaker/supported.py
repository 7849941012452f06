"""What is not done here is refused by its name: nothing is accepted and then left out."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from orchestrator.local.service import ServiceError


def words(text: str) -> frozenset[str]:
    """The names in a text."""
    return frozenset(text.split())


def refuse_unsupported(operation: str, given: Iterable[str], supported: Collection[str], path: str = "") -> None:
    """Raise for the first member of a request that is not among those we act on."""
    for name in given:
        if name not in supported:
            raise unsupported(operation, f"{path}.{name}" if path else name)


def unsupported(operation: str, what: str) -> ServiceError:
    """The refusal."""
    return ServiceError("UnsupportedOperation", f"The embedded AWS does not support {what} ({operation}).", 501)
