"""How the API speaks: the envelope of a Lambda proxy integration, errors in one form, the sentences of old clients."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orchestrator.blueprint import Catalog
from orchestrator.errors import AwsFailed, BadRequest, ConfigInvalid, OrchestratorError
from orchestrator.model import SEPARATE

WRONG_PATH = "Unacceptable event path. Path must be /provisionpipeline or /pipelinestatus"
WRONG_EVENT = (
    "Bad request format. Expected httpMethod or pipeline_type, received none. "
    "Check documentation for API & config formats."
)
WRONG_TYPE = "Bad request format. Pipeline type not supported. Check documentation for API & config formats"
WRONG_PROBLEM = "Bad request format. Unsupported problem_type in byom_model_quality_monitor pipeline"
"""The sentence for all three monitors of models; what is allowed stands in ``problems``."""
MISSING = "Bad request. API body does not have the necessary parameter: {}"


def answer(status: int, document: Mapping[str, Any] | None = None, text: str = "") -> dict[str, Any]:
    """The envelope of a Lambda proxy integration; times in ISO form, as old clients know them."""
    body = json.dumps(document, indent=4, default=_plain) if document is not None else text
    kind = "application/json" if document is not None else "text/plain"
    return {"statusCode": status, "isBase64Encoded": False, "body": body, "headers": {"Content-Type": kind}}


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def error_body(error: Exception, request_id: str = "", *, detailed: bool = True) -> dict[str, Any]:
    """An error as the API tells it: the old forms (``message``, ``detailedMessage``) and what helps to repair it."""
    if isinstance(error, BadRequest):
        message = "A BadRequest exception occurred"
    elif isinstance(error, AwsFailed):
        message = "A boto3 ClientError occurred"
    elif isinstance(error, OrchestratorError):
        message = error.title
    else:
        message = "An Unexpected Server side exception occurred"
    document: dict[str, Any] = {"message": message}
    if detailed:
        document["detailedMessage"] = error.message if isinstance(error, OrchestratorError) else str(error)
    if isinstance(error, OrchestratorError) and error.hint:
        document["hint"] = error.hint
    if isinstance(error, ConfigInvalid):
        document["problems"] = [problem.as_dict() for problem in error.problems]
    if request_id:
        document["requestId"] = request_id
    return document


def old_text(error: ConfigInvalid, body: Any) -> str:
    """The sentence old clients know: the first key that is missing, or the type that is not supported."""
    if isinstance(body, Mapping) and "pipelines" not in body:
        wrong = {problem.path for problem in error.problems}
        if "$.problem_type" in wrong and body.get("problem_type"):
            return WRONG_PROBLEM
        for problem in error.problems:
            key = problem.path.removeprefix("$.")
            if key == "pipeline_type":
                return WRONG_TYPE
            if key.isidentifier() and key not in body:
                return MISSING.format(key)
    return f"{error.message} The first: {error.problems[0]}" if error.problems else error.message


def old_message(message: str, outcome: str, pipeline_id: str, body: Any, catalog: Catalog) -> str:
    """What old clients read when a pipeline of an old type exists already; ``outcome`` says what really was done.

    They read the same sentence whether anything changed or not, except where pipeline and workload are one stack.
    """
    given = body.get("pipeline_type") if isinstance(body, Mapping) else None
    info = catalog.types.get(given.strip()) if isinstance(given, str) else None
    if info is None or not info.deprecated or outcome == "created":
        return message
    stack = pipeline_id.split("/")[1]
    if stack.endswith(SEPARATE):
        return f"Pipeline {stack} is already provisioned. Updating template parameters."
    if outcome == "updated":
        return f"Pipeline {stack} is being updated."
    return f"Pipeline {stack} is already provisioned. No updates are to be performed."
