"""One pass over the data: what each column holds, in memory that depends on the number of columns only."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from orchestrator.runtime.monitoring.columns import Batch
from orchestrator.runtime.monitoring.counts import TextCounter
from orchestrator.runtime.monitoring.sketch import Distribution, Numbers, QuantileSketch
from orchestrator.runtime.monitoring.whole import WholeNumbers

if TYPE_CHECKING:
    import polars as pl

SKETCH_NUMBERS = 2_000_000
"""What the sketches of all columns together keep in full blocks; decides the size of each."""
LARGEST_SKETCH = 8192
SMALLEST_SKETCH = 256
FEW = 64


def sketch_size(columns: int) -> int:
    """The size of each sketch for this many columns: a power of two."""
    size = LARGEST_SKETCH
    while size > SMALLEST_SKETCH and size * columns > SKETCH_NUMBERS:
        size //= 2
    return size


def _there(column: pl.Series) -> pl.Series:
    """The values that are not null. Counting nulls costs nothing, and dropping none costs as much as dropping some."""
    return column.drop_nulls() if column.null_count() else column


class NumberColumn:
    """Moments, extremes and the distribution of numbers. Values that are NaN or infinite count as missing."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.present = self.missing = self.unparsable = 0
        self.mean = self.squares = self.total = 0.0
        self.least, self.greatest = np.inf, -np.inf
        self.whole = True
        self._sketch = QuantileSketch(size, seed=zlib.crc32(name.encode()))
        self._counts: WholeNumbers | None = WholeNumbers(self._sketch.block)

    def miss(self, rows: int) -> None:
        """Note rows that lack the column."""
        self.missing += rows

    def update(self, column: pl.Series, unparsable: int = 0) -> None:
        """Take in a column of floats."""
        values = _there(column).to_numpy()
        with np.errstate(all="ignore"):
            total = float(values.sum())
            if not np.isfinite(total):
                values = values[np.isfinite(values)]
                total = float(values.sum())
            self.missing += column.len() - len(values) - unparsable
            self.unparsable += unparsable
            if len(values):
                self._moments(values, total)
                self._remember(values)

    def _remember(self, values: Numbers) -> None:
        """Counts while the numbers are whole and near each other, the sketch otherwise."""
        if self._counts is not None and self.whole and self._counts.update(values, self.least, self.greatest):
            return
        self._sketch_only()
        self._sketch.update(values)

    def _sketch_only(self) -> None:
        if self._counts is not None:
            for part in self._counts.drained():
                self._sketch.update(part)
            self._counts = None

    def distribution(self) -> Distribution:
        """The distribution of all numbers seen."""
        return self._sketch.distribution() if self._counts is None else self._counts.distribution()

    def _moments(self, values: Numbers, total: float) -> None:
        """Chan, Golub and LeVeque's update of mean and squares by a batch."""
        count, mean = len(values), total / len(values)
        deviations = values - mean
        squares = float(
            np.square(deviations, out=deviations).sum()
        )  # np.dot would wake every core for a few microseconds
        seen = self.present + count
        gap = mean - self.mean
        self.squares += squares + gap * gap * self.present * count / seen
        self.mean += gap * count / seen
        self.total += total
        self.present = seen
        self.least = min(self.least, float(values.min()))
        self.greatest = max(self.greatest, float(values.max()))
        if self.whole:
            few = values[:FEW]
            self.whole = bool((few == np.floor(few)).all()) and bool((values == np.floor(values)).all())

    def merge(self, other: NumberColumn) -> None:
        """Take in what another profile of the same column has seen."""
        self.missing += other.missing
        self.unparsable += other.unparsable
        if other.present:
            seen, gap = self.present + other.present, other.mean - self.mean
            self.squares += other.squares + gap * gap * self.present * other.present / seen
            self.mean += gap * other.present / seen
            self.total += other.total
            self.present = seen
            self.least, self.greatest = min(self.least, other.least), max(self.greatest, other.greatest)
            self.whole = self.whole and other.whole
            self._sketch_only()
            other._sketch_only()
            self._sketch.merge(other._sketch)


class TextColumn:
    """How often each text occurs. The empty text counts as missing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.counter = TextCounter()
        self._absent = 0

    @property
    def present(self) -> int:
        """How many texts there were."""
        return self.counter.total

    @property
    def missing(self) -> int:
        """How many rows have no text, or an empty one."""
        return self._absent + self.counter.empty

    def miss(self, rows: int) -> None:
        """Note rows that lack the column."""
        self._absent += rows

    def update(self, column: pl.Series) -> None:
        """Take in a column of texts."""
        self._absent += column.null_count()
        self.counter.update(_there(column))

    def merge(self, other: TextColumn) -> None:
        """Take in what another profile of the same column has seen."""
        self._absent += other._absent
        self.counter.merge(other.counter)


class OtherColumn:
    """A column of lists, objects or bytes: how many values there are."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.present = self.missing = 0

    def miss(self, rows: int) -> None:
        """Note rows that lack the column."""
        self.missing += rows

    def update(self, column: pl.Series) -> None:
        """Take in a column of booleans: whether there is a value."""
        there = int(column.sum() or 0)
        self.present += there
        self.missing += column.len() - there

    def merge(self, other: OtherColumn) -> None:
        """Take in what another profile of the same column has seen."""
        self.present += other.present
        self.missing += other.missing


Column = NumberColumn | TextColumn | OtherColumn
AnyColumn = TypeVar("AnyColumn", NumberColumn, TextColumn, OtherColumn)


class Profile:
    """All columns of a data set."""

    def __init__(self) -> None:
        self.rows = 0
        self.columns: dict[str, Column] = {}
        self._size = 0

    def update(self, batch: Batch) -> None:
        """Take in a batch. A column that a batch lacks is missing in all its rows."""
        import polars as pl

        frame = batch.frame
        self._size = self._size or sketch_size(frame.width)
        for series in frame.get_columns():
            column = self.columns.get(series.name)
            if series.dtype == pl.Float64:
                if not isinstance(column, NumberColumn):
                    column = self._ready(NumberColumn(series.name, self._size), column)
                column.update(series, len(batch.unparsable.get(series.name, ())))
            elif series.dtype == pl.Boolean:
                if not isinstance(column, OtherColumn):
                    column = self._ready(OtherColumn(series.name), column)
                column.update(series)
            else:
                if not isinstance(column, TextColumn):
                    column = self._ready(TextColumn(series.name), column)
                column.update(series)
        if frame.width < len(self.columns):
            for name in self.columns.keys() - set(frame.columns):
                self.columns[name].miss(frame.height)
        self.rows += frame.height

    def _ready(self, fresh: AnyColumn, known: Column | None) -> AnyColumn:
        """The fresh column in the place of the known one, which had no values so far and may still change its kind."""
        assert known is None or not known.present, f"column {fresh.name} changed its kind"
        fresh.miss(self.rows if known is None else known.missing)
        self.columns[fresh.name] = fresh
        return fresh

    def merge(self, other: Profile) -> None:
        """Take in the profile of other rows of the same columns, as another process has made it."""
        for name, column in other.columns.items():
            known = self.columns.get(name)
            if known is not None and type(known) is type(column):
                known.merge(column)  # type: ignore[arg-type]  # the same type, just checked
            elif known is not None and not column.present:
                known.miss(column.missing)
            else:
                column.miss(self.rows if known is None else known.missing)
                self.columns[name] = column
        for name in self.columns.keys() - other.columns.keys():
            self.columns[name].miss(other.rows)
        self.rows += other.rows
