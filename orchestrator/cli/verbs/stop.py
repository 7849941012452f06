"""Stop the runs that go on, and the jobs they started. What is deployed stays as it is."""

from __future__ import annotations

import argparse

from orchestrator.cli import project
from orchestrator.cli.console import Console

SUMMARY = "stop the run and its jobs"


def register(parser: argparse.ArgumentParser) -> None:
    project.add_argument(parser)
    parser.add_argument("--reason", default="", help="kept with the run")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from orchestrator.execute import stop
    from orchestrator.status import as_json

    _, aws = project.connect(arguments, console)
    name = project.name(arguments, aws)
    stopped = stop(aws, name, arguments.reason)
    console.data(as_json(stopped), f"Stopped {', '.join(one.id for one in stopped)} of {name}, and its jobs.")
    return 0
