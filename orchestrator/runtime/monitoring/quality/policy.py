"""When a worse metric is a violation: the error level, and the rows a metric needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from orchestrator.runtime.monitoring.failures import InputUnreadable
from orchestrator.runtime.monitoring.policy import CORRECTIONS


@dataclass(frozen=True, slots=True)
class QualityPolicy:
    """The thresholds of an analysis of model quality.

    ``alpha`` is the chance of any false alarm in a window whose model is as good as the baseline's (with Holm's
    ``correction``). ``strict``: compare the metrics with the thresholds as Model Monitor does, without asking about
    chance. ``least_rows``: metrics of fewer labelled rows are not judged. ``confidence``: of the intervals.
    """

    alpha: float = 0.01
    correction: str = "holm"
    strict: bool = False
    least_rows: int = 30
    confidence: float = 0.95

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> QualityPolicy:
        """The policy with the members of the document set. Raises InputUnreadable, naming every wrong member."""
        known = {each.name for each in fields(cls)}
        wrong = [f"there is no {name}" for name in sorted(set(document) - known)]
        policy = cls(**{name: value for name, value in document.items() if name in known})
        for name in ("alpha", "confidence"):
            value: Any = getattr(policy, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
                wrong.append(f"{name} must be between 0 and 1, not {value!r}")
        if policy.correction not in CORRECTIONS:
            wrong.append(f"correction {policy.correction!r} is none of {', '.join(CORRECTIONS)}")
        if policy.strict not in (True, False):
            wrong.append(f"strict must be true or false, not {policy.strict!r}")
        rows: Any = policy.least_rows
        if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
            wrong.append(f"least_rows must be a whole number from 1, not {rows!r}")
        if wrong:
            raise InputUnreadable(
                f"The policy of model quality is wrong: {'; '.join(wrong)}.",
                hint=f"Its members: {', '.join(sorted(known))}.",
            )
        return policy

    def as_dict(self) -> dict[str, Any]:
        """The policy as JSON."""
        return asdict(self)
