"""``kill -9`` of the whole embedded AWS while it makes a stack."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.local.killable import Process

SERVICES = ("cloudformation", "events")
LENGTH, KILLS = 25, 4


def chain() -> str:
    """Topics one after another, and a key that must not be made twice."""
    topics: dict[str, Any] = {"T0": {"Type": "AWS::SNS::Topic"}}
    for number in range(1, LENGTH):
        topics[f"T{number}"] = {"Type": "AWS::SNS::Topic", "DependsOn": f"T{number - 1}"}
    return json.dumps({"Resources": {"Key": {"Type": "AWS::KMS::Key"}, **topics}})


def status(server: Process) -> str:
    try:
        stacks = server.client("cloudformation").describe_stacks(StackName="chain")["Stacks"]
    except (BotoCoreError, ClientError):
        return ""
    return str(stacks[0]["StackStatus"])


def test_a_stack_survives_the_process_that_makes_it(tmp_path: Path) -> None:
    luck = random.Random(7)
    server = Process(tmp_path, *SERVICES)
    server.client("cloudformation").create_stack(StackName="chain", TemplateBody=chain())
    killed_on_the_way = 0
    for _ in range(KILLS):
        time.sleep(luck.uniform(0.01, 0.15))
        killed_on_the_way += status(server) == "CREATE_IN_PROGRESS"
        server.kill()
        server = Process(tmp_path, *SERVICES)
    deadline = time.monotonic() + 60
    while status(server) == "CREATE_IN_PROGRESS" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert status(server) == "CREATE_COMPLETE"
    assert killed_on_the_way > 0
    names = [topic["TopicArn"].split(":")[-1] for topic in server.client("sns").list_topics()["Topics"]]
    assert len(names) == LENGTH
    assert len(server.client("kms").list_keys()["Keys"]) == 1
    pages = server.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName="chain")
    done = [
        event["LogicalResourceId"]
        for page in pages
        for event in page["StackEvents"]
        if event["ResourceStatus"] == "CREATE_COMPLETE"
    ]
    assert len(done) == len(set(done)) == LENGTH + 2
    server.kill()
