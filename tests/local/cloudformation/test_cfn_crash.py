"""Killed at any moment, a stack operation goes on and does nothing twice.

The service under test has a world of its own on top of a running embedded AWS. Its world can die: a call has its
effect, its answer is never seen, and no call goes through any more until a new process (here: a new world and a
new service on the same home) takes over. That is what ``kill -9`` between an effect and its record looks like.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from cloudformation_rig import REGION

from orchestrator.local.embedded import EmbeddedAws
from orchestrator.local.service import Call
from orchestrator.local.services import events, lambda_
from orchestrator.local.services.cloudformation import CloudFormation
from orchestrator.local.world import World

PATIENCE_SECONDS = 60.0
CAPABILITIES = ["CAPABILITY_NAMED_IAM"]


class Fate:
    """How many calls a world may still make before it dies, and whether the last one has its effect."""

    def __init__(self, calls: int | None, effect: bool) -> None:
        self.calls = calls
        self.effect = effect
        self.dead = False

    def meet(self, call: Any, arguments: dict[str, Any]) -> Any:
        if self.dead:
            raise EndpointConnectionError(endpoint_url="http://dead")
        if self.calls is not None:
            self.calls -= 1
            if self.calls <= 0:
                self.dead = True
                if self.effect:
                    call(**arguments)
                raise EndpointConnectionError(endpoint_url="http://dying")
        return call(**arguments)


class MortalClient:
    """A boto3 client whose calls meet their fate."""

    def __init__(self, client: Any, fate: Fate) -> None:
        self._client = client
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._client, name)
        if name == "get_paginator":
            return member
        return lambda **arguments: self._fate.meet(member, arguments)


class MortalWorld(World):
    """A world on the services of another, that dies as its fate says."""

    def __init__(self, home: Path, under: World, fate: Fate) -> None:
        super().__init__(home, under.endpoint, under.accounts, under.region)
        self._under = under
        self.fate = fate

    def client(self, service: str, account: str, region: str, role_arn: str = "") -> Any:
        return MortalClient(self._under.client(service, account, region, role_arn), self.fate)

    def emit(self, *arguments: Any, **members: Any) -> None:
        if self.fate.dead:
            raise EndpointConnectionError(endpoint_url="http://dead")


class Lives:
    """One CloudFormation over many lives, in one account."""

    def __init__(self, home: Path, under: World, account: str, seed: int | None) -> None:
        self.home, self.under, self.account = home, under, account
        self.random = random.Random(seed)
        self.mortal = seed is not None
        self.deaths = 0
        self._begin()

    def _begin(self) -> None:
        calls = self.random.randint(1, 6) if self.mortal else None
        self.world = MortalWorld(self.home, self.under, Fate(calls, self.random.random() < 0.7))
        self.service = CloudFormation(self.world)
        self.service.recover()
        self.world.tasks.start()

    def end(self) -> None:
        self.world.tasks.stop()
        self.world.store.close()

    def ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation; a request whose answer is lost is made again with its token."""
        call = Call(self.account, REGION, self.account, "request", {})
        answer: dict[str, Any] = getattr(self.service, operation)(call, parameters)
        return answer

    def rest(self, stack: str) -> str:
        """Let lives pass until the stack is at rest; its status."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if self.world.fate.dead:
                self.deaths += 1
                self.end()
                self._begin()
            status = str(self.ask("DescribeStacks", StackName=stack)["Stacks"][0]["StackStatus"])
            if not status.endswith("_IN_PROGRESS"):
                return status
            time.sleep(0.01)
        raise AssertionError(f"{stack} never came to rest: {self.history(stack)}")

    def history(self, stack: str) -> list[str]:
        events = self.ask("DescribeStackEvents", StackName=stack)["StackEvents"]
        return [f"{event['LogicalResourceId']} {event['ResourceStatus']}" for event in reversed(events)]


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


@pytest.mark.parametrize("seed", range(3))
def test_killed_over_and_over_it_ends_where_it_would_have(
    under: World, undisturbed: list[Any], tmp_path: Path, seed: int
) -> None:
    lives = Lives(tmp_path, under, f"20000000000{seed}", seed)
    seen = walk(lives)
    lives.end()
    assert lives.deaths > 25
    assert seen == undisturbed
