"""Model cards: create, update, describe, delete, export and list them, with the requests and answers of old clients.

An update changes what the request says and nothing else: other members of a section stay, and so does the status.
SageMaker takes content and status in separate calls (UpdateModelCard); each is made only when it changes something.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from orchestrator import card_forms
from orchestrator.aws import Aws
from orchestrator.card_content import content_of
from orchestrator.errors import BadRequest, ConfigInvalid, OrchestratorError, Problem
from orchestrator.explain import join, problems_of
from orchestrator.guard import hostile, oversized

EXPORTS = "model_card_exports"
LONGEST_EXPORT_SECONDS = 18.0
"""To wait for an export within one request; API Gateway cuts it after 29 seconds."""
LONGEST_NAME = 63
LARGEST_CONTENT = 100_000
"""Characters (CreateModelCard, Content)."""


class ExportFailed(OrchestratorError):
    """SageMaker could not write the card; the reason is its own."""

    status = 409
    exit_code = 4
    title = "The model card could not be exported"


def is_operation(body: Any) -> bool:
    """Whether a request is about a model card."""
    return isinstance(body, Mapping) and body.get("pipeline_type") in card_forms.OPERATIONS


def perform(body: Mapping[str, Any], aws: Aws) -> dict[str, Any]:
    """Do the operation; the answer's members as JSON, ``message`` first.

    Raises ConfigInvalid with every problem before anything is done, AwsFailed for what SageMaker refuses (an unknown
    card, a name that is taken), ExportFailed.
    """
    operation = str(body["pipeline_type"])
    form = card_forms.form(operation)
    _check(body, form)
    answer = _OPERATIONS[operation](body, aws)
    ignored = list(card_forms.unknown(body, form))
    told: dict[str, Any] = json.loads(json.dumps(answer, default=_plain))
    return {**told, "ignored": ignored} if ignored else told


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _check(body: Mapping[str, Any], form: Mapping[str, Any]) -> None:
    from jsonschema import Draft7Validator

    too_large = oversized(body)
    if too_large:
        raise ConfigInvalid([too_large])
    problems: list[Problem] = list(hostile(body))
    for error in Draft7Validator(form).iter_errors(body):
        problems += problems_of(error, form, lambda way: join("$", way))
    if problems:
        raise ConfigInvalid(problems)


# ---- the operations ----


def _create(body: Mapping[str, Any], aws: Aws) -> dict[str, Any]:
    content = _written(content_of(body, aws))
    status = body.get("status", "Draft")
    aws.call("sagemaker", "create_model_card", ModelCardName=body["name"], ModelCardStatus=status, Content=content)
    return {"message": _card(body["name"], aws)}


def _update(body: Mapping[str, Any], aws: Aws) -> dict[str, Any]:
    name = body["name"]
    card = _card(name, aws)
    old = json.loads(card["Content"])
    content = content_of(body, aws, old)
    told = {key for key in card_forms.SECTIONS if key in body}
    status = body.get("status", card["ModelCardStatus"])
    changed = False
    if told and content != old:
        aws.call("sagemaker", "update_model_card", ModelCardName=name, Content=_written(content))
        changed = True
    if status != card["ModelCardStatus"]:
        aws.call("sagemaker", "update_model_card", ModelCardName=name, ModelCardStatus=status)
        changed = True
    return {"message": _card(name, aws) if changed else card}


def _describe(body: Mapping[str, Any], aws: Aws) -> dict[str, Any]:
    return {"message": _card(body["name"], aws)}


def _delete(body: Mapping[str, Any], aws: Aws) -> dict[str, Any]:
    aws.call("sagemaker", "delete_model_card", ModelCardName=body["name"])
    return {"message": f"Model card with the name: {body['name']} has been deleted"}


def _list(_body: Mapping[str, Any], aws: Aws) -> dict[str, Any]:
    summaries = list(aws.items("sagemaker", "list_model_cards", "ModelCardSummaries"))
    return {"message": {"ModelCardSummaries": summaries}}


def _export(body: Mapping[str, Any], aws: Aws) -> dict[str, Any]:
    """Start the export and wait for it a while; one that takes longer goes on, and its ARN tells of it."""
    name, target = body["name"], f"s3://{aws.settings.assets_bucket}/{EXPORTS}"
    _card(name, aws)
    version: dict[str, Any] = (
        {"ModelCardVersion": int(body["model_card_version"])} if body.get("model_card_version") else {}
    )
    request = {
        "ModelCardName": name,
        **version,
        "ModelCardExportJobName": body.get("export_job_name") or _job_name(name),
        "OutputConfig": {"S3OutputPath": target},
    }
    arn = aws.call("sagemaker", "create_model_card_export_job", **request)["ModelCardExportJobArn"]
    job = _awaited(arn, aws)
    answer = {"export_job_arn": arn, "export_job_status": job["Status"]}
    if job["Status"] == "Failed":
        raise ExportFailed(f"The export of the model card {name} failed: {job.get('FailureReason', 'no reason given')}")
    if job["Status"] != "Completed":
        return {"message": f"Model card with the name: {name} is being exported to {target}", **answer}
    artifact = job.get("ExportArtifacts", {}).get("S3ExportArtifacts", "")
    message = f"Model card with the name: {name} has been exported to {target}"
    return {"message": message, **answer, "export_artifact": artifact}


def _awaited(arn: str, aws: Aws) -> dict[str, Any]:
    deadline, pause = time.monotonic() + LONGEST_EXPORT_SECONDS, 0.2
    while True:
        job = aws.call("sagemaker", "describe_model_card_export_job", ModelCardExportJobArn=arn)
        if job["Status"] != "InProgress" or time.monotonic() + pause > deadline:
            return job
        time.sleep(pause)
        pause = min(2.0, pause * 1.5)


def _job_name(card: str) -> str:
    moment = datetime.now(UTC).strftime("-%Y-%m-%d-%H-%M-%S-%f")[:-3]
    return f"{card[: LONGEST_NAME - len(moment)]}{moment}"


def _card(name: str, aws: Aws) -> dict[str, Any]:
    return aws.call("sagemaker", "describe_model_card", ModelCardName=name)


def _written(content: Mapping[str, Any]) -> str:
    text = json.dumps(content)
    if len(text) > LARGEST_CONTENT:
        raise BadRequest(f"The model card's content has {len(text)} characters, more than {LARGEST_CONTENT}.")
    return text


_OPERATIONS: Mapping[str, Callable[[Mapping[str, Any], Aws], dict[str, Any]]] = {
    "create_model_card": _create,
    "update_model_card": _update,
    "describe_model_card": _describe,
    "delete_model_card": _delete,
    "export_model_card": _export,
    "export_model_cards": _export,
    "list_model_cards": _list,
}
