"""Monitors: those of a project, and the analysis of local files and folders.

list [--project PROJECT]                          the monitors of a project, what they found last, when they start next
run [MONITOR] [--stage dev] [--until TIME]        start an analysis at once, wait for it, show what it found
show [MONITOR] [--stage dev] [--window y/m/d/h]   what an analysis found; fetches its report.html (--open opens it)

baseline DATA --out FOLDER                        write statistics.json and constraints.json
analyze DATA --baseline FOLDER --out FOLDER       compare; write constraint_violations.json and report.html
report FOLDER --baseline FOLDER                   draw report.html again

MONITOR is the name of its pipeline in the config. DATA is CSV, JSON lines, Parquet, or captured calls of an endpoint:
one file, or a folder of them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from orchestrator.cli.console import Console, table
from orchestrator.errors import BadRequest, Conflict, NotFound, OrchestratorError, SettingsMissing
from orchestrator.runtime.monitoring import command, failures

SUMMARY = "find drift and broken data: list, run, show, baseline, analyze, report"
ERRORS: dict[type[failures.MonitoringError], type[OrchestratorError]] = {
    failures.InputMissing: NotFound,
    failures.InputUnreadable: BadRequest,
    failures.OutputExists: Conflict,
    failures.PackagesMissing: SettingsMissing,
}


class AnalysisFailed(OrchestratorError):
    """The job that was started ended without a result; the message is its own reason."""

    exit_code = 7
    title = "The analysis failed"


def register(parser: argparse.ArgumentParser) -> None:
    command.register(parser, more=tuple(DEPLOYED))
    parser.add_argument(
        "--project", default="", help="for list, run and show: the project (default: that of the config)"
    )
    parser.add_argument("--stage", default="", help="for run and show: which stage")
    parser.add_argument(
        "--window", default="", help="for show: the hour the window ended, yyyy/mm/dd/hh (default: last)"
    )
    parser.add_argument("--until", default="", help="for run: the time the analysis is for (default: now)")
    parser.add_argument("--open", action="store_true", help="for run and show: open the report in a browser")


def run(arguments: argparse.Namespace, console: Console) -> int:
    if arguments.action in DEPLOYED:
        return DEPLOYED[arguments.action](arguments, console)
    try:
        result = command.run(arguments)
    except failures.MonitoringError as error:
        raise ERRORS.get(type(error), OrchestratorError)(error.message, hint=error.hint) from error
    console.data(result.document, result.text)
    return result.code


def _project(arguments: argparse.Namespace, console: Console) -> tuple[Any, Any, tuple[Any, ...]]:
    """The target, the door to it, and the monitors of the project that is meant."""
    from orchestrator.cli import monitors, project

    target, aws = project.connect(arguments, console)
    name = project.name(argparse.Namespace(project=arguments.project), aws)
    found = monitors.deployed(aws, name)
    if not found:
        raise NotFound(f"{name} has no monitor.", hint="docs/monitoring.md shows how to deploy one.")
    return target, aws, found


def listed(arguments: argparse.Namespace, console: Console) -> int:
    """The monitors, what they found last and when they start next."""
    from orchestrator.cli import monitors

    target, aws, found = _project(arguments, console)
    at, rows = monitors.now(target), []
    for monitor in found:
        schedule = monitors.schedule(aws, monitor)
        windows = list(monitors.windows(target, monitor))
        last = monitors.violations(target, monitor, windows[-1]) if windows else {}
        runs = schedule.get("State") == "ENABLED"
        rows.append(
            {
                "monitor": monitor.name,
                "stage": monitor.stage,
                "endpoint": monitor.endpoint,
                "last window": windows[-1] if windows else "-",
                "violations": len(last["violations"]) if last else "-",
                "alarm": monitors.alarm_state(aws, monitor) or "-",
                "schedule": f"{schedule.get('ScheduleExpression', '-')}{'' if runs else ' (off)'}",
                "next": (monitors.next_start(schedule.get("ScheduleExpression", ""), at) if runs else "") or "-",
            }
        )
    console.data(rows, table(rows, list(rows[0])))
    return 0


def started(arguments: argparse.Namespace, console: Console) -> int:
    """Start an analysis, wait for it, show what it found."""
    from orchestrator.cli import monitors

    target, aws, found = _project(arguments, console)
    monitor = monitors.chosen(found, arguments.data or "", arguments.stage)
    until = arguments.until or f"{monitors.now(target):%Y-%m-%dT%H:%M:%SZ}"
    job = monitors.start(target, aws, monitor, until)
    console.say(f"(an analysis of {monitor.endpoint} in {monitor.stage}, for {until})")
    described = monitors.wait(target, monitor, job, console.say)
    if described["ProcessingJobStatus"] != "Completed":
        reason = described.get("ExitMessage") or described.get("FailureReason") or "It was stopped."
        raise AnalysisFailed(f"{job}: {reason}", hint="The job's log is in /aws/sagemaker/ProcessingJobs.")
    console.say(f"  {described.get('ExitMessage', '')}")
    windows = monitors.windows(target, monitor)
    return _shown(target, monitor, max(windows, key=windows.__getitem__), arguments, console)


def shown(arguments: argparse.Namespace, console: Console) -> int:
    """What an analysis found."""
    from orchestrator.cli import monitors

    target, _, found = _project(arguments, console)
    monitor = monitors.chosen(found, arguments.data or "", arguments.stage)
    windows = list(monitors.windows(target, monitor))
    window = arguments.window.strip("/") or (windows[-1] if windows else "")
    if window not in windows:
        hint = f"There are: {', '.join(windows[-10:])}." if windows else "`mlops monitor run` makes one."
        raise NotFound(
            f"{monitor.name} in {monitor.stage} has no results{f' of {window}' if window else ''}.", hint=hint
        )
    return _shown(target, monitor, window, arguments, console)


def _shown(target: Any, monitor: Any, window: str, arguments: argparse.Namespace, console: Console) -> int:
    from orchestrator.cli import monitors

    document = monitors.violations(target, monitor, window)
    folder = arguments.out or Path(tempfile.gettempdir()) / "mlops-monitor"
    report = monitors.fetch_report(target, monitor, window, folder)
    found = document.get("violations", [])
    count = f"{len(found)} violation{'' if len(found) == 1 else 's'}"
    lines = [f"{monitor.name} of {monitor.endpoint} in {monitor.stage}, window that ended {window}: {count}"]
    lines += monitors.lines(document)
    lines += [f"  report  {report}"] if report else []
    text = {"monitor": monitor.monitor, "stage": monitor.stage, "window": window, "report": str(report or "")}
    console.data({**text, "violations": found, "findings": document.get("findings", [])}, "\n".join(lines))
    if arguments.open and report:
        import webbrowser

        webbrowser.open(report.as_uri())
    return command.VIOLATED if found and arguments.check else 0


DEPLOYED = {"list": listed, "run": started, "show": shown}
"""The commands about monitors that are deployed; the others look at local files."""
