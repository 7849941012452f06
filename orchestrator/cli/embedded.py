"""Start and stop the embedded AWS as a background process, and install the orchestrator in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.cli import home
from orchestrator.cli.console import Console
from orchestrator.errors import BadRequest, Conflict, OrchestratorError, SettingsMissing
from orchestrator.model import Stage

START_SECONDS = 120.0
STOP_SECONDS = 30.0
CONTROL_SECONDS = 30.0
CLOCK_SECONDS = 14_400.0
"""Moving the clock a month of schedules forward takes its time, and waiting for their jobs takes more."""
LONGEST_JOB_SECONDS = 600.0
OUTPUTS = "installation.json"


def start(folder: Path, console: Console, *, port: int = 0, authorization: str = "enforce") -> home.Running:
    """Start the embedded AWS in this folder, or find it running; it outlives this process.

    ``authorization`` says what becomes of requests that IAM does not allow: ``enforce``, ``report`` or ``off``.

    Raises SettingsMissing when the ``local`` extra is not installed and OrchestratorError when the server
    does not come up; both say what to do.
    """
    running = home.read(folder)
    if running is None:
        require_local_extra()
        folder.mkdir(parents=True, exist_ok=True)
        running = _launch(folder, port, authorization)
        console.say(f"  embedded AWS up at {running.endpoint} (state in {folder})")
    home.activate(folder)
    return running


def require_local_extra() -> None:
    """Raise SettingsMissing when moto and its friends are not installed."""
    from importlib.util import find_spec

    missing = [
        name for name in ("moto", "werkzeug", "uvicorn", "xgboost", "sklearn", "polars") if find_spec(name) is None
    ]
    if missing:
        raise SettingsMissing(
            f"The embedded AWS needs packages that are not installed: {', '.join(missing)}.",
            hint="pip install 'mlops-orchestrator[local]'",
        )


def _launch(folder: Path, port: int, authorization: str) -> home.Running:
    """Spawn the server in a session of its own and wait until it has written ``local.json``."""
    log = folder / "server.log"
    command = [sys.executable, "-m", "orchestrator.local", "--home", str(folder), "--port", str(port)]
    command += ["--iam", authorization]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        running = home.read(folder)
        if running is not None:
            return running
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.kill()  # it never said that it was ready; nothing may stay behind unseen
    last = log.read_text(errors="replace").strip().splitlines()[-5:]
    raise OrchestratorError(
        "The embedded AWS did not start. Its last words:\n  " + "\n  ".join(last),
        hint=f"Read {log}; if another process holds the folder, run `mlops local down`.",
    )


def stop(folder: Path) -> bool:
    """Stop the embedded AWS of this folder and its children; whether it was running."""
    running = home.read(folder)
    if running is None:
        return False
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        if not home.alive(running.pid):
            return True
        time.sleep(0.05)
    raise Conflict(
        f"The embedded AWS (process {running.pid}) did not stop within {STOP_SECONDS:.0f} s.",
        hint=f"kill -9 {running.pid} is safe: the next `mlops local up` goes on where it was.",
    )


def reset(folder: Path) -> None:
    """Stop and forget everything in this folder."""
    stop(folder)
    if folder.exists() and not (folder / "state.db").exists() and any(folder.iterdir()):
        raise Conflict(f"{folder} does not look like the home of an embedded AWS; nothing was deleted.")
    shutil.rmtree(folder, ignore_errors=True)


def install(running: home.Running, console: Console) -> dict[str, str]:
    """Install the orchestrator in the embedded AWS, or bring it up to date; returns the outputs of its stack."""
    import boto3

    from orchestrator.infra.installation import Accounts
    from orchestrator.infra.installation import install as install_orchestrator
    from orchestrator.infra.lambda_package import build

    sessions = {
        account: boto3.Session(account, "local", region_name=running.region) for account in running.accounts.values()
    }
    hub = running.accounts["orchestrator"]
    stages = [
        Stage(name, account, running.region, approval=number > 0)
        for number, (name, account) in enumerate(item for item in running.accounts.items() if item[1] != hub)
    ]
    accounts = Accounts(hub, running.region, sessions, running.endpoint)
    outputs = install_orchestrator(accounts, stages, build())
    (running.home / OUTPUTS).write_text(json.dumps(outputs, indent=2))
    console.say(f"  orchestrator installed in {len(sessions)} accounts")
    return outputs


def outputs(running: home.Running) -> dict[str, str]:
    """The outputs of the orchestrator's stack, as the last installation wrote them; empty before the first."""
    try:
        document: dict[str, str] = json.loads((running.home / OUTPUTS).read_text())
    except OSError:
        return {}
    return document


def link_repository(running: home.Running, path: Path) -> str:
    """Make a Git repository on this disk a CodeCommit repository of the hub; returns its name."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", path.name)
    body = {"account": running.accounts["orchestrator"], "region": running.region, "name": name, "path": str(path)}
    try:
        _control(running, "codecommit/link", body)
    except urllib.error.HTTPError as error:
        raise Conflict(f"{path} cannot be watched: {error.read().decode(errors='replace')}") from error
    return name


def clock(running: home.Running, seconds: float = 0.0, *, wait: bool = False) -> dict[str, Any]:
    """The time in the embedded AWS (``now``, and ``offset`` in seconds), after moving it forward by ``seconds``.

    With ``wait`` it goes on from each stop only when the jobs that run have ended (or after ten minutes). Raises
    BadRequest when it cannot be moved so far at once.
    """
    body = {"seconds": seconds, "wait": LONGEST_JOB_SECONDS if wait else 0.0}
    try:
        if not seconds:
            return _control(running, "clock")
        return _control(running, "clock/advance", body, patience=CLOCK_SECONDS)
    except urllib.error.HTTPError as error:
        told = json.loads(error.read() or b"{}").get("message", str(error))
        raise BadRequest(f"The clock stays as it is: {told}", hint="Advance it in several steps.") from error


def _control(
    running: home.Running, path: str, body: Mapping[str, Any] | None = None, *, patience: float = CONTROL_SECONDS
) -> dict[str, Any]:
    """Ask something of the embedded AWS that AWS has no API for; raises HTTPError."""
    request = urllib.request.Request(  # noqa: S310 - the endpoint is our own, on loopback
        f"{running.endpoint}/_local/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method="GET" if body is None else "POST",
    )
    with urllib.request.urlopen(request, timeout=patience) as answer:  # noqa: S310
        document: dict[str, Any] = json.loads(answer.read())
    return document
