"""The Lambda API: functions, versions, aliases, policies and settings."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from lambda_rig import ACCOUNT, REGION, ROLE, Rig, archive

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.lambda_.functions import target_of
from orchestrator.local.services.lambda_.settings import statement

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
ECHO = "def handler(event, context): return event"


def refused(code: str, operation: Callable[..., Any], **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        operation(**parameters)
    assert caught.value.response["Error"]["Code"] == code
    return str(caught.value.response["Error"]["Message"])


def test_the_life_of_a_function(rig: Rig) -> None:
    made = rig.create(ECHO, Description="d", Environment={"Variables": {"AB": "1"}}, Tags={"team": "x"})
    assert (made["FunctionArn"], made["Version"], made["State"]) == (ARN, "$LATEST", "Active")
    assert (made["MemorySize"], made["Timeout"], made["Description"]) == (128, 20, "d")
    assert made["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"}
    refused("ResourceConflictException", rig.create, source=ECHO)
    rig.lambdas.get_waiter("function_active_v2").wait(FunctionName="f")
    found = rig.lambdas.get_function(FunctionName=ARN)
    assert found["Tags"] == {"team": "x"}
    assert found["Configuration"]["CodeSha256"] == made["CodeSha256"]
    changed = rig.lambdas.update_function_configuration(FunctionName="f", Timeout=5, Environment={"Variables": {}})
    assert (changed["Timeout"], changed["Description"], changed["Environment"]) == (5, "d", {"Variables": {}})
    assert changed["RevisionId"] != made["RevisionId"]
    updated = rig.lambdas.update_function_code(FunctionName="f", ZipFile=archive("handler = None"))
    assert updated["CodeSha256"] != made["CodeSha256"]
    rig.lambdas.get_waiter("function_updated").wait(FunctionName="f")
    refused(
        "PreconditionFailedException", rig.lambdas.update_function_configuration,
        FunctionName="f", Timeout=6, RevisionId=made["RevisionId"],
    )  # fmt: skip
    assert [each["FunctionName"] for each in rig.lambdas.list_functions()["Functions"]] == ["f"]
    rig.lambdas.tag_resource(Resource=ARN, Tags={"stage": "dev"})
    rig.lambdas.untag_resource(Resource=ARN, TagKeys=["team"])
    assert rig.lambdas.list_tags(Resource=ARN)["Tags"] == {"stage": "dev"}
    rig.lambdas.delete_function(FunctionName="f")
    refused("ResourceNotFoundException", rig.lambdas.get_function, FunctionName="f")
    refused("ResourceNotFoundException", rig.lambdas.delete_function, FunctionName="f")
    assert rig.lambdas.list_functions()["Functions"] == []


def test_functions_are_per_account(rig: Rig) -> None:
    rig.create(ECHO)
    assert rig.client("lambda", "222222222222").list_functions()["Functions"] == []
    refused("ResourceNotFoundException", rig.client("lambda", "222222222222").get_function, FunctionName=ARN)


def test_code_from_a_bucket(rig: Rig) -> None:
    s3 = rig.client("s3")
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key="f.zip", Body=archive(ECHO))
    rig.create("", Code={"S3Bucket": "code", "S3Key": "f.zip"})
    assert rig.invoke({"a": 1}) == {"a": 1}
    message = refused(
        "InvalidParameterValueException", rig.create, source="", name="g", Code={"S3Bucket": "code", "S3Key": "gone"}
    )
    assert "S3 Error Code: NoSuchKey" in message


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"Runtime": "nodejs22.x"}, "runs Python functions only, not the runtime nodejs22.x"),
        ({"PackageType": "Image", "Code": {"ImageUri": "x"}}, "zip archives only"),
        ({"Layers": ["arn:aws:lambda:us-east-1:111111111111:layer:x:1"]}, "does not support Layers"),
        (
            {"VpcConfig": {"SubnetIds": ["subnet-0123abcd"], "SecurityGroupIds": ["sg-0123abcd"]}},
            "VpcConfig is not supported",
        ),
        ({"SnapStart": {"ApplyOn": "PublishedVersions"}}, "does not support SnapStart"),
        ({"LoggingConfig": {"LogFormat": "JSON"}}, "as Text only"),
        ({"Environment": {"Variables": {"AWS_REGION": "x", "TZ": "y"}}}, "in this request: AWS_REGION, TZ"),
        ({"Environment": {"Variables": {"AB": "x" * 5000}}}, "at most 4096 bytes"),
        ({"Code": {"ZipFile": b"no zip"}}, "Could not unzip uploaded file"),
        ({"Code": {"S3Bucket": "bucket"}}, "Please provide a source"),
    ],
)
def test_what_cannot_be_created(rig: Rig, members: dict[str, Any], message: str) -> None:
    assert message in refused("InvalidParameterValueException", rig.create, source=ECHO, **members)
    assert rig.lambdas.list_functions()["Functions"] == []


def test_operations_that_are_not_there_say_so(rig: Rig) -> None:
    message = refused("UnsupportedOperation", rig.lambdas.list_event_source_mappings)
    assert "does not support lambda ListEventSourceMappings" in message


def test_an_archive_cannot_write_outside_its_folder(rig: Rig) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr("app.py", ECHO)
        opened.writestr("../../escaped", "x")
    rig.create("", Code={"ZipFile": buffer.getvalue()})
    [escaped] = rig.home.rglob("escaped")
    assert escaped.parent.parent == rig.home / "lambda" / "code"


def test_versions_and_aliases(rig: Rig) -> None:
    rig.create("def handler(event, context): return [1, context.function_version, context.invoked_function_arn]")
    first = rig.lambdas.publish_version(FunctionName="f", Description="one")
    assert (first["Version"], first["FunctionArn"], first["Description"]) == ("1", f"{ARN}:1", "one")
    assert rig.lambdas.publish_version(FunctionName="f")["Version"] == "1"
    rig.lambdas.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    refused("ResourceConflictException", rig.lambdas.create_alias, FunctionName="f", Name="live", FunctionVersion="1")
    two = archive("def handler(event, context): return [2, context.function_version, context.invoked_function_arn]")
    assert rig.lambdas.update_function_code(FunctionName="f", ZipFile=two, Publish=True)["Version"] == "2"
    assert rig.invoke(Qualifier="live") == [1, "1", f"{ARN}:live"]
    assert rig.invoke(name="f:1") == [1, "1", f"{ARN}:1"]
    assert rig.invoke() == [2, "$LATEST", ARN]
    rig.lambdas.update_alias(FunctionName="f", Name="live", FunctionVersion="2")
    assert rig.invoke(name=f"{ARN}:live") == [2, "2", f"{ARN}:live"]
    versions = rig.lambdas.list_versions_by_function(FunctionName="f")["Versions"]
    assert [each["Version"] for each in versions] == ["$LATEST", "1", "2"]
    assert [each["Name"] for each in rig.lambdas.list_aliases(FunctionName="f")["Aliases"]] == ["live"]
    refused("ResourceNotFoundException", rig.lambdas.update_alias, FunctionName="f", Name="live", FunctionVersion="9")
    rig.lambdas.delete_alias(FunctionName="f", Name="live")
    refused("ResourceNotFoundException", rig.lambdas.get_alias, FunctionName="f", Name="live")
    rig.lambdas.delete_function(FunctionName="f", Qualifier="1")
    refused("ResourceNotFoundException", rig.lambdas.invoke, FunctionName="f", Qualifier="1")


def test_policies(rig: Rig) -> None:
    rig.create(ECHO)
    add = {"FunctionName": "f", "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    refused("ResourceNotFoundException", rig.lambdas.get_policy, FunctionName="f")
    rig.lambdas.add_permission(**add)
    refused("ResourceConflictException", rig.lambdas.add_permission, **add)
    policy = json.loads(rig.lambdas.get_policy(FunctionName="f")["Policy"])
    assert [each["Sid"] for each in policy["Statement"]] == ["s"]
    rig.lambdas.remove_permission(FunctionName="f", StatementId="s")
    refused("ResourceNotFoundException", rig.lambdas.remove_permission, FunctionName="f", StatementId="s")
    refused("ResourceNotFoundException", rig.lambdas.get_policy, FunctionName="f")


@pytest.mark.parametrize(
    ("given", "principal", "condition"),
    [
        ({"Principal": "events.amazonaws.com", "SourceArn": "a"}, {"Service": "events.amazonaws.com"},
         {"ArnLike": {"AWS:SourceArn": "a"}}),
        ({"Principal": "222222222222"}, {"AWS": "arn:aws:iam::222222222222:root"}, None),
        ({"Principal": "*", "SourceAccount": "2"}, "*", {"StringEquals": {"AWS:SourceAccount": "2"}}),
        ({"Principal": ROLE}, {"AWS": ROLE}, None),
    ],
)  # fmt: skip
def test_statements(given: dict[str, str], principal: Any, condition: Any) -> None:
    made = statement(ARN, {"StatementId": "s", "Action": "lambda:InvokeFunction", **given})
    assert (made["Principal"], made.get("Condition"), made["Resource"]) == (principal, condition, ARN)


def test_event_invoke_settings(rig: Rig) -> None:
    rig.create(ECHO)
    refused("ResourceNotFoundException", rig.lambdas.get_function_event_invoke_config, FunctionName="f")
    put = rig.lambdas.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0)
    assert (put["MaximumRetryAttempts"], put["FunctionArn"]) == (0, f"{ARN}:$LATEST")
    rig.lambdas.update_function_event_invoke_config(FunctionName="f", MaximumEventAgeInSeconds=60)
    found = rig.lambdas.get_function_event_invoke_config(FunctionName="f")
    assert (found["MaximumRetryAttempts"], found["MaximumEventAgeInSeconds"]) == (0, 60)
    rig.lambdas.put_function_event_invoke_config(FunctionName="f", MaximumEventAgeInSeconds=60)
    assert "MaximumRetryAttempts" not in rig.lambdas.get_function_event_invoke_config(FunctionName="f")
    rig.lambdas.delete_function_event_invoke_config(FunctionName="f")
    refused("ResourceNotFoundException", rig.lambdas.delete_function_event_invoke_config, FunctionName="f")


CALL = Call(ACCOUNT, REGION, ACCOUNT, "request", {})


@pytest.mark.parametrize(
    ("reference", "qualifier", "found"),
    [
        ("f", None, (ACCOUNT, REGION, "f", "")),
        ("f:live", None, (ACCOUNT, REGION, "f", "live")),
        ("f", "$LATEST", (ACCOUNT, REGION, "f", "$LATEST")),
        ("222222222222:function:f", None, ("222222222222", REGION, "f", "")),
        ("arn:aws:lambda:eu-west-1:222222222222:function:f:3", None, ("222222222222", "eu-west-1", "f", "3")),
        ("arn:aws-cn:lambda:cn-north-1:222222222222:function:f", "3", ("222222222222", "cn-north-1", "f", "3")),
    ],
)
def test_references(reference: str, qualifier: str | None, found: tuple[str, ...]) -> None:
    target = target_of(CALL, reference, qualifier)
    assert (target.key.account, target.key.region, target.key.name, target.qualifier) == found


@pytest.mark.parametrize(("reference", "qualifier"), [("a b", None), ("arn:aws:s3:::x", None), ("f:1", "2")])
def test_references_refused(reference: str, qualifier: str | None) -> None:
    with pytest.raises(ServiceError):
        target_of(CALL, reference, qualifier)
