"""One pass over the rows: the counts of all cells, a few rows of each, and a sample for the flip test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from orchestrator.runtime.monitoring.bias.flipping import Flips, flip_test
from orchestrator.runtime.monitoring.bias.formulas import POSITIVE
from orchestrator.runtime.monitoring.bias.predicting import OUTCOME, PREDICTED
from orchestrator.runtime.monitoring.bias.settings import Facet, number_of, text_of
from orchestrator.runtime.monitoring.bias.tables import Cell, Counts, View
from orchestrator.runtime.monitoring.columns import Kind, as_numbers, as_texts
from orchestrator.runtime.monitoring.failures import InputUnreadable
from orchestrator.runtime.monitoring.merging import references

MOST_CATEGORIES = 10
"""A column of numbers with more different values is cut at the facet's threshold; with fewer they are categories."""
MOST_VALUES = 50
SAMPLE_ROWS, SAMPLE_CELLS = 4000, 2_000_000
KEPT_ROWS, SHOWN_ROWS = 3, 5
KEY = "@random"


@dataclass(frozen=True, slots=True)
class Cut:
    """How the rows are told apart by a facet: ``threshold``, or the ``values`` of the group (none: each by itself)."""

    name: str
    threshold: float | None = None
    values: tuple[str, ...] = ()

    def codes(self, column: pl.Series) -> pl.Series:
        """The code of each row, null where the value is missing."""
        if self.threshold is not None:
            return (as_numbers(column)[0].fill_nan(None) > self.threshold).cast(pl.Int8).cast(pl.String)
        texts = as_texts(column).str.strip_chars()
        texts = texts.set(texts == "", None)
        return texts.is_in(list(self.values)).cast(pl.Int8).cast(pl.String) if self.values else texts

    def as_dict(self) -> dict[str, Any]:
        """The cut as JSON."""
        return {"name": self.name, "threshold": self.threshold, "values": list(self.values)}


def cut(facet: Facet, column: pl.Series, kind: Kind) -> Cut:
    """How a facet is cut, judged by the first rows. Raises InputUnreadable when it cannot be."""
    continuous = kind is Kind.NUMBER and column.drop_nulls().n_unique() > MOST_CATEGORIES
    if not continuous:
        return Cut(facet.name, None, tuple(text_of(value) for value in facet.values))
    numbers = [number_of(value) for value in facet.values]
    if len(numbers) == 1 and numbers[0] is not None:
        return Cut(facet.name, numbers[0])
    if numbers and all(number is not None for number in numbers):
        return Cut(facet.name, None, tuple(text_of(value) for value in facet.values))
    raise InputUnreadable(
        f"The facet {facet.name} is a column of numbers with more than {MOST_CATEGORIES} different values; it needs a "
        "threshold.", hint='Write its threshold in bias_config: "facet_values_or_threshold": [40].',
    )  # fmt: skip


@dataclass(slots=True)
class Counting:
    """What is known of the rows seen so far. ``facets`` are those whose columns exist."""

    cuts: Sequence[Cut]
    group: str = ""
    seed: int = 0
    examples: bool = False
    counts: Counts = field(init=False)
    greatest: dict[str, float] = field(default_factory=dict)
    rows: int = 0
    without: dict[str, int] = field(default_factory=dict)
    texts: set[str] = field(default_factory=set)
    gaps: int = 0
    _random: np.random.Generator = field(init=False)
    _sample: pl.DataFrame | None = None
    _flips: dict[tuple[str, str], Flips | str] = field(default_factory=dict)
    _places: dict[Cell, list[dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.counts = Counts([each.name for each in self.cuts])
        self._random = np.random.default_rng(self.seed)

    def update(self, frame: pl.DataFrame) -> None:
        """Take in rows: features, ``@outcome``, ``@predicted``, and where they came from."""
        self.rows += frame.height
        self._flips.clear()
        codes = pl.DataFrame([self._codes(each, frame) for each in self.cuts])
        key = codes.with_columns(
            frame[OUTCOME].cast(pl.String).alias("@y"), frame[PREDICTED].cast(pl.String).alias("@p"),
            self._groups(frame).alias("@g"),
        )  # fmt: skip
        grouped = key.with_row_index("@place").group_by(key.columns, maintain_order=True)
        found = grouped.agg(pl.len().alias("@count"), pl.col("@place").head(KEPT_ROWS))
        for *cell, count, places in found.iter_rows():
            self.counts.add(tuple(cell), count)
            known = self._places.setdefault(tuple(cell), []) if self.examples else [{}] * KEPT_ROWS
            if len(known) < KEPT_ROWS:
                known += list(references(frame[places[: KEPT_ROWS - len(known)]]))
        self._draw(frame, codes)

    def _codes(self, each: Cut, frame: pl.DataFrame) -> pl.Series:
        name = f"@facet {each.name}"
        if each.name not in frame.columns:
            self.without[each.name] = self.without.get(each.name, 0) + frame.height
            return pl.Series(name, [None] * frame.height, dtype=pl.String)
        column = frame[each.name]
        if each.threshold is not None and column.dtype == pl.Float64:
            most = column.fill_nan(None).max()
            if isinstance(most, float):
                self.greatest[each.name] = max(most, self.greatest.get(each.name, most))
        found = each.codes(column).alias(name)
        if missing := found.null_count():
            self.without[each.name] = self.without.get(each.name, 0) + missing
        return found

    def _groups(self, frame: pl.DataFrame) -> pl.Series:
        if not self.group or self.group not in frame.columns:
            return pl.Series([None] * frame.height, dtype=pl.String)
        return as_texts(frame[self.group])

    def _draw(self, frame: pl.DataFrame, codes: pl.DataFrame) -> None:
        """Keep a random sample of the rows that have a prediction and no gaps."""
        features = [name for name in frame.columns if not name.startswith("@")]
        facets = {each.name for each in self.cuts}
        self.texts |= {name for name in features if frame[name].dtype != pl.Float64}
        kept = [name for name in features if frame[name].dtype == pl.Float64]
        if self.texts - facets:  # the flip test is not defined then
            self._sample = None
            return
        parts = frame.select([*kept, PREDICTED]).hstack(codes.get_columns())
        usable = parts.filter(
            (pl.col(PREDICTED) < 2) & pl.all_horizontal([pl.col(name).is_finite() for name in kept] or [pl.lit(True)])
        )
        self.gaps += int((parts[PREDICTED] < 2).sum()) - usable.height
        most = max(100, min(SAMPLE_ROWS, SAMPLE_CELLS // max(1, len(kept))))
        drawn = usable.with_columns(pl.Series(KEY, self._random.random(usable.height), dtype=pl.Float64))
        known = [drawn] if self._sample is None else [self._sample, drawn]
        self._sample = pl.concat(known, how="diagonal_relaxed").bottom_k(most, by=KEY) if known else None

    def flips(self, view: View) -> Flips | str:
        """The flip test of a view on the sample, or why there is none; computed once, when all rows were seen."""
        if view.key not in self._flips:
            self._flips[view.key] = self._flipped(view)
        return self._flips[view.key]

    def _flipped(self, view: View) -> Flips | str:
        others = sorted(self.texts - {view.facet})
        if others:
            return f"The flip test needs numbers; {', '.join(others[:5])} {'are' if len(others) > 1 else 'is'} text."
        if self._sample is None or not self._sample.height:
            return "There are no predictions."
        sample = self._sample.filter(pl.col(f"@facet {view.facet}").is_not_null())
        names = [name for name in sample.columns if not name.startswith("@") and name != view.facet]
        if not names:
            return "The flip test needs features beside the facet."
        features = sample.select(names)
        if features.null_count().sum_horizontal().item():
            return "The flip test needs the same columns in every row."
        return flip_test(
            features.to_numpy().astype(np.float64), (sample[f"@facet {view.facet}"] == view.code).to_numpy(),
            (sample[PREDICTED] == POSITIVE).to_numpy(), self.seed,
        )  # fmt: skip

    def views(self) -> list[View]:
        """Every group of people, as far as the rows tell. Raises InputUnreadable when there are too many."""
        found = []
        for place, each in enumerate(self.cuts):
            if each.threshold is not None or each.values:
                found.append(View(each.name, place, "1", self.shown(each)))
                continue
            codes = sorted({cell[place] for cell in self.counts.cells} - {None})  # type: ignore[type-var]
            if len(codes) > MOST_VALUES:
                raise InputUnreadable(
                    f"The facet {each.name} has more than {MOST_VALUES} different values.",
                    hint="Name those to look at in bias_config.facet_values_or_threshold.",
                )
            found += [View(each.name, place, str(code), str(code)) for code in codes]
        return found

    def shown(self, each: Cut) -> str:
        """Clarify's ``value_or_threshold``."""
        if each.threshold is None:
            return ",".join(each.values)
        return f"({each.threshold:g}, {self.greatest.get(each.name, each.threshold):g}]"

    def places(self, view: View, label: int | None, predicted: int | None) -> list[dict[str, Any]]:
        """Some rows of the facet with this label and prediction (None: any)."""
        found: list[dict[str, Any]] = []
        for cell, known in self._places.items():
            if cell[view.place] == view.code and _is(cell[-3], label) and _is(cell[-2], predicted):
                found += known
        return found[:SHOWN_ROWS]


def _is(code: str | None, wanted: int | None) -> bool:
    return wanted is None or code == str(wanted)
