"""The embedded AWS on this machine: several accounts in one process, no Docker, state that survives kill -9.

up     start it (or find it running) and install the orchestrator in its four accounts
down   stop it; `up` goes on where it was
reset  stop it and forget everything
watch  link a Git repository: each commit of its mlops-config.json is noticed, as a CodeCommit push is
clock  the time there; `clock advance 1h` moves it forward, and what was scheduled meanwhile happens
info   URLs, accounts and keys
"""

from __future__ import annotations

import argparse
import re
from datetime import timedelta
from pathlib import Path

from orchestrator.cli import embedded, home
from orchestrator.cli.console import Console
from orchestrator.errors import BadRequest, NotFound

SUMMARY = "the embedded AWS: up, down, reset, watch, clock, info"
DEFAULT_PORT = 4588
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["up", "down", "reset", "watch", "clock", "info"])
    details = "for watch: the repository's folder (default: here); for clock: nothing, or `advance 1h` (also 30m, 2d)"
    parser.add_argument("details", nargs="*", help=details)
    parser.add_argument("--name", default="", help="which embedded AWS (default: the one in use, else local)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"for up (default {DEFAULT_PORT}; 0: any free)")
    parser.add_argument(
        "--iam",
        choices=["enforce", "report", "off"],
        default="enforce",
        help="for up: what becomes of requests that IAM does not allow: refused (default), noted in denied.log and"
        " answered, or not looked at",
    )
    parser.add_argument("--wait", action="store_true", help="for clock advance: let the jobs of each hour end first")
    parser.add_argument("--yes", action="store_true", help="for reset: do not ask")


def run(arguments: argparse.Namespace, console: Console) -> int:
    actions = {"up": up, "down": down, "reset": reset, "watch": watch, "clock": clock, "info": info}
    return actions[arguments.action](arguments, console)


def folder_of(arguments: argparse.Namespace) -> Path:
    """The home that is meant: the named one, the one in use, else ``local``."""
    if arguments.name:
        return home.home(arguments.name)
    return home.last() or home.home("local")


def _running(arguments: argparse.Namespace) -> home.Running:
    running = home.read(folder_of(arguments))
    if running is None:
        raise NotFound("No embedded AWS is up.", hint="Run `mlops local up`.")
    return running


def up(arguments: argparse.Namespace, console: Console) -> int:
    """Start and install."""
    running = embedded.start(folder_of(arguments), console, port=arguments.port, authorization=arguments.iam)
    embedded.install(running, console)
    return info(arguments, console)


def info(arguments: argparse.Namespace, console: Console) -> int:
    """Tell how to reach it."""
    running = _running(arguments)
    outputs = embedded.outputs(running)
    denied = home.denials(running)
    document = {
        "endpoint": running.endpoint,
        "home": str(running.home),
        "pid": running.pid,
        "region": running.region,
        "accounts": running.accounts,
        "authorization": running.authorization,
        "denied": len(denied),
        **outputs,
    }
    accounts = "\n".join(
        f"  {name:13} {account}   (use it as AWS_ACCESS_KEY_ID)" for name, account in running.accounts.items()
    )
    last = f", the last: {denied[-1]}" if denied else ""
    text = (
        f"endpoint       {running.endpoint}   (export AWS_ENDPOINT_URL={running.endpoint})\n"
        f"API            {outputs.get('ApiUrl', 'not installed')}\n"
        f"config bucket  {outputs.get('ConfigBucket', '-')}\n"
        f"assets bucket  {outputs.get('AssetsBucket', '-')}\n"
        f"IAM            {running.authorization}; {len(denied) or 'no'} requests denied{last}\n"
        f"state          {running.home}\naccounts\n{accounts}"
    )
    console.data(document, text)
    console.say("Next: `mlops provision`, `git commit` in a repository under `mlops local watch`, or")
    console.say(f"      curl -X POST {outputs.get('ApiUrl', '')}provisionpipeline -d @mlops-config.json")
    return 0


def down(arguments: argparse.Namespace, console: Console) -> int:
    """Stop."""
    folder = folder_of(arguments)
    stopped = embedded.stop(folder)
    text = f"Stopped; state stays in {folder}." if stopped else "No embedded AWS is up."
    console.data({"stopped": stopped, "home": str(folder)}, text)
    return 0


def reset(arguments: argparse.Namespace, console: Console) -> int:
    """Stop and delete."""
    folder = folder_of(arguments)
    if not arguments.yes:
        answer = input(f"Delete everything in {folder}? [y/N] ")
        if answer.strip().lower() != "y":
            console.say("Nothing was deleted.")
            return 1
    embedded.reset(folder)
    console.data({"deleted": str(folder)}, f"{folder} is gone.")
    return 0


def watch(arguments: argparse.Namespace, console: Console) -> int:
    """Link a repository."""
    running = _running(arguments)
    path = Path(arguments.details[0] if arguments.details else ".").absolute()
    if not (path / ".git").exists():
        raise NotFound(f"{path} is not a Git repository.", hint="Run `git init` there first.")
    name = embedded.link_repository(running, path)
    text = f"{path} is the repository {name}: each commit of mlops-config.json on main is noticed."
    console.data({"repository": name, "path": str(path)}, text)
    return 0


def clock(arguments: argparse.Namespace, console: Console) -> int:
    """Tell the time, or move it forward."""
    match arguments.details:
        case []:
            seconds = 0.0
        case ["advance", duration]:
            seconds = seconds_of(duration)
        case given:
            raise BadRequest(f"`clock {' '.join(given)}` is not known.", hint="mlops local clock advance 1h")
    told = embedded.clock(_running(arguments), seconds, wait=arguments.wait)
    ahead = timedelta(seconds=round(told["offset"]))
    console.data(told, f"It is {told['now']} in the embedded AWS, {ahead} ahead of this machine.")
    return 0


def seconds_of(duration: str) -> float:
    """Seconds of a duration such as ``90s``, ``30m``, ``1h30m`` or ``2d``; raises BadRequest."""
    if not re.fullmatch(r"(\d+[smhd])+", duration):
        raise BadRequest(f"{duration!r} is not a duration.", hint="Write it as 90s, 30m, 1h30m or 2d.")
    return float(sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration)))
