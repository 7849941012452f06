"""CSV in blocks of whole records: the fast way for regular blocks, a patient way for the others.

A block is read by polars with the kinds of its columns; when a value does not fit, as texts; when a record has too few
or too many fields, record by record, so that what is broken is counted and named and everything else is used.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import polars as pl

from orchestrator.runtime.monitoring.columns import REFUSALS, Batch, Kind, Kinds, conform
from orchestrator.runtime.monitoring.failures import InputUnreadable
from orchestrator.runtime.monitoring.findings import Findings

BLOCK = 4 << 20
WIDE = 200
LARGEST_BLOCK = 16 * BLOCK
LARGEST_RECORD = 64 << 20
LONGEST_QUOTE = 100
"""A quoted field may span this many lines; a quote that is open longer is taken to be a stray one."""
BOM = b"\xef\xbb\xbf"


def whole_records(stream: BinaryIO, size: int = BLOCK, *, quotes: bool = True) -> Iterator[bytes]:
    """The rest of the stream in blocks that end where a record ends. Raises InputUnreadable for an endless record."""
    rest = b""
    while more := _whole_lines(stream, size):
        block = rest + more if rest else more
        if quotes and b'"' in block:
            cut = _last_end(block)
        else:
            cut = len(block) if block.endswith(b"\n") else block.rfind(b"\n") + 1
        if not cut and len(block) > LARGEST_RECORD:
            raise InputUnreadable(f"A record is longer than {LARGEST_RECORD >> 20} MiB; this is no text with lines.")
        rest = block[cut:]
        if cut:
            yield block[:cut]
    if rest:
        yield rest


def _whole_lines(stream: BinaryIO, size: int) -> bytes:
    """About ``size`` bytes, to the end of a line: where that is, is found first, so that nothing is copied twice."""
    start = stream.tell()
    stream.seek(size, 1)
    end = stream.readline(LARGEST_RECORD)
    stream.seek(start)
    return stream.read(size + len(end))


def _last_end(block: bytes) -> int:
    """Where the last complete record ends: the last line end outside quotes, or, with stray quotes, the last one."""
    last = end = block.rfind(b"\n") + 1
    odd = block.count(b'"', 0, end) % 2
    for _ in range(LONGEST_QUOTE):
        if not odd or not end:
            break
        earlier = block.rfind(b"\n", 0, end - 1) + 1
        odd = (odd + block.count(b'"', earlier, end)) % 2
        end = earlier
    return end if end and not odd else last


@dataclass(slots=True)
class Table:
    """The columns of one CSV source, and the state of reading it."""

    file: str
    names: Sequence[str]
    kinds: Kinds
    findings: Findings
    separator: str = ","
    row: int = 0
    used: int = field(default=0)

    def batch(self, block: bytes, events: Sequence[str] | None = None) -> Batch | None:
        """The records of a block; None when none is whole. ``events`` has one id for each line of the block."""
        frame = self._regular(block, events)
        if frame is not None:
            rows: Sequence[int] = range(self.row + 1, self.row + 1 + frame.height)
            self.row += frame.height
        else:
            frame, rows, events = self._patient(block, events)
        self.used += frame.height
        return conform(frame, self.kinds, self.file, rows, events) if frame.height else None

    def _regular(self, block: bytes, events: Sequence[str] | None) -> pl.DataFrame | None:
        """The block as polars reads it, or None when that could hide a broken record."""
        typed = {name: pl.Float64 if self.kinds.of(name) is Kind.NUMBER else pl.String for name in self.names}
        texts = dict.fromkeys(self.names, pl.String)
        for schema in (typed, texts) if typed != texts else (texts,):
            try:
                frame = pl.read_csv(block, has_header=False, schema=schema, separator=self.separator)
            except REFUSALS:
                continue
            if frame.width and frame[self.names[-1]].null_count() and not self._full(block, frame):
                return None
            return frame if events is None or len(events) == frame.height else None
        return None

    def _full(self, block: bytes, frame: pl.DataFrame) -> bool:
        """Whether each record has all its fields (a short one reads as nulls at its end)."""
        return b'"' not in block and block.count(self.separator.encode()) == frame.height * (len(self.names) - 1)

    def _patient(self, block: bytes, events: Sequence[str] | None) -> tuple[pl.DataFrame, list[int], list[str] | None]:
        """Record by record: rows of the right width, their numbers, their events."""
        text = block.decode("utf-8", errors="replace")
        if "\ufffd" in text and b"\xef\xbf\xbd" not in block:
            self.findings.add("not_utf8", self.file, "Bytes that are no UTF-8 were replaced.", count=1)
        records: list[list[str]] = []
        rows: list[int] = []
        kept: list[str] = []
        short: list[int] = []
        long: list[int] = []
        for line, fields in self._records(text):
            if not fields:
                continue
            self.row += 1
            if len(fields) == len(self.names):
                records.append(fields)
                rows.append(self.row)
                kept.append(events[line] if events is not None and line < len(events) else "")
            else:
                (short if len(fields) < len(self.names) else long).append(self.row)
        for broken, word in ((short, "fewer"), (long, "more")):
            if broken:
                message = f"Rows with {word} than the {len(self.names)} fields of the table were left out."
                self.findings.add("broken_rows", self.file, message, broken)
        columns = zip(*records, strict=True) if records else [[] for _ in self.names]
        series = [
            pl.Series(name, list(column), dtype=pl.String) for name, column in zip(self.names, columns, strict=True)
        ]
        return pl.DataFrame(series), rows, kept if events is not None else None

    def _records(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """(line, fields) of each record; a quote that never closes spoils its own line only."""
        lines = text.splitlines(keepends=True) if "\r" not in text.replace("\r\n", "") else text.split("\n")
        place = 0
        while place < len(lines):
            take = 1
            if lines[place].count('"') % 2:
                take = self._lines_of_quoted(lines, place)
            yield place, _fields("".join(lines[place : place + take]), self.separator)
            place += take

    def _lines_of_quoted(self, lines: Sequence[str], place: int) -> int:
        """How many lines the record that starts here spans: those up to the closing quote, if that makes it whole."""
        quotes = lines[place].count('"')
        for end in range(place + 1, min(place + LONGEST_QUOTE, len(lines))):
            quotes += lines[end].count('"')
            if quotes % 2 == 0:
                record = _fields("".join(lines[place : end + 1]), self.separator)
                return end + 1 - place if len(record) == len(self.names) else 1
        return 1


def _fields(record: str, separator: str) -> list[str]:
    record = record.rstrip("\r\n")
    try:
        return next(csv.reader([record] if "\n" not in record else record.splitlines(keepends=True),
                               delimiter=separator), [])  # fmt: skip
    except csv.Error:
        return [record]


def read_csv(path: Path, file: str, kinds: Kinds, findings: Findings, *, header: bool = True, separator: str = ",",
             names: Sequence[str] | None = None) -> Iterator[Batch]:  # fmt: skip
    """The file's rows. Columns without a header are called ``_c0``, ``_c1``, ... unless names are given.

    Raises InputUnreadable when the header names a column twice or the file has no lines.
    """
    with path.open("rb") as stream:
        if stream.read(len(BOM)) != BOM:
            stream.seek(0)
        start = stream.tell()
        first = _first_record(stream, separator)
        if header:
            names = _header(first, file)
        else:
            stream.seek(start)
            names = list(names) if names and len(names) == len(first) else positional(len(first), names)
        table = Table(file, names, kinds, findings, separator)
        for block in whole_records(stream, min(LARGEST_BLOCK, BLOCK * max(1, len(names) // WIDE))):
            batch = table.batch(block)
            if batch is not None:
                yield batch


def positional(width: int, names: Sequence[str] | None) -> list[str]:
    """Names for columns known by place: the given ones as far as they go, then ``_c<place>``."""
    given = list(names or [])[:width]
    return given + [f"_c{place}" for place in range(len(given), width)]


def _first_record(stream: BinaryIO, separator: str) -> list[str]:
    """The fields of the first record that is not empty; the stream stands behind it."""
    record = b""
    for _ in range(LONGEST_QUOTE):
        line = stream.readline(LARGEST_RECORD)
        record = (record + line).lstrip(b"\r\n")
        if not line or (record and record.count(b'"') % 2 == 0):
            break
    if b"\0" in record:
        raise InputUnreadable("The first line holds zero bytes; this is no CSV.")
    return _fields(record.decode("utf-8", errors="replace"), separator)


def _header(fields: Sequence[str], file: str) -> list[str]:
    names = [name.strip() or f"_c{place}" for place, name in enumerate(fields)]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise InputUnreadable(
            f"The header of {file} names a column twice: {', '.join(twice[:5])}.", hint="Give each column its own name."
        )
    return names
