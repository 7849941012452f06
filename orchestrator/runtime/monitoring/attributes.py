"""Where a value lies in a payload: a place (``0``), a name (``score``) or a JSONPath (``$.predictions[*].score``).

One payload may carry several rows, and containers write them in different ways: one line for each, all on one line, a
list of numbers, lists of lists, objects. How many rows the request had decides what is read as what.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.runtime.monitoring.capture import ROW_KEYS, encodable
from orchestrator.runtime.monitoring.failures import InputUnreadable

STEP = re.compile(r"\.?([^.\[\]$'\"]+)|\[(\d+|\*)\]|\[(?:'([^']*)'|\"([^\"]*)\")\]")
EACH = "*"
Step = str | int


@dataclass(frozen=True, slots=True)
class Attribute:
    """A place in a row (``place``), or steps into a document: names, places in lists, ``*`` for each of a list."""

    text: str
    place: int | None = None
    steps: tuple[Step, ...] = ()


def attribute(text: str) -> Attribute:
    """The attribute that is written like this. Raises InputUnreadable when it is none."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return Attribute(text, place=int(text))
    rest, steps = text.removeprefix("$"), list[Step]()
    while rest:
        found = STEP.match(rest)
        if found is None:
            break
        name, place, quoted, double = found.groups()
        if place is not None:
            steps.append(EACH if place == EACH else int(place))
        else:
            steps.append(next(each for each in (name, quoted, double) if each is not None))
        rest = rest[found.end() :]
    if rest or not steps:
        raise InputUnreadable(
            f"The attribute {text!r} is no place, name or simple JSONPath.",
            hint="Write 0, score, or $.predictions[*].score; filters and slices are not supported.",
        )
    return Attribute(text, steps=tuple(steps))


def csv_rows(payload: str, expected: int | None = None) -> list[list[str]]:
    """The rows of a CSV payload; a single line with one value for each of the expected rows is those rows."""
    rows = [_cells(line) for line in payload.splitlines() if line.strip()]
    if len(rows) == 1 and expected is not None and expected == len(rows[0]):
        return [[cell] for cell in rows[0]]
    return rows


def _cells(line: str) -> list[str]:
    return next(csv.reader([line]), []) if '"' in line else line.split(",")


def json_documents(payload: str) -> list[Any]:
    """The JSON document, or, of JSON lines, each. Raises ValueError when it is neither."""
    try:
        return [json.loads(payload)]
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError:
        documents = [json.loads(line) for line in payload.splitlines() if line.strip()]
        if not documents:
            raise
        return documents


def json_rows(document: Any, expected: int | None = None, *, listed: bool = False) -> list[Any]:
    """The rows of a document as they are: objects, lists or single values.

    A list of single values is one row, unless as many rows are expected, or it stands under ``predictions`` or
    another of the usual names (``listed``) and nothing is expected.
    """
    if isinstance(document, dict):
        for key in ROW_KEYS:
            if isinstance(document.get(key), list):
                return json_rows(document[key], expected, listed=True)
        return [document]
    if not isinstance(document, list):
        return [document]
    if any(isinstance(each, dict | list) for each in document):
        return document
    alone = listed if expected is None else expected == len(document)
    return document if alone else [document]


def picked(document: Any, wanted: Attribute, expected: int | None = None) -> list[Any]:
    """The attribute of each row of a document; None in rows that lack it."""
    if wanted.place is None and isinstance(document, dict) and wanted.steps[0] in document:
        value = _step(document, wanted.steps)
        return [_single(each) for each in value] if isinstance(value, list) else [value]
    rows = json_rows(document, expected)
    if wanted.place is None:
        return [_single(_step(row, wanted.steps)) for row in rows]
    return [_placed(row, wanted.place) for row in rows]


def _step(value: Any, steps: Sequence[Step]) -> Any:
    for place, step in enumerate(steps):
        if step == EACH and isinstance(value, list):
            return [_step(each, steps[place + 1 :]) for each in value]
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def _placed(row: Any, place: int) -> Any:
    if isinstance(row, dict):
        row = list(row.values())
    if isinstance(row, list):
        return _single(row[place]) if place < len(row) else None
    return row if place == 0 else None


def _single(value: Any) -> Any:
    """The value, or the only value of a list; lists of several and objects are none."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return None if isinstance(value, list | dict) else value


def text_of(value: Any) -> str | None:
    """A JSON value as text."""
    if value is None:
        return None
    return encodable(value if isinstance(value, str) else json.dumps(value))
