"""Which requests are logged."""

from __future__ import annotations

import pytest

from orchestrator.local.journal.mutations import (
    cannot_be_repeated,
    changes_something,
    left_a_trace,
    operation_name,
)
from orchestrator.local.messages import Request

FORM = "application/x-www-form-urlencoded; charset=utf-8"


def request(method, target, service, body=b"", **headers):
    authorization = f"AWS4-HMAC-SHA256 Credential=1/20260101/us-east-1/{service}/aws4_request, Signature=x"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, target, tuple({"Authorization": authorization, **named}.items()), body)


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        (request("GET", "/bucket/key", "s3"), False),
        (request("HEAD", "/bucket/key", "s3"), False),
        (request("PUT", "/bucket/key", "s3"), True),
        (request("POST", "/bucket?delete", "s3"), True),
        (request("DELETE", "/bucket", "s3"), True),
        (request("PUT", "/bucket/key", "s3", b"Action=GetUser", Content_Type=FORM), True),
        (request("PUT", "/bucket/key", "s3", X_Amz_Target="AmazonSSM.GetParameter"), True),
        (request("PUT", "/bucket/key?Action=GetUser", "s3"), True),
        (Request("PUT", "/bucket/key?X-Amz-Credential=1&Action=GetUser", ()), True),
        (
            Request("PUT", "/bucket/key", (("Authorization", "AWS 1:x"), ("Content-Type", FORM)), b"Action=GetUser"),
            True,
        ),
        (request("POST", "/restapis", "apigateway", b"{}"), True),
        (request("PATCH", "/restapis/a", "apigateway", b"{}"), True),
        (request("GET", "/restapis", "apigateway"), False),
        (request("POST", "/", "iam", b"Action=GetUser&Version=1", Content_Type=FORM), False),
        (request("POST", "/", "iam", b"Action=CreateUser&Version=1", Content_Type=FORM), True),
        (request("GET", "/?Action=CreateUser&Version=1", "iam"), True),
        (request("GET", "/?Action=ListUsers&Version=1", "iam"), False),
        (request("POST", "/", "iam", b"", Content_Type=FORM), True),
        (request("POST", "/", "sts", b"Action=AssumeRole&Version=1", Content_Type=FORM), True),
        (request("POST", "/", "ssm", b"{}", X_Amz_Target="AmazonSSM.PutParameter"), True),
        (request("POST", "/", "ssm", b"{}", X_Amz_Target="AmazonSSM.GetParameter"), False),
        (request("POST", "/", "kms", b"{}", X_Amz_Target="TrentService.GenerateDataKey"), False),
        (request("POST", "/", "kms", b"{}", X_Amz_Target="TrentService.CreateKey"), True),
        (request("POST", "/", "dynamodb", b"{}", X_Amz_Target="DynamoDB_20120810.Query"), False),
        (request("POST", "/", "dynamodb", b"{}", X_Amz_Target="DynamoDB_20120810.ExecuteStatement"), True),
        (request("POST", "/", "logs", b"{}", X_Amz_Target="Logs_20140328.FilterLogEvents"), False),
        (request("POST", "/", "sqs", b"{}", X_Amz_Target="AmazonSQS.ReceiveMessage"), True),
    ],
)
def test_what_changes_something(given, changes):
    assert changes_something(given) is changes


def test_names():
    assert operation_name(request("POST", "/", "iam", b"Version=1&Action=GetUser", Content_Type=FORM)) == "GetUser"
    assert operation_name(request("POST", "/", "ssm", X_Amz_Target="AmazonSSM.PutParameter")) == "PutParameter"
    assert operation_name(request("PUT", "/bucket", "s3")) == ""


def test_an_empty_answer_of_a_queue_leaves_no_trace():
    receive = request("POST", "/", "sqs", b"{}", X_Amz_Target="AmazonSQS.ReceiveMessage")
    assert not left_a_trace(receive, b"{}") and left_a_trace(receive, b'{"Messages": []}')
    assert left_a_trace(request("POST", "/", "sqs", b"{}", X_Amz_Target="AmazonSQS.SendMessage"), b"{}")


@pytest.mark.parametrize(
    ("operation", "body", "unrepeatable"),
    [
        ("CreateKey", b"{}", False),
        ("CreateKey", b'{"KeySpec": "SYMMETRIC_DEFAULT"}', False),
        ("CreateKey", b'{"KeySpec": "HMAC_256"}', False),
        ("CreateKey", b'{"KeySpec": "RSA_2048"}', True),
        ("CreateKey", b'{"CustomerMasterKeySpec": "ECC_NIST_P256"}', True),
        ("ImportKeyMaterial", b"{}", True),
        ("CreateAlias", b"{}", False),
    ],
)
def test_keys_that_no_seed_gives_again(operation, body, unrepeatable):
    assert (
        cannot_be_repeated(request("POST", "/", "kms", body, X_Amz_Target=f"TrentService.{operation}")) is unrepeatable
    )
