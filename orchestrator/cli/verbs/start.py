"""Start a run of what is provisioned. Training that was already done for the same config is not done again."""

from __future__ import annotations

import argparse

from orchestrator.cli import project
from orchestrator.cli.console import Console

SUMMARY = "start a run"


def register(parser: argparse.ArgumentParser) -> None:
    project.add_argument(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    from orchestrator.execute import start

    _, aws = project.connect(arguments, console)
    name = project.name(arguments, aws)
    started = start(aws, name)
    console.data({"project": name, "run": started}, f"Started run {started} of {name}.")
    console.say("Next: `mlops status --watch`.")
    return 0
