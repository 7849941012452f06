"""Captured calls of an endpoint, one row for each row that was asked about: features, prediction, probability.

Requests and answers are read side by side, so that the rows of both belong together also where one call carries many.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from orchestrator.runtime.monitoring.attributes import (
    Attribute,
    attribute,
    csv_rows,
    json_documents,
    json_rows,
    picked,
    text_of,
)
from orchestrator.runtime.monitoring.capture import SUPPORTED, decoded, encodable, records_frame
from orchestrator.runtime.monitoring.columns import Kinds, conform
from orchestrator.runtime.monitoring.delimited import Table, positional, whole_records
from orchestrator.runtime.monitoring.findings import Findings

PREDICTION, PROBABILITY, LABEL = "@prediction", "@probability", "@label"
EVENT, FILE, ROW, PLACE, SIZE = "@event", "@file", "@row", "@place", "@size"
REFERENCE = {EVENT: pl.String, FILE: pl.String, ROW: pl.Int64, PLACE: pl.Int64, SIZE: pl.Int64}
"""Id of the call, its file and line, the row's place in the call, and how many rows the call has."""


@dataclass(slots=True)
class Wanted:
    """What to take out of each call.

    ``prediction`` and ``probability`` say where they lie in the answer (see ``attributes``); empty: not taken.
    ``features``: whether to take the features of the request, ``features_attribute`` where they lie in a JSON one,
    ``names`` their names by place, ``kinds`` what is known of them. Raises InputUnreadable for what is no attribute.
    """

    prediction: str = ""
    probability: str = ""
    features: bool = False
    features_attribute: str = ""
    names: Sequence[str] = ()
    kinds: Kinds = field(default_factory=Kinds)
    outputs: dict[str, Attribute] = field(init=False)
    inputs: Attribute | None = field(init=False)

    def __post_init__(self) -> None:
        given = {PREDICTION: self.prediction, PROBABILITY: self.probability}
        self.outputs = {name: attribute(text) for name, text in given.items() if text}
        self.inputs = attribute(self.features_attribute) if self.features_attribute else None


@dataclass(slots=True)
class Block:
    """The rows of some calls, by column; features apart by their form, each with the place of its row."""

    columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in REFERENCE})
    lines: list[str] = field(default_factory=list)
    line_rows: list[str] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    record_rows: list[str] = field(default_factory=list)


def read_calls(path: Path, file: str, wanted: Wanted, findings: Findings) -> Iterator[pl.DataFrame]:
    """The rows of a file of captured calls, in blocks.

    Columns: the features by name (where wanted), ``@prediction`` (text), ``@probability`` (number), and REFERENCE.
    Calls that cannot be read are findings and left out; a prediction that cannot be read is null.
    """
    number = 0
    table: Table | None = None
    with path.open("rb") as stream:
        for data in whole_records(stream, quotes=False):
            block = Block(columns={name: [] for name in (*REFERENCE, *wanted.outputs)})
            for text in data.splitlines():
                number += 1
                if text.strip():
                    _Call(text, number, file, wanted, findings).into(block)
            frame = _frame(block, wanted)
            if wanted.features:
                if block.lines and table is None:
                    width = len(csv_rows(block.lines[0])[0])
                    table = Table(file, positional(width, wanted.names), wanted.kinds, findings)
                frame = _with_features(frame, block, table, wanted, file)
            if frame.height:
                yield frame


class _Call:
    """One captured call, being read."""

    def __init__(self, text: bytes, line: int, file: str, wanted: Wanted, findings: Findings) -> None:
        self.text, self.line, self.file, self.wanted, self.findings = text, line, file, wanted, findings

    def _note(self, kind: str, message: str) -> None:
        self.findings.add(kind, self.file, message, [self.line])

    def into(self, block: Block) -> None:
        """Add the rows of the call, all or none."""
        try:
            record = json.loads(self.text)
            data, meta = record["captureData"], record.get("eventMetadata") or {}
            event = encodable(str(meta.get("inferenceId") or meta.get("eventId") or ""))
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
            self._note("broken_rows", "Lines that are no captured calls were left out.")
            return
        features = self._features(data)
        if features is None and self.wanted.features:
            return
        size = None if features is None else len(features)
        outputs = self._outputs(data, size) if self.wanted.outputs else {}
        if outputs is None:
            return
        sizes = {len(values) for values in outputs.values()} | ({size} if size is not None else set())
        if len(sizes) != 1:
            what = "no rows" if not sizes else f"{' and '.join(map(str, sorted(sizes, key=str)))} rows"
            self._note("rows_do_not_match", f"Calls whose request and answer have {what} were left out.")
            return
        count = sizes.pop()
        columns, start = block.columns, len(block.columns[EVENT])
        columns[EVENT].extend([event] * count)
        columns[FILE].extend([self.file] * count)
        columns[ROW].extend([self.line] * count)
        columns[PLACE].extend(range(count))
        columns[SIZE].extend([count] * count)
        for name, values in outputs.items():
            columns[name].extend(map(text_of, values))
        if features is not None and self.wanted.features:
            self._take_features(features, block, start)

    def _side(self, data: Any, side: str, word: str) -> tuple[str, bool] | None:
        """The payload and whether it is JSON; None, with a finding, when it cannot be read."""
        found = data.get(side) if isinstance(data, dict) else None
        if not isinstance(found, dict) or not isinstance(found.get("data"), str):
            self._note("no_payload", f"Calls without a captured {word} were left out.")
            return None
        content = str(found.get("observedContentType") or "").split(";")[0].strip().lower()
        payload = decoded(found)
        if payload is None:
            self._note("unreadable_payload", "Payloads that are not base64 of UTF-8 were left out.")
        elif content in ("application/json", "application/jsonlines") or found.get("encoding") == "JSON":
            return payload, True
        elif content in ("text/csv", "") or found.get("encoding") == "CSV":
            return payload, False
        else:
            message = f"Payloads of the content type {content} were left out; {SUPPORTED} are read."
            self._note("unreadable_payload", message)
        return None

    def _features(self, data: Any) -> list[Any] | None:
        """The rows of the request: CSV lines, or objects and lists; None when there is none to be read."""
        if not self.wanted.features and not (isinstance(data, dict) and "endpointInput" in data):
            return None
        quiet = self if self.wanted.features else _Call(b"", 0, "", self.wanted, Findings())
        side = quiet._side(data, "endpointInput", "input")
        if side is None:
            return None
        payload, is_json = side
        if not is_json:
            return [line for line in payload.splitlines() if line.strip()]
        try:
            rows = [row for document in json_documents(payload) for row in self._json_features(document)]
        except ValueError:
            quiet._note("unreadable_payload", "JSON payloads that are no rows were left out.")
            return None
        return rows

    def _json_features(self, document: Any) -> list[Any]:
        if self.wanted.inputs is None:
            return [_plain(row) for row in json_rows(document)]
        path = self.wanted.inputs
        if path.place is None and isinstance(document, dict) and path.steps[0] in document:
            return [_plain(row) for row in json_rows(_walk(document, path))]
        return [_plain(_walk(row, path)) for row in json_rows(document)]

    def _outputs(self, data: Any, size: int | None) -> dict[str, list[Any]] | None:
        side = self._side(data, "endpointOutput", "output")
        if side is None:
            return None
        payload, is_json = side
        if not is_json:
            rows = csv_rows(payload, size)
            return {name: [_cell(row, each) for row in rows] for name, each in self.wanted.outputs.items()}
        try:
            documents = json_documents(payload)
        except ValueError:
            self._note("unreadable_payload", "JSON payloads that are no rows were left out.")
            return None
        whole = size if len(documents) == 1 else None
        return {
            name: [value for document in documents for value in picked(document, each, whole)]
            for name, each in self.wanted.outputs.items()
        }

    def _take_features(self, rows: list[Any], block: Block, start: int) -> None:
        for place, row in enumerate(rows, start):
            if isinstance(row, str):
                block.lines.append(row)
                block.line_rows.append(str(place))
            else:
                record = row if isinstance(row, dict) else dict(
                    zip(positional(len(row), self.wanted.names), row, strict=True)
                )  # fmt: skip
                block.records.append(record)
                block.record_rows.append(str(place))


def _walk(value: Any, path: Attribute) -> Any:
    """What lies at the path, lists and objects too."""
    steps = (path.place,) if path.place is not None else path.steps
    for step in steps:
        if isinstance(step, int) and isinstance(value, list) and step < len(value):
            value = value[step]
        elif isinstance(value, dict) and step in value:
            value = value[str(step)]
        elif step != "*":
            raise ValueError(f"there is no {path.text}")
    return value


def _plain(row: Any) -> Any:
    """A row as an object or a list of values. Raises ValueError for anything else."""
    if isinstance(row, dict) and set(row) == {"features"} and isinstance(row["features"], list):
        row = row["features"]
    if isinstance(row, dict):
        return row
    if isinstance(row, list) and row and not any(isinstance(each, dict | list) for each in row):
        return row
    raise ValueError("no row")


def _cell(row: Sequence[str], wanted: Attribute) -> str | None:
    if wanted.place is None or wanted.place >= len(row):
        return None
    return row[wanted.place]


def _frame(block: Block, wanted: Wanted) -> pl.DataFrame:
    schema = {**REFERENCE, **dict.fromkeys(wanted.outputs, pl.String)}
    frame = pl.DataFrame(block.columns, schema=schema)
    for name in wanted.outputs:
        frame = frame.with_columns(canonical(frame[name]) if name == PREDICTION else _number(frame[name]))
    return frame


def _with_features(frame: pl.DataFrame, block: Block, table: Table | None, wanted: Wanted,
                   file: str) -> pl.DataFrame:  # fmt: skip
    """The rows whose features could be read, with them beside."""
    batches = []
    if block.lines and table is not None:
        batches.append(table.batch(("\n".join(block.lines) + "\n").encode(), block.line_rows))
    if block.records:
        made = records_frame(block.records)
        batches.append(conform(made, wanted.kinds, file, range(made.height), block.record_rows))
    parts = [
        pl.concat([batch.frame, frame[[int(place) for place in batch.events or ()]]], how="horizontal")
        for batch in batches
        if batch is not None
    ]
    return pl.concat(parts, how="diagonal_relaxed") if parts else frame.clear()


def _number(values: pl.Series) -> pl.Series:
    return values.str.strip_chars().cast(pl.Float64, strict=False)


def canonical(values: pl.Series) -> pl.Series:
    """Labels written in one way: without blanks and quotes around them, whole numbers without a fraction.

    ``1``, ``1.0`` and ``" 1e0"`` are the same label; an empty text is null.
    """
    text = values.cast(pl.String).str.strip_chars().str.strip_chars('"').str.strip_chars()
    number = text.cast(pl.Float64, strict=False)
    whole = (number == number.round(0)) & number.is_finite() & (number.abs() < 2**53)
    short = number.cast(pl.Int64, strict=False).cast(pl.String)
    text = text.zip_with(~whole.fill_null(False), short)
    return text.set(text == "", None).alias(values.name)
