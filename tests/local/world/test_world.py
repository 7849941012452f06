"""What services reach through the world."""

from __future__ import annotations

import pytest


def test_a_role_acts_in_its_own_account(aws):
    role = "arn:aws:iam::222222222222:role/mlops-read"
    client = aws.world.client("sts", "111111111111", "us-east-1", role)
    identity = client.get_caller_identity()
    assert identity["Account"] == "222222222222"
    assert identity["Arn"] == "arn:aws:sts::222222222222:assumed-role/mlops-read/embedded-aws"


def test_clients_and_sessions_are_kept(aws):
    role = "arn:aws:iam::222222222222:role/r"
    assert aws.client("s3") is aws.client("s3")
    assert aws.client("s3") is not aws.client("s3", account="dev")
    assert aws.world.client("s3", "", "us-east-1", role) is aws.world.client("s3", "", "us-east-1", role)
    assert aws.world.assume(role, "one") == aws.world.assume(role, "one") != aws.world.assume(role, "two")


def test_temporary_keys_are_known_after_a_restart(aws):
    environment = aws.world.child_environment("arn:aws:iam::333333333333:role/job", "eu-west-1", "job")
    aws.restart()
    import boto3

    client = boto3.Session().client(
        "sts",
        region_name=environment["AWS_REGION"],
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=environment["AWS_SESSION_TOKEN"],
    )
    assert client.get_caller_identity()["Arn"] == "arn:aws:sts::333333333333:assumed-role/job/job"


def test_something_that_is_no_role_is_refused(aws):
    with pytest.raises(ValueError, match="not the ARN of a role"):
        aws.world.assume("arn:aws:iam::222222222222:user/u", "s")


def test_a_call_inside_a_transaction_is_refused(aws):
    with pytest.raises(RuntimeError, match="wait for itself"), aws.world.store.transaction():
        aws.client("s3").list_buckets()


def test_the_users_own_aws_settings_do_not_leak_in(aws, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9")
    assert aws.client("ssm", region="eu-central-1").describe_parameters()["Parameters"] == []
