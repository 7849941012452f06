"""The command line of the monitors: ``baseline``, ``analyze`` and ``report`` over local files and folders."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.runtime.monitoring.failures import InputMissing, InputUnreadable, PackagesMissing

if TYPE_CHECKING:
    from orchestrator.runtime.monitoring.reading import Source

VIOLATED = 7
"""The exit code of ``analyze --check`` when there are violations."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a command did: a document for programs, a text for people, an exit code."""

    document: dict[str, Any]
    text: str
    code: int = 0


def register(parser: argparse.ArgumentParser) -> None:
    """The arguments of the three commands."""
    parser.add_argument("action", choices=["baseline", "analyze", "report"])
    parser.add_argument("data", nargs="?", help="file or folder of data (for report: the folder analyze wrote)")
    parser.add_argument("--baseline", type=Path, help="for analyze and report: the folder baseline wrote")
    parser.add_argument("--out", type=Path, help="the folder to write (report: default the folder of the data)")
    parser.add_argument(
        "--format", default="auto", choices=["auto", "csv", "jsonlines", "parquet", "capture"],
        help="how the data is written (default auto: by name and beginning)",
    )  # fmt: skip
    parser.add_argument("--no-header", action="store_true", help="CSV files have no header")
    parser.add_argument("--columns", help="comma-separated names of columns without a header (default: the baseline's)")
    parser.add_argument("--ignore", default="", help="comma-separated columns to leave out, as the label")
    parser.add_argument("--part", default="input", choices=["input", "output"], help="of captured calls: which side")
    parser.add_argument("--policy", help="for analyze: thresholds as JSON, or a file of it")
    parser.add_argument("--check", action="store_true", help=f"for analyze: exit {VIOLATED} when there are violations")
    parser.add_argument("--replace", action="store_true", help="overwrite what an earlier run wrote")


def run(arguments: argparse.Namespace) -> Result:
    """Run the command. Raises a MonitoringError that says what is wrong and what to do."""
    missing = [name for name in ("numpy", "polars") if find_spec(name) is None]
    if missing:
        raise PackagesMissing(
            f"Monitors need packages that are not installed: {', '.join(missing)}.",
            hint="pip install 'mlops-orchestrator[monitoring]'",
        )
    if not arguments.data:
        raise InputUnreadable("No data is named.", hint="Name a file or folder; see --help.")
    actions: dict[str, Callable[[argparse.Namespace], Result]] = {
        "baseline": baseline, "analyze": analyze, "report": report,
    }  # fmt: skip
    return actions[arguments.action](arguments)


def _source(arguments: argparse.Namespace) -> Source:
    from orchestrator.runtime.monitoring.capture import Part
    from orchestrator.runtime.monitoring.reading import Format, Source

    return Source(
        Path(arguments.data),
        Format(arguments.format),
        header=not arguments.no_header,
        names=_names(arguments.columns) or None,
        part=Part(arguments.part),
        ignore=_names(arguments.ignore),
    )


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _folder(arguments: argparse.Namespace, name: str) -> Path:
    folder = getattr(arguments, name)
    if folder is None:
        raise InputMissing(f"--{name} is missing.", hint=f"Say --{name} FOLDER.")
    return Path(folder)


def baseline(arguments: argparse.Namespace) -> Result:
    """Read the data once; write statistics, constraints and what was noticed."""
    from orchestrator.runtime.monitoring import analysis

    out = _folder(arguments, "out")
    made = analysis.make_baseline(_source(arguments))
    files: dict[str, Any] = {analysis.STATISTICS: made.statistics, analysis.CONSTRAINTS: made.constraints}
    if made.findings:
        files[analysis.FINDINGS] = made.findings
    paths = analysis.write(out, files, replace=arguments.replace)
    rows, count = made.statistics["dataset"]["item_count"], len(made.statistics["features"])
    document = {"rows": rows, "features": count, "findings": made.findings, "files": [str(path) for path in paths]}
    lines = [f"{rows:,} rows, {count} features → {out}", *_noticed(made.findings)]
    return Result(document, "\n".join(lines))


def analyze(arguments: argparse.Namespace) -> Result:
    """Read the window once, compare, write statistics, violations and the report."""
    from orchestrator.runtime.monitoring import analysis
    from orchestrator.runtime.monitoring.documents import load
    from orchestrator.runtime.monitoring.report import report as page

    folder, out = _folder(arguments, "baseline"), _folder(arguments, "out")
    statistics, constraints = load(folder / analysis.STATISTICS), load(folder / analysis.CONSTRAINTS)
    done = analysis.analyze(_source(arguments), statistics, constraints, _policy(arguments.policy))
    files = {
        analysis.STATISTICS: done.statistics,
        analysis.VIOLATIONS: done.violations,
        analysis.REPORT: page(statistics, done.statistics, done.violations),
    }
    paths = analysis.write(out, files, replace=arguments.replace)
    found = done.violations["violations"]
    document = {**done.violations, "files": [str(path) for path in paths]}
    lines = [f"{done.checks.rows:,} rows, {done.checks.tests} tests, {len(found)} violations → {out}"]
    lines += [f"  {each['constraint_check_type']:26} {each['description']}" for each in found]
    lines += _noticed(done.violations["findings"])
    return Result(document, "\n".join(lines), VIOLATED if found and arguments.check else 0)


def _noticed(findings: list[dict[str, Any]]) -> list[str]:
    return [f"  noticed: {each['file']}: {each['message']} ({each['count']}×)" for each in findings]


def _policy(text: str | None) -> Any:
    from orchestrator.runtime.monitoring.documents import load
    from orchestrator.runtime.monitoring.policy import Policy

    if not text:
        return Policy()
    if not text.lstrip().startswith("{"):
        return Policy.of(load(Path(text)))
    try:
        return Policy.of(json.loads(text))
    except ValueError as error:
        raise InputUnreadable(f"--policy is not JSON: {error}") from error


def report(arguments: argparse.Namespace) -> Result:
    """Draw the page again from the documents."""
    from orchestrator.runtime.monitoring import analysis
    from orchestrator.runtime.monitoring.documents import load
    from orchestrator.runtime.monitoring.report import report as page

    window, folder = Path(arguments.data), _folder(arguments, "baseline")
    text = page(
        load(folder / analysis.STATISTICS), load(window / analysis.STATISTICS), load(window / analysis.VIOLATIONS)
    )
    (path,) = analysis.write(arguments.out or window, {analysis.REPORT: text}, replace=arguments.replace)
    return Result({"files": [str(path)]}, str(path))
