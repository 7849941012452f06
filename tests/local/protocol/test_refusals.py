"""Requests that are wrong are refused in AWS's words, all problems at once, before any service sees them."""

from __future__ import annotations

import json

import pytest

from orchestrator.local.messages import Request
from orchestrator.local.protocol import protocol_of
from orchestrator.local.protocol.models import service_model
from orchestrator.local.service import ServiceError


def parse(service, operation, request):
    protocol = protocol_of(service_model(service))
    return protocol.parse(service_model(service).operation_model(operation), request)


def json_request(body):
    return Request("POST", "/", (), body if isinstance(body, bytes) else json.dumps(body).encode())


def refused(code, service, operation, request):
    with pytest.raises(ServiceError) as caught:
        parse(service, operation, request)
    assert caught.value.code == code
    return caught.value.message


def test_everything_wrong_is_told_at_once():
    body = {"name": "a b", "version": 0, "nmae": 1}
    message = refused("ValidationException", "codepipeline", "GetPipeline", json_request(body))
    assert message.startswith("3 validation errors detected: ")
    assert "Unknown member at 'nmae'" in message
    assert "Value 'a b' at 'name' failed to satisfy constraint: Member must satisfy regular expression" in message
    assert "Value '0' at 'version' failed to satisfy constraint: Member must have value greater than" in message


def test_what_is_required_is_missed_at_any_depth():
    message = refused(
        "ValidationException", "sagemaker", "CreateModel", json_request({"Containers": [{"Mode": "Odd"}]})
    )
    assert "Value 'null' at 'ModelName' failed to satisfy constraint: Member must not be null" in message
    assert "'Containers.1.member.Mode' failed to satisfy constraint: Member must satisfy enum value set" in message


def test_lengths():
    message = refused("ValidationException", "codepipeline", "GetPipeline", json_request({"name": "x" * 101}))
    assert "at 'name' failed to satisfy constraint: Member must have length less than or equal to 100" in message
    message = refused("ValidationException", "events", "PutEvents", json_request({"Entries": []}))
    assert "at 'Entries' failed to satisfy constraint: Member must have length greater than or equal to 1" in message


def test_null_is_not_given():
    assert parse("codepipeline", "GetPipeline", json_request({"name": "p", "version": None})) == {"name": "p"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "the body is not valid JSON"),
        (b"\xff\xfe", "the body is not valid JSON"),
        (b"[" * 100_000, "the body is not valid JSON"),
        (b"[]", "the request must be an object"),
        ({"name": 5}, "name must be a string"),
        ({"name": "p", "version": "1"}, "version must be an integer"),
        ({"name": "p", "version": 1.5}, "version must be an integer"),
        ({"name": "p", "version": True}, "version must be an integer"),
    ],
)
def test_json_of_the_wrong_type(body, message):
    assert refused("SerializationException", "codepipeline", "GetPipeline", json_request(body)) == message


def test_json_of_the_wrong_type_inside():
    body = {"pipelineName": "p", "filter": []}
    text = refused("SerializationException", "codepipeline", "ListActionExecutions", json_request(body))
    assert text == "filter must be an object"
    body = {"Entries": [{"Time": "yesterday"}]}
    assert (
        refused("SerializationException", "events", "PutEvents", json_request(body))
        == "Entries.1.Time must be a timestamp"
    )


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (1700000000, 1700000000.0),
        (1700000000.25, 1700000000.25),
        ("2023-11-14T22:13:20Z", 1700000000.0),
        ("Tue, 14 Nov 2023 22:13:20 GMT", 1700000000.0),
    ],
)
def test_forms_of_time(given, seconds):
    body = {"Entries": [{"Time": given, "Source": "s", "DetailType": "d", "Detail": "{}"}]}
    assert parse("events", "PutEvents", json_request(body))["Entries"][0]["Time"] == seconds


def test_blobs_are_base64():
    body = {"repositoryName": "r", "branchName": "b", "filePath": "f", "fileContent": "aGk="}
    assert parse("codecommit", "PutFile", json_request(body))["fileContent"] == b"hi"
    body["fileContent"] = "!"
    assert "base64" in refused("SerializationException", "codecommit", "PutFile", json_request(body))


def form(text):
    return Request("POST", "/", (("Content-Type", "application/x-www-form-urlencoded"),), text.encode())


def test_forms():
    text = "Action=CreateStack&Version=2010-05-15&StackName=s&Tags.member.2.Key=b&Tags.member.2.Value=2"
    text += "&Tags.member.1.Key=a&Tags.member.1.Value=1%262&Capabilities=&DisableRollback=true"
    assert parse("cloudformation", "CreateStack", form(text)) == {
        "StackName": "s",
        "Tags": [{"Key": "a", "Value": "1&2"}, {"Key": "b", "Value": "2"}],
        "Capabilities": [],
        "DisableRollback": True,
    }


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("StackName=s&Nmae=x", "ValidationError", "Unknown member at 'Nmae'"),
        ("Tags.member.1.Kye=x&StackName=s", "ValidationError", "Unknown member at 'Tags.1.Kye'"),
        ("TemplateBody=x", "ValidationError", "Value 'null' at 'StackName'"),
        ("StackName.x=s", "MalformedInput", "StackName must be a string"),
        ("StackName=s&DisableRollback=maybe", "MalformedInput", "DisableRollback must be a boolean"),
        ("StackName=s&TimeoutInMinutes=soon", "MalformedInput", "TimeoutInMinutes must be an integer"),
        ("StackName=s&Tags=x", "MalformedInput", "Tags must be numbered as Tags.member.1"),
        ("StackName=s&Tags.1.Key=x", "MalformedInput", "Tags must be numbered as Tags.member.1"),
        ("StackName=s&Tags.member.one.Key=x", "MalformedInput", "Tags must be numbered from 1"),
        ("StackName=s&RollbackConfiguration=x", "MalformedInput", "RollbackConfiguration must be a structure"),
    ],
)
def test_forms_that_are_wrong(text, code, message):
    assert message in refused(code, "cloudformation", "CreateStack", form(f"Action=CreateStack&{text}"))


def test_rest_requests_that_are_wrong():
    path = "/2015-03-31/functions"
    message = refused("ValidationException", "lambda", "CreateFunction", Request("POST", path, (), b'{"Cod": {}}'))
    assert "Unknown member at 'Cod'" in message and "'FunctionName'" in message
    listing = Request("GET", f"{path}/?MaxItems=many", ())
    assert refused("SerializationException", "lambda", "ListFunctions", listing) == "MaxItems must be an integer"
    assert "Unknown" not in refused(
        "ValidationException", "lambda", "ListFunctions", Request("GET", f"{path}/?MaxItems=0", ())
    )


def test_operations_that_do_not_exist():
    lambda_, pipelines = protocol_of(service_model("lambda")), protocol_of(service_model("codepipeline"))
    with pytest.raises(ServiceError, match="lambda has no operation at GET /nothing"):
        lambda_.operation(Request("GET", "/nothing", ()))
    target = (("X-Amz-Target", "CodePipeline_20150709.Dance"),)
    with pytest.raises(ServiceError, match="codepipeline has no operation Dance"):
        pipelines.operation(Request("POST", "/", target))
    with pytest.raises(ServiceError, match="Could not find operation Dance"):
        protocol_of(service_model("cloudformation")).operation(form("Action=Dance"))


def test_a_service_that_answers_nonsense_is_found_out():
    protocol, model = protocol_of(service_model("codepipeline")), service_model("codepipeline")
    operation = model.operation_model("StartPipelineExecution")
    with pytest.raises(TypeError, match=r"the answer's \.pipelineExecutionId must be a string, not 5"):
        protocol.respond(operation, {"pipelineExecutionId": 5}, "id")


def test_text_that_xml_cannot_carry():
    protocol, model = protocol_of(service_model("cloudformation")), service_model("cloudformation")
    response = protocol.respond(model.operation_model("CreateStack"), {"StackId": "a\x00b\x1f<&\r\n￿é"}, "id")
    assert b"<StackId>a?b?&lt;&amp;&#13;\n" in response.body
    from xml.etree import ElementTree

    ElementTree.fromstring(response.body)


def test_a_service_of_another_protocol_is_refused():
    with pytest.raises(ValueError, match="s3 speaks rest-xml; built are"):
        protocol_of(service_model("s3"))
