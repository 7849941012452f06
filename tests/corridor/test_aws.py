"""The one door: errors by code, roles assumed and renewed, every call counted, nothing made before it is needed."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from orchestrator.aws import Aws
from orchestrator.errors import AwsFailed
from tests.corridor.cloud import DEV, HUB, NOW, REGION, Cloud, refusing, settings


def test_refusals_are_told_by_code() -> None:
    cloud = Cloud()
    cloud.answers["codepipeline.get_pipeline_state"] = refusing("PipelineNotFoundException", "gone", 404)
    with pytest.raises(AwsFailed, match="gone") as caught:
        cloud.aws().call("codepipeline", "get_pipeline_state", name="p")
    error = caught.value
    assert (error.code, error.status, error.aws_message) == ("PipelineNotFoundException", 404, "gone")
    assert error.operation == "codepipeline.get_pipeline_state" and error.exit_code == 6


def test_an_aws_that_does_not_answer_is_a_failure_too() -> None:
    def unreachable(**_: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="http://nowhere")

    cloud = Cloud()
    cloud.answers["codepipeline.get_pipeline_state"] = unreachable
    with pytest.raises(AwsFailed, match="nowhere") as caught:
        cloud.aws().call("codepipeline", "get_pipeline_state", name="p")
    assert (caught.value.code, caught.value.status) == ("EndpointConnectionError", 502)


def test_real_clients_without_credentials_say_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(AwsFailed) as caught:
        Aws(settings(), boto3.Session()).call("s3", "head_object", Bucket="b", Key="k")
    assert caught.value.code == "NoCredentialsError"


def test_our_own_mistakes_pass_through() -> None:
    cloud = Cloud()
    cloud.answers["codepipeline.get_pipeline_state"] = lambda **_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        cloud.aws().call("codepipeline", "get_pipeline_state", name="p")


def test_roles_are_assumed_once_and_renewed_before_they_end() -> None:
    cloud, answer = (
        Cloud(),
        {"Credentials": {"AccessKeyId": f"ASIA{DEV}----", "SecretAccessKey": "s", "SessionToken": "t"}},
    )
    answer["Credentials"]["Expiration"] = datetime(2100, 1, 1, tzinfo=UTC)  # type: ignore[assignment]
    cloud.answers["sts.assume_role"] = answer
    cloud.answers["sagemaker.describe_endpoint"] = {}
    aws = cloud.aws()

    def describe(account: str) -> None:
        aws.call("sagemaker", "describe_endpoint", account=account, EndpointName="e")

    describe(HUB)
    describe(DEV)
    describe(DEV)
    assert [account for account, name, _ in cloud.log if name.endswith("endpoint")] == [HUB, DEV, DEV]
    assert aws.calls["sts.assume_role"] == 1

    aws = cloud.aws()
    answer["Credentials"]["Expiration"] = datetime.now(UTC)  # type: ignore[assignment]
    describe(DEV)
    describe(DEV)
    assert aws.calls["sts.assume_role"] == 2


def test_a_listing_counts_its_pages() -> None:
    cloud = Cloud()
    cloud.put_stack("a", "CREATE_COMPLETE")
    aws = cloud.aws()
    assert [stack["StackName"] for stack in aws.items("cloudformation", "describe_stacks", "Stacks")] == ["a"]
    assert aws.calls == {"cloudformation.describe_stacks": 1}
    cloud.answers["cloudformation.describe_stacks"] = refusing("Throttling")
    with pytest.raises(AwsFailed, match="Throttling"):
        list(aws.items("cloudformation", "describe_stacks", "Stacks"))


def test_the_handler_is_imported_without_boto3() -> None:
    code = "import sys, orchestrator.handler; print(*sorted({'boto3', 'botocore', 'jsonschema'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_clients_stand_in_the_region_of_the_settings_and_try_again() -> None:
    seen = {}

    class Session:
        def client(self, service: str, **options: Any) -> Any:
            seen[service] = options
            return Cloud().aws().session.client(service)

    Aws(settings(), Session()).call("sns", "publish", TopicArn="t", Message=str(NOW))
    assert seen["sns"]["region_name"] == REGION and seen["sns"]["config"].retries["mode"] == "standard"
