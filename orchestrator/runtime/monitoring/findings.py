"""What was noticed while reading that stops nothing: broken rows, unreadable payloads, empty files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

EXAMPLES = 10


@dataclass(slots=True)
class Finding:
    """One kind of thing in one file, how often, and the first places."""

    kind: str
    file: str
    message: str
    count: int = 0
    rows: list[int] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON."""
        return {
            "kind": self.kind,
            "file": self.file,
            "message": self.message,
            "count": self.count,
            "rows": self.rows,
        }


class Findings:
    """Collects findings, one for each kind and file."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], Finding] = {}

    def add(self, kind: str, file: str, message: str, rows: Iterable[int] = (), count: int | None = None) -> None:
        """Note something; the same kind and message in the same file only adds to the count and the first rows."""
        finding = self._found.setdefault((kind, file, message), Finding(kind, file, message))
        places = list(rows)
        finding.count += len(places) if count is None else count
        finding.rows.extend(places[: EXAMPLES - len(finding.rows)])

    def as_list(self) -> list[dict[str, Any]]:
        """All findings as JSON, in the order in which they were met."""
        return [finding.as_dict() for finding in self._found.values()]
