"""Log groups with a key of the same template, which many state machines share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloudformation_rig import HUB, Cloud, refusal

from orchestrator.local.embedded import EmbeddedAws
from tests.local.waiting import until

NAMED = {"Capabilities": ["CAPABILITY_NAMED_IAM"]}
GROUP = {"Fn::Sub": "/mlops/${AWS::StackName}-jobs"}
SERVICE = {"Service": {"Fn::Sub": "logs.${AWS::Region}.${AWS::URLSuffix}"}}
CONTEXT = "kms:EncryptionContext:aws:logs:arn"


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    home = tmp_path_factory.mktemp("home")
    embedded = EmbeddedAws(home, authorization="enforce")
    embedded.start()
    cloud = Cloud(home, embedded)
    yield cloud
    cloud.stop()


def key(group: str = "/mlops/${AWS::StackName}-jobs", principal: Any = SERVICE) -> dict[str, Any]:
    place = {"Fn::Sub": f"arn:${{AWS::Partition}}:logs:${{AWS::Region}}:${{AWS::AccountId}}:log-group:{group}"}
    statements = [
        {"Principal": {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}, "Action": "kms:*"},
        {
            "Principal": principal,
            "Action": ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"],
            "Condition": {"ArnEquals": {CONTEXT: place}},
        },
    ]
    policy = [{"Effect": "Allow", "Resource": "*", **statement} for statement in statements]
    return {
        "Type": "AWS::KMS::Key",
        "Properties": {"KeyPolicy": {"Version": "2012-10-17", "Statement": policy}, "EnableKeyRotation": True},
    }


def group(*keys: str) -> dict[str, Any]:
    properties: dict[str, Any] = {"LogGroupName": GROUP, "RetentionInDays": 30}
    if keys:
        properties["KmsKeyId"] = {"Fn::GetAtt": [keys[0], "Arn"]}
    return {"Type": "AWS::Logs::LogGroup", "Properties": properties}


def encrypted_with(cloud: Cloud, stack: Any) -> str:
    name = cloud.physical(stack, "Logs")
    (found,) = cloud.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return str(found.get("kmsKeyId", "")).rpartition("/")[2]


def test_a_log_group_gets_another_key_and_none(enforced: Cloud) -> None:
    keys = {"One": key(), "Two": key()}
    stack = enforced.create({"Resources": {**keys, "Logs": group("One")}})
    assert stack["StackStatus"] == "CREATE_COMPLETE", enforced.failures(stack)
    assert encrypted_with(enforced, stack) == enforced.physical(stack, "One")
    for wanted in (["Two"], [], ["One"]):
        stack = enforced.update(stack, {"Resources": {**keys, "Logs": group(*wanted)}})
        assert stack["StackStatus"] == "UPDATE_COMPLETE", enforced.failures(stack)
        assert encrypted_with(enforced, stack) == (enforced.physical(stack, wanted[0]) if wanted else "")
    assert enforced.delete(stack)["StackStatus"] == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    "wrong",
    [
        key("/mlops/another"),
        key(principal={"Service": "s3.amazonaws.com"}),
        key(principal={"Service": "logs.eu-west-1.amazonaws.com"}),
    ],
    ids=["for another group", "for another service", "for another region"],
)
def test_a_key_that_does_not_trust_the_logs_is_refused(enforced: Cloud, wrong: dict[str, Any]) -> None:
    stack = enforced.create({"Resources": {"Key": wrong, "Logs": group("Key")}})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    arn = f"arn:aws:logs:us-east-1:{HUB}:log-group:/mlops/{stack['StackName']}-jobs"
    told = f"The specified KMS key does not exist or is not allowed to be used with Arn '{arn}'"
    assert told in enforced.reason(stack, "Logs", "CREATE_FAILED")


def test_a_group_that_is_there_keeps_its_key_when_another_is_refused(enforced: Cloud) -> None:
    logs, foreign = enforced.client("logs"), enforced.client("kms").create_key()["KeyMetadata"]["Arn"]
    stack = enforced.create({"Resources": {"Key": key(), "Logs": group("Key")}})
    name = enforced.physical(stack, "Logs")
    none = f"arn:aws:kms:us-east-1:{HUB}:key/00000000-0000-0000-0000-000000000000"
    for wrong in (foreign, none):
        with pytest.raises(ClientError) as caught:
            logs.associate_kms_key(logGroupName=name, kmsKeyId=wrong)
        assert refusal(caught.value)[0] == "AccessDeniedException"
    assert encrypted_with(enforced, stack) == enforced.physical(stack, "Key")


def machine(word: str) -> dict[str, Any]:
    definition = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": word, "End": True}}}
    logging = {
        "Level": "ALL",
        "IncludeExecutionData": True,
        "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": {"Fn::GetAtt": ["Logs", "Arn"]}}}],
    }
    properties = {
        "StateMachineName": {"Fn::Sub": f"${{AWS::StackName}}-{word}"},
        "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
        "Definition": definition,
        "LoggingConfiguration": logging,
        "TracingConfiguration": {"Enabled": True},
    }
    return {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}


def shared_template() -> dict[str, Any]:
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = {"Version": "2012-10-17", "Statement": [trust]}
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": policy}}
    machines = {"First": machine("first"), "Second": machine("second")}
    return {"Resources": {"Role": role, "Key": key(), "Logs": group("Key"), **machines}}


def test_state_machines_with_the_same_executions_share_a_group_and_are_traced(enforced: Cloud) -> None:
    template = shared_template()
    stack = enforced.create(template, **NAMED)
    assert stack["StackStatus"] == "CREATE_COMPLETE", enforced.failures(stack)
    states, logs = enforced.client("stepfunctions"), enforced.client("logs")
    arns = [enforced.physical(stack, name) for name in ("First", "Second")]
    for arn in arns:
        assert states.describe_state_machine(stateMachineArn=arn)["tracingConfiguration"] == {"enabled": True}
        states.start_execution(stateMachineArn=arn, name="run")

    def outputs() -> dict[str, Any]:
        """Stream -> what the last line of a run there says came out."""
        lines = logs.filter_log_events(logGroupName=enforced.physical(stack, "Logs"))["events"]
        found = [(line["logStreamName"], json.loads(line["message"])) for line in lines]
        return {name: line["details"]["output"] for name, line in found if line["type"] == "ExecutionSucceeded"}

    name = stack["StackName"]
    wanted = {f"states/{name}-{word}/run": f'"{word}"' for word in ("first", "second")}
    until(lambda: outputs() == wanted)

    del template["Resources"]["First"]["Properties"]["TracingConfiguration"]
    stack = enforced.update(stack, template, **NAMED)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", enforced.failures(stack)
    assert states.describe_state_machine(stateMachineArn=arns[0])["tracingConfiguration"] == {"enabled": False}
