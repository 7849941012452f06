"""Dead-letter queues of rules, as a template makes them: who may fill them, and with what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from orchestrator.local.authorization.denials import FILE
from orchestrator.local.services.events.dead_letters import error_code, fault
from tests.local.conftest import Aws
from tests.local.waiting import until

HUB, DEV = "111111111111", "222222222222"
QUEUE = "mlops-orchestrator-dead-letters"
GONE = f"arn:aws:states:us-east-1:{HUB}:stateMachine:gone"
NAMED = {"Capabilities": ["CAPABILITY_NAMED_IAM"]}


@pytest.fixture(scope="module")
def enforcing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    running = Aws(tmp_path_factory.mktemp("letters") / "home", authorization="enforce")
    yield running
    running.stop()


def queue_template(name: str, sources: str) -> dict[str, Any]:
    """A queue that EventBridge may fill for these rules."""
    fill = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": {"Fn::GetAtt": ["Letters", "Arn"]},
        "Condition": {"ArnLike": {"aws:SourceArn": sources}, "StringEquals": {"aws:SourceAccount": HUB}},
    }
    lock = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": {"Fn::GetAtt": ["Letters", "Arn"]},
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = {"Version": "2012-10-17", "Statement": [fill, lock]}
    properties = {"QueueName": name, "SqsManagedSseEnabled": True, "MessageRetentionPeriod": 1209600}
    return {
        "Letters": {"Type": "AWS::SQS::Queue", "Properties": properties},
        "Filling": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {"Queues": [{"Ref": "Letters"}], "PolicyDocument": policy},
        },
    }


def rule_template(name: str, queue: Any) -> dict[str, Any]:
    """A rule whose state machine is not there."""
    trust = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sts:AssumeRole"}
    start = {"Effect": "Allow", "Action": "states:StartExecution", "Resource": GONE}
    version = {"Version": "2012-10-17"}
    role = {
        "AssumeRolePolicyDocument": {**version, "Statement": [trust]},
        "Policies": [{"PolicyName": "start", "PolicyDocument": {**version, "Statement": [start]}}],
    }
    target = {
        "Id": "machine",
        "Arn": GONE,
        "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
        "DeadLetterConfig": {"Arn": queue},
        "InputTransformer": {"InputPathsMap": {"n": "$.detail.n"}, "InputTemplate": '{"number": <n>}'},
    }
    rule = {"Name": name, "EventPattern": {"source": [name]}, "Targets": [target]}
    return {
        "Role": {"Type": "AWS::IAM::Role", "Properties": role},
        "Rule": {"Type": "AWS::Events::Rule", "Properties": rule},
    }


def deploy(aws: Aws, name: str, resources: dict[str, Any], account: str = HUB) -> str:
    cloudformation = aws.client("cloudformation", account)
    body = json.dumps({"Resources": resources})
    cloudformation.create_stack(StackName=name, TemplateBody=body, **NAMED)

    def status() -> str:
        found = str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
        return "" if found.endswith("_IN_PROGRESS") else found

    return str(until(status))


def tell(aws: Aws, source: str) -> str:
    entry = {"Source": source, "DetailType": "told", "Detail": json.dumps({"n": 7})}
    return str(aws.client("events").put_events(Entries=[entry])["Entries"][0]["EventId"])


def letters(aws: Aws, account: str = HUB) -> list[Any]:
    sqs = aws.client("sqs", account)
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get("Messages", [])
    for message in found:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return list(found)


def test_what_a_rule_cannot_deliver_lies_in_its_queue(enforcing: Aws) -> None:
    rules = f"arn:aws:events:us-east-1:{HUB}:rule/mlops-*"
    queue = {"Fn::GetAtt": ["Letters", "Arn"]}
    resources = queue_template(QUEUE, rules) | rule_template("mlops-known", queue)
    assert deploy(enforcing, "letters", resources) == "CREATE_COMPLETE"
    sqs = enforcing.client("sqs")
    about = sqs.get_queue_attributes(QueueUrl=sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"], AttributeNames=["All"])
    assert about["Attributes"]["SqsManagedSseEnabled"] == "true"

    identity = tell(enforcing, "mlops-known")
    (letter,) = until(lambda: letters(enforcing))
    event = json.loads(letter["Body"])
    assert (event["id"], event["detail"]) == (identity, {"n": 7})  # as it came, not as the target would have got it
    told = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert "gone" in told.pop("ERROR_MESSAGE")
    assert told == {
        "RULE_ARN": f"arn:aws:events:us-east-1:{HUB}:rule/mlops-known",
        "TARGET_ARN": GONE,
        "ERROR_CODE": "NO_RESOURCE",
        "RETRY_ATTEMPTS": "0",
    }

    # a rule that the queue's policy does not know
    arn = f"arn:aws:sqs:us-east-1:{HUB}:{QUEUE}"
    assert deploy(enforcing, "stranger", rule_template("stranger", arn)) == "CREATE_COMPLETE"
    tell(enforcing, "stranger")
    denied = until(lambda: [one for one in denials(enforcing) if "sqs:SendMessage" in one])
    assert denied == [
        f"Principal: events.amazonaws.com is not authorized to perform: sqs:SendMessage on resource: {arn}"
        " because no resource-based policy allows the sqs:SendMessage action"
    ]
    assert letters(enforcing) == []


def denials(aws: Aws) -> list[str]:
    file = aws.home / FILE
    return [json.loads(line)["message"] for line in file.read_text().splitlines()] if file.exists() else []


def test_the_queue_may_lie_in_another_account_that_lets_the_rule_in(enforcing: Aws) -> None:
    rule = f"arn:aws:events:us-east-1:{HUB}:rule/across"
    assert deploy(enforcing, "letters", queue_template(QUEUE, rule), DEV) == "CREATE_COMPLETE"
    queue = f"arn:aws:sqs:us-east-1:{DEV}:{QUEUE}"
    assert deploy(enforcing, "across", rule_template("across", queue)) == "CREATE_COMPLETE"
    identity = tell(enforcing, "across")
    (letter,) = until(lambda: letters(enforcing, DEV))
    assert json.loads(letter["Body"])["id"] == identity


@pytest.mark.parametrize(
    "queue, reason",
    [
        (f"arn:aws:sqs:us-east-1:{HUB}:q", ""),
        (f"arn:aws:sqs:us-east-1:{DEV}:q", ""),
        (f"arn:aws:sqs:us-east-1:{HUB}:q.fifo", "a dead-letter queue is a standard SQS queue"),
        (f"arn:aws:sns:us-east-1:{HUB}:q", "a dead-letter queue is a standard SQS queue"),
        (f"arn:aws:sqs:eu-west-1:{HUB}:q", "a dead-letter queue is in the region of its rule, us-east-1"),
    ],
)
def test_which_queues_are_taken(queue: str, reason: str) -> None:
    assert fault(queue, "us-east-1") == reason


def test_another_queue_fails_the_stack(enforcing: Aws) -> None:
    wrong = rule_template("wrong", f"arn:aws:sqs:us-east-1:{HUB}:letters.fifo")
    assert deploy(enforcing, "wrong", wrong) == "ROLLBACK_COMPLETE"
    events = enforcing.client("cloudformation").describe_stack_events(StackName="wrong")["StackEvents"]
    reasons = [one.get("ResourceStatusReason", "") for one in events if one["ResourceStatus"] == "CREATE_FAILED"]
    assert "a dead-letter queue is a standard SQS queue" in reasons[0]


@pytest.mark.parametrize(
    "code, status, operation, told",
    [
        ("AccessDeniedException", 403, "Invoke", "NO_PERMISSIONS"),
        ("AccessDenied", 403, "AssumeRole", "FAILED_TO_ASSUME_ROLE"),
        ("StateMachineDoesNotExist", 400, "StartExecution", "NO_RESOURCE"),
        ("AWS.SimpleQueueService.NonExistentQueue", 400, "SendMessage", "NO_RESOURCE"),
        ("ThrottlingException", 400, "Invoke", "THROTTLING"),
        ("Odd", 429, "Invoke", "THROTTLING"),
        ("ExecutionLimitExceeded", 400, "StartExecution", "RESOURCE_LIMIT_EXCEEDED"),
        ("ValidationException", 400, "StartExecution", "INVALID_PARAMETER"),
        ("ServiceUnavailable", 503, "Invoke", "INTERNAL_ERROR"),
        ("Odd", 400, "Invoke", "SDK_CLIENT_ERROR"),
    ],
)
def test_errors_of_targets_in_the_words_of_eventbridge(code: str, status: int, operation: str, told: str) -> None:
    answer: Any = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}}
    assert error_code(ClientError(answer, operation)) == told
