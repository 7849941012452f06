"""REST APIs in front of Lambda functions."""

from __future__ import annotations

import base64
import http.client
import json
import time

import pytest

from orchestrator.local.embedded import EmbeddedAws
from orchestrator.local.gateway.execute_api import ExecuteApi
from orchestrator.local.journal import moto_app
from orchestrator.local.messages import Request
from orchestrator.local.service import Service, ServiceError

FUNCTION = "arn:aws:lambda:us-east-1:111111111111:function:f"
SEEN: list[dict] = []
ANSWER: list = []


class Functions(Service):
    name = "lambda"

    def Invoke(self, call, parameters):
        assert parameters["FunctionName"] == FUNCTION
        SEEN.append(json.loads(parameters["Payload"]))
        answer = ANSWER.pop() if ANSWER else {"statusCode": 201, "body": "made", "headers": {"X-A": "b"}}
        if isinstance(answer, ServiceError):
            raise answer
        if answer == "slow":
            time.sleep(1)
            answer = {"statusCode": 200}
        if answer == "crash":
            return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": b'{"errorMessage": "x"}'}
        return {"StatusCode": 200, "Payload": answer if isinstance(answer, bytes) else json.dumps(answer).encode()}


def document():
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{FUNCTION}/invocations"
    proxy = {"x-amazon-apigateway-integration": {"type": "aws_proxy", "httpMethod": "POST", "uri": uri}}
    method = {"security": [{"sigv4": []}], "responses": {"200": {"description": "Done."}}, **proxy}
    return {
        "openapi": "3.0.1",
        "info": {"title": "api", "version": "2"},
        "components": {"securitySchemes": {"sigv4": {"type": "apiKey", "name": "Authorization", "in": "header"}}},
        "paths": {
            "/provisionpipeline": {"post": method},
            "/health": {"get": method},
            "/models/{model}/versions/{version}": {"get": method},
            "/files/{path+}": {"x-amazon-apigateway-any-method": method, "get": method},
        },
    }


@pytest.fixture
def running(tmp_path):
    SEEN.clear()
    ANSWER.clear()
    made = EmbeddedAws(tmp_path / "home", services=[Functions])
    made.start()
    yield made
    made.stop()


@pytest.fixture
def api(running):
    gateway = running.world.client("apigateway", "111111111111", "us-east-1")
    made = gateway.create_rest_api(name="api", endpointConfiguration={"types": ["REGIONAL"]})["id"]
    gateway.put_rest_api(restApiId=made, mode="overwrite", body=json.dumps(document()))
    deployment = gateway.create_deployment(restApiId=made)["id"]
    gateway.create_stage(restApiId=made, stageName="prod", deploymentId=deployment, variables={"a": "b"})

    def ask(method, path, body=None, headers=None, stage="prod", api=made):
        connection = http.client.HTTPConnection("127.0.0.1", int(running.endpoint.rpartition(":")[2]), timeout=5)
        connection.request(method, f"/execute-api/{api}/{stage}{path}", body, headers or {})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response, content

    ask.id = made
    return ask


def test_a_call_becomes_a_proxy_event_and_its_answer_a_response(api):
    headers = {"User-Agent": "test", "Content-Type": "application/json"}
    response, body = api("POST", "/provisionpipeline?a=1&a=2&b=%C3%A9", b'{"x": 1}', headers)
    assert (response.status, body, response.getheader("X-A")) == (201, b"made", "b")
    event = SEEN[0]
    assert (event["httpMethod"], event["path"], event["resource"]) == ("POST", *["/provisionpipeline"] * 2)
    assert event["headers"]["Content-Type"] == "application/json"
    assert event["multiValueHeaders"]["User-Agent"] == ["test"]
    assert event["queryStringParameters"] == {"a": "2", "b": "é"}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": ["é"]}
    assert (event["body"], event["isBase64Encoded"]) == ('{"x": 1}', False)
    assert (event["pathParameters"], event["stageVariables"]) == (None, {"a": "b"})
    context = event["requestContext"]
    assert (context["accountId"], context["stage"], context["apiId"]) == ("111111111111", "prod", api.id)
    assert (context["resourcePath"], context["path"]) == ("/provisionpipeline", "/prod/provisionpipeline")
    assert context["identity"]["sourceIp"] == "127.0.0.1" and context["identity"]["userAgent"] == "test"
    assert context["identity"]["accessKey"] is None


def test_a_signed_call_says_who_it_is(api):
    scope = "Credential=222222222222/20260101/us-east-1/execute-api/aws4_request"
    api("GET", "/health", headers={"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=a, Signature=b"})
    identity = SEEN[0]["requestContext"]["identity"]
    assert (identity["accessKey"], identity["accountId"]) == ("222222222222", "222222222222")


def test_path_parameters(api):
    api("GET", "/models/a%20b/versions/2")
    assert SEEN[-1]["pathParameters"] == {"model": "a b", "version": "2"}
    assert SEEN[-1]["resource"] == "/models/{model}/versions/{version}"
    api("GET", "/files/a/b/c.txt")
    assert SEEN[-1]["pathParameters"] == {"path": "a/b/c.txt"}


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "message"),
    [
        ("GET", "/provisionpipeline", {}, 403, "Missing Authentication Token"),
        ("POST", "/nothing", {}, 403, "Missing Authentication Token"),
        ("POST", "", {}, 403, "Missing Authentication Token"),
        ("GET", "/health", {"stage": "dev"}, 403, "Forbidden"),
        ("GET", "/health", {"api": "abcdefghij"}, 404, "The embedded AWS has no API 'abcdefghij'."),
    ],
)
def test_what_is_not_there(api, method, path, options, status, message):
    response, body = api(method, path, **options)
    assert (response.status, json.loads(body)) == (status, {"message": message})
    assert not SEEN


@pytest.mark.parametrize(
    "answer",
    [
        "crash",
        {"body": "no status"},
        {"statusCode": "abc"},
        {"statusCode": 99},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "headers": "no"},
        {"statusCode": 200, "multiValueHeaders": {"a": "b"}},
        {"statusCode": 200, "body": "!", "isBase64Encoded": True},
        [],
        b"no json",
        None,
    ],
)
def test_a_malformed_answer_is_a_bad_gateway(api, answer):
    ANSWER.append(json.dumps(answer).encode() if answer is None else answer)
    response, body = api("GET", "/health")
    assert (response.status, json.loads(body)) == (502, {"message": "Internal server error"})


def test_forms_of_an_answer(api):
    ANSWER.append({"statusCode": "204"})
    assert api("GET", "/health")[0].status == 204
    encoded = {"statusCode": 200, "isBase64Encoded": True, "body": base64.b64encode(b"\x00\xff").decode()}
    ANSWER.append(encoded)
    assert api("GET", "/health")[1] == b"\x00\xff"
    many = {"Set-Cookie": ["a=1", "b=2"]}
    ANSWER.append({"statusCode": 200, "headers": {"X-N": 5, "X-B": True}, "multiValueHeaders": many, "body": None})
    response, _ = api("GET", "/health")
    assert response.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert (response.getheader("X-N"), response.getheader("X-B")) == ("5", "true")
    ANSWER.append({"statusCode": 200, "headers": {"X-A": "one\r\nX-Evil: two"}})
    response, _ = api("GET", "/health")
    assert response.getheader("X-A") == "one X-Evil: two" and response.getheader("X-Evil") is None


def test_bodies_that_are_no_text_travel_as_base64(api):
    api("POST", "/provisionpipeline", b"\xff\xfe")
    assert SEEN[0]["isBase64Encoded"] is True and base64.b64decode(SEEN[0]["body"]) == b"\xff\xfe"


def test_errors_of_lambda(api):
    ANSWER.append(ServiceError("TooManyRequestsException", "slow down", 429))
    assert api("GET", "/health")[0].status == 429
    ANSWER.append(ServiceError("ResourceNotFoundException", "gone", 404))
    assert api("GET", "/health")[0].status == 500


def test_a_slow_function_is_not_waited_for_and_not_called_twice(running, api):
    ANSWER.append("slow")
    impatient = ExecuteApi(running.world, moto_app.home_of_api, longest_seconds=0.3)
    response = impatient.answer(Request("GET", f"/execute-api/{api.id}/prod/health", ()), {}, "id")
    assert (response.status, json.loads(response.body)) == (504, {"message": "Endpoint request timed out"})
    assert len(SEEN) == 1


def test_too_long_a_request(api):
    assert api("POST", "/provisionpipeline", bytes(10 * 1024**2 + 1))[0].status == 413


def test_an_api_outlives_a_restart(running, api, tmp_path):
    port = int(running.endpoint.rpartition(":")[2])
    running.stop()
    again = EmbeddedAws(tmp_path / "home", port, services=[Functions])
    again.start()
    try:
        assert api("GET", "/health")[0].status == 201
    finally:
        again.stop()
        running.stop = lambda: None
