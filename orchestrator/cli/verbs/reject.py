"""Reject what waits, with a reason. The run ends there; what is deployed stays as it is."""

from __future__ import annotations

import argparse

from orchestrator.cli import project
from orchestrator.cli.console import Console

SUMMARY = "reject what waits, with a reason"


def register(parser: argparse.ArgumentParser) -> None:
    project.add_argument(parser)
    parser.add_argument("--stage", default="", help="which approval, when several wait (prod, registry, ...)")
    parser.add_argument("--reason", required=True, help="kept with the run")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from orchestrator.execute import reject

    _, aws = project.connect(arguments, console)
    name = project.name(arguments, aws)
    answered = reject(aws, name, arguments.stage, arguments.reason)
    console.data(
        {"project": name, "rejected": answered.name, "run": answered.run}, f"Rejected {answered.name} of {name}."
    )
    return 0
