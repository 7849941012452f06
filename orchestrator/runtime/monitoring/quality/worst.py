"""The rows to look at: those that the model got most wrong, for each way of being wrong."""

from __future__ import annotations

from typing import Any

import polars as pl

from orchestrator.runtime.monitoring.calls import EVENT, FILE, LABEL, PLACE, PREDICTION, PROBABILITY, ROW, SIZE
from orchestrator.runtime.monitoring.merging import references

EXAMPLES = 5
SHOWN = {LABEL: "label", PREDICTION: "prediction", PROBABILITY: "probability"}
GROUP, LOSS = "@group", "@loss"
UNUSABLE = "unusable"
MOST = 2000


class Worst:
    """Keeps the ``EXAMPLES`` worst rows of each group."""

    def __init__(self) -> None:
        self._kept: pl.DataFrame | None = None

    def update(self, frame: pl.DataFrame, group: pl.Expr | str, loss: pl.Expr | float) -> None:
        """Look at wrong rows; ``loss`` says how wrong each is, ``group`` in which way."""
        if not frame.height:
            return
        group = pl.lit(group) if isinstance(group, str) else group
        loss = pl.lit(loss) if isinstance(loss, float) else loss
        wanted = [name for name in (EVENT, FILE, ROW, PLACE, SIZE, *SHOWN) if name in frame.columns]
        fresh = frame.select(*wanted, group.cast(pl.String).alias(GROUP), loss.cast(pl.Float64).alias(LOSS))
        both = fresh if self._kept is None else pl.concat([self._kept, fresh], how="diagonal_relaxed")
        ordered = both.sort(LOSS, descending=True, maintain_order=True, nulls_last=True)
        self._kept = ordered.group_by(GROUP, maintain_order=True).head(EXAMPLES).head(MOST)

    def of(self, *groups: str) -> list[dict[str, Any]]:
        """The worst rows of these groups together: where they are, and what they hold."""
        if self._kept is None:
            return []
        rows = self._kept.filter(pl.col(GROUP).is_in(list(groups)))
        rows = rows.sort(LOSS, descending=True, maintain_order=True, nulls_last=True).head(EXAMPLES)
        shown = {name: word for name, word in SHOWN.items() if name in rows.columns}
        return [
            {**reference, **{word: row[name] for name, word in shown.items() if row[name] is not None}}
            for reference, row in zip(references(rows), rows.iter_rows(named=True), strict=True)
        ]
