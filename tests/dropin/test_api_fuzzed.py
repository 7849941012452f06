"""The API as its OpenAPI file describes it, exercised with requests made from that file: no 5xx, nothing unsaid.

The function answers behind a small server; AWS is the stand-in that holds every call against botocore's models.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from orchestrator.blueprint import load_catalog
from orchestrator.handler import Orchestrator
from tests.corridor.cloud import HUB, NOW, Cloud, refusing
from tests.corridor.launch import ROOT

EXAMPLES = int(os.environ.get("MLOPS_FUZZ_EXAMPLES", "6"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
KNOWN = "mlops-pipeline-known-workload"
DOCUMENT = (ROOT / "openapi.json").read_bytes()


def cloud() -> Cloud:
    """An AWS with one project that waits for an approval; every other pipeline is unknown."""
    made = Cloud()
    absent = refusing("PipelineNotFoundException")
    tags = [{"Key": "mlops:project", "Value": KNOWN}, {"Key": "mlops:model-name", "Value": "known"}]
    made.put_stack(f"{KNOWN}-codepipeline", "CREATE_COMPLETE", HUB, Tags=tags)
    card = {"ModelCardName": "card", "ModelCardStatus": "Draft", "Content": "{}", "ModelCardVersion": 1}
    made.answers |= {
        **{
            f"codepipeline.{operation}": absent
            for operation in (
                "get_pipeline", "get_pipeline_state", "list_pipeline_executions", "list_action_executions",
                "start_pipeline_execution", "stop_pipeline_execution", "retry_stage_execution",
            )
        },
        "cloudformation.list_stack_resources": refusing("ValidationError"),
        "sagemaker.create_model_card": {"ModelCardArn": "arn"},
        "sagemaker.update_model_card": {"ModelCardArn": "arn"},
        "sagemaker.describe_model_card": {**card, "CreationTime": NOW},
        "sagemaker.delete_model_card": refusing("ResourceNotFound"),
        "sagemaker.list_model_cards": {"ModelCardSummaries": []},
        "sagemaker.create_model_card_export_job": {"ModelCardExportJobArn": "arn:job"},
        "sagemaker.describe_model_card_export_job": {"Status": "Completed"},
        "sagemaker.describe_model": refusing("ValidationException"),
        "sagemaker.describe_training_job": refusing("ValidationException"),
        "sagemaker.search": {"Results": []},
    }  # fmt: skip
    return made


class Server:
    """A WSGI application: API Gateway's part, before the handler."""

    def __init__(self) -> None:
        self.cloud = cloud()
        aws = self.cloud.aws()
        self.orchestrator = Orchestrator(aws.settings, aws, load_catalog())

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/openapi.json":
            start("200 OK", [("Content-Type", "application/json")])
            return [DOCUMENT]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        event = {
            "httpMethod": environ["REQUEST_METHOD"],
            "path": path.encode("latin-1").decode("utf-8", "replace"),
            "body": body.decode("utf-8", "replace") or None,
        }
        answer = self.orchestrator.handle(event, "request")
        assert answer is not None
        self.cloud.settle()
        start(f"{answer['statusCode']} X", [(name, quote(value, "/;= -")) for name, value in answer["headers"].items()])
        return [answer["body"].encode()]


SCHEMA = schemathesis.openapi.from_wsgi("/openapi.json", Server())
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]
MODES = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]


def exercised(operation: Any, mode: Any) -> None:
    """Make requests for one operation, as it wants them or as it does not, and hold the answers to the document."""

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(operation.as_strategy(generation_mode=mode))
    def requests(case: Any) -> None:
        case.validate_response(case.call(), checks=CHECKS)

    requests()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_every_request_has_a_documented_answer(operation: Any) -> None:
    exercised(operation, MODES[0])


@pytest.mark.parametrize(
    "operation",
    [each for each in OPERATIONS if "{project}" in each.path and each.method == "post"],
    ids=lambda operation: operation.label,
)
def test_so_has_what_is_not_wanted(operation: Any) -> None:
    exercised(operation, MODES[1])


@pytest.mark.parametrize("body", ["", "{", "[]", "null", "7", '"text"', '{"a": "\\ud800"}', '{"reason": 7}', "\ufffd"])
@pytest.mark.parametrize("path", ["/provisionpipeline", "/pipelinestatus", "/plan", f"/pipelines/{KNOWN}/reject"])
def test_what_is_no_request_is_a_400(path: str, body: str) -> None:
    server = Server()
    answer = server.orchestrator.handle({"httpMethod": "POST", "path": path, "body": body}, "r")
    assert answer is not None and answer["statusCode"] == 400
    assert server.cloud.log == []
