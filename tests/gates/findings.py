"""What a gate says of a template."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True, slots=True)
class Finding:
    """One thing that one tool says of one place."""

    tool: str
    rule: str
    subject: str
    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.tool} {self.rule} {self.subject} {self.place}: {self.message}"
