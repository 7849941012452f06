"""Which rows to look at: the first rows that break a rule, and an even sample for what concerns many rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from orchestrator.runtime.monitoring.columns import Batch

EXAMPLES = 5
SAMPLE_ROWS = 4000
SAMPLE_CELLS = 400_000

Reference = dict[str, Any]


class Evidence:
    """Watches the batches of a window beside the constraints of its baseline."""

    def __init__(self, constraints: Mapping[str, Mapping[str, Any]]) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.examples: dict[tuple[str, str], list[Reference]] = {}
        self._constraints = constraints
        self._domains: dict[str, pl.Series] = {}
        for name, constraint in constraints.items():
            domain = (constraint.get("string_constraints") or {}).get("domains")
            if domain is not None:
                self._domains[name] = pl.Series(domain, dtype=pl.String)
        self._sample: list[tuple[int, Reference, tuple[Any, ...]]] = []
        self._names: list[str] = []
        self._stride = 1
        self._seen = 0

    def observe(self, batch: Batch) -> None:
        """Look at a batch."""
        for series in batch.frame.get_columns():
            constraint = self._constraints.get(series.name)
            if constraint is None:
                continue
            if series.null_count():
                lost = set(batch.unparsable.get(series.name, ()))
                self._note(series.name, "missing", [p for p in series.is_null().arg_true() if p not in lost][:EXAMPLES],
                           series.null_count() - len(lost), batch)  # fmt: skip
                self._note(series.name, "unparsable", sorted(lost)[:EXAMPLES], len(lost), batch)
            if series.dtype == pl.Float64:
                self._observe_numbers(series, constraint, batch)
            elif series.name in self._domains:
                strange = ~series.is_in(self._domains[series.name].implode()) & series.is_not_null() & (series != "")
                self._note_mask(series.name, "unknown", strange, batch)
        self._take_sample(batch)

    def _observe_numbers(self, series: pl.Series, constraint: Mapping[str, Any], batch: Batch) -> None:
        if (constraint.get("num_constraints") or {}).get("is_non_negative"):
            least = series.min()
            if isinstance(least, float) and least < 0:
                self._note_mask(series.name, "negative", series < 0, batch)
        if constraint.get("inferred_type") == "Integral":
            fraction = (series != series.floor()) & series.is_finite()
            if fraction.any():
                self._note_mask(series.name, "fraction", fraction, batch)

    def _note_mask(self, name: str, reason: str, mask: pl.Series, batch: Batch) -> None:
        places = mask.fill_null(False).arg_true()
        self._note(name, reason, places.head(EXAMPLES).to_list(), places.len(), batch)

    def _note(self, name: str, reason: str, places: Sequence[int], count: int, batch: Batch) -> None:
        if not count:
            return
        self.counts[name, reason] += count
        known = self.examples.setdefault((name, reason), [])
        values = batch.frame[name]
        for place in places[: EXAMPLES - len(known)]:
            reference = batch.reference(place)
            if values[place] is not None:
                reference["value"] = values[place]
            known.append(reference)

    def _take_sample(self, batch: Batch) -> None:
        """Every ``stride``-th row of the window; the stride doubles when the sample is full."""
        names = batch.frame.columns
        if names != self._names:
            if self._sample:  # another file with other columns: the sample keeps to the first ones
                self._seen += batch.frame.height
                return
            self._names = names
        limit = min(SAMPLE_ROWS, max(100, SAMPLE_CELLS // max(1, len(names))))
        while batch.frame.height // self._stride > limit:
            self._stride *= 2
        for place in range(-self._seen % self._stride, batch.frame.height, self._stride):
            self._sample.append((self._seen + place, batch.reference(place), batch.frame.row(place)))
        while len(self._sample) > limit or (self._sample and self._sample[0][0] % self._stride):
            self._stride *= 2 if len(self._sample) > limit else 1
            self._sample = [each for each in self._sample if each[0] % self._stride == 0]
        self._seen += batch.frame.height

    def of(self, name: str, reason: str) -> list[Reference]:
        """The first rows in which the feature broke a rule for this reason."""
        return self.examples.get((name, reason), [])

    def within(self, name: str, low: float, high: float) -> list[Reference]:
        """Some rows whose value of the feature is in (low, high]."""
        return self._matching(name, lambda value: isinstance(value, float) and low < value <= high)

    def equal(self, name: str, text: str) -> list[Reference]:
        """Some rows with this text in the feature."""
        return self._matching(name, lambda value: value == text)

    def beside(self, name: str, texts: Mapping[str, Any]) -> list[Reference]:
        """Some rows whose text of the feature is none of these."""
        return self._matching(name, lambda value: isinstance(value, str) and value != "" and value not in texts)

    def _matching(self, name: str, wanted: Any) -> list[Reference]:
        if name not in self._names:
            return []
        place = self._names.index(name)
        found: list[Reference] = []
        for _, reference, row in self._sample:
            if wanted(row[place]):
                found.append({**reference, "value": row[place]})
                if len(found) == EXAMPLES:
                    break
        return found
