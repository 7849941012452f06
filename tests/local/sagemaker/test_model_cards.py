"""Model cards: versions, status, search, and the export to a PDF that a person can read."""

from __future__ import annotations

import json
import re
import zlib
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sagemaker_rig import BUCKET, Workshop, wait_for

CONTENT = {"model_overview": {"model_id": "arn:m", "model_description": "Who leaves", "model_artifact": []}}


def create(workshop: Workshop, name: str = "churn", **content: Any) -> str:
    text = json.dumps(content or CONTENT)
    made = workshop.sagemaker.create_model_card(ModelCardName=name, ModelCardStatus="Draft", Content=text)
    return str(made["ModelCardArn"])


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def text_of(data: bytes) -> str:
    """The text a PDF shows: of its standard fonts, every character is one byte of a string."""
    assert data.startswith(b"%PDF-") and data.rstrip().endswith(b"%%EOF")
    streams = [
        zlib.decompress(each) for each in re.findall(rb"stream\n(.*?)\nendstream", data, re.DOTALL) if each[:1] == b"x"
    ]
    return " ".join(part.decode("latin-1") for stream in streams for part in re.findall(rb"\((.*?)(?<!\\)\)", stream))


def test_content_makes_versions_and_status_does_not(workshop: Workshop) -> None:
    sagemaker = workshop.sagemaker
    assert create(workshop) == "arn:aws:sagemaker:us-east-1:222222222222:model-card/churn"
    sagemaker.update_model_card(ModelCardName="churn", ModelCardStatus="Approved")
    sagemaker.update_model_card(ModelCardName="churn", Content=json.dumps({"intended_uses": {"risk_rating": "Low"}}))
    card = sagemaker.describe_model_card(ModelCardName="churn")
    assert (card["ModelCardVersion"], card["ModelCardStatus"]) == (2, "Approved")
    assert "history" not in card
    first = sagemaker.describe_model_card(ModelCardName="churn", ModelCardVersion=1)
    assert json.loads(first["Content"]) == CONTENT
    versions = sagemaker.list_model_card_versions(ModelCardName="churn")["ModelCardVersionSummaryList"]
    assert [each["ModelCardVersion"] for each in versions] == [2, 1]
    summaries = sagemaker.list_model_cards(ModelCardStatus="Approved")["ModelCardSummaries"]
    assert [each["ModelCardName"] for each in summaries] == ["churn"]
    assert sagemaker.list_model_cards(ModelCardStatus="Draft")["ModelCardSummaries"] == []


def test_what_sagemaker_refuses_is_refused(workshop: Workshop) -> None:
    sagemaker = workshop.sagemaker
    create(workshop)
    with pytest.raises(ClientError) as error:
        create(workshop)
    assert code(error) == "ConflictException"
    with pytest.raises(ClientError) as error:
        sagemaker.update_model_card(ModelCardName="churn", Content="{}", ModelCardStatus="Draft")
    assert code(error) == "ValidationException"
    for text in ("[]", "{nonsense", '{"colour": 1}'):
        with pytest.raises(ClientError) as error:
            sagemaker.update_model_card(ModelCardName="churn", Content=text)
        assert code(error) == "ValidationException"
    sagemaker.delete_model_card(ModelCardName="churn")
    for call in (sagemaker.describe_model_card, sagemaker.delete_model_card):
        with pytest.raises(ClientError) as error:
            call(ModelCardName="churn")
        assert code(error) == "ResourceNotFound"


def test_a_card_is_found_by_its_model(workshop: Workshop) -> None:
    create(workshop)
    expression = {"Filters": [{"Name": "ModelId", "Operator": "Equals", "Value": "arn:m"}]}
    results = workshop.sagemaker.search(Resource="ModelCard", SearchExpression=expression)["Results"]
    assert [each["ModelCard"]["ModelCardName"] for each in results] == ["churn"]
    expression["Filters"][0]["Value"] = "arn:other"
    assert workshop.sagemaker.search(Resource="ModelCard", SearchExpression=expression)["Results"] == []
    with pytest.raises(ClientError, match="does not support"):
        workshop.sagemaker.search(Resource="ModelCard", SearchExpression={"SubExpressions": [expression]})


def test_an_export_is_a_pdf_in_s3(workshop: Workshop) -> None:
    sagemaker = workshop.sagemaker
    metrics = [
        {"name": "accuracy", "type": "number", "value": 0.97},
        {"name": "curve", "type": "linear_graph", "value": [[0, 1]]},
    ]
    create(
        workshop,
        **CONTENT,
        evaluation_details=[{"name": "e", "metric_groups": [{"name": "g", "metric_data": metrics}]}],
    )
    arn = sagemaker.create_model_card_export_job(
        ModelCardName="churn", ModelCardExportJobName="one", OutputConfig={"S3OutputPath": f"s3://{BUCKET}/cards"}
    )["ModelCardExportJobArn"]
    describe = sagemaker.describe_model_card_export_job
    job = wait_for(lambda: (it := describe(ModelCardExportJobArn=arn))["Status"] != "InProgress" and it)
    assert job["Status"] == "Completed" and job["ModelCardVersion"] == 1
    key = job["ExportArtifacts"]["S3ExportArtifacts"].removeprefix(f"s3://{BUCKET}/")
    text = text_of(workshop.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    for shown in ("churn", "Who leaves", "accuracy", "0.97"):
        assert shown in text
    jobs = sagemaker.list_model_card_export_jobs(ModelCardName="churn")["ModelCardExportJobSummaries"]
    assert [each["ModelCardExportJobName"] for each in jobs] == ["one"]


def test_an_export_that_cannot_be_written_fails_with_the_reason(workshop: Workshop) -> None:
    sagemaker = workshop.sagemaker
    create(workshop)
    arn = sagemaker.create_model_card_export_job(
        ModelCardName="churn", ModelCardExportJobName="one", OutputConfig={"S3OutputPath": "s3://nowhere-at-all/cards"}
    )["ModelCardExportJobArn"]
    describe = sagemaker.describe_model_card_export_job
    job = wait_for(lambda: (it := describe(ModelCardExportJobArn=arn))["Status"] != "InProgress" and it)
    assert job["Status"] == "Failed" and "bucket" in job["FailureReason"]
