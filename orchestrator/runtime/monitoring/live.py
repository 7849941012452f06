"""The rows of a window with their features: captured calls, with ground truth or without; or a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import polars as pl

from orchestrator.runtime.monitoring.calls import Wanted, read_calls
from orchestrator.runtime.monitoring.columns import Kind, Kinds
from orchestrator.runtime.monitoring.failures import InputUnreadable
from orchestrator.runtime.monitoring.findings import Findings
from orchestrator.runtime.monitoring.kinds import Window
from orchestrator.runtime.monitoring.merging import Merged, labelled_table
from orchestrator.runtime.monitoring.reading import Format, Source


def peeked(source: Source) -> tuple[pl.DataFrame, Kinds]:
    """The first rows, and what they say about the columns; the source is as if it had not been read.

    Raises InputMissing and InputUnreadable.
    """
    aside = replace(source, kinds=Kinds(), findings=Findings())
    return next(iter(aside.batches())).frame, aside.kinds


def kinds_of(document: Mapping[str, str]) -> Kinds:
    """What a baseline says its columns hold."""
    return Kinds({name: Kind(kind) for name, kind in document.items()})


def plain(window: Window, wanted: Wanted, findings: Findings) -> Source | None:
    """The window as a table; None when it is captured calls, or empty."""
    if window.captured.is_dir() and not any(path.is_file() for path in window.captured.rglob("*")):
        return None
    source = Source(
        window.captured, header=window.header, names=list(wanted.names), kinds=wanted.kinds, findings=findings
    )  # fmt: skip
    forms = {source.form(path) is Format.CAPTURE for path in source.files()}
    if len(forms) > 1:
        raise InputUnreadable(
            f"{window.captured} holds captured calls and other data.", hint="Name a folder with one of them."
        )
    return None if forms == {True} else source


def live_rows(window: Window, wanted: Wanted, findings: Findings, *, label: str = "", prediction: str = "",
              probability: str = "") -> Iterator[pl.DataFrame]:  # fmt: skip
    """The rows in the form of ``read_calls``, with ``@label`` where there is ground truth.

    A table (data that was not captured) has its labels and predictions in the named columns. An empty folder has no
    rows. Raises a MonitoringError.
    """
    table = plain(window, wanted, findings)
    if table is not None:
        yield from labelled_table(table, label=label, prediction=prediction, probability=probability)
    elif window.ground_truth is not None:
        merged = Merged(window.captured, window.ground_truth, wanted, findings)
        yield from merged.parts()
        if merged.coverage.unlabelled:
            findings.add("no_ground_truth", str(window.captured.name), "Rows without ground truth were left out.",
                         count=merged.coverage.unlabelled)  # fmt: skip
    elif window.captured.is_file():
        yield from read_calls(window.captured, window.captured.name, wanted, findings)
    else:
        for path in sorted(path for path in window.captured.rglob("*") if path.is_file()):
            yield from read_calls(path, str(path.relative_to(window.captured)), wanted, findings)
