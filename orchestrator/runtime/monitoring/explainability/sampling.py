"""A random sample of rows with where they came from, in one pass and bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from orchestrator.runtime.monitoring.calls import EVENT, FILE, PLACE, REFERENCE, ROW, SIZE, Wanted
from orchestrator.runtime.monitoring.columns import Batch, as_texts
from orchestrator.runtime.monitoring.explainability.kernel import Cells
from orchestrator.runtime.monitoring.failures import InputUnreadable
from orchestrator.runtime.monitoring.findings import Findings
from orchestrator.runtime.monitoring.kinds import Window
from orchestrator.runtime.monitoring.live import live_rows, plain
from orchestrator.runtime.monitoring.merging import references

KEY = "@random"


@dataclass(frozen=True, slots=True)
class Sample:
    """Some of the ``seen`` rows: their features by name, and the columns that refer to them."""

    frame: pl.DataFrame
    seen: int

    def fewer(self, rows: int, seed: int) -> Sample:
        """A random part of it."""
        places = np.random.default_rng(seed).permutation(self.frame.height)[:rows]
        return Sample(self.frame[np.sort(places).tolist()], self.seen)

    def references(self, places: Sequence[int]) -> list[dict[str, Any]]:
        """Where these rows are to be found."""
        return list(references(self.frame[list(places)]))


def of_source(batches: Iterable[Batch]) -> Iterator[pl.DataFrame]:
    """Batches of a table with the columns that refer to their rows."""
    for batch in batches:
        height = batch.frame.height
        yield batch.frame.with_columns(
            pl.Series(EVENT, batch.events or [""] * height, dtype=pl.String), pl.lit(batch.file).alias(FILE),
            pl.Series(ROW, batch.rows, dtype=pl.Int64), pl.lit(0, dtype=pl.Int64).alias(PLACE),
            pl.lit(1, dtype=pl.Int64).alias(SIZE),
        )  # fmt: skip


def of_window(window: Window, wanted: Wanted, findings: Findings) -> Iterator[pl.DataFrame]:
    """The rows of a window: captured requests, or a table."""
    table = plain(window, wanted, findings)
    if table is None:
        yield from live_rows(window, wanted, findings)
    else:
        yield from of_source(table.batches())


def sampled(frames: Iterable[pl.DataFrame], names: Sequence[str], rows: int, seed: int) -> Sample:
    """A random sample of so many rows of these features. Raises InputUnreadable when a feature is not there."""
    random = np.random.default_rng(seed)
    kept: pl.DataFrame | None = None
    seen = 0
    for frame in frames:
        missing = [name for name in names if name not in frame.columns]
        if missing:
            raise InputUnreadable(
                f"The window has no column {', '.join(missing[:10])}, which the baseline has.",
                hint=f"It has: {', '.join(name for name in frame.columns[:50] if not name.startswith('@'))}.",
            )
        seen += frame.height
        drawn = frame.select([*names, *REFERENCE]).with_columns(pl.Series(KEY, random.random(frame.height)))
        drawn = drawn.bottom_k(rows, by=KEY)
        kept = drawn if kept is None else pl.concat([kept, drawn], how="vertical_relaxed").bottom_k(rows, by=KEY)
    empty = pl.DataFrame(schema={**dict.fromkeys(names, pl.Float64), **REFERENCE})
    return Sample(empty if kept is None else kept.sort([FILE, ROW, PLACE]).drop(KEY), seen)


def cells(frame: pl.DataFrame, names: Sequence[str], texts: Sequence[str]) -> Cells:
    """The features as an array: of numbers (NaN: missing), or of objects where some are text."""
    columns = frame.select(names)
    if not texts:
        return columns.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    made = np.empty((columns.height, len(names)), dtype=object)
    for place, name in enumerate(names):
        column = columns[name]
        made[:, place] = (
            as_texts(column).to_list() if name in texts else column.cast(pl.Float64, strict=False).to_list()
        )
    return made
