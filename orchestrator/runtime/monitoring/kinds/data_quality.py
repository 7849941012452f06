"""Data quality: the features of the captured calls beside those of the training data.

``settings``: ``ignore``, columns to leave out (the label, an id); ``part``, the side of the calls to look at
(``input``, the default, ``output``, or ``both``). Metrics: ``Tests``, how many hypotheses were tested;
``LargestDrift``, the greatest distance of any feature's distribution from its baseline (0 to 1: Kolmogorov-Smirnov for
numbers, total variation for texts).

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-quality.html
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.runtime.monitoring import analysis
from orchestrator.runtime.monitoring.capture import Part
from orchestrator.runtime.monitoring.documents import load
from orchestrator.runtime.monitoring.failures import InputUnreadable
from orchestrator.runtime.monitoring.kinds import Definition, Predict, Result, Window
from orchestrator.runtime.monitoring.policy import Policy
from orchestrator.runtime.monitoring.reading import Source
from orchestrator.runtime.monitoring.report import report

SETTINGS = ("ignore", "part")
KOLMOGOROV_SMIRNOV = "kolmogorov_smirnov"


def baseline(data: Source, definition: Definition, predict: Predict | None) -> Result:  # noqa: ARG001
    """Statistics and the constraints they suggest. Raises InputUnreadable, also for settings that are not allowed."""
    data.ignore, data.part = _settings(definition)
    made = analysis.make_baseline(data)
    files: dict[str, Any] = {analysis.STATISTICS: made.statistics, analysis.CONSTRAINTS: made.constraints}
    if made.findings:
        files[analysis.FINDINGS] = made.findings
    return Result(files, rows=made.statistics["dataset"]["item_count"], findings=made.findings)


def analyze(window: Window, baseline: Path, definition: Definition, predict: Predict | None) -> Result:  # noqa: ARG001
    """Statistics of the window, the violations and the page. Columns of captured CSV have the baseline's names unless
    the definition gives others. Raises a MonitoringError."""
    ignore, part = _settings(definition)
    statistics, constraints = load(baseline / analysis.STATISTICS), load(baseline / analysis.CONSTRAINTS)
    source = Source(
        window.captured, header=window.header, names=list(definition.columns) or None, part=part, ignore=ignore
    )
    done = analysis.analyze(source, statistics, constraints, Policy.of(definition.policy))
    return Result(
        files={
            analysis.STATISTICS: done.statistics,
            analysis.VIOLATIONS: done.violations,
            analysis.REPORT: report(statistics, done.statistics, done.violations),
        },
        rows=done.checks.rows,
        violations=done.violations["violations"],
        metrics={"Tests": float(done.checks.tests), **_largest_drift(done)},
        findings=done.violations["findings"],
    )


def page(baseline: Path, window: Path) -> str:
    """The page again, from the documents both folders hold. Raises InputMissing or InputUnreadable."""
    statistics, violations = load(window / analysis.STATISTICS), load(window / analysis.VIOLATIONS)
    return report(load(baseline / analysis.STATISTICS), statistics, violations)


def _settings(definition: Definition) -> tuple[list[str], Part]:
    """Columns to leave out and the side of the calls. Raises InputUnreadable with all problems."""
    settings: Mapping[str, Any] = definition.settings
    problems = [f"no setting is called {name!r}" for name in sorted(set(settings) - set(SETTINGS))]
    ignore, part = settings.get("ignore", []), settings.get("part", Part.INPUT.value)
    if not isinstance(ignore, list) or not all(isinstance(name, str) for name in ignore):
        problems.append(f"ignore must be a list of column names, not {ignore!r}")
    if part not in [each.value for each in Part]:
        problems.append(f"part must be {' or '.join(each.value for each in Part)}, not {part!r}")
    if problems:
        raise InputUnreadable(
            f"The settings of data_quality are not right: {'; '.join(problems)}.",
            hint=f"It has: {', '.join(SETTINGS)}.",
        )
    return list(ignore), Part(part)


def _largest_drift(done: analysis.Analysis) -> dict[str, float]:
    distances = []
    for comparison in done.checks.comparisons:
        for measure in comparison.measures:
            if measure.name == KOLMOGOROV_SMIRNOV:
                distances.append(measure.statistic)
        if comparison.measures and not comparison.baseline.is_number:
            distances.append(sum(abs(now - before) for *_, before, now in comparison.shares) / 2)
    return {"LargestDrift": max(distances)} if distances else {}
