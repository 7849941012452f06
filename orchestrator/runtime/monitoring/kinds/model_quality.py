"""Model quality: predictions beside the labels that came later.

The baseline is a table with a column of labels and one of predictions (or probabilities). A window is captured calls
with a folder of ground truth; or, without one, a table that carries its labels in the baseline's columns.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from orchestrator.runtime.monitoring.analysis import CONSTRAINTS, FINDINGS, REPORT, STATISTICS, VIOLATIONS
from orchestrator.runtime.monitoring.calls import Wanted
from orchestrator.runtime.monitoring.documents import load
from orchestrator.runtime.monitoring.failures import InputUnreadable
from orchestrator.runtime.monitoring.findings import Findings
from orchestrator.runtime.monitoring.kinds import Definition, Predict, Result, Window
from orchestrator.runtime.monitoring.merging import Coverage, Merged, labelled_table
from orchestrator.runtime.monitoring.quality.binary import Binary
from orchestrator.runtime.monitoring.quality.judging import Judging, metrics_of
from orchestrator.runtime.monitoring.quality.multiclass import Multiclass
from orchestrator.runtime.monitoring.quality.page import page as drawn
from orchestrator.runtime.monitoring.quality.policy import QualityPolicy
from orchestrator.runtime.monitoring.quality.regression import Regression
from orchestrator.runtime.monitoring.quality.rules import KEYS, suggested
from orchestrator.runtime.monitoring.quality.settings import Problem, Settings
from orchestrator.runtime.monitoring.quality.usable import Rows
from orchestrator.runtime.monitoring.quality.violations import described, document
from orchestrator.runtime.monitoring.reading import Format, Source

Task = Binary | Multiclass | Regression


def baseline(data: Source, definition: Definition, predict: Predict | None) -> Result:
    """Measure the baseline; every metric becomes a constraint. Raises a MonitoringError."""
    del predict  # the baseline holds the predictions
    settings, policy = Settings.of(definition.settings), QualityPolicy.of(definition.policy)
    rows = Rows(data.findings)
    task = _task(settings, rows, thresholded=settings.thresholded(captured=False))
    _read(_table(data, settings), task)
    if not rows.count - rows.unusable:
        raise InputUnreadable(_nothing_usable(str(data.path), rows), hint=_advice(settings))
    statistics = task.statistics(policy.confidence)
    files: dict[str, Any] = {STATISTICS: statistics, CONSTRAINTS: suggested(settings.problem, statistics)}
    findings = data.findings.as_list()
    if findings:
        files[FINDINGS] = findings
    return Result(files, rows.count, metrics=_numbers(statistics, settings.problem), findings=findings)


def analyze(window: Window, baseline: Path, definition: Definition, predict: Predict | None) -> Result:
    """Measure the window and judge it by the baseline's constraints. Raises a MonitoringError."""
    del predict  # the captured answers are the predictions
    captured = window.ground_truth is not None
    settings = Settings.of(definition.settings, captured=captured)
    policy = QualityPolicy.of(definition.policy)
    before, constraints = load(baseline / STATISTICS), load(baseline / CONSTRAINTS)
    rows, coverage = Rows(), Coverage()
    task = _task(settings, rows, thresholded=settings.thresholded(captured=captured))
    if window.ground_truth is not None:
        merged = Merged(window.captured, window.ground_truth, _wanted(settings), rows.findings)
        _read(merged.parts(), task)
        coverage = merged.coverage
        _note_doubt(settings, rows.findings)
    else:
        _read(_table(_plain(window, definition, rows.findings), settings), task)
        coverage.rows = coverage.labelled = rows.count
    if rows.count + rows.passed_over and not rows.count - rows.unusable:
        raise InputUnreadable(_nothing_usable(str(window.captured), rows), hint=_advice(settings))
    statistics = task.statistics(policy.confidence)
    judging = Judging(settings.problem, before, statistics, constraints, policy)
    judging.run()
    violations = [described(each, judging, rows.worst) for each in judging.judgements if each.violated]
    found = document(judging, violations, coverage, rows.findings.as_list())
    files = {STATISTICS: statistics, VIOLATIONS: found, REPORT: drawn(settings.problem, before, statistics, found)}
    metrics = _numbers(statistics, settings.problem) | {
        "labelled_rows": float(coverage.labelled), "unlabelled_rows": float(coverage.unlabelled),
    }  # fmt: skip
    return Result(files, coverage.rows, violations, metrics, rows.findings.as_list())


def page(baseline: Path, window: Path) -> str:
    """The report again, from the documents. Raises a MonitoringError when they are none of model quality."""
    before, now = load(baseline / STATISTICS), load(window / STATISTICS)
    problem = next((each for each in Problem if f"{KEYS[each]}_metrics" in before), None)
    if problem is None:
        raise InputUnreadable(f"{baseline / STATISTICS} holds no model quality.", hint="Check --kind.")
    metrics_of(now, problem, str(window / STATISTICS))
    return drawn(problem, before, now, load(window / VIOLATIONS))


def _task(settings: Settings, rows: Rows, *, thresholded: bool) -> Task:
    if settings.problem is Problem.BINARY:
        return Binary(settings, rows, thresholded=thresholded)
    return Multiclass(rows) if settings.problem is Problem.MULTICLASS else Regression(rows)


def _read(frames: Iterable[pl.DataFrame], task: Task) -> None:
    for frame in frames:
        task.update(frame)


def _table(source: Source, settings: Settings) -> Iterable[pl.DataFrame]:
    return labelled_table(
        source, label=settings.baseline_ground_truth, prediction=settings.baseline_prediction,
        probability=settings.baseline_probability,
    )  # fmt: skip


def _plain(window: Window, definition: Definition, findings: Findings) -> Source:
    """The window as a table. Raises InputUnreadable for captured calls: they carry no labels."""
    source = Source(
        window.captured, header=window.header, names=list(definition.columns) or None, findings=findings
    )  # fmt: skip
    if any(source.form(path) is Format.CAPTURE for path in source.files()):
        raise InputUnreadable(
            f"{window.captured} holds captured calls, which carry no labels.", hint="Say --ground-truth FOLDER."
        )
    return source


def _wanted(settings: Settings) -> Wanted:
    thresholded = settings.thresholded(captured=True)
    return Wanted(
        prediction="" if thresholded else settings.prediction_attribute, probability=settings.probability_attribute
    )


def _note_doubt(settings: Settings, findings: Findings) -> None:
    if settings.prediction_attribute and settings.thresholded(captured=True):
        message = "A probability_threshold is given: predictions come from it, and not from prediction_attribute."
        findings.add("settings", "definition.json", message, count=1)


def _nothing_usable(place: str, rows: Rows) -> str:
    reasons = " ".join(str(finding["message"]) for finding in rows.findings.as_list()[:4])
    label = f" The first label is {rows.example!r}." if rows.example else ""
    return f"No labelled row of {place} can be judged. {reasons}{label}".strip()


def _advice(settings: Settings) -> str:
    if settings.problem is Problem.BINARY:
        return "Check the columns and attributes; probabilities belong to probability_attribute, and labels other " \
               "than 0 and 1 need positive_label."  # fmt: skip
    return "Check which columns and attributes are named, and problem_type."


def _numbers(statistics: Mapping[str, Any], problem: Problem) -> dict[str, float]:
    body = metrics_of(statistics, problem, STATISTICS)
    return {
        name: float(metric["value"])
        for name, metric in body.items()
        if isinstance(metric, Mapping) and isinstance(metric.get("value"), int | float)
    }
