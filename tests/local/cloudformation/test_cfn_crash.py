"""Killed at any moment, a stack operation goes on and does nothing twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cloudformation_lives import Lives
from cloudformation_rig import REGION

from orchestrator.local.embedded import EmbeddedAws
from orchestrator.local.services import events, lambda_
from orchestrator.local.world import World

CAPABILITIES = ["CAPABILITY_NAMED_IAM"]


@pytest.fixture(scope="module")
def under(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    others = [events.SERVICE, lambda_.SERVICE]
    embedded = EmbeddedAws(tmp_path_factory.mktemp("under"), services=others)
    embedded.start()
    yield embedded.world
    embedded.stop()


def trust(service: str) -> dict[str, Any]:
    entry = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [entry]}


def policy(action: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Sid": "s", "Effect": "Allow", "Action": action, "Resource": "*"}]}


INTEGRATION = {"type": "http", "httpMethod": "GET", "uri": "https://example.com"}
BODY = {
    "openapi": "3.0.1",
    "info": {"title": "it", "version": "1"},
    "paths": {"/hello": {"get": {"responses": {}, "x-amazon-apigateway-integration": INTEGRATION}}},
}


def template(generation: int, *, broken: bool = False) -> str:
    """Of everything one; a later generation changes, replaces, adds and removes."""
    later = generation > 1
    resources: dict[str, Any] = {
        "Key": ("AWS::KMS::Key", {"Description": f"generation {generation}", "EnableKeyRotation": True}),
        "Alias": ("AWS::KMS::Alias", {"AliasName": f"alias/it-{generation}", "TargetKeyId": {"Ref": "Key"}}),
        "Bucket": ("AWS::S3::Bucket", {"VersioningConfiguration": {"Status": "Enabled" if later else "Suspended"}}),
        "Topic": ("AWS::SNS::Topic", {"DisplayName": str(generation)}),
        "Role": (
            "AWS::IAM::Role",
            {
                "AssumeRolePolicyDocument": trust("lambda.amazonaws.com"),
                "Policies": [{"PolicyName": f"p{generation}", "PolicyDocument": policy("s3:*")}],
                "ManagedPolicyArns": [{"Ref": "Managed"}],
            },
        ),
        "Managed": ("AWS::IAM::ManagedPolicy", {"PolicyDocument": policy(f"s3:Get{generation}")}),
        "Function": (
            "AWS::Lambda::Function",
            {
                "Runtime": "python3.11",
                "Handler": "index.handler",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Code": {"ZipFile": f"def handler(event, context):\n    return {generation}\n"},
            },
        ),
        "Permission": (
            "AWS::Lambda::Permission",
            {
                "FunctionName": {"Ref": "Function"},
                "Action": "lambda:InvokeFunction",
                "Principal": "sns.amazonaws.com" if later else "s3.amazonaws.com",
            },
        ),
        "Rule": (
            "AWS::Events::Rule",
            {
                "EventPattern": {"source": [str(generation)]},
                "Targets": [{"Id": f"t{generation}", "Arn": {"Fn::GetAtt": ["Function", "Arn"]}}],
            },
        ),
        "Api": ("AWS::ApiGateway::RestApi", {"Body": BODY, "Description": str(generation)}),
        f"Deployment{generation}": ("AWS::ApiGateway::Deployment", {"RestApiId": {"Ref": "Api"}}),
        "Stage": (
            "AWS::ApiGateway::Stage",
            {"RestApiId": {"Ref": "Api"}, "DeploymentId": {"Ref": f"Deployment{generation}"}, "StageName": "s"},
        ),
        "Secret": ("AWS::SecretsManager::Secret", {"GenerateSecretString": {}}),
        "Parameter": ("AWS::SSM::Parameter", {"Type": "String", "Value": str(generation)}),
        "Queue": ("AWS::SQS::Queue", {"QueueName": f"queue-{generation}"}),
    }
    resources["More" if later else "Logs"] = ("AWS::Logs::LogGroup", {"RetentionInDays": 7})
    if broken:
        resources["Bad"] = ("AWS::SNS::Topic", {"TopicName": "not a name!"})
    shaped = {name: {"Type": kind, "Properties": properties} for name, (kind, properties) in resources.items()}
    if broken:
        shaped["Bad"]["DependsOn"] = ["Queue", "Stage", "Permission", "Rule"]
    return json.dumps({"Resources": shaped})


def inventory(world: World, account: str) -> Counter[str]:
    """How many there are of everything."""

    def client(service: str) -> Any:
        return world.client(service, account, REGION)

    kms = client("kms")
    keys = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] for key in kms.list_keys()["Keys"]]
    apis = client("apigateway").get_rest_apis()["items"]
    deployments = [client("apigateway").get_deployments(restApiId=api["id"])["items"] for api in apis]
    names = [fn["FunctionName"] for fn in client("lambda").list_functions()["Functions"]]
    policies = [json.loads(client("lambda").get_policy(FunctionName=name)["Policy"])["Statement"] for name in names]
    roles = client("iam").list_roles()["Roles"]
    inline = [client("iam").list_role_policies(RoleName=role["RoleName"])["PolicyNames"] for role in roles]
    rules = client("events").list_rules()["Rules"]
    targets = [client("events").list_targets_by_rule(Rule=rule["Name"])["Targets"] for rule in rules]
    return Counter(
        keys=keys.count("Enabled"),
        aliases=len([each for each in kms.list_aliases()["Aliases"] if "alias/it" in each["AliasName"]]),
        buckets=len([each for each in client("s3").list_buckets()["Buckets"] if "-bucket-" in each["Name"]]),
        topics=len(client("sns").list_topics()["Topics"]),
        queues=len(client("sqs").list_queues().get("QueueUrls", [])),
        roles=len(roles),
        inline=sum(map(len, inline)),
        managed=len(client("iam").list_policies(Scope="Local")["Policies"]),
        functions=len(names),
        permissions=sum(map(len, policies)),
        apis=len(apis),
        deployments=sum(map(len, deployments)),
        rules=len(rules),
        targets=sum(map(len, targets)),
        secrets=len(client("secretsmanager").list_secrets()["SecretList"]),
        parameters=len(client("ssm").describe_parameters()["Parameters"]),
        logs=len(client("logs").describe_log_groups()["logGroups"]),
    )


def walk(lives: Lives) -> list[Any]:
    """Create, update, fail to update, and delete; what was there each time."""
    seen: list[Any] = []
    request = {"StackName": "it", "Capabilities": CAPABILITIES}
    stack = lives.ask("CreateStack", **request, TemplateBody=template(1))["StackId"]
    seen += [lives.rest(stack), inventory(lives.under, lives.account)]
    lives.ask("UpdateStack", **request, TemplateBody=template(2))
    seen += [lives.rest(stack), inventory(lives.under, lives.account)]
    lives.ask("UpdateStack", **request, TemplateBody=template(3, broken=True))
    seen += [lives.rest(stack), inventory(lives.under, lives.account)]
    lives.ask("DeleteStack", StackName="it")
    seen += [lives.rest(stack), inventory(lives.under, lives.account)]
    history = Counter(lives.history(stack))
    seen.append({line: count for line, count in history.items() if line.endswith("_COMPLETE")})
    return seen


@pytest.fixture(scope="module")
def undisturbed(under: World, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    lives = Lives(tmp_path_factory.mktemp("calm"), under, "100000000000", None)
    seen = walk(lives)
    lives.end()
    return seen


def test_the_walk_itself(undisturbed: list[Any]) -> None:
    statuses = [each for each in undisturbed if isinstance(each, str)]
    assert statuses == ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "DELETE_COMPLETE"]
    assert set(undisturbed[1].values()) == {1}
    assert undisturbed[5] == undisturbed[3] == undisturbed[1]
    assert set(undisturbed[7].values()) == {0}


@pytest.mark.parametrize("seed", range(2))
def test_killed_over_and_over_it_ends_where_it_would_have(
    under: World, undisturbed: list[Any], tmp_path: Path, seed: int
) -> None:
    lives = Lives(tmp_path, under, f"20000000000{seed}", seed)
    seen = walk(lives)
    lives.end()
    assert lives.deaths > 25
    assert seen == undisturbed


def test_a_creation_that_takes_too_long_is_rolled_back(under: World, tmp_path: Path) -> None:
    lives = Lives(tmp_path, under, "300000000000", None)
    chain: dict[str, Any] = {"T0": {"Type": "AWS::SNS::Topic"}}
    for number in range(1, 30):
        chain[f"T{number}"] = {"Type": "AWS::SNS::Topic", "DependsOn": f"T{number - 1}"}
    request = {"TemplateBody": json.dumps({"Resources": chain}), "TimeoutInMinutes": 1}
    stack = lives.ask("CreateStack", StackName="slow", **request)["StackId"]
    lives.world.ahead = 61.0
    assert lives.rest(stack) == "ROLLBACK_COMPLETE"
    turned = [
        event["ResourceStatusReason"]
        for event in lives.ask("DescribeStackEvents", StackName=stack)["StackEvents"]
        if event["ResourceStatus"] == "ROLLBACK_IN_PROGRESS"
    ]
    assert turned == ["Stack creation time exceeded the specified timeout. Rollback requested by user."]
    assert inventory(under, lives.account)["topics"] == 0
    lives.end()
