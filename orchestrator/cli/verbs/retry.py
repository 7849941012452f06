"""Run the failed actions of the failed stage again, in the same run."""

from __future__ import annotations

import argparse

from orchestrator.cli import project
from orchestrator.cli.console import Console

SUMMARY = "run the failed actions again"


def register(parser: argparse.ArgumentParser) -> None:
    project.add_argument(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    from orchestrator.execute import retry

    _, aws = project.connect(arguments, console)
    name = project.name(arguments, aws)
    run_id = retry(aws, name)
    console.data({"project": name, "run": run_id}, f"Run {run_id} of {name} goes on.")
    console.say("Next: `mlops status --watch`.")
    return 0
