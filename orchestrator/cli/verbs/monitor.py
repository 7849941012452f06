"""Monitors over local files and folders: what data looked like at training, and whether it still looks like that.

baseline DATA --out FOLDER                        write statistics.json and constraints.json
analyze DATA --baseline FOLDER --out FOLDER       compare; write constraint_violations.json and report.html
report FOLDER --baseline FOLDER                   draw report.html again

DATA is CSV, JSON lines, Parquet, or captured calls of an endpoint: one file, or a folder of them.
"""

from __future__ import annotations

import argparse

from orchestrator.cli.console import Console
from orchestrator.errors import BadRequest, Conflict, NotFound, OrchestratorError, SettingsMissing
from orchestrator.runtime.monitoring import command, failures

SUMMARY = "find drift and broken data: baseline, analyze, report"
ERRORS: dict[type[failures.MonitoringError], type[OrchestratorError]] = {
    failures.InputMissing: NotFound,
    failures.InputUnreadable: BadRequest,
    failures.OutputExists: Conflict,
    failures.PackagesMissing: SettingsMissing,
}


def register(parser: argparse.ArgumentParser) -> None:
    command.register(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    try:
        result = command.run(arguments)
    except failures.MonitoringError as error:
        raise ERRORS.get(type(error), OrchestratorError)(error.message, hint=error.hint) from error
    console.data(result.document, result.text)
    return result.code
