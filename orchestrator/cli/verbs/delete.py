"""Delete a project: its stacks in every stage, its pipeline, its bundles. Data, models and packages stay."""

from __future__ import annotations

import argparse

from orchestrator.cli import project
from orchestrator.cli.console import Console

SUMMARY = "delete a project's stacks and pipeline"


def register(parser: argparse.ArgumentParser) -> None:
    project.add_argument(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from orchestrator.flow import delete_project
    from orchestrator.status import as_json

    _, aws = project.connect(arguments, console)
    name = project.name(arguments, aws)
    confirmed = arguments.yes or input(f"Delete {name} and everything it deployed? [y/N] ").strip().lower() == "y"
    removed = []
    for one in delete_project(name, aws, confirmed=confirmed):
        console.say(f"  {one.outcome:8} {one.what:9} {one.name} ({one.account})")
        removed.append(one)
    console.data(as_json(removed), f"{name} is gone.")
    return 0
