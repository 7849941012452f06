"""``kill -9`` of the whole embedded AWS between data and alarm: no state is lost, and every change is told."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.local.killable import Process

SERVICES = ("cloudwatch", "events")
ALARMS = 6
TOPIC = "arn:aws:sns:us-east-1:111111111111:t"


def measure(server: Process, value: float) -> None:
    data = [{"MetricName": f"m{number}", "Value": value} for number in range(ALARMS)]
    server.client("cloudwatch").put_metric_data(Namespace="n", MetricData=data)


def test_every_change_is_told_though_the_process_dies_after_each_request(tmp_path: Path) -> None:
    server = Process(tmp_path, *SERVICES)
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
    server = Process(tmp_path, *SERVICES)
    server.clock(120)
    measure(server, 0)
    server.kill()
    server = Process(tmp_path, *SERVICES)
    server.clock(60)
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
