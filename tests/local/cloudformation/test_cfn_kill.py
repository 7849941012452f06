"""``kill -9`` of the whole embedded AWS while it makes a stack."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from orchestrator.local.protocol.models import client_maker

ROOT = Path(__file__).parents[3]
SERVER = """
import sys, threading
from pathlib import Path
from orchestrator.local.embedded import EmbeddedAws
from orchestrator.local.services import cloudformation, events
aws = EmbeddedAws(Path(sys.argv[1]), services=[cloudformation.SERVICE, events.SERVICE])
aws.start()
print(aws.endpoint, flush=True)
threading.Event().wait()
"""
LENGTH, KILLS = 25, 4


class Process:
    """An embedded AWS in a process of its own."""

    def __init__(self, home: Path) -> None:
        command = [sys.executable, "-c", SERVER, str(home)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.endpoint = self._process.stdout.readline().strip()

    def client(self, service: str) -> Any:
        return client_maker().client(
            service,
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id="111111111111",
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 2}),
        )

    def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


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
    server = Process(tmp_path)
    server.client("cloudformation").create_stack(StackName="chain", TemplateBody=chain())
    killed_on_the_way = 0
    for _ in range(KILLS):
        time.sleep(luck.uniform(0.01, 0.15))
        killed_on_the_way += status(server) == "CREATE_IN_PROGRESS"
        server.kill()
        server = Process(tmp_path)
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
