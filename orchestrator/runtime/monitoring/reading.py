"""Files and folders of any supported format as one stream of batches."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import polars as pl

from orchestrator.runtime.monitoring import capture
from orchestrator.runtime.monitoring.columns import REFUSALS, Batch, Kinds, conform
from orchestrator.runtime.monitoring.delimited import positional, read_csv, whole_records
from orchestrator.runtime.monitoring.failures import InputMissing, InputUnreadable
from orchestrator.runtime.monitoring.findings import Findings

PARQUET_CELLS = 2_000_000
PARQUET_MAGIC = b"PAR1"
GZIP_MAGIC = b"\x1f\x8b"


class Format(StrEnum):
    """How the input is written. AUTO looks at the name and the beginning of each file."""

    AUTO = "auto"
    CSV = "csv"
    JSON_LINES = "jsonlines"
    PARQUET = "parquet"
    CAPTURE = "capture"


SUFFIXES = {
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".jsonl": Format.JSON_LINES,
    ".ndjson": Format.JSON_LINES,
    ".json": Format.JSON_LINES,
    ".parquet": Format.PARQUET,
}


@dataclass(slots=True)
class Source:
    """What to read and how. ``names`` are those of columns that are known by their place only."""

    path: Path
    format: Format = Format.AUTO
    header: bool = True
    names: Sequence[str] | None = None
    part: capture.Part = capture.Part.INPUT
    ignore: Sequence[str] = ()
    kinds: Kinds = field(default_factory=Kinds)
    findings: Findings = field(default_factory=Findings)

    def files(self) -> list[Path]:
        """The file itself, or every data file below the folder, in order of names.

        Raises InputMissing when there is nothing.
        """
        if self.path.is_file():
            return [self.path]
        if not self.path.is_dir():
            raise InputMissing(f"There is no file or folder {self.path}.", hint="Check the path.")
        found = (path for path in sorted(self.path.rglob("*")) if path.is_file())
        wanted = [path for path in found if not path.name.startswith((".", "_")) and self._takes(path)]
        if not wanted:
            kinds = ", ".join(SUFFIXES)
            raise InputMissing(f"The folder {self.path} holds no data files ({kinds}).", hint="Name the right folder.")
        return wanted

    def form(self, path: Path) -> Format:
        """How a file is written."""
        with path.open("rb") as stream:
            return self._format(path, stream.read(1 << 16))

    def _takes(self, path: Path) -> bool:
        return self.format is not Format.AUTO or path.suffix.lower() in SUFFIXES

    def batches(self) -> Iterator[Batch]:
        """Every row of every file. Raises InputUnreadable when there is not a single one."""
        rows = 0
        for path in self.files():
            file = str(path.relative_to(self.path)) if path != self.path else path.name
            if path.stat().st_size == 0:
                self.findings.add("empty_file", file, "The file is empty.", count=1)
                continue
            for batch in self._read(path, file):
                rows += batch.frame.height
                yield self._wanted(batch)
        if not rows:
            raise InputUnreadable(
                f"{self.path} holds no readable rows.", hint=_reasons(self.findings) or "Check that it is not empty."
            )

    def _wanted(self, batch: Batch) -> Batch:
        ignored = [name for name in self.ignore if name in batch.frame.columns]
        if not ignored:
            return batch
        return Batch(batch.frame.drop(ignored), batch.file, batch.rows, batch.unparsable, batch.events)

    def _read(self, path: Path, file: str) -> Iterable[Batch]:
        with path.open("rb") as stream:
            beginning = stream.read(1 << 16)
        form = self._format(path, beginning)
        if beginning[:2] == GZIP_MAGIC:
            raise InputUnreadable(f"{path} is compressed with gzip.", hint="Decompress it first.")
        if (form is Format.PARQUET) != (beginning[:4] == PARQUET_MAGIC):
            word = "is Parquet, not" if beginning[:4] == PARQUET_MAGIC else "is not Parquet, although read as"
            raise InputUnreadable(f"{path} {word} {form.value}.", hint="Name the right format.")
        if form is Format.PARQUET:
            return read_parquet(path, file, self.kinds)
        if form is Format.CAPTURE:
            return capture.read_capture(path, file, self.kinds, self.findings, names=self.names, part=self.part)
        if form is Format.JSON_LINES:
            return read_json_lines(path, file, self.kinds, self.findings)
        separator = "\t" if path.suffix.lower() == ".tsv" else ","
        return read_csv(
            path, file, self.kinds, self.findings, header=self.header, separator=separator, names=self.names
        )

    def _format(self, path: Path, beginning: bytes) -> Format:
        if self.format is not Format.AUTO:
            return self.format
        if beginning[:4] == PARQUET_MAGIC:
            return Format.PARQUET
        form = SUFFIXES.get(path.suffix.lower(), Format.CSV)
        start = beginning.lstrip(b"\xef\xbb\xbf \r\n\t")
        if start[:1] == b"{" and form is not Format.PARQUET:
            return Format.CAPTURE if b'"captureData"' in beginning else Format.JSON_LINES
        return form


def _reasons(findings: Findings) -> str:
    return " ".join(f"{finding['file']}: {finding['message']}" for finding in findings.as_list()[:3])


def read_parquet(path: Path, file: str, kinds: Kinds) -> Iterator[Batch]:
    """The rows of a Parquet file. Raises InputUnreadable when it is damaged."""
    try:
        lazy = pl.scan_parquet(path)
        width = max(1, len(lazy.collect_schema()))
        row = 0
        for frame in lazy.collect_batches(chunk_size=max(1, PARQUET_CELLS // width), maintain_order=True):
            yield conform(frame, kinds, file, range(row + 1, row + 1 + frame.height))
            row += frame.height
    except REFUSALS as error:
        raise InputUnreadable(f"{path} is damaged: {str(error).splitlines()[0]}") from error


def read_json_lines(path: Path, file: str, kinds: Kinds, findings: Findings) -> Iterator[Batch]:
    """One JSON object on each line is one row; other lines are findings."""
    row = 0
    with path.open("rb") as stream:
        for block in whole_records(stream, quotes=False):
            frame = _regular_lines(block)
            if frame is not None:
                rows: Sequence[int] = range(row + 1, row + 1 + frame.height)
                row += frame.height
            else:
                frame, rows, seen, broken = _patient_lines(block, row)
                row += seen
                if broken:
                    findings.add("broken_rows", file, "Lines that are no JSON objects were left out.", broken)
            if frame.height:
                yield conform(frame, kinds, file, rows)


def _regular_lines(block: bytes) -> pl.DataFrame | None:
    """The block as polars reads it; None when it does not, or when lines could have been passed over."""
    try:
        frame = pl.read_ndjson(block, infer_schema_length=None)
    except REFUSALS:
        return None
    if any(kind.is_nested() or kind == pl.String for kind in frame.dtypes):
        return None if b"\n\n" in block or frame.height != block.count(b"\n") + (not block.endswith(b"\n")) else frame
    return frame if frame.height == block.count(b"\n") + (not block.endswith(b"\n")) else None


def _patient_lines(block: bytes, row: int) -> tuple[pl.DataFrame, list[int], int, list[int]]:
    """Line by line: the rows, their numbers, how many lines there were, and the broken ones."""
    records: list[dict[str, Any]] = []
    rows, broken, seen = [], [], 0
    for line in block.decode("utf-8", errors="replace").splitlines():
        if not line.strip():
            continue
        seen += 1
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            records.append(record)
            rows.append(row + seen)
        else:
            broken.append(row + seen)
    return records_frame(records), rows, seen, broken


def records_frame(records: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Objects as a table: columns of numbers where all values are, else of texts."""
    return capture.records_frame(records)


__all__ = ["Format", "Source", "positional", "read_json_lines", "read_parquet", "records_frame"]
