"""Channels as matrices: csv and parquet with the label first, libsvm; the label's weight second on request."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from orchestrator.runtime.training.builtin_xgboost.hyperparameters import UserError

CONTENT_TYPES = {
    "csv": "csv",
    "text/csv": "csv",
    "libsvm": "libsvm",
    "text/libsvm": "libsvm",
    "text/x-libsvm": "libsvm",
    "parquet": "parquet",
    "application/x-parquet": "parquet",
}


def format_of(content_type: str | None) -> str:
    """``csv``, ``libsvm`` or ``parquet``; libsvm when the channel does not say. Raises UserError."""
    if not content_type:
        return "libsvm"
    name, *parameters = (part.strip() for part in content_type.lower().split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "label_size" and value.strip() != "1":
            raise UserError(f"{content_type} is not an accepted csv ContentType. label_size must be equal to 1")
    if name not in CONTENT_TYPES:
        raise UserError(f"{content_type} is not an accepted ContentType: {', '.join(CONTENT_TYPES)}.")
    return CONTENT_TYPES[name]


def load(folder: Path, content_type: str | None, *, weights: bool) -> xgboost.DMatrix:
    """The files of a channel as one matrix; raises UserError when there are none or they cannot be read."""
    form = format_of(content_type)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith((".", "_")))
    if not files:
        raise UserError(f"No data in {folder.name} channel path {folder}")
    try:
        if form == "libsvm":
            return _libsvm(files)
        table = np.concatenate([_csv(path) if form == "csv" else _parquet(path) for path in files])
    except (ValueError, ImportError) as error:
        raise UserError(f"Failed to load {form} data with exception:\n{error}") from error
    first = 2 if weights else 1
    if table.shape[1] <= first:
        raise UserError(f"The {form} data of channel {folder.name} has no feature columns; the label comes first")
    weight = table[:, 1] if weights else None
    return xgboost.DMatrix(table[:, first:], label=table[:, 0], weight=weight)


def _csv(path: Path) -> Any:
    text = path.read_text()
    first = text.partition("\n")[0]
    delimiter = next((sign for sign in (",", "\t", ";", "|", " ") if sign in first), ",")
    try:
        return np.loadtxt(io.StringIO(text), delimiter=delimiter, dtype=np.float32, ndmin=2)
    except ValueError:
        # An empty field is a missing value; loadtxt takes none. Slower, and words still raise.
        rows = [[float(cell) if cell.strip() else np.nan for cell in line.split(delimiter)]
                for line in text.splitlines() if line.strip()]  # fmt: skip
        return np.array(rows, dtype=np.float32)


def _parquet(path: Path) -> Any:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path)
    return np.column_stack([column.to_numpy(zero_copy_only=False) for column in _flat(table)]).astype(np.float32)


def _flat(table: Any) -> list[Any]:
    return [column.combine_chunks() for column in table.columns]


def _libsvm(files: list[Path]) -> xgboost.DMatrix:
    """``<label>[:<weight>] <index>:<value> ...``; an index is the column's number, as XGBoost itself reads it."""
    from scipy.sparse import csr_matrix

    labels: list[float] = []
    weights: list[float] = []
    values: list[float] = []
    columns: list[int] = []
    ends = [0]
    for path in files:
        for line in path.read_text().splitlines():
            head, *pairs = line.partition("#")[0].split() or [""]
            if not head:
                continue
            label, _, weight = head.partition(":")
            labels.append(float(label))
            weights.append(float(weight) if weight else 1.0)
            for pair in pairs:
                index, _, value = pair.partition(":")
                columns.append(int(index))
                values.append(float(value))
            ends.append(len(values))
    matrix = csr_matrix((np.array(values, dtype=np.float32), columns, ends))
    return xgboost.DMatrix(matrix, label=labels, weight=weights if set(weights) != {1.0} else None)
