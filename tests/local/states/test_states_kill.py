"""``kill -9`` of the server again and again while a state machine runs: nothing is lost, nothing is done twice."""

from __future__ import annotations

import io
import json
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from states_drive import SDK, one
from states_rig import ACCOUNT, REGION, ROLE

KILLS = 4
ROUNDS = 3
FUNCTION = "import time\ndef handler(event, context):\n    time.sleep(0.2)\n    return event['n'] + 1"
PATIENT = Config(retries={"total_max_attempts": 8, "mode": "standard"}, s3={"addressing_style": "path"})


class Server:
    """The embedded AWS as a process of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = "0"
        self.start()

    def start(self) -> None:
        (self.home / "local.json").unlink(missing_ok=True)
        command = [sys.executable, "-m", "orchestrator.local", "--home", str(self.home), "--port", self.port]
        command += ["--iam", "report"]  # the machine's role is only a name here
        with (self.home.parent / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        while not (written := self._written()):
            assert self.process.poll() is None, (self.home.parent / "server.log").read_text()
            time.sleep(0.05)
        self.endpoint: str = written["endpoint"]
        self.port = self.endpoint.rpartition(":")[2]

    def _written(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((self.home / "local.json").read_text())
        except (OSError, ValueError):
            return None
        return found

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def client(self, service: str) -> Any:
        keys = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "local"}
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, config=PATIENT, **keys)


def machine() -> dict[str, Any]:
    """Counts with a function, writes an object and waits a little, beside each other, a few times over."""
    count = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "f", "Payload": {"n.$": "$.n"}},
        "ResultSelector": {"n.$": "$.Payload"},
        "Retry": [{"ErrorEquals": ["States.ALL"]}],
        "Next": "Fan",
    }
    put = {
        "Type": "Task",
        "Resource": SDK + "s3:putObject",
        "Parameters": {"Bucket": "bucket", "Key.$": "States.Format('k{}', $.n)", "Body.$": "$"},
        "End": True,
    }
    wait = {"Type": "Wait", "Seconds": 1, "End": True}
    branches = [{"StartAt": name, "States": {name: state}} for name, state in (("Put", put), ("Wait", wait))]
    fan = {"Type": "Parallel", "Branches": branches, "ResultPath": None, "Next": "More"}
    more = {"Variable": "$.n", "NumericLessThan": ROUNDS, "Next": "S"}
    return one(count, Fan=fan, More={"Type": "Choice", "Choices": [more], "Default": "T"}, T={"Type": "Succeed"})


def test_killed_again_and_again(tmp_path: Path) -> None:
    server = Server(tmp_path / "home")
    try:
        execution = begin(server)
        chance = random.Random(7)
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.05, 0.6))
            server.kill()
            server.start()
        ended = until_ended(server, execution)
        assert (ended["status"], ended["output"]) == ("SUCCEEDED", f'{{"n":{ROUNDS}}}')
        pages = server.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution)
        events = [event for page in pages for event in page["events"]]
        assert [event["id"] for event in events] == list(range(1, len(events) + 1))
        counted = Counter(event["type"] for event in events)
        assert counted["TaskSucceeded"] == 2 * ROUNDS
        assert counted["ParallelStateSucceeded"] == counted["WaitStateExited"] == ROUNDS
        assert len(server.client("s3").list_objects_v2(Bucket="bucket")["Contents"]) == ROUNDS
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=20) == 0
    finally:
        server.kill()


def begin(server: Server) -> str:
    server.client("s3").create_bucket(Bucket="bucket")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr("app.py", FUNCTION)
    server.client("lambda").create_function(
        FunctionName="f", Runtime="python3.12", Role=ROLE, Handler="app.handler", Code={"ZipFile": buffer.getvalue()}
    )
    sfn = server.client("stepfunctions")
    arn = sfn.create_state_machine(name="m", definition=json.dumps(machine()), roleArn=ROLE)["stateMachineArn"]
    return str(sfn.start_execution(stateMachineArn=arn, name="e", input='{"n": 0}')["executionArn"])


def until_ended(server: Server, execution: str) -> dict[str, Any]:
    for _ in range(300):
        found: dict[str, Any] = server.client("stepfunctions").describe_execution(executionArn=execution)
        if found["status"] != "RUNNING":
            return found
        time.sleep(0.1)
    raise AssertionError("it did not end within 30 seconds")
