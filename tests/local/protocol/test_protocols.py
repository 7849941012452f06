"""Requests and answers through real boto3 clients, one service for each protocol."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from orchestrator.local.embedded import EmbeddedAws
from orchestrator.local.service import Service, ServiceError

SEEN = []


class Pipelines(Service):
    name = "codepipeline"

    def GetPipeline(self, call, parameters):
        SEEN.append((call.account, parameters))
        if parameters["name"] == "none":
            raise ServiceError("PipelineNotFoundException", "no such pipeline")
        return {"metadata": {"created": 1700000000.5, "pipelineArn": "arn:x"}, "private": 1}


class Stacks(Service):
    name = "cloudformation"

    def CreateStack(self, call, parameters):
        SEEN.append((call.account, parameters))
        if parameters["StackName"] == "twice":
            raise ServiceError("AlreadyExistsException", "it <is> there")
        return {"StackId": "arn:stack"}

    def DescribeStacks(self, call, parameters):
        return {
            "Stacks": [
                {
                    "StackName": "a",
                    "CreationTime": 1700000000,
                    "StackStatus": "CREATE_COMPLETE",
                    "Tags": [{"Key": "k", "Value": "a&b"}],
                    "DisableRollback": True,
                }
            ]
        }


class Functions(Service):
    name = "lambda"

    def Invoke(self, call, parameters):
        SEEN.append((call.account, parameters))
        return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": b'{"a": 1}'}

    def GetFunction(self, call, parameters):
        raise ServiceError("ResourceNotFoundException", "Function not found", Type="User")


class Machines(Service):
    name = "stepfunctions"


class Runtime(Service):
    name = "sagemaker-runtime"

    def InvokeEndpoint(self, call, parameters):
        SEEN.append((call.account, parameters))
        return {"Body": parameters["Body"] * 2, "ContentType": "text/csv", "InvokedProductionVariant": "All"}


class Training(Service):
    name = "sagemaker"

    def ListModels(self, call, parameters):
        return {"Models": [{"ModelName": "m", "ModelArn": "arn", "CreationTime": datetime(2026, 1, 1, tzinfo=UTC)}]}


@pytest.fixture
def client(tmp_path):
    SEEN.clear()
    embedded = EmbeddedAws(tmp_path / "home", services=[Pipelines, Stacks, Functions, Machines, Runtime, Training])
    embedded.start()
    yield lambda service: embedded.world.client(service, "222222222222", "eu-west-1")
    embedded.stop()


def test_json_both_ways(client):
    answer = client("codepipeline").get_pipeline(name="p", version=2)
    assert SEEN == [("222222222222", {"name": "p", "version": 2})]
    assert answer["metadata"] == {"created": datetime.fromtimestamp(1700000000.5).astimezone(), "pipelineArn": "arn:x"}


def test_json_error_is_the_modelled_exception(client):
    pipelines = client("codepipeline")
    with pytest.raises(pipelines.exceptions.PipelineNotFoundException, match="no such pipeline"):
        pipelines.get_pipeline(name="none")


def test_json_constraints_are_enforced(client):
    with pytest.raises(ClientError, match="regular expression pattern") as caught:
        client("codepipeline").get_pipeline(name="with space")
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_operation_without_method_is_refused_by_name(client):
    with pytest.raises(ClientError, match="does not support stepfunctions ListActivities") as caught:
        client("stepfunctions").list_activities()
    assert caught.value.response["Error"]["Code"] == "UnsupportedOperation"


def test_query_both_ways(client):
    stacks = client("cloudformation")
    answer = stacks.create_stack(
        StackName="s",
        TemplateBody="{}",
        Tags=[{"Key": "a", "Value": "é&="}],
        Capabilities=[],
        Parameters=[{"ParameterKey": "p", "ParameterValue": "1", "UsePreviousValue": False}],
        TimeoutInMinutes=3,
    )
    assert answer["StackId"] == "arn:stack"
    assert SEEN[0][1] == {
        "StackName": "s",
        "TemplateBody": "{}",
        "Tags": [{"Key": "a", "Value": "é&="}],
        "Capabilities": [],
        "Parameters": [{"ParameterKey": "p", "ParameterValue": "1", "UsePreviousValue": False}],
        "TimeoutInMinutes": 3,
    }
    stack = stacks.describe_stacks()["Stacks"][0]
    assert stack["Tags"] == [{"Key": "k", "Value": "a&b"}]
    assert stack["DisableRollback"] is True and stack["CreationTime"].timestamp() == 1700000000


def test_query_errors(client):
    stacks = client("cloudformation")
    with pytest.raises(stacks.exceptions.AlreadyExistsException, match="it <is> there"):
        stacks.create_stack(StackName="twice", TemplateBody="{}")
    with pytest.raises(ClientError) as caught:
        stacks.create_stack(StackName="s", TemplateBody="{}", OnFailure="NOPE")
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    with pytest.raises(ClientError, match="does not support cloudformation ListTypes"):
        stacks.list_types()


def test_rest_json_both_ways(client):
    functions = client("lambda")
    answer = functions.invoke(FunctionName="arn:aws:lambda:eu-west-1:222222222222:function:f", Payload=b"[1]")
    assert SEEN[0][1] == {"FunctionName": "arn:aws:lambda:eu-west-1:222222222222:function:f", "Payload": b"[1]"}
    assert answer["FunctionError"] == "Unhandled" and answer["Payload"].read() == b'{"a": 1}'
    with pytest.raises(functions.exceptions.ResourceNotFoundException, match="Function not found") as caught:
        functions.get_function(FunctionName="f")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert caught.value.response["Type"] == "User"


def test_services_that_share_a_signing_name(client):
    answer = client("sagemaker-runtime").invoke_endpoint(EndpointName="e", Body=b"\x00\xff", ContentType="text/csv")
    assert answer["Body"].read() == b"\x00\xff\x00\xff" and answer["ContentType"] == "text/csv"
    assert SEEN[0][1] == {"EndpointName": "e", "Body": b"\x00\xff", "ContentType": "text/csv"}
    assert client("sagemaker").list_models()["Models"][0]["ModelName"] == "m"
