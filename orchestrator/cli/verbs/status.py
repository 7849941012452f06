"""What is true now: the stages of the run, what waits for you and what to look at, why something failed, endpoints."""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING

from orchestrator.cli import project
from orchestrator.cli.console import Console, paint, table

if TYPE_CHECKING:
    from orchestrator.status import Approval, ProjectStatus

SUMMARY = "what is true now"
EXIT_FAILED = 7
METRICS = "Metrics"
BUSY = {"provisioning", "running", "stopping"}
NEW_RUN_SECONDS = 8.0
"""How long ``--watch`` looks out for a run that is about to begin, as after a commit."""


def register(parser: argparse.ArgumentParser) -> None:
    project.add_argument(parser)
    parser.add_argument("--watch", action="store_true", help="show it again at each change until the run ends or waits")
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between looks (default 2)")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from orchestrator.status import project_status

    _, aws = project.connect(arguments, console)
    name = project.name(arguments, aws)
    shown, patience = "", time.monotonic() + NEW_RUN_SECONDS
    while True:
        status = project_status(aws, name)
        text = status_text(status)
        if text != shown:
            console.data(status.as_dict(), text + ("\n" if arguments.watch else ""))
            shown = text
        if status.state in BUSY:
            patience = 0.0
        elif not arguments.watch or time.monotonic() > patience:
            return EXIT_FAILED if status.state in ("failed", "broken") else 0
        time.sleep(arguments.interval)


def status_text(status: ProjectStatus) -> str:
    """The status for a person."""
    run = f"   run {status.run.id}" if status.run else ""
    parts = [f"{paint(status.project, 'bold')}   {status.state}{run}"]
    rows = [
        {
            "stage": stage.name if number == 0 else "",
            "action": action.name,
            "state": action.state,
            "": action.summary[:70],
        }
        for stage in status.stages
        for number, action in enumerate(stage.actions)
    ]
    if rows:
        parts.append(table(rows, ["stage", "action", "state", ""]))
    if status.endpoints:
        endpoints = [
            {"stage": e.stage, "endpoint": e.name, "account": e.account, "state": e.status, "instances": e.instances}
            for e in status.endpoints
        ]
        parts.append(table(endpoints, ["stage", "endpoint", "account", "state", "instances"]))
    parts += [approval_text(status.project, approval) for approval in status.approvals]
    if status.failure:
        parts.append(f"{paint('Failed', 'red')} at {status.failure.where}: {status.failure.reason}")
        if status.failure.hint:
            parts.append(f"Next: {status.failure.hint}")
    return "\n\n".join(parts)


def metrics(approval: Approval) -> list[str]:
    """``validation:auc = 0.99`` for each metric of the model that waits."""
    found = json.loads(approval.results.get(METRICS, "[]"))
    return [f"{metric['MetricName']} = {metric['Value']:.4g}" for metric in found]


def approval_text(project_name: str, approval: Approval) -> str:
    """What waits, what to look at, and how to answer."""
    lines = [f"{paint('Waits for you', 'yellow')}: {approval.name}. {approval.message}".rstrip()]
    lines += [f"  {metric}" for metric in metrics(approval)]
    lines += [f"  {name}: {value}" for name, value in approval.results.items() if name != METRICS]
    lines += [
        f"  {change['action']:7} {change['type']} {change['resource']}"
        + (" (replaced)" if change["replacement"] == "True" else "")
        for change in approval.changes
    ]
    lines.append(f"  mlops approve {project_name} --stage {approval.name}")
    lines.append(f'  mlops reject {project_name} --stage {approval.name} --reason "..."')
    return "\n".join(lines)
