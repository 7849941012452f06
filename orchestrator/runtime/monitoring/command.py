"""The command line of the monitors: ``baseline``, ``analyze`` and ``report`` over local files and folders.

Data quality has options of its own; every other kind is found by its name and told what ``definition.json`` tells it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.runtime.monitoring.failures import InputMissing, InputUnreadable, PackagesMissing

if TYPE_CHECKING:
    from orchestrator.runtime.monitoring import kinds
    from orchestrator.runtime.monitoring.reading import Source

DATA_QUALITY = "data_quality"
VIOLATED = 7
"""The exit code of ``analyze --check`` when there are violations."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a command did: a document for programs, a text for people, an exit code."""

    document: dict[str, Any]
    text: str
    code: int = 0


def register(parser: argparse.ArgumentParser, more: Sequence[str] = ()) -> None:
    """The arguments of the three commands; ``more`` are commands of whoever asks, not known here."""
    parser.add_argument("action", choices=["baseline", "analyze", "report", *more])
    parser.add_argument("--kind", default=DATA_QUALITY, help=f"of monitor (default {DATA_QUALITY})")
    parser.add_argument("--settings", help="the kind's own settings as JSON, or a file of it")
    parser.add_argument("--ground-truth", type=Path, help="for analyze: folder of the labels that came later")
    parser.add_argument("--endpoint", default="", help="the name of the monitored endpoint")
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
    parser.add_argument(
        "--part", default="input", choices=["input", "output", "both"], help="of captured calls: which side"
    )
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
    _refuse_foreign(arguments)
    return actions[arguments.action](arguments)


FOREIGN: dict[bool, dict[str, Any]] = {
    True: {"settings": None, "ground_truth": None, "endpoint": ""},
    False: {"format": "auto", "ignore": "", "part": "input"},
}
"""Is the kind data quality? -> options it has no use for, with their defaults."""


def _refuse_foreign(arguments: argparse.Namespace) -> None:
    foreign = FOREIGN[arguments.kind == DATA_QUALITY]
    given = [name for name, default in foreign.items() if getattr(arguments, name) != default]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise InputUnreadable(f"The monitor {arguments.kind!r} has no {options}.", hint="See `mlops monitor --help`.")
    if arguments.ground_truth is not None and arguments.action != "analyze":
        raise InputUnreadable(f"{arguments.action} takes no --ground-truth.", hint="It is for analyze.")


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
    from orchestrator.runtime.monitoring import analysis, kinds

    if arguments.kind != DATA_QUALITY:
        kind = kinds.find(arguments.kind)
        out = _folder(arguments, "out")
        return _written(kind.baseline(_source(arguments), _definition(arguments), None), out, arguments)

    out = _folder(arguments, "out")
    made = analysis.make_baseline(_source(arguments))
    files: dict[str, Any] = {analysis.STATISTICS: made.statistics, analysis.CONSTRAINTS: made.constraints}
    if made.findings:
        files[analysis.FINDINGS] = made.findings
    paths = analysis.write(out, files, replace=arguments.replace)
    rows, count = made.statistics["dataset"]["item_count"], len(made.statistics["features"])
    document = {"rows": rows, "features": count, "findings": made.findings, "files": [str(path) for path in paths]}
    lines = [f"{rows:,} rows, {count} features → {out}", *noticed(made.findings)]
    return Result(document, "\n".join(lines))


def analyze(arguments: argparse.Namespace) -> Result:
    """Read the window once, compare, write statistics, violations and the report."""
    from orchestrator.runtime.monitoring import analysis, kinds
    from orchestrator.runtime.monitoring.documents import load
    from orchestrator.runtime.monitoring.report import report as page

    folder, out = _folder(arguments, "baseline"), _folder(arguments, "out")
    if arguments.kind != DATA_QUALITY:
        kind = kinds.find(arguments.kind)
        window = kinds.Window(_existing(arguments.data), arguments.ground_truth, header=not arguments.no_header)
        return _written(kind.analyze(window, folder, _definition(arguments), None), out, arguments)
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
    lines += noticed(done.violations["findings"])
    return Result(document, "\n".join(lines), VIOLATED if found and arguments.check else 0)


def _existing(text: str) -> Path:
    path = Path(text)
    if not path.exists():
        raise InputMissing(f"There is no file or folder {path}.", hint="Check the path.")
    return path


def _definition(arguments: argparse.Namespace) -> kinds.Definition:
    """What a job reads from ``definition.json``, from the command line."""
    from orchestrator.runtime.monitoring.kinds import Definition

    return Definition(
        monitor=arguments.kind,
        name=arguments.kind,
        endpoint=arguments.endpoint,
        settings=_document(arguments.settings, "settings"),
        policy=_document(arguments.policy, "policy"),
        columns=_names(arguments.columns),
    )


def _written(made: kinds.Result, out: Path, arguments: argparse.Namespace) -> Result:
    """Write what a kind made, all of it or nothing, and say what it was."""
    from orchestrator.runtime.monitoring import analysis

    paths = analysis.write(out, made.files, replace=arguments.replace)
    violations, findings = list(made.violations), list(made.findings)
    document = {
        "rows": made.rows,
        "violations": violations,
        "metrics": dict(made.metrics),
        "findings": findings,
        "files": [str(path) for path in paths],
    }
    counted = f", {len(violations)} violations" if arguments.action == "analyze" else ""
    lines = [f"{made.rows:,} rows{counted} → {out}"]
    lines += [f"  {each['constraint_check_type']:26} {each['description']}" for each in violations]
    lines += noticed(findings)
    return Result(document, "\n".join(lines), VIOLATED if violations and arguments.check else 0)


def noticed(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each finding."""
    return [f"  noticed: {each['file']}: {each['message']} ({each['count']}×)" for each in findings]


def _policy(text: str | None) -> Any:
    from orchestrator.runtime.monitoring.policy import Policy

    return Policy.of(_document(text, "policy"))


def _document(text: str | None, option: str) -> dict[str, Any]:
    """The JSON object that an option gives, or the file it names has."""
    from orchestrator.runtime.monitoring.documents import load

    if not text:
        return {}
    if not text.lstrip().startswith("{"):
        return load(_existing(text))
    try:
        document: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise InputUnreadable(f"--{option} is not JSON: {error}") from error
    return document


def report(arguments: argparse.Namespace) -> Result:
    """Draw the page again from the documents."""
    if arguments.kind != DATA_QUALITY:
        return _drawn(arguments)
    from orchestrator.runtime.monitoring import analysis
    from orchestrator.runtime.monitoring.documents import load
    from orchestrator.runtime.monitoring.report import report as page

    window, folder = Path(arguments.data), _folder(arguments, "baseline")
    text = page(
        load(folder / analysis.STATISTICS), load(window / analysis.STATISTICS), load(window / analysis.VIOLATIONS)
    )
    (path,) = analysis.write(arguments.out or window, {analysis.REPORT: text}, replace=arguments.replace)
    return Result({"files": [str(path)]}, str(path))


def _drawn(arguments: argparse.Namespace) -> Result:
    """The page of another kind, if it can be drawn from its documents alone (its module has ``page``)."""
    from orchestrator.runtime.monitoring import analysis, kinds

    draw = getattr(kinds.find(arguments.kind), "page", None)
    if draw is None:
        raise InputUnreadable(
            f"The page of {arguments.kind} cannot be drawn again from its documents.", hint="Run `analyze` again."
        )
    window, folder = _existing(arguments.data), _folder(arguments, "baseline")
    text = draw(folder, window)
    (path,) = analysis.write(arguments.out or window, {analysis.REPORT: text}, replace=arguments.replace)
    return Result({"files": [str(path)]}, str(path))
