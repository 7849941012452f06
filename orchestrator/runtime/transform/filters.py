"""``DataProcessing``: which part of a record is sent, which part of the answer is kept, and both joined.

A CSV record is a list of its fields, so ``$[1:]`` is all of them but the first. A JSON record is what it is.
Source: https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from typing import Any

from orchestrator.runtime.transform.records import BadInput

STEP = re.compile(
    r"\.(?P<name>[A-Za-z_][\w-]*)|\['(?P<quoted>[^']+)'\]|\[(?P<slice>-?\d*:-?\d*)\]|\[(?P<indices>-?\d+(?:,-?\d+)*)\]"
)
Step = str | int | slice | list[int]
CSV_TYPES = ("text/csv",)
JSON_TYPES = ("application/json", "application/jsonlines", "application/x-jsonlines")
INPUT, OUTPUT = "SageMakerInput", "SageMakerOutput"


class BadFilter(ValueError):
    """A filter that is no JSONPath, or uses more of it than batch transform takes."""


def steps(path: str) -> list[Step]:
    """The steps of ``$``, ``$.a.b``, ``$['a']``, ``$[0]``, ``$[-1]``, ``$[0,2]``, ``$[1:]``; raises BadFilter."""
    if not path.startswith("$"):
        raise BadFilter(f"{path!r} does not begin with $")
    found: list[Step] = []
    position = 1
    while position < len(path):
        match = STEP.match(path, position)
        if match is None:
            raise BadFilter(f"{path!r} is not supported from {path[position:]!r} on")
        found.append(_step(match))
        position = match.end()
    return found


def _step(match: re.Match[str]) -> Step:
    if name := match["name"] or match["quoted"]:
        return name
    if span := match["slice"]:
        begin, end = (int(part) if part else None for part in span.split(":"))
        return slice(begin, end)
    indices = [int(part) for part in match["indices"].split(",")]
    return indices[0] if len(indices) == 1 else indices


def select(record: Any, path: str) -> Any:
    """The part of a record; raises BadInput when it has no such part."""
    for step in steps(path):
        try:
            record = [record[index] for index in step] if isinstance(step, list) else record[step]
        except (KeyError, IndexError, TypeError):
            raise BadInput(f"the filter {path} finds nothing in {json.dumps(record)[:200]}") from None
    return record


def read(line: bytes, content_type: str) -> Any:
    """A record as a value."""
    if content_type in CSV_TYPES:
        return next(csv.reader(io.StringIO(line.decode())), [])
    try:
        return json.loads(line)
    except ValueError as error:
        raise BadInput(f"a line is not JSON: {error}") from error


def written(value: Any, content_type: str) -> bytes:
    """A value as a record."""
    if content_type not in CSV_TYPES:
        return json.dumps(value).encode()
    target = io.StringIO()
    csv.writer(target, lineterminator="").writerow(value if isinstance(value, list) else [value])
    return target.getvalue().encode()


def filtered(records: Sequence[bytes], path: str, content_type: str) -> list[bytes]:
    """What of each record is sent."""
    if path == "$":
        return list(records)
    return [written(select(read(record, content_type), path), content_type) for record in records]


def finished(
    records: Sequence[bytes], answer: bytes, path: str, content_type: str, accept: str, *, join: bool
) -> bytes:
    """The answer to some records, joined with them if asked, and what the output filter keeps of each."""
    lines = [line for line in answer.splitlines() if line.strip()]
    if join and len(lines) != len(records):
        raise BadInput(f"the model answered {len(records)} records with {len(lines)} lines, so they cannot be joined")
    values = [read(line, accept) for line in lines]
    if join:
        values = [
            _joined(read(record, content_type), value, content_type)
            for record, value in zip(records, values, strict=True)
        ]
    return b"\n".join(written(select(value, path), accept) for value in values)


def _joined(record: Any, answer: Any, content_type: str) -> Any:
    """CSV fields stand behind one another; an answer to a JSON object becomes its member ``SageMakerOutput``."""
    if content_type in CSV_TYPES:
        return [*record, *answer]
    if isinstance(record, dict):
        return {**record, OUTPUT: answer}
    return {INPUT: record, OUTPUT: answer}
