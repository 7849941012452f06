"""Hand a config to the orchestrator: it creates or updates the project's CodePipeline, or says that nothing changed.

Folders of code that the config names (source_dir) are packed and uploaded first. This calls the same Lambda function
that a Git push, a dropped file or POST /provisionpipeline reaches. With --into the config goes into the config bucket
instead, and the function's answer is waited for: that needs no right but to put it there.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from orchestrator.cli import config, handing_in, project
from orchestrator.cli.console import Console
from orchestrator.cli.target import function_name
from orchestrator.errors import AwsFailed, ConfigInvalid, OrchestratorError, Problem

SUMMARY = "create or update the pipeline of a config"


def register(parser: argparse.ArgumentParser) -> None:
    config.add_argument(parser)
    handing_in.add_arguments(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    handing_in.refuse_options(arguments)
    if arguments.into is not None:
        document = handing_in.hand_in(arguments, console)
        console.data(document, "\n".join(str(document[key]) for key in ("message", "pipeline_id") if key in document))
        return 0
    document = _called(arguments, console)
    console.data(document, f"{document['message']}\n{document['pipeline_id']}")
    console.say("Next: `mlops status --watch`.")
    return 0


def _called(arguments: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Call the function with the config, after its folders of code were uploaded; its answer."""
    from orchestrator.blueprint import load_catalog
    from orchestrator.sources import with_uploaded_sources
    from orchestrator.validate import validate

    body = config.read(arguments.config)
    target, aws = project.connect(arguments, console)
    validate(config.read_packed(arguments.config), load_catalog(), aws.settings)  # before anything is uploaded
    body = with_uploaded_sources(body, config.folder_beside(config.base_of(arguments.config)), aws)
    event = {"httpMethod": "POST", "path": "/provisionpipeline", "body": json.dumps(body), "isBase64Encoded": False}
    answer = invoke(target.client("lambda"), event)
    document: dict[str, Any] = json.loads(answer["body"])
    if answer["statusCode"] != 200:
        raise refusal(document)
    return document


def invoke(client: Any, event: dict[str, Any]) -> dict[str, Any]:
    """Call the orchestrator's function; its answer."""
    from botocore.exceptions import ClientError

    try:
        response = client.invoke(FunctionName=function_name(), Payload=json.dumps(event).encode())
    except ClientError as error:
        raise AwsFailed(error.response["Error"]["Code"], error.response["Error"]["Message"]) from error
    payload = json.loads(response["Payload"].read())
    if response.get("FunctionError"):
        raise OrchestratorError(
            f"The orchestrator's function failed: {payload.get('errorMessage', payload)}",
            hint="`mlops logs --orchestrator` shows what it said.",
        )
    answer: dict[str, Any] = payload
    return answer


def refusal(document: dict[str, Any]) -> OrchestratorError:
    """The error in an answer of the API."""
    if document.get("problems"):
        return ConfigInvalid(Problem(**problem) for problem in document["problems"])
    text = document.get("detailedMessage") or document.get("message") or str(document)
    return OrchestratorError(text, hint=document.get("hint", "`mlops logs --orchestrator` shows more."))
