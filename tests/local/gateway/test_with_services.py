"""The front door together with the real services: an upload and an API call each reach a running function."""

from __future__ import annotations

import http.client
import io
import json
import time
import zipfile

import pytest

CODE = """
import json, os
import boto3

def handler(event, context):
    if "Records" in event:
        record = event["Records"][0]["s3"]
        s3 = boto3.client("s3")
        body = s3.get_object(Bucket=record["bucket"]["name"], Key=record["object"]["key"])["Body"].read()
        s3.put_object(Bucket="results", Key=record["object"]["key"], Body=body[::-1])
        return "stored"
    if event.get("source") == "aws.s3":
        boto3.client("s3").put_object(Bucket="results", Key="by-rule", Body=json.dumps(event).encode())
        return "stored"
    return {"statusCode": 200, "body": json.dumps({"said": json.loads(event["body"])["say"], "path": event["path"]})}
"""


@pytest.fixture
def function(aws):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("app.py", CODE)
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = aws.client("iam").create_role(RoleName="function", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    made = aws.client("lambda").create_function(
        FunctionName="f",
        Runtime="python3.12",
        Handler="app.handler",
        Role=role,
        Timeout=20,
        Code={"ZipFile": content.getvalue()},
    )
    for bucket in ("inbox", "results"):
        aws.client("s3").create_bucket(Bucket=bucket)
    return made["FunctionArn"]


def arrives(aws, key, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = aws.client("s3").list_objects_v2(Bucket="results", Prefix=key)
        if found["KeyCount"]:
            return aws.client("s3").get_object(Bucket="results", Key=key)["Body"].read()
        time.sleep(0.05)
    raise AssertionError(f"{key} did not arrive")


def test_an_upload_calls_a_function(aws, function):
    aws.client("lambda").add_permission(
        FunctionName="f",
        StatementId="s3",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn="arn:aws:s3:::inbox",
    )
    wishes = [{"LambdaFunctionArn": function, "Events": ["s3:ObjectCreated:*"]}]
    configuration = {"LambdaFunctionConfigurations": wishes}
    aws.client("s3").put_bucket_notification_configuration(Bucket="inbox", NotificationConfiguration=configuration)
    aws.client("s3").put_object(Bucket="inbox", Key="a.txt", Body=b"abc")
    assert arrives(aws, "a.txt") == b"cba"


def test_an_upload_reaches_a_function_through_a_rule(aws, function):
    pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": {"object": {"key": ["b.txt"]}}}
    aws.client("events").put_rule(Name="uploads", EventPattern=json.dumps(pattern))
    aws.client("events").put_targets(Rule="uploads", Targets=[{"Id": "f", "Arn": function}])
    configuration = {"EventBridgeConfiguration": {}}
    aws.client("s3").put_bucket_notification_configuration(Bucket="inbox", NotificationConfiguration=configuration)
    aws.client("lambda").add_permission(
        FunctionName="f",
        StatementId="events",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
    )
    aws.client("s3").put_object(Bucket="inbox", Key="b.txt", Body=b"abc")
    event = json.loads(arrives(aws, "by-rule"))
    assert event["detail"]["bucket"]["name"] == "inbox" and event["account"] == "111111111111"


def test_an_api_calls_a_function(aws, function):
    gateway = aws.client("apigateway")
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function}/invocations"
    integration = {"type": "aws_proxy", "httpMethod": "POST", "uri": uri}
    method = {"responses": {}, "x-amazon-apigateway-integration": integration}
    document = {"openapi": "3.0.1", "info": {"title": "a", "version": "1"}, "paths": {"/say": {"post": method}}}
    api = gateway.create_rest_api(name="a")["id"]
    gateway.put_rest_api(restApiId=api, mode="overwrite", body=json.dumps(document))
    gateway.create_stage(restApiId=api, stageName="prod", deploymentId=gateway.create_deployment(restApiId=api)["id"])
    connection = http.client.HTTPConnection("127.0.0.1", int(aws.endpoint.rpartition(":")[2]), timeout=30)
    connection.request("POST", f"/execute-api/{api}/prod/say", json.dumps({"say": "hello"}))
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())) == (200, {"said": "hello", "path": "/say"})
    connection.close()
