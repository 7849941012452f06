"""What monitors hang on: rules on alarms and failed jobs that start machines and tell topics, in moved time."""

from __future__ import annotations

import json
from typing import Any

import pytest

HUB, DEV = "111111111111", "222222222222"
COOL_DOWN = 7000
METRIC = {"Namespace": "MLOps/Monitoring", "MetricName": "Violations"}


def role(aws: Any, name: str, service: str) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    return str(aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=policy)["Role"]["Arn"])


def received(aws: Any, url: str) -> list[Any]:
    sqs, found = aws.client("sqs"), []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(message["Body"]) for message in messages]
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def retraining(url: str) -> dict[str, Any]:
    """Ends when another execution runs; else does its work (here: a message) and then waits for the cool-down."""
    executions = {"StateMachineArn.$": "$$.StateMachine.Id", "StatusFilter": "RUNNING"}
    message = {"QueueUrl": url, "MessageBody.$": "States.JsonToString($.detail.alarmName)"}
    return {
        "StartAt": "Look",
        "States": {
            "Look": {
                "Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sfn:listExecutions", "Parameters": executions,
                "ResultPath": "$.running", "Next": "Alone",
            },
            "Alone": {
                "Type": "Choice", "Default": "Retrain",
                "Choices": [{"Variable": "$.running.Executions[1]", "IsPresent": True, "Next": "Cooling"}],
            },
            "Cooling": {"Type": "Succeed"},
            "Retrain": {
                "Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sqs:sendMessage", "Parameters": message,
                "Next": "CoolDown",
            },
            "CoolDown": {"Type": "Wait", "Seconds": COOL_DOWN, "End": True},
        },
    }  # fmt: skip


def test_an_alarm_retrains_once_in_a_cool_down(aws: Any) -> None:
    url = aws.client("sqs").create_queue(QueueName="retrained")["QueueUrl"]
    machine = aws.client("stepfunctions").create_state_machine(
        name="retrain", definition=json.dumps(retraining(url)), roleArn=role(aws, "states", "states")
    )["stateMachineArn"]
    pattern = {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "detail": {"alarmName": [{"prefix": "drift-"}], "state": {"value": ["ALARM"]}},
    }
    events, cloudwatch = aws.client("events"), aws.client("cloudwatch")
    events.put_rule(Name="retrain", EventPattern=json.dumps(pattern))
    target = {"Id": "1", "Arn": machine, "RoleArn": role(aws, "events", "events")}
    events.put_targets(Rule="retrain", Targets=[target])
    for name in ("drift-of-e", "other"):
        cloudwatch.put_metric_alarm(
            AlarmName=name, **METRIC, Statistic="Sum", Period=300, EvaluationPeriods=1, Threshold=0,
            ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
        )  # fmt: skip
    for _ in range(5):  # 20 minutes of drift, 40 without, five times: the alarm goes off each time
        for value in (4, 0):
            cloudwatch.put_metric_data(
                Namespace="MLOps/Monitoring", MetricData=[{"MetricName": "Violations", "Value": value}]
            )
            aws.world.walk.advance(20 * 60)
        aws.world.walk.advance(20 * 60)
    assert received(aws, url) == ["drift-of-e"] * 3, "at 0, 2 and 4 hours; not at 1 and 3"
    executions = aws.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    assert len(executions) == 5


@pytest.mark.parametrize("name, status, heard", [
    ("mon-e-1234", "Failed", True), ("mon-e-1234", "Completed", False), ("train-e-1234", "Failed", False),
])  # fmt: skip
def test_a_failed_job_of_a_monitor_is_told_to_a_topic_of_the_hub(aws: Any, name: str, status: str, heard: bool) -> None:
    sns = aws.client("sns")
    url = aws.client("sqs").create_queue(QueueName="told")["QueueUrl"]
    topic = sns.create_topic(Name="told")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:{HUB}:told")
    statement = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish"}
    policy = {"Version": "2012-10-17", "Statement": [{**statement, "Resource": topic}]}
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(policy))
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Processing Job State Change"],
        "detail": {"ProcessingJobStatus": ["Failed", "Stopped"], "ProcessingJobName": [{"prefix": "mon-"}]},
    }
    aws.client("events", "dev").put_rule(Name="failed", EventPattern=json.dumps(pattern))
    aws.client("events", "dev").put_targets(Rule="failed", Targets=[{"Id": "1", "Arn": topic}])
    detail = {"ProcessingJobName": name, "ProcessingJobStatus": status}
    aws.world.emit(DEV, "us-east-1", "aws.sagemaker", "SageMaker Processing Job State Change", detail)
    aws.world.tasks.settle(10)
    told = [json.loads(envelope["Message"])["detail"] for envelope in received(aws, url)]
    assert told == ([detail] if heard else [])
