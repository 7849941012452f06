"""Ask a live endpoint: send a file or a line, print the answer."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from orchestrator.cli import project
from orchestrator.cli.console import Console
from orchestrator.errors import AwsFailed, BadRequest, NotFound

SUMMARY = "ask an endpoint"


def register(parser: argparse.ArgumentParser) -> None:
    project.add_argument(parser)
    parser.add_argument("--stage", default="", help="which stage (default: the last one that has an endpoint)")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", help="the payload")
    source.add_argument("--file", help="a file with the payload; - for stdin")
    parser.add_argument("--content-type", default="text/csv")
    parser.add_argument("--accept", default="text/csv")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from botocore.exceptions import ClientError

    from orchestrator.status import project_status

    target, aws = project.connect(arguments, console)
    name = project.name(arguments, aws)
    endpoints = project_status(aws, name).endpoints
    fitting = [one for one in endpoints if not arguments.stage or one.stage == arguments.stage]
    if not fitting:
        stages = ", ".join(one.stage for one in endpoints) or "none"
        raise NotFound(
            f"{name} has no endpoint in {arguments.stage or 'any stage'}.", hint=f"Stages with one: {stages}."
        )
    endpoint = fitting[-1]
    if target.running is None and endpoint.account != aws.settings.account:
        raise BadRequest(
            f"The endpoint is in account {endpoint.account}.",
            hint=f"Use that account: aws sagemaker-runtime invoke-endpoint --endpoint-name {endpoint.name} ...",
        )
    try:
        answer = target.client("sagemaker-runtime", endpoint.account).invoke_endpoint(
            EndpointName=endpoint.name,
            ContentType=arguments.content_type,
            Accept=arguments.accept,
            Body=payload(arguments),
        )
    except ClientError as error:
        told = error.response["Error"]
        raise AwsFailed(told["Code"], told["Message"], hint=f"mlops logs {name} --stage {endpoint.stage}") from error
    text = answer["Body"].read().decode("utf-8", "replace")
    document = {"endpoint": endpoint.name, "stage": endpoint.stage, "content_type": answer["ContentType"], "body": text}
    console.say(f"({endpoint.name} in {endpoint.account}, variant {answer.get('InvokedProductionVariant', '')})")
    console.data(document, text.rstrip("\n"))
    return 0


def payload(arguments: argparse.Namespace) -> bytes:
    """The bytes to send. Raises NotFound when the file cannot be read."""
    if arguments.data is not None:
        return str(arguments.data).encode()
    if arguments.file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(arguments.file).read_bytes()
    except OSError as error:
        raise NotFound(f"{arguments.file} cannot be read: {error.strerror}.") from error
