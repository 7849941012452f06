"""One metric as it was measured: its value, how far chance moves it, and how many rows are behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from orchestrator.runtime.monitoring.quality.chance import Interval


@dataclass(frozen=True, slots=True)
class Measured:
    """``value`` with its standard error and confidence interval; ``of`` rows (for a share: its denominator).

    ``value`` None: the metric is not defined for these rows, ``reason`` says why.
    """

    value: float | None
    error: float = 0.0
    interval: Interval | None = None
    of: int = 0
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The metric as it stands in the statistics; ``value`` and ``standard_deviation`` are Model Monitor's."""
        if self.value is None or not math.isfinite(self.value):
            return {"value": None, "standard_deviation": None, "of": self.of, "undefined": self.reason or "no number"}
        low, high = self.interval or (self.value, self.value)
        return {
            "value": self.value,
            "standard_deviation": self.error,
            "standard_error": self.error,
            "interval": [low, high],
            "of": self.of,
        }
