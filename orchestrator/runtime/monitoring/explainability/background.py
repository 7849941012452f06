"""The rows that stand for "the feature is not known": given as rows, as a CSV file, or made of the baseline's data.

Where none are given, there is one: the median of each number and the most frequent of each text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from orchestrator.runtime.monitoring.columns import REFUSALS
from orchestrator.runtime.monitoring.explainability.kernel import Cells
from orchestrator.runtime.monitoring.explainability.settings import ShapSettings
from orchestrator.runtime.monitoring.failures import InputMissing, InputUnreadable

MOST_ROWS = 100
GIVEN, SUMMARY = "given", "median or most frequent value of each feature"


def background(
    settings: ShapSettings, sample: pl.DataFrame, names: Sequence[str], texts: Sequence[str]
) -> tuple[Cells, str]:
    """The rows and what they are. Raises InputUnreadable when they do not have the features' form."""
    if settings.background is None:
        return _array([_middle(sample, names, texts)], texts), SUMMARY
    if isinstance(settings.background, Path):
        rows, what = _read(settings.background, names), settings.background.name
    else:
        rows, what = [list(row) for row in settings.background], GIVEN
    return _array(_checked(rows, names, texts), texts), what


def _middle(sample: pl.DataFrame, names: Sequence[str], texts: Sequence[str]) -> list[Any]:
    found: list[Any] = []
    for name in names:
        column = sample[name].drop_nulls()
        if name in texts:
            modes = (
                column.value_counts(sort=True).filter(pl.col("count") == pl.col("count").max())
                if column.len()
                else None
            )
            found.append(None if modes is None else min(str(each) for each in modes[name]))
        else:
            middle = column.cast(pl.Float64, strict=False).fill_nan(None).median()
            found.append(float(middle) if isinstance(middle, int | float) else None)
    return found


def _read(path: Path, names: Sequence[str]) -> list[list[Any]]:
    if not path.is_file():
        raise InputMissing(
            f"There is no file {path} (shap_config.baseline).",
            hint="Name a local CSV file, or write the rows themselves.",
        )
    try:
        frame = pl.read_csv(path, has_header=False, infer_schema=False, n_rows=MOST_ROWS + 2)
    except REFUSALS as error:
        raise InputUnreadable(f"{path} (shap_config.baseline) is no CSV: {str(error).splitlines()[0]}") from error
    rows = [list(row) for row in frame.iter_rows()]
    return rows[1:] if rows and rows[0] == list(names) else rows


def _checked(rows: list[list[Any]], names: Sequence[str], texts: Sequence[str]) -> list[list[Any]]:
    if not 1 <= len(rows) <= MOST_ROWS:
        raise InputUnreadable(f"shap_config.baseline has {len(rows):,} rows; 1 to {MOST_ROWS} are allowed.")
    found = []
    for place, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise InputUnreadable(
                f"Row {place} of shap_config.baseline has {len(row)} values; there are {len(names)} features.",
                hint=f"They are, in this order and without the label: {', '.join(names[:50])}.",
            )
        found.append([_value(value, name, place, name in texts) for value, name in zip(row, names, strict=True)])
    return found


def _value(value: Any, name: str, place: int, text: bool) -> Any:
    if value is None or value == "":
        return None
    if text:
        return str(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputUnreadable(f"Row {place} of shap_config.baseline has {value!r} for {name}, which is a number.")
    return number


def _array(rows: list[list[Any]], texts: Sequence[str]) -> Cells:
    if texts:
        made = np.empty((len(rows), len(rows[0])), dtype=object)
        for place, row in enumerate(rows):
            made[place] = row
        return made
    return np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=np.float64)
