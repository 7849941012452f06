"""Kinds of columns, and the one place where values become numbers or texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import polars as pl

NUMBER_SHARE = 0.9
"""A column is one of numbers when at least this share of its first values are."""

NO_NUMBER = ["", "na", "n/a", "nan", "null", "none", "-", "?", "#n/a"]
"""Spellings of a missing number (in any case); in a column of texts only the empty text is missing."""


REFUSALS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""How polars says that it cannot read something; on some broken files its reader panics."""


class Kind(StrEnum):
    """What a column holds. OPEN: nothing yet, so not decided. OTHER: lists, objects, bytes; only completeness."""

    NUMBER = "number"
    TEXT = "text"
    OTHER = "other"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows: Float64 columns for numbers, String for texts, Boolean (is there a value) for others.

    ``unparsable`` are the places of values that are no numbers in columns of numbers. ``rows`` are the numbers of the
    rows in their file, from 1, a header not counted; ``events`` the ids of the requests they came with, if any.
    """

    frame: pl.DataFrame
    file: str
    rows: Sequence[int]
    unparsable: Mapping[str, Sequence[int]] = field(default_factory=dict)
    events: Sequence[str] | None = None

    def reference(self, place: int) -> dict[str, object]:
        """Where a row is to be found."""
        found: dict[str, object] = {"file": self.file, "row": self.rows[place]}
        if self.events is not None:
            found["event_id"] = self.events[place]
        return found


class Kinds:
    """Column name -> kind: given by the baseline where there is one, else by the first values seen."""

    def __init__(self, given: Mapping[str, Kind] | None = None) -> None:
        self._kinds: dict[str, Kind] = dict(given or {})

    def of(self, name: str) -> Kind:
        """The kind of the column; OPEN when nothing is known."""
        return self._kinds.get(name, Kind.OPEN)

    def give(self, name: str, kind: Kind) -> None:
        """Say what the column holds."""
        self._kinds[name] = kind

    def decide(self, column: pl.Series) -> Kind:
        """The kind of the column, decided by these values if it was open."""
        known = self.of(column.name)
        if known is Kind.OPEN:
            known = self._kinds[column.name] = inferred(column)
        return known


def inferred(column: pl.Series) -> Kind:
    """What the values look like."""
    kind = column.dtype
    if kind.is_numeric():
        return Kind.NUMBER if column.null_count() < column.len() else Kind.OPEN
    if kind == pl.String:
        cleaned = _without_blanks(column)
        if not cleaned.len():
            return Kind.OPEN
        share = cleaned.cast(pl.Float64, strict=False).is_not_null().sum() / cleaned.len()
        return Kind.NUMBER if share >= NUMBER_SHARE else Kind.TEXT
    if kind == pl.Null:
        return Kind.OPEN
    return Kind.OTHER if kind.is_nested() or kind in (pl.Binary, pl.Object) else Kind.TEXT


def _without_blanks(column: pl.Series) -> pl.Series:
    stripped = column.drop_nulls().str.strip_chars()
    return stripped.filter(~stripped.str.to_lowercase().is_in(NO_NUMBER))


def conform(frame: pl.DataFrame, kinds: Kinds, file: str, rows: Sequence[int],
            events: Sequence[str] | None = None) -> Batch:  # fmt: skip
    """The frame as a batch: each column in the form of its kind; no value makes it fail."""
    columns, unparsable = [], {}
    for column in frame.get_columns():
        kind = kinds.decide(column)
        if kind is Kind.NUMBER:
            number, bad = as_numbers(column)
            columns.append(number)
            if bad:
                unparsable[column.name] = bad
        elif kind is Kind.TEXT:
            columns.append(as_texts(column))
        elif kind is Kind.OTHER:
            columns.append(column.is_not_null())
        else:  # nothing but spellings of missing numbers so far
            columns.append(pl.Series(column.name, [None] * column.len(), dtype=pl.String))
    return Batch(pl.DataFrame(columns), file, rows, unparsable, events)


def as_numbers(column: pl.Series) -> tuple[pl.Series, list[int]]:
    """Float64, with the places of values that are no numbers (they become null)."""
    if column.dtype == pl.Float64:
        return column, []
    if column.dtype.is_numeric() or column.dtype == pl.Boolean or column.dtype == pl.Null:
        return column.cast(pl.Float64), []
    if column.dtype != pl.String:
        column = as_texts(column)
    stripped = column.str.strip_chars()
    number = stripped.cast(pl.Float64, strict=False)
    lost = number.is_null() & stripped.is_not_null()
    if not lost.any():
        return number, []
    bad = lost & ~stripped.str.to_lowercase().is_in(NO_NUMBER)
    return number, bad.fill_null(False).arg_true().to_list()


def as_texts(column: pl.Series) -> pl.Series:
    """String; whole floats are written without a fraction, as they stand in CSV files."""
    if column.dtype == pl.String:
        return column
    if column.dtype.is_float():
        whole = column.is_finite() & (column == column.round(0)) & (column.abs() < 2**53)
        texts = column.cast(pl.String)
        return texts.zip_with(~whole.fill_null(False), column.cast(pl.Int64, strict=False).cast(pl.String))
    if column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object):
        return pl.Series(column.name, [None if value is None else str(value) for value in column], dtype=pl.String)
    return column.cast(pl.String)
