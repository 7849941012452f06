"""Every project of the orchestrator, and how its latest run goes."""

from __future__ import annotations

import argparse

from orchestrator.cli import project
from orchestrator.cli.console import Console, table

SUMMARY = "list the projects"


def register(parser: argparse.ArgumentParser) -> None:
    del parser  # no arguments of its own


def run(arguments: argparse.Namespace, console: Console) -> int:
    from orchestrator.status import as_json, projects

    _, aws = project.connect(arguments, console)
    found = projects(aws)
    rows = [
        {
            "project": one.project,
            "model": one.model_name,
            "state": one.state,
            "started": f"{one.run.started:%Y-%m-%d %H:%M:%S}" if one.run and one.run.started else "",
        }
        for one in found
    ]
    text = table(rows, ["project", "model", "state", "started"]) if rows else "No project yet. Next: `mlops provision`."
    console.data(as_json(found), text)
    return 0
