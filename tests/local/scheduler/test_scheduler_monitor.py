"""The whole chain of a monitor: a schedule starts a job, which writes a metric, which raises an alarm that is told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HUB, DEV = "111111111111", "222222222222"
IMAGE = f"{HUB}.dkr.ecr.us-east-1.amazonaws.com/looks:1"
JOB = """
import os, sys
import boto3
from datetime import datetime
until = datetime.fromisoformat(sys.argv[sys.argv.index("--until") + 1])
assert float(os.environ["MLOPS_CLOCK_OFFSET_SECONDS"]) > 0
drift = until.hour == int(os.environ["DRIFTS_AT"])
datum = {"MetricName": "Violations", "Timestamp": until, "Value": 4.0 if drift else 0.0}
boto3.client("cloudwatch").put_metric_data(Namespace="MLOps/Monitoring", MetricData=[datum])
"""


def role(aws: Any, service: str) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    made = aws.client("iam", "dev").create_role(RoleName=service, AssumeRolePolicyDocument=policy)
    return str(made["Role"]["Arn"])


def request(aws: Any, drifts_at: int) -> str:
    """The processing job that each hour starts."""
    return json.dumps({
        "ProcessingJobName": "mon-e-<aws.scheduler.execution-id>",
        "RoleArn": role(aws, "sagemaker"),
        "AppSpecification": {
            "ImageUri": IMAGE,
            "ContainerArguments": ["--until", "<aws.scheduler.scheduled-time>"],
        },
        "Environment": {"DRIFTS_AT": str(drifts_at)},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5}
        },
    })  # fmt: skip


def received(aws: Any, url: str) -> list[Any]:
    answer = aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [json.loads(json.loads(message["Body"])["Message"]) for message in answer.get("Messages", [])]


def test_drift_in_one_hour_is_told_once(aws: Any, tmp_path: Path) -> None:
    program = tmp_path / "job.py"
    program.write_text(JOB)
    (aws.home / "images.json").write_text(json.dumps({IMAGE: {"process": [sys.executable, str(program)]}}))
    url = aws.client("sqs").create_queue(QueueName="drift")["QueueUrl"]
    topic = aws.client("sns").create_topic(Name="drift")["TopicArn"]
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:{HUB}:drift")
    aws.client("cloudwatch", "dev").put_metric_alarm(
        AlarmName="drift", Namespace="MLOps/Monitoring", MetricName="Violations", Statistic="Maximum", Period=3600,
        EvaluationPeriods=1, Threshold=0, ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
        AlarmActions=[topic], OKActions=[topic],
    )  # fmt: skip
    aws.world.clock.move_to(aws.world.now() // 3600 * 3600 + 5400)
    second = (int(aws.world.now() // 3600) + 2) % 24
    target = {
        "Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:createProcessingJob",
        "RoleArn": role(aws, "scheduler"),
        "Input": request(aws, second),
    }
    aws.client("scheduler", "dev").create_schedule(
        Name="m", ScheduleExpression="cron(0 * * * ? *)", FlexibleTimeWindow={"Mode": "OFF"}, Target=target
    )
    aws.world.walk.advance(3 * 3600, patience=60)
    aws.world.walk.advance(120, patience=60)
    jobs = aws.client("sagemaker", "dev").list_processing_jobs()["ProcessingJobSummaries"]
    assert [job["ProcessingJobStatus"] for job in jobs] == ["Completed"] * 3
    told = received(aws, url)
    assert [message["NewStateValue"] for message in told] == ["OK", "ALARM", "OK"]
    assert told[1]["NewStateReason"].startswith("Threshold Crossed: 1 out of the last 1 datapoints [4.0 (")
