"""Which labelled rows hold a usable prediction; the others are counted, named and shown."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from orchestrator.runtime.monitoring.calls import FILE, LABEL, ROW
from orchestrator.runtime.monitoring.findings import Findings
from orchestrator.runtime.monitoring.quality.measured import Measured
from orchestrator.runtime.monitoring.quality.tables import share
from orchestrator.runtime.monitoring.quality.worst import UNUSABLE, Worst


@dataclass(slots=True)
class Rows:
    """The rows of one pass: how many, how many of them unusable, and the worst. ``labels`` of no use are passed over:
    nothing can be said about their rows."""

    findings: Findings = field(default_factory=Findings)
    worst: Worst = field(default_factory=Worst)
    count: int = 0
    unusable: int = 0
    passed_over: int = 0
    example: str = ""

    def without_labels(self, frame: pl.DataFrame, usable: pl.Series, message: str) -> pl.DataFrame:
        """The rows with a usable label."""
        usable = usable.fill_null(False)
        if usable.all():
            return frame
        rest = frame.filter(~usable)
        self.passed_over += rest.height
        self.example = self.example or str(rest[LABEL][0])
        self._note(rest, "unusable_label", message)
        return frame.filter(usable)

    def take(self, frame: pl.DataFrame, usable: pl.Series, message: str) -> pl.DataFrame:
        """The rows with a usable prediction; all count."""
        usable = usable.fill_null(False)
        self.count += frame.height
        if usable.all():
            return frame
        rest = frame.filter(~usable)
        self.unusable += rest.height
        self._note(rest, "unusable_prediction", message)
        self.worst.update(rest, UNUSABLE, 0.0)
        return frame.filter(usable)

    def _note(self, frame: pl.DataFrame, kind: str, message: str) -> None:
        for (file,), rows in frame.group_by([FILE], maintain_order=True):
            self.findings.add(kind, str(file), message, rows[ROW].head(10), rows.height)

    def rate(self, confidence: float) -> Measured:
        """The share of unusable predictions, as a metric."""
        return share(self.unusable, self.count, confidence, "there are no labelled rows")

    def dataset(self) -> dict[str, int]:
        """The counts as they stand in the statistics."""
        return {"item_count": self.count - self.unusable, "labelled_count": self.count, "unusable_count": self.unusable}
