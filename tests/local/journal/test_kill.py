"""``kill -9`` at any moment: what was acknowledged is there after the next start, under the same ids."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from orchestrator.local.protocol.models import client_maker

SERVER = """
import sys, threading
from pathlib import Path
from orchestrator.local.embedded import EmbeddedAws
from orchestrator.local.journal.journal import Journal
aws = EmbeddedAws(Path(sys.argv[1]), services=[])
aws.journal._records_per_log = int(sys.argv[2])
aws.start()
print(len(aws.replay.differing), flush=True)
threading.Event().wait()
"""
ROOT = Path(__file__).parents[3]
WRITERS = 5


class Process:
    """An embedded AWS in a process of its own."""

    def __init__(self, home: Path, records_per_log: int) -> None:
        command = [sys.executable, "-c", SERVER, str(home), str(records_per_log)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.differing = int(self._process.stdout.readline())
        self.endpoint = json.loads((home / "local.json").read_text())["endpoint"]

    def client(self, service: str, account: str = "111111111111"):
        return client_maker().client(
            service,
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id=account,
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()


def body_of(name: str) -> bytes:
    source = random.Random(name)
    return source.randbytes(source.choice([10, 1000, 20_000, 100_000]))


def write(clients, number: int, acknowledged: list, stopped: threading.Event) -> None:
    s3, dynamodb, sqs, iam, queue = clients
    count = 0
    while not stopped.is_set():
        name = f"{number}-{count}"
        count += 1
        try:
            version = s3.put_object(Bucket="bucket", Key=f"k/{name}", Body=body_of(name))["VersionId"]
            acknowledged.append(("object", name, version))
            dynamodb.put_item(TableName="t", Item={"k": {"S": name}})
            acknowledged.append(("item", name, ""))
            acknowledged.append(("message", name, sqs.send_message(QueueUrl=queue, MessageBody=name)["MessageId"]))
            role = iam.create_role(RoleName=f"r-{name}", AssumeRolePolicyDocument="{}")["Role"]
            acknowledged.append(("role", name, role["RoleId"]))
            s3.list_object_versions(Bucket="bucket", MaxKeys=2)  # reads beside the writes must not disturb them
        except (BotoCoreError, ClientError):
            return


def check(process: Process, acknowledged: list) -> None:
    s3, queue = process.client("s3"), process.client("sqs").get_queue_url(QueueName="q")["QueueUrl"]
    versions: dict[str, str] = {}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket="bucket"):
        versions |= {version["Key"]: version["VersionId"] for version in page.get("Versions", [])}
    items = set()
    for page in process.client("dynamodb").get_paginator("scan").paginate(TableName="t"):
        items |= {item["k"]["S"] for item in page["Items"]}
    roles = {}
    for page in process.client("iam").get_paginator("list_roles").paginate():
        roles |= {role["RoleName"]: role["RoleId"] for role in page["Roles"]}
    messages = {}
    while found := process.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        messages |= {message["Body"]: message["MessageId"] for message in found}
    for kind, name, identity in acknowledged:
        match kind:
            case "object":
                assert versions[f"k/{name}"] == identity
            case "item":
                assert name in items
            case "role":
                assert roles[f"r-{name}"] == identity
            case "message":
                assert messages[name] == identity
    for kind, name, _ in random.Random(1).sample(acknowledged, min(40, len(acknowledged))):
        if kind == "object":
            assert s3.get_object(Bucket="bucket", Key=f"k/{name}")["Body"].read() == body_of(name)


@pytest.mark.parametrize("records_per_log", [1000, 25], ids=["log", "many-snapshots"])
def test_no_acknowledged_write_is_lost(tmp_path, records_per_log):
    home = tmp_path / "home"
    process = Process(home, records_per_log)
    process.client("s3").create_bucket(Bucket="bucket")
    process.client("s3").put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    process.client("sqs").create_queue(QueueName="q", Attributes={"VisibilityTimeout": "600"})
    process.client("dynamodb").create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    acknowledged: list = []
    for round_number in range(2):
        clients = tuple(process.client(name) for name in ("s3", "dynamodb", "sqs", "iam"))
        queue = clients[2].get_queue_url(QueueName="q")["QueueUrl"]
        stopped, before = threading.Event(), len(acknowledged)
        writers = [
            threading.Thread(
                target=write, args=((*clients, queue), 10 * round_number + number, acknowledged, stopped), daemon=True
            )
            for number in range(WRITERS)
        ]
        for writer in writers:
            writer.start()
        deadline = time.monotonic() + 20
        while len(acknowledged) < before + 120 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        stopped.set()
        for writer in writers:
            writer.join()
        process = Process(home, records_per_log)
        assert process.differing == 0
    check(process, acknowledged)
    assert len(acknowledged) >= 240
    process.kill()
