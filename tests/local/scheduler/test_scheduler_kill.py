"""``kill -9`` of the whole embedded AWS while a day of schedules passes."""

from __future__ import annotations

import contextlib
import json
import random
import threading
from datetime import UTC, datetime
from pathlib import Path

from tests.local.killable import Process

HOURS, KILLS = 48, 3


def make(server: Process) -> str:
    """An hourly schedule that writes the time and the execution's id into a queue."""
    trust = {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = server.client("iam").create_role(RoleName="s", AssumeRolePolicyDocument=policy)["Role"]["Arn"]
    url = str(server.client("sqs").create_queue(QueueName="q")["QueueUrl"])
    said = json.dumps({"time": "<aws.scheduler.scheduled-time>", "id": "<aws.scheduler.execution-id>"})
    target = {"Arn": "arn:aws:sqs:us-east-1:111111111111:q", "RoleArn": role, "Input": said}
    server.client("scheduler").create_schedule(
        Name="s", ScheduleExpression="cron(0 * * * ? *)", Target=target, FlexibleTimeWindow={"Mode": "OFF"}
    )
    return url


def received(server: Process) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    sqs = server.client("sqs")
    url = sqs.get_queue_url(QueueName="q")["QueueUrl"]
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(message["Body"]) for message in messages]
    return found


def test_every_hour_fires_and_none_twice_under_another_id(tmp_path: Path) -> None:
    luck = random.Random(5)
    server = Process(tmp_path, "scheduler")
    make(server)
    began = server.clock()
    for _ in range(KILLS):
        timer = threading.Timer(luck.uniform(0.05, 0.3), server.kill)
        timer.start()
        with contextlib.suppress(OSError):
            server.clock(HOURS * 3600)
        timer.join()
        server = Process(tmp_path, "scheduler")
    while (now := server.clock()) < began + HOURS * 3600:
        server.clock(began + HOURS * 3600 - now + 1)
    found = received(server)
    ended = server.clock()
    server.kill()
    hours = {datetime.fromtimestamp(hour * 3600, UTC) for hour in range(int(began // 3600) + 1, int(ended // 3600) + 1)}
    ids = {(each["time"], each["id"]) for each in found}
    assert {datetime.fromisoformat(time) for time, _ in ids} == hours
    assert len(ids) == len(hours), "a time has one execution id, however often it was delivered"
    assert len(found) <= len(hours) + KILLS
