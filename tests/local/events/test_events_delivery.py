"""Events that arrive: every kind of target, retries, dead letters, schedules, and restarts in between."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from orchestrator.local.service import Call, Service, ServiceError
from orchestrator.local.services.events.schedules import SCHEDULE_TASK
from orchestrator.local.store import Document, Key
from tests.local.waiting import until

PATTERN = json.dumps({"source": ["shop"]})
ROLE = "arn:aws:iam::111111111111:role/events"


class Shop:
    """An account with a rule for the shop's events, and a queue to look into."""

    def __init__(self, aws: Any, account: str = "orchestrator") -> None:
        self.aws = aws
        self.account = aws.account(account)
        self.events, self.sqs = aws.client("events", account), aws.client("sqs", account)
        self.url = self.sqs.create_queue(QueueName="q")["QueueUrl"]
        self.queue = f"arn:aws:sqs:us-east-1:{self.account}:q"
        trust = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sts:AssumeRole"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        aws.client("iam", account).create_role(RoleName="events", AssumeRolePolicyDocument=policy)

    def rule(self, arn: str, name: str = "r", bus: str = "default", **target: Any) -> None:
        self.events.put_rule(Name=name, EventPattern=PATTERN, EventBusName=bus)
        self.events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "1", "Arn": arn, **target}])

    def sell(self, **detail: Any) -> str:
        entry = {"Source": "shop", "DetailType": "sold", "Detail": json.dumps(detail), "Resources": ["res"]}
        return str(self.events.put_events(Entries=[entry])["Entries"][0]["EventId"])

    def received(self) -> list[Any]:
        answer = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        for message in answer.get("Messages", []):
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return list(answer.get("Messages", []))

    def first(self) -> Any:
        return until(self.received)[0]


def deliveries(aws: Any) -> list[Any]:
    return list(aws.world.store.list("events", "Delivery"))


def test_a_queue_gets_the_event(aws: Any) -> None:
    shop = Shop(aws)
    shop.rule(shop.queue)
    identity = shop.sell(n=1)
    event = json.loads(shop.first()["Body"])
    assert event.pop("time").endswith("Z")
    assert event == {
        "version": "0", "id": identity, "detail-type": "sold", "source": "shop", "account": "111111111111",
        "region": "us-east-1", "resources": ["res"], "detail": {"n": 1},
    }  # fmt: skip
    until(lambda: not deliveries(aws))


def test_only_enabled_rules_that_match_deliver(aws: Any) -> None:
    shop = Shop(aws)
    shop.rule(shop.queue, "off", Input='"off"')
    shop.events.disable_rule(Name="off")
    shop.events.put_rule(Name="other", EventPattern='{"source": ["mill"]}')
    shop.events.put_targets(Rule="other", Targets=[{"Id": "1", "Arn": shop.queue, "Input": '"other"'}])
    shop.rule(shop.queue, "on", Input='"on"')
    shop.sell()
    assert shop.first()["Body"] == '"on"'
    assert not deliveries(aws)


def test_a_topic_gets_the_transformed_text(aws: Any) -> None:
    shop = Shop(aws)
    topic = aws.client("sns").create_topic(Name="t")["TopicArn"]
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=shop.queue)
    transformer = {"InputPathsMap": {"n": "$.detail.n"}, "InputTemplate": '"sold <n>"'}
    shop.rule(topic, InputTransformer=transformer)
    shop.sell(n=7)
    assert json.loads(shop.first()["Body"])["Message"] == '"sold 7"'


def test_a_log_group_gets_a_line_for_each_event(aws: Any) -> None:
    shop, logs = Shop(aws), aws.client("logs")
    logs.create_log_group(logGroupName="/aws/events/shop")
    shop.rule("arn:aws:logs:us-east-1:111111111111:log-group:/aws/events/shop:*", InputPath="$.detail")
    shop.sell(n=1)
    shop.sell(n=2)

    def lines() -> list[str]:
        found = logs.filter_log_events(logGroupName="/aws/events/shop")["events"]
        return sorted(line["message"] for line in found)

    until(lambda: lines() == ['{"n":1}', '{"n":2}'])


def test_events_travel_between_buses_and_accounts_as_they_are(aws: Any) -> None:
    here, there = Shop(aws), Shop(aws, "dev")
    here.events.create_event_bus(Name="orders")
    there.rule(there.queue)
    here.rule("arn:aws:events:us-east-1:222222222222:event-bus/default", bus="orders")
    here.rule("arn:aws:events:us-east-1:111111111111:event-bus/orders")
    identity = here.sell(n=1)
    event = json.loads(there.first()["Body"])
    assert (event["id"], event["account"]) == (identity, "111111111111")


def test_an_event_does_not_circle_for_ever(aws: Any) -> None:
    shop = Shop(aws)
    shop.events.create_event_bus(Name="a")
    shop.rule("arn:aws:events:us-east-1:111111111111:event-bus/a")
    shop.rule("arn:aws:events:us-east-1:111111111111:event-bus/default", bus="a")
    shop.sell()
    until(lambda: not deliveries(aws))


class Receiver(Service):
    """A service that remembers what it was asked, and fails when it is told to."""

    failures: list[ServiceError]
    asked: list[tuple[str, Document, str]]

    def __init__(self, world: Any) -> None:
        super().__init__(world)
        self.failures, self.asked = [], []

    def receive(self, call: Call, parameters: Document) -> Document:
        self.asked.append((call.account, parameters, call.headers.get("x-embedded-aws-rule", "")))
        if self.failures:
            raise self.failures.pop(0)
        return {}


class Functions(Receiver):
    name = "lambda"

    def Invoke(self, call: Call, parameters: Document) -> Document:
        return {"StatusCode": 202, **self.receive(call, parameters)}


class Machines(Receiver):
    name = "stepfunctions"

    def StartExecution(self, call: Call, parameters: Document) -> Document:
        return {"executionArn": "arn", "startDate": 1.0, **self.receive(call, parameters)}


class Pipelines(Receiver):
    name = "codepipeline"

    def StartPipelineExecution(self, call: Call, parameters: Document) -> Document:
        return self.receive(call, parameters)


FUNCTION = "arn:aws:lambda:us-east-1:222222222222:function:f"
MACHINE = "arn:aws:states:us-east-1:111111111111:stateMachine:m"
PIPELINE = "arn:aws:codepipeline:us-east-1:111111111111:p"


@pytest.fixture
def receivers(make_aws: Any) -> tuple[Any, dict[str, Receiver]]:
    from orchestrator.local.services.events import SERVICE

    aws = make_aws(SERVICE, Functions, Machines, Pipelines)
    return aws, aws.services


def test_functions_machines_and_pipelines_are_started(receivers: Any) -> None:
    aws, services = receivers
    shop = Shop(aws)
    shop.rule(FUNCTION, "a")
    shop.rule(MACHINE, "b", RoleArn=ROLE, InputPath="$.detail")
    overrides = {"variables": [{"name": "n", "value": "1"}], "other": 1}
    shop.rule(PIPELINE, "c", RoleArn=ROLE, Input=json.dumps(overrides))
    identity = shop.sell(n=1)
    until(lambda: all(services[name].asked for name in ("lambda", "stepfunctions", "codepipeline")))
    ((account, function, _),) = services["lambda"].asked
    assert (account, function["InvocationType"], json.loads(function["Payload"])["id"]) == (
        "222222222222", "Event", identity,
    )  # fmt: skip
    ((_, machine, _),) = services["stepfunctions"].asked
    assert (machine["input"], machine["name"][:36]) == ('{"n":1}', identity)
    ((_, pipeline, rule),) = services["codepipeline"].asked
    assert pipeline["clientRequestToken"].startswith(identity)
    assert pipeline["variables"] == overrides["variables"]
    assert rule == "arn:aws:events:us-east-1:111111111111:rule/c"


def test_a_failed_delivery_is_repeated_with_the_same_token(receivers: Any) -> None:
    aws, services = receivers
    shop = Shop(aws)
    failures = [ServiceError("ThrottlingException", "later"), ServiceError("Oops", "", 503)]
    services["codepipeline"].failures = failures * 2
    shop.rule(PIPELINE, RoleArn=ROLE)
    shop.sell()
    until(lambda: not deliveries(aws))
    tokens = [parameters["clientRequestToken"] for _, parameters, _ in services["codepipeline"].asked]
    assert len(tokens) > 2
    assert len(set(tokens)) == 1


def test_a_machine_that_was_started_already_is_fine(receivers: Any) -> None:
    aws, services = receivers
    shop = Shop(aws)
    services["stepfunctions"].failures = [ServiceError("ExecutionAlreadyExists", "there")]
    shop.rule(MACHINE, RoleArn=ROLE, DeadLetterConfig={"Arn": shop.queue})
    shop.sell()
    until(lambda: services["stepfunctions"].asked and not deliveries(aws))
    assert shop.received() == []


@pytest.mark.parametrize("failure, policy, code, why, attempts", [
    (ServiceError("ResourceNotFoundException", "no function", 404), {}, "NO_RESOURCE", "", "0"),
    (ServiceError("TooManyRequestsException", "slow", 429), {"MaximumRetryAttempts": 1}, "THROTTLING",
     "MaximumRetryAttempts", "1"),
])  # fmt: skip
def test_what_cannot_be_delivered_goes_to_the_dead_letter_queue(
    receivers: Any, failure: ServiceError, policy: dict[str, Any], code: str, why: str, attempts: str
) -> None:
    aws, services = receivers
    shop = Shop(aws)
    services["lambda"].failures = [failure] * 9  # botocore asks three times each
    shop.rule(FUNCTION, DeadLetterConfig={"Arn": shop.queue}, RetryPolicy=policy, Input='"for the function"')
    identity = shop.sell()
    letter = shop.first()
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert json.loads(letter["Body"])["id"] == identity
    assert attributes == {
        "RULE_ARN": "arn:aws:events:us-east-1:111111111111:rule/r",
        "TARGET_ARN": FUNCTION,
        "ERROR_CODE": code,
        "ERROR_MESSAGE": failure.message,
        **({"EXHAUSTED_RETRY_CONDITION": why} if why else {}),
        "RETRY_ATTEMPTS": attempts,
    }
    until(lambda: not deliveries(aws))


def test_what_was_accepted_is_delivered_after_a_restart(aws: Any) -> None:
    shop = Shop(aws)
    shop.rule(shop.queue)
    aws.world.tasks.stop()  # nothing runs any more, as if the process had been killed right after the answer
    identity = shop.sell(n=1)
    assert len(deliveries(aws)) == 1
    aws.restart()
    assert json.loads(shop.first()["Body"])["id"] == identity


def test_a_schedule_fires_and_what_was_missed_fires_once(aws: Any) -> None:
    shop = Shop(aws)
    shop.events.put_rule(Name="tick", ScheduleExpression="rate(1 minute)")
    shop.events.put_targets(Rule="tick", Targets=[{"Id": "1", "Arn": shop.queue}])
    key = Key("111111111111", "us-east-1", "events", "Rule", "default/tick")
    due = aws.world.store.get(key)["next"]
    assert 55 < due - time.time() <= 60
    aws.world.store.patch(key, next=due - 3600)
    aws.world.tasks.schedule(SCHEDULE_TASK, key)
    event = json.loads(shop.first()["Body"])
    assert (event["detail-type"], event["source"], event["detail"]) == ("Scheduled Event", "aws.events", {})
    assert event["resources"] == ["arn:aws:events:us-east-1:111111111111:rule/tick"]
    assert 55 < aws.world.store.get(key)["next"] - time.time() <= 60
    assert shop.received() == []


def test_a_disabled_schedule_does_not_fire(aws: Any) -> None:
    shop = Shop(aws)
    shop.events.put_rule(Name="tick", ScheduleExpression="rate(1 minute)", State="DISABLED")
    shop.events.put_targets(Rule="tick", Targets=[{"Id": "1", "Arn": shop.queue}])
    key = Key("111111111111", "us-east-1", "events", "Rule", "default/tick")
    aws.world.store.patch(key, next=time.time() - 1)
    aws.world.tasks.schedule(SCHEDULE_TASK, key)
    shop.events.enable_rule(Name="tick")
    assert aws.world.store.get(key)["next"] > time.time() + 50
    assert shop.received() == []
