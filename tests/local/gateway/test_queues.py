"""SQS through the gateway: waiting for messages happens outside the log."""

from __future__ import annotations

import threading
import time

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def queue(aws):
    return aws.client("sqs").create_queue(QueueName="q")["QueueUrl"]


def test_waiting_ends_when_a_message_comes(aws, queue):
    threading.Timer(0.3, lambda: aws.client("sqs").send_message(QueueUrl=queue, MessageBody="m")).start()
    began = time.monotonic()
    messages = aws.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
    assert [message["Body"] for message in messages] == ["m"]
    assert 0.2 < time.monotonic() - began < 9


def test_waiting_ends_in_time_and_does_not_hold_up_others(aws, queue):
    written = []

    def write():
        aws.client("ssm").put_parameter(Name="/p", Value="1", Type="String")
        written.append(time.monotonic())

    aws.client("ssm").describe_parameters()  # loads the service
    threading.Timer(0.2, write).start()
    began = time.monotonic()
    assert "Messages" not in aws.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=1)
    ended = time.monotonic()
    assert 0.8 < ended - began < 9
    assert written and written[0] < ended


def test_the_queues_own_wait_counts(aws):
    attributes = {"ReceiveMessageWaitTimeSeconds": "1"}
    queue = aws.client("sqs").create_queue(QueueName="patient", Attributes=attributes)["QueueUrl"]
    began = time.monotonic()
    aws.client("sqs").receive_message(QueueUrl=queue)
    assert time.monotonic() - began > 0.8


def test_asking_an_empty_queue_leaves_no_trace_in_the_log(aws, queue):
    records = (aws.home / "journal").glob("log-*")
    log = next(records)
    before = log.stat().st_size
    aws.client("sqs").receive_message(QueueUrl=queue)
    assert log.stat().st_size == before


def test_errors_come_through(aws, queue):
    with pytest.raises(ClientError) as caught:
        aws.client("sqs").receive_message(QueueUrl=queue + "-other", WaitTimeSeconds=5)
    assert caught.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    with pytest.raises(ClientError, match="between 0 and 20"):
        aws.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=21)


def test_what_is_in_flight_stays_in_flight_over_a_restart(aws, queue):
    aws.client("sqs").send_message(QueueUrl=queue, MessageBody="m")
    message = aws.client("sqs").receive_message(QueueUrl=queue)["Messages"][0]
    aws.restart()
    assert "Messages" not in aws.client("sqs").receive_message(QueueUrl=queue)
    aws.client("sqs").change_message_visibility(
        QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
    )
    again = aws.client("sqs").receive_message(QueueUrl=queue)["Messages"][0]
    assert again["MessageId"] == message["MessageId"]
