"""How often each text occurs, exact for a bounded number of different texts, and how many different ones there are.

Up to ``CAPACITY`` texts are counted exactly. Beyond it the least frequent give way (Misra and Gries, "Finding repeated
elements", 1982): a count is then too low by at most ``undercount``. The number of different texts is estimated from the
smallest ``HASHES`` hash values (Bar-Yossef et al., 2002; about 2% standard error) and exact below the capacity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

CAPACITY = 10_000
HASHES = 2048
BATCH = 5
"""Counts are added up when ``BATCH`` times the capacity of them wait."""
MOST_PIECES = 64
LEAST_ROWS, MOST_TEXTS = 8192, 8
"""Up to ``MOST_TEXTS`` batches wait to be counted, if they have ``LEAST_ROWS``; those of wide tables have fewer."""
HASH_RANGE = 2.0**64


class TextCounter:
    """Takes texts in, batch by batch."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.undercount = 0
        self._total = self._empty = 0
        self._texts: list[pl.Series] = []
        self._pieces: list[pl.DataFrame] = []
        self._waiting = 0
        self._counted: pl.DataFrame | None = None
        self._hashes: pl.Series | None = None

    @property
    def total(self) -> int:
        """How many texts there were, without the empty ones."""
        self._count()
        return self._total

    @property
    def empty(self) -> int:
        """How many texts were empty."""
        self._count()
        return self._empty

    def update(self, texts: pl.Series) -> None:
        """Take in a column of texts without nulls. Some batches wait: counting many rows at once costs less."""
        if texts.len():
            self._texts.append(texts.alias("value"))
            if texts.len() < LEAST_ROWS or len(self._texts) >= MOST_TEXTS:
                self._count()

    def _count(self) -> None:
        """Count the texts that wait."""
        import polars as pl

        if not self._texts:
            return
        counts = pl.concat(self._texts).value_counts(name="count")
        rows = sum(texts.len() for texts in self._texts)
        self._texts = []
        if (place := counts["value"].index_of("")) is not None:
            empty = int(counts["count"][place])
            self._empty += empty
            rows -= empty
            counts = counts.filter(counts["value"] != "")
        self._total += rows
        self._take(counts)

    def merge(self, other: TextCounter) -> None:
        """Take in what another counter has seen."""
        table = other._table()
        self._total += other.total
        self._empty += other.empty
        self.undercount += other.undercount
        if other._hashes is not None:
            self._remember(other._hashes)
        if table is not None:
            self._take(table)

    def _take(self, counts: pl.DataFrame) -> None:
        """Keep counts until there are enough of them to be added up at once."""
        self._pieces.append(counts)
        self._waiting += counts.height
        if self._waiting > BATCH * self.capacity or len(self._pieces) > MOST_PIECES:
            self._add_up()

    def _table(self) -> pl.DataFrame | None:
        """The counts of all texts taken so far, at most ``capacity`` of them."""
        self._count()
        self._add_up()
        return self._counted

    def _add_up(self) -> None:
        """Bring the pieces together with what was counted before."""
        import polars as pl

        if not self._pieces:
            return
        before = [] if self._counted is None else [self._counted]
        table = (
            pl.concat([*before, *self._pieces], how="vertical_relaxed")
            .group_by("value")
            .agg(pl.col("count").cast(pl.Int64).sum())
        )
        self._pieces, self._waiting = [], 0
        if table.height > self.capacity or self._hashes is not None:
            self._remember(table["value"].hash(seed=0))
        if table.height > self.capacity:
            limit = int(table["count"].top_k(self.capacity + 1).min())  # type: ignore[arg-type]
            self.undercount += limit
            table = table.with_columns(pl.col("count") - limit).filter(pl.col("count") > 0)
        self._counted = table

    def _remember(self, hashes: pl.Series) -> None:
        known = hashes if self._hashes is None else self._hashes.append(hashes)
        self._hashes = known.unique().bottom_k(HASHES)

    @property
    def exact(self) -> bool:
        """Whether every count is exact and no text was dropped."""
        self._table()
        return self._hashes is None

    @property
    def distinct(self) -> int:
        """How many different texts there were."""
        table = self._table()
        if self._hashes is None:
            return 0 if table is None else table.height
        if self._hashes.len() < HASHES:
            return self._hashes.len()
        return round((HASHES - 1) / (float(self._hashes.max()) / HASH_RANGE))  # type: ignore[arg-type]

    def most_common(self, limit: int) -> list[tuple[str, int]]:
        """The most frequent texts with their counts; equal counts in the order of the texts."""
        table = self._table()
        if table is None:
            return []
        ordered = table.sort(["count", "value"], descending=[True, False]).head(limit)
        return [(str(value), int(count)) for value, count in ordered.iter_rows()]

    def once(self) -> int:
        """How many texts occurred exactly once (0 when the counts are not exact)."""
        import polars as pl

        table = self._table()
        if table is None or not self.exact:
            return 0
        return table.filter(pl.col("count") == 1).height
