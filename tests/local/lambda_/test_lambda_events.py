"""Asynchronous invocation: retries, destinations, dead letters, restarts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lambda_rig import ACCOUNT, REGION, Rig

from tests.local.waiting import until

COUNTING = """
    import boto3, json

    def handler(event, context):
        boto3.client("sqs").send_message(QueueUrl=event["count"], MessageBody=context.aws_request_id)
        if event.get("fail"):
            raise RuntimeError("again")
        return {"done": event.get("n")}
"""


class Queues:
    """A queue that counts attempts and one for the end, both read as they fill."""

    def __init__(self, rig: Rig) -> None:
        self.sqs = rig.client("sqs")
        self.count = self.sqs.create_queue(QueueName="count")["QueueUrl"]
        self.end = self.sqs.create_queue(QueueName="end")["QueueUrl"]
        self.end_arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:end"
        self.read: dict[str, list[dict[str, Any]]] = {self.count: [], self.end: []}

    def messages(self, url: str) -> list[dict[str, Any]]:
        answer = self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=600
        )
        self.read[url] += answer.get("Messages", [])
        return self.read[url]


def send(rig: Rig, queues: Queues, **event: Any) -> str:
    answer = rig.lambdas.invoke(
        FunctionName="f", InvocationType="Event", Payload=json.dumps({"count": queues.count, **event})
    )
    assert answer["StatusCode"] == 202
    return str(answer["ResponseMetadata"]["RequestId"])


def pending(rig: Rig) -> list[Any]:
    return rig.embedded.world.store.list("lambda", "Event")


@pytest.fixture
def queues(rig: Rig) -> Queues:
    return Queues(rig)


def test_a_failing_event_is_tried_three_times_and_then_told(rig: Rig, queues: Queues) -> None:
    rig.create(COUNTING)
    rig.lambdas.put_function_event_invoke_config(
        FunctionName="f", DestinationConfig={"OnFailure": {"Destination": queues.end_arn}}
    )
    request = send(rig, queues, fail=True)
    told = json.loads(until(lambda: queues.messages(queues.end))[0]["Body"])
    assert [each["Body"] for each in queues.messages(queues.count)] == [request] * 3
    assert told["requestContext"] == {
        "requestId": request,
        "functionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f:$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 3,
    }
    assert told["requestPayload"]["fail"] is True
    assert told["responsePayload"]["errorMessage"] == "again"
    assert told["responseContext"]["functionError"] == "Unhandled"
    until(lambda: not pending(rig))


def test_success_is_told_where_that_is_asked_for(rig: Rig, queues: Queues) -> None:
    rig.create(COUNTING)
    rig.lambdas.put_function_event_invoke_config(
        FunctionName="f", DestinationConfig={"OnSuccess": {"Destination": queues.end_arn}}
    )
    send(rig, queues, n=7)
    told = json.loads(until(lambda: queues.messages(queues.end))[0]["Body"])
    assert told["responsePayload"] == {"done": 7}
    assert (told["requestContext"]["condition"], told["requestContext"]["approximateInvokeCount"]) == ("Success", 1)


def test_dead_letters(rig: Rig, queues: Queues) -> None:
    rig.create(COUNTING, DeadLetterConfig={"TargetArn": queues.end_arn})
    rig.lambdas.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0)
    request = send(rig, queues, fail=True)
    [letter] = until(lambda: queues.messages(queues.end))
    assert json.loads(letter["Body"])["fail"] is True
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert attributes == {"RequestID": request, "ErrorCode": "200", "ErrorMessage": "again"}
    assert len(queues.messages(queues.count)) == 1


def test_an_event_survives_a_restart(rig: Rig, queues: Queues) -> None:
    rig.create("import time\ndef handler(e, c):\n    time.sleep(30)")
    send(rig, queues)
    until(lambda: rig.embedded.services["lambda"].events._at_work)  # type: ignore[attr-defined]
    rig.restart()
    [(_, event)] = pending(rig)
    assert event["attempts"] == 0
    rig.lambdas.delete_function(FunctionName="f")
    rig.create(COUNTING)
    rig.restart()
    until(lambda: queues.messages(queues.count))
    until(lambda: not pending(rig))


def test_more_events_than_workers_wait_their_turn(rig: Rig, queues: Queues) -> None:
    rig.create(COUNTING)
    rig.lambdas.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=2)
    sent = {send(rig, queues, n=number) for number in range(6)}
    until(lambda: len(queues.messages(queues.count)) == 6)
    assert {each["Body"] for each in queues.messages(queues.count)} == sent


def test_events_of_a_deleted_function_are_dropped(rig: Rig, queues: Queues) -> None:
    rig.create("import time\ndef handler(e, c): raise RuntimeError")
    send(rig, queues)
    until(lambda: pending(rig)[0][1]["attempts"] == 1)
    rig.lambdas.delete_function(FunctionName="f")
    until(lambda: not pending(rig))
