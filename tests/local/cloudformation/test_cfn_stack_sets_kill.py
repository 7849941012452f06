"""``kill -9`` of the whole embedded AWS while a stack set makes, changes and removes its stacks."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from organization import REGION, organize

from orchestrator.local.protocol.models import client_maker
from tests.local.killable import Process

SERVICES = ("cloudformation", "events")
LENGTH, KILLS = 8, 2


def inner(value: str) -> str:
    """Topics one after another, and a key that must not be made twice."""
    names = {"DisplayName": value}
    topics: dict[str, Any] = {"T0": {"Type": "AWS::SNS::Topic", "Properties": names}}
    for number in range(1, LENGTH):
        topics[f"T{number}"] = {"Type": "AWS::SNS::Topic", "Properties": names, "DependsOn": f"T{number - 1}"}
    return json.dumps({"Resources": {"Key": {"Type": "AWS::KMS::Key"}, **topics}})


def outer(unit: str, account: str, value: str) -> str:
    group = {
        "DeploymentTargets": {
            "OrganizationalUnitIds": [unit], "AccountFilterType": "INTERSECTION", "Accounts": [account],
        },
        "Regions": [REGION],
    }  # fmt: skip
    properties = {
        "StackSetName": "kept",
        "PermissionModel": "SERVICE_MANAGED",
        "CallAs": "SELF",
        "TemplateBody": inner(value),
        "StackInstancesGroup": [group],
    }
    return json.dumps({"Resources": {"Set": {"Type": "AWS::CloudFormation::StackSet", "Properties": properties}}})


class Killed:
    """One embedded AWS after another, on the same home."""

    def __init__(self, home: Path) -> None:
        self.home, self.luck, self.on_the_way = home, random.Random(7), 0
        self.server = Process(home, *SERVICES)

    def status(self) -> str:
        try:
            found = self.server.client("cloudformation").describe_stacks(StackName="outer")["Stacks"]
        except (BotoCoreError, ClientError):
            return ""
        return str(found[0]["StackStatus"])

    def through(self, begin: Callable[[Any], Any], end: str) -> None:
        """Begin something, kill the server while it goes on, and wait for its end."""
        begin(self.server.client("cloudformation"))
        for _ in range(KILLS):
            time.sleep(self.luck.uniform(0.05, 0.4))
            self.on_the_way += self.status().endswith("_IN_PROGRESS")
            self.server.kill()
            self.server = Process(self.home, *SERVICES)
        deadline = time.monotonic() + 60
        while self.status() != end and time.monotonic() < deadline:
            time.sleep(0.05)
        assert self.status() == end


def test_a_stack_set_survives_the_process_that_carries_it_out(tmp_path: Path) -> None:
    killed = Killed(tmp_path)
    made = organize(killed.server.client("organizations"), members=1)
    (account,) = made.members

    def client(service: str) -> Any:
        return client_maker().client(
            service, region_name=REGION, endpoint_url=killed.server.endpoint, aws_access_key_id=account,
            aws_secret_access_key="x",
        )  # fmt: skip

    def names() -> list[str]:
        sns = client("sns")
        topics = [topic["TopicArn"] for topic in sns.list_topics()["Topics"]]
        return [sns.get_topic_attributes(TopicArn=arn)["Attributes"]["DisplayName"] for arn in topics]

    body = [outer(made.unit, account, value) for value in ("one", "two")]
    killed.through(lambda cf: cf.create_stack(StackName="outer", TemplateBody=body[0]), "CREATE_COMPLETE")
    assert names() == ["one"] * LENGTH
    assert len(client("cloudformation").describe_stacks()["Stacks"]) == 1
    killed.through(lambda cf: cf.update_stack(StackName="outer", TemplateBody=body[1]), "UPDATE_COMPLETE")
    assert names() == ["two"] * LENGTH
    assert len(client("kms").list_keys()["Keys"]) == 1
    operations = killed.server.client("cloudformation").list_stack_set_operations(StackSetName="kept")["Summaries"]
    assert [each["Action"] for each in operations] == ["UPDATE", "CREATE"]
    killed.through(lambda cf: cf.delete_stack(StackName="outer"), "")
    assert names() == []
    assert client("cloudformation").describe_stacks()["Stacks"] == []
    assert killed.on_the_way > 0
    killed.server.kill()
