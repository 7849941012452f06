"""Asking the model about rows, in batches; what it answers is looked at before it is used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from orchestrator.runtime.monitoring.failures import ModelFailed
from orchestrator.runtime.monitoring.kinds import Predict

BATCH_CELLS = 50_000
"""Values handed over at once."""


def batch_rows(width: int) -> int:
    """How many rows of so many values are asked about at once."""
    return max(1, BATCH_CELLS // max(1, width))


def answered(predict: Predict, rows: Sequence[Sequence[Any]], start: int = 0) -> list[list[float]]:
    """The model's answer for each row; ``start`` rows were asked about before.

    Raises ModelFailed that says at which rows it failed, and how.
    """
    where = f"rows {start + 1:,} to {start + len(rows):,}"
    try:
        found = predict(rows)
    except Exception as error:
        hint = getattr(error, "hint", "") or "Look at the endpoint's log."
        message = f"The model failed at {where} of those it was asked about: {error}"
        raise ModelFailed(message, hint=f"{hint} Nothing was written.") from error
    if len(found) != len(rows) or any(not each for each in found):
        raise ModelFailed(
            f"The model answered {len(found):,} rows for the {len(rows):,} it was asked about.",
            hint="It must answer one row of scores for each.",
        )
    if not all(math.isfinite(value) for row in found for value in row):
        raise ModelFailed(
            f"The model answered something that is no finite number, at {where} of those it was asked about.",
            hint="Look at what it makes of these rows.",
        )
    return found
