"""Captured calls beside the ground truth that came later: matched by inference id, else by event id.

A call is known by the inference id its caller gave it, or else by the event id SageMaker gave it; a ground truth record
names one of these as its ``eventId``. Labels may be missing (delayed), come twice (the later record counts), or belong
to calls of another window. Memory does not grow with the window: large ones are put on disk in parts, by a hash of the
id, and matched part by part.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-merge.html
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from orchestrator.runtime.monitoring.attributes import csv_rows, json_documents, json_rows, text_of
from orchestrator.runtime.monitoring.calls import (
    EVENT,
    FILE,
    LABEL,
    PLACE,
    PREDICTION,
    PROBABILITY,
    REFERENCE,
    ROW,
    SIZE,
    Wanted,
    canonical,
    read_calls,
)
from orchestrator.runtime.monitoring.capture import decoded, encodable
from orchestrator.runtime.monitoring.columns import Kind, as_texts
from orchestrator.runtime.monitoring.delimited import whole_records
from orchestrator.runtime.monitoring.failures import InputMissing, InputUnreadable
from orchestrator.runtime.monitoring.findings import Findings
from orchestrator.runtime.monitoring.reading import Source

PART_BYTES = 64 << 20
"""Windows of more captured bytes, or of more ground truth, are matched in several parts."""
SUFFIXES = (".jsonl", ".ndjson", ".json")
TRUTHS = "@truths"
TRUTH: dict[str, pl.DataType | type[pl.DataType]] = {
    EVENT: pl.String, TRUTHS: pl.List(pl.String), FILE: pl.String, ROW: pl.Int64,
}  # fmt: skip


@dataclass(slots=True)
class Coverage:
    """How many rows came together. ``rows`` were captured; of them ``labelled`` have ground truth, ``unlabelled`` do
    not (yet). ``truths`` records of ground truth were read; ``unmatched`` of them belong to no call of the window,
    ``repeated`` were replaced by a later one."""

    rows: int = 0
    labelled: int = 0
    unlabelled: int = 0
    truths: int = 0
    unmatched: int = 0
    repeated: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counts as JSON."""
        return asdict(self)


class Merged:
    """A window being matched; ``coverage`` and ``findings`` are complete when ``parts`` is exhausted.

    ``captured`` and ``ground_truth`` are a file or a folder each (an empty folder is an empty window). Raises
    InputMissing when one does not exist. ``part_bytes`` of captured calls are matched at once.
    """

    def __init__(self, captured: Path, ground_truth: Path, wanted: Wanted, findings: Findings | None = None, *,
                 part_bytes: int = PART_BYTES) -> None:  # fmt: skip
        self.wanted = wanted
        self.findings = findings or Findings()
        self.coverage = Coverage()
        self._captured = _files(captured)
        self._truths = _files(ground_truth)
        self._part_bytes = part_bytes

    def parts(self) -> Iterator[pl.DataFrame]:
        """The rows that have a label, in parts: the columns of ``read_calls`` and ``@label`` (text).

        ``@prediction`` and ``@probability`` are null where the answer holds none.
        """
        size = max(sum(path.stat().st_size for path, _ in files) for files in (self._captured, self._truths))
        count = max(1, math.ceil(size / self._part_bytes))
        with tempfile.TemporaryDirectory(prefix="merging-") as folder:
            calls, truths = Shelf(count, Path(folder) / "calls"), Shelf(count, Path(folder) / "truths")
            for path, file in self._captured:
                for frame in read_calls(path, file, self.wanted, self.findings):
                    calls.put(self._identified(frame))
            for path, file in self._truths:
                for frame in read_ground_truth(path, file, self.findings):
                    self.coverage.truths += frame.height
                    truths.put(frame)
            for place in range(count):
                frame = self._match(calls.take(place), truths.take(place))
                if frame.height:
                    yield frame

    def _identified(self, frame: pl.DataFrame) -> pl.DataFrame:
        self.coverage.rows += frame.height
        without = frame.filter(pl.col(EVENT) == "")
        if without.height:
            self._note(without, "no_id", "Calls without an inference id or event id cannot have ground truth.")
            self.coverage.unlabelled += without.height
            frame = frame.filter(pl.col(EVENT) != "")
        return frame

    def _note(self, frame: pl.DataFrame, kind: str, message: str) -> None:
        for (file,), rows in frame.group_by([FILE], maintain_order=True):
            self.findings.add(kind, str(file), message, rows[ROW].head(10), rows.height)

    def _match(self, calls: pl.DataFrame | None, truths: pl.DataFrame | None) -> pl.DataFrame:
        if truths is None:
            self.coverage.unlabelled += 0 if calls is None else calls.height
            return pl.DataFrame()
        truths = self._latest(truths)
        if calls is None:
            self.coverage.unmatched += truths.height
            return pl.DataFrame()
        calls = self._first(calls)
        self.coverage.unmatched += truths.join(calls.select(EVENT), on=EVENT, how="anti").height
        labels = truths.select(EVENT, TRUTHS)
        joined = calls.join(labels, on=EVENT, how="left", maintain_order="left")
        labelled = joined.filter(pl.col(TRUTHS).is_not_null())
        self.coverage.unlabelled += joined.height - labelled.height
        fits = pl.col(TRUTHS).list.len() == pl.col(SIZE)
        wrong = labelled.filter(~fits)
        if wrong.height:
            message = "Calls whose ground truth has another number of rows were left out."
            self._note(wrong, "rows_do_not_match", message)
            self.coverage.unlabelled += wrong.height
        labelled = labelled.filter(fits).with_columns(pl.col(TRUTHS).list.get(pl.col(PLACE)).alias(LABEL)).drop(TRUTHS)
        labelled = labelled.with_columns(canonical(labelled[LABEL]))
        empty = labelled.filter(pl.col(LABEL).is_null())
        self.coverage.unlabelled += empty.height
        labelled = labelled.filter(pl.col(LABEL).is_not_null())
        self.coverage.labelled += labelled.height
        return labelled

    def _latest(self, truths: pl.DataFrame) -> pl.DataFrame:
        """One record for each id, the later one of several."""
        kept = truths.unique(EVENT, keep="last", maintain_order=True)
        if kept.height < truths.height:
            self.coverage.repeated += truths.height - kept.height
            before = truths.join(kept.select(EVENT, TRUTHS), on=EVENT, how="left", maintain_order="left")
            changed = before.filter(pl.col(TRUTHS) != pl.col(f"{TRUTHS}_right"))
            if changed.height:
                self._note(changed, "corrected_ground_truth", "Ground truth was replaced by a later record's.")
        return kept

    def _first(self, calls: pl.DataFrame) -> pl.DataFrame:
        """The rows of the first call of each id: an id that was given to several calls labels one of them."""
        call = pl.struct(FILE, ROW)
        first = call.first().over(EVENT) == call
        kept = calls.filter(first)
        if kept.height < calls.height:
            message = "Calls with an inference id that an earlier call had were left out."
            self._note(calls.filter(~first), "repeated_id", message)
            self.coverage.unlabelled += calls.height - kept.height
        return kept


class Shelf:
    """Frames in parts by a hash of the id: in memory when there is one part, on disk otherwise."""

    def __init__(self, parts: int, folder: Path) -> None:
        self._parts, self._folder = parts, folder
        self._frames: list[pl.DataFrame] = []
        self._count = 0

    def put(self, frame: pl.DataFrame) -> None:
        """Put the rows where they belong."""
        if self._parts == 1:
            self._frames.append(frame)
            return
        self._folder.mkdir(exist_ok=True)
        places = frame[EVENT].hash(seed=0) % self._parts
        for place in places.unique():
            path = self._folder / f"{place}-{self._count:06}.arrow"
            frame.filter(places == place).write_ipc(path)
        self._count += 1

    def take(self, place: int) -> pl.DataFrame | None:
        """Everything of one part, in the order in which it was put; None when there is nothing."""
        frames = self._frames
        if self._parts > 1:
            paths = sorted(self._folder.glob(f"{place}-*.arrow")) if self._folder.is_dir() else []
            frames = [pl.read_ipc(path) for path in paths]
            for path in paths:
                path.unlink()
        frames = [frame for frame in frames if frame.height]
        return pl.concat(frames, how="diagonal_relaxed") if frames else None


def read_ground_truth(path: Path, file: str, findings: Findings) -> Iterator[pl.DataFrame]:
    """The records of a file of ground truth: id, labels (one for each row of the call), file and line.

    A record is ``{"groundTruthData": {"data": "1", "encoding": "CSV"}, "eventMetadata": {"eventId": "..."}}``; the
    encoding may be CSV, JSON or BASE64. Lines that are none are findings.
    """
    line = 0
    with path.open("rb") as stream:
        for block in whole_records(stream, quotes=False):
            columns: dict[str, list[Any]] = {name: [] for name in TRUTH}
            for text in block.splitlines():
                line += 1
                if not text.strip():
                    continue
                record = _truth(text)
                if record is None:
                    findings.add("broken_rows", file, "Lines that are no ground truth were left out.", [line])
                    continue
                for name, value in zip(TRUTH, (*record, file, line), strict=True):
                    columns[name].append(value)
            if columns[EVENT]:
                yield pl.DataFrame(columns, schema=TRUTH)


def _truth(text: bytes) -> tuple[str, list[str | None]] | None:
    try:
        record = json.loads(text)
        event, data = record["eventMetadata"]["eventId"], record["groundTruthData"]
        payload = decoded(data)
        if not event or not isinstance(event, str | int) or payload is None:
            return None
        if data.get("encoding") == "JSON":
            rows = [row for each in json_documents(payload) for row in _labels(each)]
        else:
            lines = csv_rows(payload)
            rows = lines[0] if len(lines) == 1 else [row[0] if len(row) == 1 else None for row in lines]
        return encodable(str(event)), [text_of(row) for row in rows]
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return None


def _labels(document: Any) -> list[Any]:
    """The labels in a JSON document: a value, a list of values, or objects with one member each."""
    found = []
    for row in json_rows(document, listed=True):
        value = next(iter(row.values())) if isinstance(row, dict) and len(row) == 1 else row
        values = value if isinstance(value, list) else [value]
        if any(isinstance(each, dict | list) for each in values):
            raise ValueError("labels must be single values")
        found += values
    return found


def _files(place: Path) -> list[tuple[Path, str]]:
    """Every file of JSON lines below the folder, in order of names, with its name there; or the file itself."""
    if place.is_file():
        return [(place, place.name)]
    if not place.is_dir():
        raise InputMissing(f"There is no file or folder {place}.", hint="Check the path.")
    found = (path for path in sorted(place.rglob("*")) if path.is_file() and path.suffix.lower() in SUFFIXES)
    return [(path, str(path.relative_to(place))) for path in found if not path.name.startswith((".", "_"))]


def labelled_table(
    source: Source, *, label: str, prediction: str = "", probability: str = ""
) -> Iterator[pl.DataFrame]:
    """The rows of a table that carries its labels (a baseline, or plain data), in the form of ``Merged.parts``.

    The named columns become ``@label``, ``@prediction`` and ``@probability``; the others are the features. Rows
    without a label are passed over. Raises InputUnreadable when a named column is not there.
    """
    named = {LABEL: label, PREDICTION: prediction, PROBABILITY: probability}
    named = {column: name for column, name in named.items() if name}
    for column, name in named.items():
        source.kinds.give(name, Kind.NUMBER if column == PROBABILITY else Kind.TEXT)
    for batch in source.batches():
        missing = sorted({name for name in named.values() if name not in batch.frame.columns})
        if missing:
            raise InputUnreadable(
                f"{batch.file} has no column {', '.join(missing)}.",
                hint=f"It has: {', '.join(batch.frame.columns[:50])}.",
            )
        taken = [
            batch.frame[name].alias(column) if column == PROBABILITY
            else canonical(as_texts(batch.frame[name])).alias(column)
            for column, name in named.items()
        ]  # fmt: skip
        frame = batch.frame.drop(set(named.values())).with_columns(
            *taken,
            pl.Series(EVENT, batch.events or [""] * batch.frame.height, dtype=pl.String),
            pl.lit(batch.file).alias(FILE),
            pl.Series(ROW, batch.rows, dtype=pl.Int64),
            pl.lit(0, dtype=pl.Int64).alias(PLACE),
            pl.lit(1, dtype=pl.Int64).alias(SIZE),
        )
        yield frame.filter(pl.col(LABEL).is_not_null())


def references(frame: pl.DataFrame) -> Iterable[dict[str, Any]]:
    """Where the rows of a frame are to be found, in the form violations carry."""
    for event, file, row, place, size in frame.select(list(REFERENCE)).iter_rows():
        found: dict[str, Any] = {"file": file, "row": row}
        if event:
            found["event_id"] = event
        if size > 1:
            found["place_in_call"] = place
        yield found
