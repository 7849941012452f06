"""Who calls: the account follows from the access key."""

from __future__ import annotations

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from orchestrator.local.gateway.accounts import account_in_temporary_key, account_of, scope_of
from orchestrator.local.messages import Request
from orchestrator.local.service import ServiceError


def client_with(aws, service, access_key, **more):
    return boto3.Session().client(
        service,
        region_name="us-east-1",
        endpoint_url=aws.endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key="anything",
        config=Config(retries={"total_max_attempts": 1}),
        **more,
    )


def test_twelve_digits_are_the_account(aws):
    for account in ("111111111111", "222222222222", "987654321098"):
        identity = client_with(aws, "sts", account).get_caller_identity()
        assert (identity["Account"], identity["UserId"]) == (account, account)
        assert identity["Arn"] == f"arn:aws:iam::{account}:root"


def test_a_temporary_key_carries_its_account(aws):
    keys = aws.client("sts").assume_role(RoleArn="arn:aws:iam::444444444444:role/r", RoleSessionName="session")
    access_key = keys["Credentials"]["AccessKeyId"]
    assert account_in_temporary_key(access_key) == "444444444444"
    assert client_with(aws, "sts", access_key).get_caller_identity()["Account"] == "444444444444"


def test_a_users_key_belongs_to_the_users_account(aws):
    iam = aws.client("iam", account="dev")
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]["AccessKeyId"]
    assert client_with(aws, "sts", key).get_caller_identity()["Arn"] == "arn:aws:iam::222222222222:user/u"
    aws.restart()
    assert client_with(aws, "sts", key).get_caller_identity()["Account"] == "222222222222"


@pytest.mark.parametrize("key", ["AKIAIOSFODNN7EXAMPLE", "test", "12345", "ASIA!!!!!!!!!!!!!!!!"])
def test_any_other_key_is_refused(aws, key):
    for service, call in (("s3", "list_buckets"), ("sts", "get_caller_identity"), ("sqs", "list_queues")):
        with pytest.raises(ClientError, match="12 digits") as caught:
            getattr(client_with(aws, service, key), call)()
        assert caught.value.response["Error"]["Code"] == "InvalidClientTokenId"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_the_account_cannot_be_chosen_by_a_header(aws):
    sts = aws.client("sts", account="dev")

    def spoof(request, **_):
        for name in ("x-moto-account-id", "X-Moto-Account-Id", "x_moto_account_id"):
            request.headers[name] = "444444444444"

    sts.meta.events.register("before-send.sts", spoof)
    assert sts.get_caller_identity()["Account"] == "222222222222"


def test_state_is_separate_by_account_and_region(aws):
    aws.client("sqs", account="dev").create_queue(QueueName="q")
    assert "QueueUrls" not in aws.client("sqs").list_queues()
    assert "QueueUrls" not in aws.client("sqs", account="dev", region="eu-west-1").list_queues()
    assert len(aws.client("sqs", account="dev").list_queues()["QueueUrls"]) == 1


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("AWS4-HMAC-SHA256 Credential=1/20260101/us-east-1/s3/aws4_request, SignedHeaders=a", ("1", "us-east-1", "s3")),
        (
            "AWS4-HMAC-SHA256 SignedHeaders=a, Credential=1/20260101/eu-west-1/SQS/aws4_request",
            ("1", "eu-west-1", "sqs"),
        ),
        ("AWS 123:c2ln", ("123", "us-east-1", "s3")),
    ],
)
def test_scopes_in_headers(header, expected):
    scope = scope_of(Request("GET", "/", (("Authorization", header),)))
    assert scope is not None and (scope.access_key, scope.region, scope.service) == expected


def test_scopes_in_presigned_urls():
    query = "X-Amz-Credential=1%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=x"
    scope = scope_of(Request("GET", f"/b/k?{query}", ()))
    assert scope is not None and (scope.access_key, scope.service) == ("1", "s3")
    scope = scope_of(Request("GET", "/b/k?AWSAccessKeyId=2&Signature=x", ()))
    assert scope is not None and scope.access_key == "2"


@pytest.mark.parametrize("header", ["Bearer x", "AWS4-HMAC-SHA256 Credential=a/b", "AWS4-HMAC-SHA256 Credential=////"])
def test_signatures_that_cannot_be_read(header):
    with pytest.raises(ServiceError, match="IncompleteSignature"):
        scope_of(Request("GET", "/", (("Authorization", header),)))


def test_unsigned_requests_have_no_scope():
    assert scope_of(Request("GET", "/bucket?prefix=a", ())) is None


def test_every_account_survives_the_round_trip_through_a_key():
    with pytest.raises(ServiceError):
        account_of("ASIAAAAA", lambda key: None)
    assert account_of("AKIA", lambda key: "7" * 12) == "7" * 12
