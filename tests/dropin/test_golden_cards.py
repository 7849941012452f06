"""Requests for model cards recorded with the old product: the same calls of SageMaker and the same answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.blueprint import load_catalog
from orchestrator.handler import Orchestrator
from tests.corridor.cloud import Cloud

RECORDED = [
    json.loads(line) for line in (Path(__file__).parent / "golden" / "model_cards.jsonl").read_text().splitlines()
]
CARD = {
    "ModelCardName": "card",
    "ModelCardStatus": "Approved",
    "ModelCardVersion": 2,
    "ModelCardArn": "arn:aws:sagemaker:us-east-1:123456789012:model-card/card",
    "Content": '{"model_overview": {"model_description": "d"}}',
    "CreationTime": datetime(2024, 1, 1, tzinfo=UTC),
    "LastModifiedTime": datetime(2024, 1, 1, tzinfo=UTC),
    "CreatedBy": {},
    "LastModifiedBy": {},
}


def requests() -> dict[str, tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]]:
    """Operation -> request, the changing calls it made, and its answer; requests without a name apart."""
    found, request, calls = {}, {}, []
    for line in RECORDED:
        if "request" in line:
            request, calls = line["request"], []
        elif "operation" in line:
            calls.append(line)
        elif request.get("name") or request["pipeline_type"] == "list_model_cards":
            found[request["pipeline_type"]] = (request, calls, line)
    return found


REQUESTS = requests()


@pytest.fixture
def cloud() -> Cloud:
    """A SageMaker that answers as the recorded one did."""
    made = Cloud()
    made.answers |= {
        "sagemaker.create_model_card": {"ModelCardArn": CARD["ModelCardArn"]},
        "sagemaker.update_model_card": {"ModelCardArn": CARD["ModelCardArn"]},
        "sagemaker.describe_model_card": CARD,
        "sagemaker.delete_model_card": {},
        "sagemaker.list_model_cards": {"ModelCardSummaries": []},
        "sagemaker.create_model_card_export_job": {"ModelCardExportJobArn": "arn:job"},
        "sagemaker.describe_model_card_export_job": {"Status": "Completed", "ModelCardExportJobArn": "arn:job"},
    }
    return made


def post(cloud: Cloud, body: Any, **settings: Any) -> tuple[int, Any]:
    aws = cloud.aws(assets_bucket="bench-assets", **settings)
    event = {"httpMethod": "POST", "path": "/provisionpipeline", "body": json.dumps(body)}
    answer = Orchestrator(aws.settings, aws, load_catalog()).handle(event, "r")
    assert answer is not None
    return answer["statusCode"], json.loads(answer["body"])


def changing(cloud: Cloud) -> list[tuple[str, Any]]:
    """The calls that change something, with contents as documents."""
    return [(name.rpartition(".")[2], _read(parameters)) for _, name, parameters in cloud.log if "describe" not in name]


def _read(parameters: dict[str, Any]) -> dict[str, Any]:
    content = {"Content": json.loads(parameters["Content"])} if "Content" in parameters else {}
    return {**parameters, **content}


@pytest.mark.parametrize("operation", sorted(REQUESTS.keys() - {"update_model_card"}))
def test_the_same_calls_and_the_same_answer(cloud: Cloud, operation: str) -> None:
    request, calls, recorded = REQUESTS[operation]
    status, answer = post(cloud, request)
    assert status == recorded["response"]
    wanted = [_read(call["params"]) for call in calls if not call["operation"].startswith("Describe")]
    assert [parameters for _, parameters in changing(cloud)] == wanted
    message = recorded["body"]["message"]
    if operation == "list_model_cards":  # the recorded stub answered every operation with the members of all
        message = {"ModelCardSummaries": message["ModelCardSummaries"]}
    elif isinstance(message, dict):
        message = {key: f"{value}+00:00" if key.endswith("Time") else value for key, value in message.items()}
    assert answer["message"] == message


def test_the_guides_name_for_an_export_is_taken_as_well(cloud: Cloud) -> None:
    """Defect D18: the guide says `export_model_cards`, which the old product refused."""
    request, _, recorded = REQUESTS["export_model_card"]
    status, answer = post(cloud, {**request, "pipeline_type": "export_model_cards"})
    assert (status, answer["message"]) == (200, recorded["body"]["message"])
    assert answer["export_job_arn"] == "arn:job"


def test_an_update_changes_what_it_says_and_nothing_else(cloud: Cloud) -> None:
    """Defect D16: the old product also set the status back to Draft."""
    request, calls, recorded = REQUESTS["update_model_card"]
    status, _ = post(cloud, request)
    content = next(call["params"] for call in calls if "Content" in call["params"])
    assert status == recorded["response"] and changing(cloud) == [("update_model_card", _read(content))]


def test_other_members_of_a_section_stay(cloud: Cloud) -> None:
    """Defect D16: the old product lost what a section's update did not repeat."""
    old = {"intended_uses": {"risk_rating": "High", "purpose_of_model": "p"}}
    cloud.answers["sagemaker.describe_model_card"] = {**CARD, "Content": json.dumps(old)}
    body = {"pipeline_type": "update_model_card", "name": "card", "intended_uses": {"purpose_of_model": "q"}}
    post(cloud, body)
    assert changing(cloud)[0][1]["Content"] == {"intended_uses": {"risk_rating": "High", "purpose_of_model": "q"}}
    cloud.log.clear()
    post(cloud, {**body, "status": "Archived", "intended_uses": {"purpose_of_model": "p"}})
    assert changing(cloud) == [("update_model_card", {"ModelCardName": "card", "ModelCardStatus": "Archived"})]


@pytest.mark.parametrize(
    "change, path",
    [
        ({"name": None}, "$.name"),
        ({"name": "not a name"}, "$.name"),
        ({"status": "Perfect"}, "$.status"),
        ({"intended_uses": {"risk_rating": "none"}}, "$.intended_uses.risk_rating"),
        ({"evaluation_details": [{"name": "e", "metric_file_s3_url": "s3://b/k"}]}, "$.evaluation_details[0]"),
        ({"model_overview": {"model_artifact": ["s3://b/k"] * 16}}, "$.model_overview.model_artifact"),
        ({"training_details": []}, "$.training_details"),
    ],
)
def test_mistakes_are_told_before_anything_is_done(cloud: Cloud, change: dict[str, Any], path: str) -> None:
    """Defect D19: a missing name or a wrong value was passed on to SageMaker, or left out."""
    body = {"pipeline_type": "create_model_card", "name": "card", **change}
    status, answer = post(cloud, {key: value for key, value in body.items() if value is not None})
    assert status == 400 and any(problem["path"].startswith(path) for problem in answer["problems"])
    assert cloud.log == []


def test_names_nobody_knows_are_left_out_and_told(cloud: Cloud) -> None:
    """Defect D19: they were left out silently."""
    request, _, _ = REQUESTS["create_model_card"]
    _, answer = post(cloud, {**request, "colour": "red"})
    assert answer["ignored"] == ["$.model_overview.junk", "$.colour"]


def test_an_export_that_takes_long_is_told_by_its_job(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defect D18: the old product waited until API Gateway gave up."""
    monkeypatch.setattr("orchestrator.cards.LONGEST_EXPORT_SECONDS", 0.1)
    cloud.answers["sagemaker.describe_model_card_export_job"] = {"Status": "InProgress"}
    status, answer = post(cloud, REQUESTS["export_model_card"][0])
    assert status == 200 and answer["export_job_status"] == "InProgress" and "is being exported" in answer["message"]
    cloud.answers["sagemaker.describe_model_card_export_job"] = {"Status": "Failed", "FailureReason": "no bucket"}
    status, answer = post(cloud, REQUESTS["export_model_card"][0])
    assert status == 409 and "no bucket" in answer["detailedMessage"]


def test_all_pages_are_listed(cloud: Cloud) -> None:
    """Defect D15: only the first page was listed. The stand-in's pages are botocore's paginator's."""
    aws = cloud.aws()
    assert list(aws.items("sagemaker", "list_model_cards", "ModelCardSummaries")) == []
    assert cloud.calls() == ["sagemaker.list_model_cards"]


def test_the_trigger_of_dropped_files_takes_cards_too(cloud: Cloud) -> None:
    """Defect D20: a file could only ask for pipelines, and a direct invocation for nothing."""
    body = {"pipeline_type": "describe_model_card", "name": "card"}
    cloud.objects["configs", "mlops-config.json"] = {"Body": json.dumps(body).encode(), "ETag": '"1"'}
    record = {"eventSource": "aws:s3", "s3": {"bucket": {"name": "configs"}, "object": {"key": "mlops-config.json"}}}
    aws = cloud.aws()
    ours = Orchestrator(aws.settings, aws, load_catalog())
    ours.handle({"Records": [record]}, "r")
    told = json.loads(cloud.objects["configs", "mlops-config.json.result.json"]["Body"])
    assert told["outcome"] == "done" and told["message"]["ModelCardName"] == "card"
    answer = ours.handle(body, "r")
    assert answer and answer["statusCode"] == 200
