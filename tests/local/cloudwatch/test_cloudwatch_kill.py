"""``kill -9`` of the whole embedded AWS between data and alarm: no state is lost, and every change is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from botocore.config import Config

from orchestrator.local.protocol.models import client_maker

ROOT = Path(__file__).parents[3]
SERVER = """
import sys, threading
from pathlib import Path
from orchestrator.local.embedded import EmbeddedAws
from orchestrator.local.services import cloudwatch, events
aws = EmbeddedAws(Path(sys.argv[1]), services=[cloudwatch.SERVICE, events.SERVICE])
aws.start()
print(aws.endpoint, flush=True)
threading.Event().wait()
"""
ALARMS = 6
TOPIC = "arn:aws:sns:us-east-1:111111111111:t"


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

    def advance(self, seconds: float) -> None:
        data = json.dumps({"seconds": seconds}).encode()
        urllib.request.urlopen(f"{self.endpoint}/_local/clock/advance", data=data).close()

    def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def measure(server: Process, value: float) -> None:
    data = [{"MetricName": f"m{number}", "Value": value} for number in range(ALARMS)]
    server.client("cloudwatch").put_metric_data(Namespace="n", MetricData=data)


def test_every_change_is_told_though_the_process_dies_after_each_request(tmp_path: Path) -> None:
    server = Process(tmp_path)
    server.client("sqs").create_queue(QueueName="q")
    server.client("sns").create_topic(Name="t")
    server.client("sns").subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:111111111111:q")
    for number in range(ALARMS):
        server.client("cloudwatch").put_metric_alarm(
            AlarmName=f"a{number}", Namespace="n", MetricName=f"m{number}", Statistic="Maximum", Period=60,
            EvaluationPeriods=1, Threshold=0, ComparisonOperator="GreaterThanThreshold", AlarmActions=[TOPIC],
            OKActions=[TOPIC],
        )  # fmt: skip
    measure(server, 1)
    server.kill()
    server = Process(tmp_path)
    server.advance(120)
    measure(server, 0)
    server.kill()
    server = Process(tmp_path)
    server.advance(60)
    sqs = server.client("sqs")
    url = sqs.get_queue_url(QueueName="q")["QueueUrl"]
    told: set[tuple[str, str]] = set()
    deadline = time.monotonic() + 20
    while len(told) < 2 * ALARMS and time.monotonic() < deadline:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            body = json.loads(json.loads(message["Body"])["Message"])
            told.add((body["AlarmName"], body["NewStateValue"]))
    alarms = server.client("cloudwatch").describe_alarms()["MetricAlarms"]
    server.kill()
    assert {alarm["StateValue"] for alarm in alarms} == {"OK"}
    assert told == {(f"a{number}", state) for number in range(ALARMS) for state in ("ALARM", "OK")}
