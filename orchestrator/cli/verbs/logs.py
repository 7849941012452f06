"""What training, endpoints and the orchestrator printed, from CloudWatch Logs."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

from orchestrator.cli import project
from orchestrator.cli.console import Console
from orchestrator.errors import NotFound

SUMMARY = "what training, endpoints and the orchestrator printed"


def register(parser: argparse.ArgumentParser) -> None:
    project.add_argument(parser)
    parser.add_argument("--stage", default="", help="the endpoint of this stage, instead of the training job")
    parser.add_argument("--orchestrator", action="store_true", help="the orchestrator's own log")
    parser.add_argument("--follow", action="store_true", help="go on as more is printed")
    parser.add_argument("--lines", type=int, default=100, help="how many of the last lines (default 100)")


def run(arguments: argparse.Namespace, console: Console) -> int:
    target, aws = project.connect(arguments, console)
    account, group, prefix = place(arguments, aws)
    client = target.client("logs", account)
    events = list(read(client, group, prefix, 0))
    if not events and not arguments.follow:
        raise NotFound(f"Nothing in the log group {group}{f' for {prefix}*' if prefix else ''} yet.")
    newest = 0
    for event in events[-arguments.lines :]:
        show(event, console)
    newest = max((event["timestamp"] for event in events), default=0)
    while arguments.follow:
        time.sleep(1)
        for event in read(client, group, prefix, newest + 1):
            show(event, console)
            newest = max(newest, event["timestamp"])
    return 0


def place(arguments: argparse.Namespace, aws: Any) -> tuple[str, str, str]:
    """Account, log group and prefix of the streams."""
    from orchestrator.status import project_status

    if arguments.orchestrator:
        return aws.settings.account, f"/aws/lambda/{aws.settings.name_prefix}-orchestrator", ""
    status = project_status(aws, project.name(arguments, aws))
    if not arguments.stage:
        return aws.settings.account, "/aws/sagemaker/TrainingJobs", status.model_name.lower()
    for endpoint in status.endpoints:
        if endpoint.stage == arguments.stage:
            return endpoint.account, f"/aws/sagemaker/Endpoints/{endpoint.name}", ""
    stages = ", ".join(endpoint.stage for endpoint in status.endpoints) or "none"
    raise NotFound(f"No endpoint in stage {arguments.stage}.", hint=f"Stages with one: {stages}.")


def read(client: Any, group: str, prefix: str, since: int) -> Iterator[dict[str, Any]]:
    """The events of a group since a time (milliseconds), oldest first; none when the group is not there."""
    filters = {"logStreamNamePrefix": prefix} if prefix else {}
    try:
        pages = client.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since, **filters)
        yield from sorted((event for page in pages for event in page["events"]), key=lambda event: event["timestamp"])
    except client.exceptions.ResourceNotFoundException:
        return


def show(event: dict[str, Any], console: Console) -> None:
    """Print one line."""
    at = time.strftime("%H:%M:%S", time.localtime(event["timestamp"] / 1000))
    console.data(
        {"time": event["timestamp"], "stream": event["logStreamName"], "message": event["message"].rstrip("\n")},
        f"{at}  {event['logStreamName'][-24:]}  {event['message'].rstrip()}",
    )
