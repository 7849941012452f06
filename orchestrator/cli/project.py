"""Which project a command means, and the AWS it is in."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from orchestrator.aws import Aws
from orchestrator.cli import config, target
from orchestrator.cli.console import Console
from orchestrator.errors import BadRequest, NotFound


def add_argument(parser: argparse.ArgumentParser) -> None:
    """The argument that names the project."""
    parser.add_argument(
        "project", nargs="?", default="", help="project or model name (default: that of ./mlops-config.json)"
    )


def connect(arguments: argparse.Namespace, console: Console) -> tuple[target.Target, Aws]:
    """The target of the command and the door to it."""
    found = target.find(arguments, console)
    return found, Aws(found.settings())


def name(arguments: argparse.Namespace, aws: Aws) -> str:
    """The project that is meant: the one named, the one of the config here, or the only one there is.

    Raises NotFound or BadRequest with the names there are.
    """
    from orchestrator.status import find, projects

    if arguments.project:
        return find(aws, arguments.project)
    here = Path(config.DEFAULT)
    if here.exists():
        try:
            document = json.loads(here.read_text())
        except ValueError as error:
            raise BadRequest(f"{here} is not JSON: {error}", hint="Fix it, or name the project.") from error
        if isinstance(document, dict) and isinstance(document.get("model_name"), str):
            return find(aws, document["model_name"])
    known = [project.project for project in projects(aws)]
    if len(known) == 1:
        return known[0]
    if not known:
        raise NotFound("There is no project yet.", hint="Run `mlops provision` with a config.")
    raise BadRequest("Which project?", hint=f"Name one of: {', '.join(known)}.")
