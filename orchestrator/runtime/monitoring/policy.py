"""When a difference is a violation: the error level of the tests and the least differences worth an alarm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from orchestrator.runtime.monitoring.failures import InputUnreadable

CORRECTIONS = ("holm", "benjamini-hochberg", "none")
COMPLETENESS = ("test", "strict")


@dataclass(frozen=True, slots=True)
class Policy:
    """The thresholds of an analysis.

    ``alpha`` is the chance of any false alarm of the tests in a window without drift (with Holm's correction). A test
    raises a violation when its adjusted p-value is at most ``alpha`` and its statistic at least the threshold here:
    with a million rows every difference is significant, and few matter. ``completeness``: ``test`` asks whether values
    are missing more often than chance explains, ``strict`` compares the shares as Model Monitor does.
    """

    alpha: float = 0.01
    correction: str = "holm"
    ks: float = 0.03
    psi: float = 0.2
    jensen_shannon: float = 0.1
    cramers_v: float = 0.05
    completeness: str = "test"
    least_rows: int = 30

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Policy:
        """The policy with the members of the document set. Raises InputUnreadable for one that is not allowed."""
        known = {each.name for each in fields(cls)}
        strange = sorted(set(document) - known)
        if strange:
            raise InputUnreadable(
                f"The policy has no {', '.join(strange)}.", hint=f"It has: {', '.join(sorted(known))}."
            )
        policy = cls(**document)
        policy.check()
        return policy

    def check(self) -> None:
        """Raise InputUnreadable when a member has a value it cannot have."""
        if self.correction not in CORRECTIONS:
            raise InputUnreadable(f"correction {self.correction!r} is none of {', '.join(CORRECTIONS)}.")
        if self.completeness not in COMPLETENESS:
            raise InputUnreadable(f"completeness {self.completeness!r} is none of {', '.join(COMPLETENESS)}.")
        for name in ("alpha", "ks", "psi", "jensen_shannon", "cramers_v"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise InputUnreadable(f"{name} must be a number that is not negative, not {value!r}.")
        if not 0 < self.alpha < 1:
            raise InputUnreadable(f"alpha must be between 0 and 1, not {self.alpha!r}.")
        if isinstance(self.least_rows, bool) or not isinstance(self.least_rows, int) or self.least_rows < 1:
            raise InputUnreadable(f"least_rows must be a whole number from 1, not {self.least_rows!r}.")

    def as_dict(self) -> dict[str, Any]:
        """The policy as JSON."""
        return asdict(self)
