"""SageMaker data capture: JSON lines, each with the request and the answer of one call of an endpoint.

Payloads are CSV or JSON, as text or in base64. One call may carry several rows; each keeps the id of its call.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import polars as pl

from orchestrator.runtime.monitoring.columns import Batch, Kinds, conform
from orchestrator.runtime.monitoring.delimited import Table, positional, whole_records
from orchestrator.runtime.monitoring.findings import Findings

ROW_KEYS = ("instances", "predictions", "data", "rows")
SUPPORTED = "text/csv and application/json"


class Part(StrEnum):
    """Which side of a call is looked at; of both, each answer stands before its row, as Model Monitor puts them."""

    INPUT = "input"
    OUTPUT = "output"
    BOTH = "both"


@dataclass(slots=True)
class Payloads:
    """The payloads of one block, apart by their form."""

    csv: list[str] = field(default_factory=list)
    csv_events: list[str] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    record_events: list[str] = field(default_factory=list)


def read_capture(path: Path, file: str, kinds: Kinds, findings: Findings, *, names: Sequence[str] | None = None,
                 part: Part = Part.INPUT) -> Iterator[Batch]:  # fmt: skip
    """The rows in the captured requests (or answers). ``names`` are those of the columns of CSV payloads, by place.

    Calls that cannot be read are findings: broken lines, missing payloads, other content types.
    """
    line = row = 0
    table: Table | None = None
    with path.open("rb") as stream:
        for block in whole_records(stream, quotes=False):
            found = Payloads()
            for text in block.splitlines():
                line += 1
                if text.strip():
                    _take(text, line, found, file, findings, names, part)
            if found.csv:
                width = found.csv[0].count(",") + 1
                table = table or Table(file, positional(width, names), kinds, findings, row=row)
                batch = table.batch(("\n".join(found.csv) + "\n").encode(), found.csv_events)
                row = table.row
                if batch is not None:
                    yield batch
            if found.records:
                rows = range(row + 1, row + 1 + len(found.records))
                row += len(found.records)
                if table is not None:
                    table.row = row
                yield conform(records_frame(found.records), kinds, file, rows, found.record_events)


def _take(text: bytes, line: int, into: Payloads, file: str, findings: Findings, names: Sequence[str] | None,
          part: Part) -> None:  # fmt: skip
    """Sort one captured call into the payloads, or note why that is not possible."""
    try:
        record = json.loads(text)
        data = record["captureData"]
        meta = record.get("eventMetadata") or {}
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        findings.add("broken_rows", file, "Lines that are no captured calls were left out.", [line])
        return
    if part is Part.BOTH:
        _take_both(data, _event(meta), line, into, file, findings)
        return
    side = data.get("endpointInput" if part is Part.INPUT else "endpointOutput") if isinstance(data, dict) else None
    if not isinstance(side, dict) or not isinstance(side.get("data"), str):
        findings.add("no_payload", file, f"Calls without a captured {part.value} were left out.", [line])
        return
    event = _event(meta)
    content = str(side.get("observedContentType") or "").split(";")[0].strip().lower()
    payload = decoded(side)
    if payload is None:
        findings.add("unreadable_payload", file, "Payloads that are not base64 of UTF-8 were left out.", [line])
    elif content in ("application/json", "application/jsonlines") or side.get("encoding") == "JSON":
        _take_json(payload, line, event, into, file, findings, names)
    elif content in ("text/csv", "") or side.get("encoding") == "CSV":
        rows = [each for each in payload.splitlines() if each.strip()]
        into.csv.extend(rows)
        into.csv_events.extend([event] * len(rows))
    else:
        message = f"Payloads of the content type {content} were left out; {SUPPORTED} are read."
        findings.add("unreadable_payload", file, message, [line])


def _event(meta: Any) -> str:
    return str(meta.get("inferenceId") or meta.get("eventId") or "") if isinstance(meta, dict) else ""


def _take_both(data: Any, event: str, line: int, into: Payloads, file: str, findings: Findings) -> None:
    """Requests and answers side by side: CSV on both, and an answer for every row."""
    sides = [data.get(name) if isinstance(data, dict) else None for name in ("endpointOutput", "endpointInput")]
    if not all(isinstance(side, dict) and isinstance(side.get("data"), str) for side in sides):
        findings.add("no_payload", file, "Calls without a captured request or answer were left out.", [line])
        return
    types = {str(side.get("observedContentType") or "").split(";")[0].strip().lower() for side in sides if side}
    texts = [decoded(side) for side in sides if side]
    if not types <= {"text/csv", ""} or None in texts:
        message = "Calls that are not text/csv on both sides were left out: only these stand side by side."
        findings.add("unreadable_payload", file, message, [line])
        return
    answers, rows = ([each for each in str(text).splitlines() if each.strip()] for text in texts)
    if len(answers) == 1 and len(rows) > 1:  # some images answer all rows in one line
        answers = answers[0].split(",")
    if len(answers) != len(rows):
        findings.add("broken_rows", file, "Calls without an answer for every row were left out.", [line])
        return
    into.csv.extend(f"{answer},{row}" for answer, row in zip(answers, rows, strict=True))
    into.csv_events.extend([event] * len(rows))


def decoded(side: dict[str, Any]) -> str | None:
    """The payload of one side of a call as text; None when it is not base64 of UTF-8 although it says so."""
    if side.get("encoding") != "BASE64":
        return encodable(str(side["data"]))
    try:
        return base64.b64decode(side["data"], validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None


def _take_json(payload: str, line: int, event: str, into: Payloads, file: str, findings: Findings,
               names: Sequence[str] | None) -> None:  # fmt: skip
    try:
        rows = json_rows(json.loads(payload), names)
    except (ValueError, RecursionError):
        try:
            rows = [row for each in payload.splitlines() if each.strip() for row in json_rows(json.loads(each), names)]
        except (ValueError, RecursionError):
            findings.add("unreadable_payload", file, "JSON payloads that are no rows were left out.", [line])
            return
    into.records.extend(rows)
    into.record_events.extend([event] * len(rows))


def json_rows(document: Any, names: Sequence[str] | None) -> list[dict[str, Any]]:
    """The rows of a JSON payload: an object, a list of objects, a list of numbers, a list of lists, or one of these
    under ``instances``, ``predictions``, ``data`` or ``rows``, each possibly as ``{"features": [...]}``.

    Raises ValueError for anything else.
    """
    if isinstance(document, dict):
        for key in ROW_KEYS:
            if isinstance(document.get(key), list):
                return json_rows(document[key], names)
        if set(document) == {"features"} and isinstance(document["features"], list):
            return json_rows([document["features"]], names)
        return [document]
    if not isinstance(document, list) or not document:
        raise ValueError("no rows")
    if all(isinstance(row, dict) for row in document):
        return [flat for row in document for flat in json_rows(row, names)]
    if all(isinstance(row, list) for row in document):
        return [dict(zip(positional(len(row), names), row, strict=True)) for row in document]
    if any(isinstance(row, dict | list) for row in document):
        raise ValueError("rows of different forms")
    return [dict(zip(positional(len(document), names), document, strict=True))]


def records_frame(records: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Objects as a table: a column of numbers where all values are numbers, of texts otherwise."""
    names = list(dict.fromkeys(name for record in records for name in record))
    return pl.DataFrame([_column(name, [record.get(name) for record in records]) for name in names])


def _column(name: str, values: list[Any]) -> pl.Series:
    if all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values):
        try:
            numbers = [None if value is None else float(value) for value in values]
            return pl.Series(encodable(name), numbers, dtype=pl.Float64)
        except OverflowError:  # a whole number beyond the largest float stays a text
            pass
    return pl.Series(encodable(name), [_text(value) for value in values], dtype=pl.String)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return encodable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def encodable(text: str) -> str:
    """The text with what is no character (half a surrogate pair, which JSON allows) replaced."""
    return text if text.isascii() else text.encode("utf-8", errors="replace").decode("utf-8")
