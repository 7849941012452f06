"""Every kind of event reaches its room, every outcome has its form, and no log carries a payload."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from orchestrator import __version__
from orchestrator.blueprint import Catalog, load_catalog
from orchestrator.errors import AwsFailed, BadRequest, Conflict
from orchestrator.handler import Orchestrator
from tests.corridor.cloud import HUB, NOW, Cloud, job_event, refusing

BODY = {
    "pipeline_type": "byom_realtime_builtin",
    "model_name": "Churn-Model",
    "model_framework": "xgboost",
    "model_framework_version": "1.7-1",
    "model_artifact_location": "models/churn/model.tar.gz",
    "inference_instance": "ml.m5.large",
    "data_capture_location": "capture-bucket/prefix/",
}
STACK = "mlops-pipeline-churn-model-byompipelinerealtimebuiltin-codepipeline"
UNSUPPORTED = "Bad request format. Pipeline type not supported. Check documentation for API & config formats"
MISSING = "Bad request. API body does not have the necessary parameter: "
SECRET = "hunter2-never-in-a-log"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def orchestrator(cloud: Cloud, catalog: Catalog) -> Orchestrator:
    aws = cloud.aws()
    return Orchestrator(aws.settings, aws, catalog)


def post(orchestrator: Orchestrator, body: Any, path: str = "/provisionpipeline", **event: Any) -> tuple[int, Any]:
    """POST through the API; status and parsed body."""
    text = body if isinstance(body, str | None) else json.dumps(body)
    answer = orchestrator.handle({"httpMethod": "POST", "path": path, "body": text, **event}, "request-1")
    assert answer is not None and answer["isBase64Encoded"] is False
    if answer["headers"]["Content-Type"] == "text/plain":
        return answer["statusCode"], answer["body"]
    return answer["statusCode"], json.loads(answer["body"])


# ---- the API ----


def test_provision_answers_as_the_old_product(orchestrator: Orchestrator, cloud: Cloud) -> None:
    status, body = post(orchestrator, BODY)
    assert status == 200 and body["message"] == "success: stack creation started"
    assert body["pipeline_id"] == cloud.stacks[HUB, STACK]["StackId"] and body["outcome"] == "created"
    cloud.settle()
    assert post(orchestrator, BODY)[1]["outcome"] == "unchanged"
    status, body = post(orchestrator, {**BODY, "inference_instance": "ml.m5.xlarge"})
    assert body["message"] == f"Pipeline {STACK} is already provisioned. Updating template parameters."


def test_a_first_request_makes_at_most_four_calls_and_an_unchanged_one_three(
    orchestrator: Orchestrator, cloud: Cloud
) -> None:
    post(orchestrator, BODY)
    assert sum(orchestrator.aws.calls.values()) <= 4
    cloud.settle()
    orchestrator.aws.calls.clear()
    post(orchestrator, BODY)
    assert sum(orchestrator.aws.calls.values()) <= 3
    assert set(orchestrator.aws.calls) == {"cloudformation.describe_stacks", "s3.head_object"}


def test_a_base64_body_is_read(orchestrator: Orchestrator) -> None:
    text = base64.b64encode(json.dumps(BODY).encode()).decode()
    assert post(orchestrator, text, isBase64Encoded=True)[0] == 200


@pytest.mark.parametrize(
    "change, detail",
    [
        ({"pipeline_type": "nonsense"}, UNSUPPORTED),
        ({"pipeline_type": None}, UNSUPPORTED),
        ({"inference_instance": None}, f"{MISSING}inference_instance"),
        ({"model_name": None}, f"{MISSING}model_name"),
    ],
)
def test_refusals_keep_the_old_sentences_and_add_every_problem(
    orchestrator: Orchestrator, cloud: Cloud, change: dict[str, Any], detail: str
) -> None:
    body = {key: value for key, value in {**BODY, **change}.items() if value is not None}
    status, answer = post(orchestrator, body)
    assert status == 400 and answer["message"] == "A BadRequest exception occurred"
    assert answer["detailedMessage"] == detail
    assert answer["problems"] and answer["requestId"] == "request-1"
    assert cloud.log == []  # refused before the first call


def test_all_mistakes_are_told_at_once(orchestrator: Orchestrator, cloud: Cloud) -> None:
    status, answer = post(orchestrator, {"pipeline_type": "realtime_inference", "colour": 1, "instance_type": 7})
    assert status == 400 and len(answer["problems"]) >= 3
    assert cloud.log == []


def test_details_can_be_left_out(cloud: Cloud, catalog: Catalog) -> None:
    aws = cloud.aws(detailed_errors=False)
    _, answer = post(Orchestrator(aws.settings, aws, catalog), {"pipeline_type": "nonsense"})
    assert "detailedMessage" not in answer


@pytest.mark.parametrize(
    "event, detail",
    [
        ({"httpMethod": "POST", "path": "/elsewhere", "body": "{}"}, "Unacceptable event path."),
        ({"httpMethod": "GET", "path": "/provisionpipeline"}, "Bad request format. Expected httpMethod"),
        ({"httpMethod": "POST", "path": "/provisionpipeline", "body": None}, "no body"),
        ({"httpMethod": "POST", "path": "/provisionpipeline", "body": "{nonsense"}, "is not JSON"),
        ({"httpMethod": "POST", "path": "/provisionpipeline", "body": "[]"}, "1 problem"),
        ({"httpMethod": "POST", "path": "/pipelinestatus", "body": "{}"}, "necessary parameter: pipeline_id"),
        ({"something": "else"}, "Bad request format. Expected httpMethod or pipeline_type, received none."),
    ],
)
def test_what_is_not_understood_is_a_bad_request(orchestrator: Orchestrator, event: Any, detail: str) -> None:
    answer = orchestrator.handle(event, "r")
    assert answer and answer["statusCode"] == 400
    assert detail in json.loads(answer["body"])["detailedMessage"]


def test_health(orchestrator: Orchestrator) -> None:
    answer = orchestrator.handle({"httpMethod": "GET", "path": "/health"}, "r")
    assert answer and json.loads(answer["body"]) == {"status": "ok", "version": __version__}


def test_errors_of_aws_keep_their_status(orchestrator: Orchestrator, cloud: Cloud) -> None:
    cloud.answers["cloudformation.describe_stacks"] = refusing("AccessDenied", "not you", 403)
    status, answer = post(orchestrator, BODY)
    assert (status, answer["message"]) == (403, "A boto3 ClientError occurred")
    assert "AccessDenied" in answer["detailedMessage"]


def test_a_stack_that_is_busy_is_a_409(orchestrator: Orchestrator, cloud: Cloud) -> None:
    cloud.put_stack(STACK, "DELETE_IN_PROGRESS")
    status, answer = post(orchestrator, BODY)
    assert status == 409 and answer["hint"]


def test_our_own_mistake_is_a_500(orchestrator: Orchestrator, cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(**_: Any) -> Any:
        raise RuntimeError(SECRET)

    cloud.answers["cloudformation.describe_stacks"] = broken
    status, answer = post(orchestrator, BODY)
    assert (status, answer["message"]) == (500, "An Unexpected Server side exception occurred")
    printed = capsys.readouterr().out
    assert "RuntimeError" in printed and "test_handler.py" in printed and SECRET not in printed


def test_the_status_of_a_pipeline(orchestrator: Orchestrator, cloud: Cloud) -> None:
    resource = {"LogicalResourceId": "P", "ResourceType": "AWS::CodePipeline::Pipeline", "PhysicalResourceId": "p"}
    held = {**resource, "LastUpdatedTimestamp": NOW, "ResourceStatus": "CREATE_COMPLETE"}
    cloud.answers["cloudformation.list_stack_resources"] = {"StackResourceSummaries": [held]}
    cloud.answers["codepipeline.get_pipeline_state"] = {"pipelineName": "p", "created": NOW}
    assert post(orchestrator, {"pipeline_id": "arn"}, "/pipelinestatus") == (
        200,
        {"pipelineName": "p", "created": NOW.isoformat()},
    )
    cloud.answers["cloudformation.list_stack_resources"] = {"StackResourceSummaries": []}
    text = "pipeline cloudformation stack has not provisioned the pipeline yet."
    assert post(orchestrator, {"pipeline_id": "arn"}, "/pipelinestatus") == (200, text)
    cloud.answers["cloudformation.list_stack_resources"] = refusing("ValidationError")
    assert post(orchestrator, {"pipeline_id": "arn"}, "/pipelinestatus")[0] == 400


def test_a_direct_invocation_answers_like_the_api(orchestrator: Orchestrator) -> None:
    answer = orchestrator.handle(BODY, "r")
    assert answer and answer["statusCode"] == 200


# ---- S3 ----


def dropped(*keys: str) -> dict[str, Any]:
    return {
        "Records": [
            {"eventSource": "aws:s3", "s3": {"bucket": {"name": "configs"}, "object": {"key": key, "versionId": "v1"}}}
            for key in keys
        ]
    }


def result(cloud: Cloud, key: str) -> Any:
    return json.loads(cloud.objects["configs", f"{key}.result.json"]["Body"])


def drop(cloud: Cloud, key: str, text: str) -> None:
    cloud.objects["configs", key] = {"Body": text.encode(), "ETag": '"1"'}


def test_a_dropped_config_is_provisioned_and_answered_beside_it(orchestrator: Orchestrator, cloud: Cloud) -> None:
    drop(cloud, "a b/mlops-config.json", json.dumps(BODY))
    assert orchestrator.handle(dropped("a+b/mlops-config.json"), "r") is None
    told = result(cloud, "a b/mlops-config.json")
    assert told["outcome"] == "created" and told["version"] == "v1"
    assert cloud.published[0]["Subject"] == "mlops-config.json: created"
    assert json.loads(cloud.published[0]["Message"])["source"] == "s3://configs/a b/mlops-config.json"


def test_every_record_is_served_whatever_the_others_do(orchestrator: Orchestrator, cloud: Cloud) -> None:
    drop(cloud, "1/mlops-config.json", "{nonsense")
    drop(cloud, "2/mlops-config.json", json.dumps({"pipeline_type": "nonsense"}))
    drop(cloud, "3/mlops-config.json", json.dumps(BODY))
    orchestrator.handle(dropped("1/mlops-config.json", "2/mlops-config.json", "3/mlops-config.json"), "r")
    assert result(cloud, "1/mlops-config.json")["outcome"] == "refused"
    assert result(cloud, "2/mlops-config.json")["problems"][0]["path"] == "$.pipeline_type"
    assert result(cloud, "3/mlops-config.json")["outcome"] == "created"
    assert len(cloud.published) == 3


def test_what_may_go_well_later_is_raised_for_lambda_to_try_again(orchestrator: Orchestrator, cloud: Cloud) -> None:
    drop(cloud, "mlops-config.json", json.dumps(BODY))
    cloud.answers["cloudformation.describe_stacks"] = refusing("Throttling")
    with pytest.raises(AwsFailed, match="Throttling"):
        orchestrator.handle(dropped("mlops-config.json"), "r")
    assert result(cloud, "mlops-config.json")["outcome"] == "postponed"
    del cloud.answers["cloudformation.describe_stacks"]
    cloud.put_stack(STACK, "UPDATE_ROLLBACK_IN_PROGRESS")
    with pytest.raises(Conflict):
        orchestrator.handle(dropped("mlops-config.json"), "r")


def test_our_own_results_are_not_configs(orchestrator: Orchestrator, cloud: Cloud) -> None:
    orchestrator.handle(dropped("mlops-config.json.result.json"), "r")
    assert cloud.log == []


def test_records_of_others_are_refused(orchestrator: Orchestrator) -> None:
    with pytest.raises(BadRequest, match="aws:sqs"):
        orchestrator.handle({"Records": [{"eventSource": "aws:sqs"}]}, "r")


# ---- CodeCommit ----

PUSH = {
    "source": "aws.codecommit",
    "detail-type": "CodeCommit Repository State Change",
    "detail": {"event": "referenceUpdated", "repositoryName": "models", "commitId": "c1", "referenceName": "main"},
}


def committed(cloud: Cloud, files: dict[str, bytes]) -> None:
    """A repository whose commits hold these files."""

    def get_file(account: str, repositoryName: str, commitSpecifier: str, filePath: str) -> dict[str, Any]:
        if filePath not in files:
            refusing("FileDoesNotExistException")()
        return {"commitId": commitSpecifier, "filePath": filePath, "fileContent": files[filePath]}

    cloud.answers["codecommit.get_file"] = get_file


def test_a_pushed_config_is_provisioned(orchestrator: Orchestrator, cloud: Cloud) -> None:
    committed(cloud, {"mlops-config.json": json.dumps(BODY).encode()})
    assert orchestrator.handle(PUSH, "r") is None
    assert cloud.stacks[HUB, STACK]["StackStatus"] == "CREATE_IN_PROGRESS"
    assert cloud.published[0]["Subject"] == "models@c1: created"


@pytest.mark.parametrize("text", [b"{nonsense", b"[]", b"\xff\xfe"])
def test_a_pushed_mistake_is_told_and_not_tried_again(orchestrator: Orchestrator, cloud: Cloud, text: bytes) -> None:
    committed(cloud, {"mlops-config.json": text})
    orchestrator.handle(PUSH, "r")
    assert json.loads(cloud.published[0]["Message"])["outcome"] == "refused"


def test_a_commit_without_config_is_none_of_ours(orchestrator: Orchestrator, cloud: Cloud) -> None:
    committed(cloud, {})
    orchestrator.handle(PUSH, "r")
    assert cloud.published == []


def test_a_push_that_names_nothing_is_refused(orchestrator: Orchestrator) -> None:
    with pytest.raises(BadRequest, match="repository"):
        orchestrator.handle({"source": "aws.codecommit", "detail": {}}, "r")


# ---- CodePipeline ----


def test_a_job_is_done_and_answered(orchestrator: Orchestrator, cloud: Cloud) -> None:
    cloud.answers["codepipeline.put_job_failure_result"] = {}
    assert orchestrator.handle(job_event("1", {"do": "dance"}), "r") is None
    assert cloud.log[-1][1] == "codepipeline.put_job_failure_result"


@pytest.mark.parametrize("state, looked", [("STOPPED", True), ("STOPPING", True), ("SUCCEEDED", False)])
def test_a_stopped_run_has_its_jobs_stopped(orchestrator: Orchestrator, cloud: Cloud, state: str, looked: bool) -> None:
    cloud.answers["codepipeline.list_action_executions"] = {"actionExecutionDetails": []}
    detail = {"pipeline": "p", "execution-id": "run-1", "state": state}
    orchestrator.handle({"source": "aws.codepipeline", "detail-type": "x", "detail": detail}, "r")
    assert bool(cloud.calls("codepipeline.list_action_executions")) is looked


# ---- logs ----


def test_logs_are_json_lines_without_payloads(
    orchestrator: Orchestrator, cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    post(orchestrator, {**BODY, "model_artifact_location": SECRET})
    post(orchestrator, {**BODY, SECRET: SECRET, "inference_instance": SECRET})
    orchestrator.handle({SECRET: SECRET}, "r")
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines and all(json.loads(line) for line in lines)
    assert SECRET not in "\n".join(lines)
