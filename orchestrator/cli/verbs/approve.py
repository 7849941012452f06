"""Approve what waits: a model for the registry, or a stage's changes. `mlops status` shows what to look at."""

from __future__ import annotations

import argparse

from orchestrator.cli import project
from orchestrator.cli.console import Console

SUMMARY = "approve what waits"


def register(parser: argparse.ArgumentParser) -> None:
    project.add_argument(parser)
    parser.add_argument("--stage", default="", help="which approval, when several wait (prod, registry, ...)")
    parser.add_argument("--comment", default="", help="kept with the run")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from orchestrator.execute import approve

    _, aws = project.connect(arguments, console)
    name = project.name(arguments, aws)
    answered = approve(aws, name, arguments.stage, arguments.comment)
    console.data(
        {"project": name, "approved": answered.name, "run": answered.run}, f"Approved {answered.name} of {name}."
    )
    console.say("Next: `mlops status --watch`.")
    return 0
