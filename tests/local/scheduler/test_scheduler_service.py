"""Schedules through the API: what is refused, what is kept, and what they start."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError

from orchestrator.local.store import Key, Store
from tests.local.conftest import Aws
from tests.local.waiting import until

HUB = "111111111111"
ROLE = f"arn:aws:iam::{HUB}:role/scheduler"
OFF = {"Mode": "OFF"}
HOUR = 3600.0
UNIVERSAL = "arn:aws:scheduler:::aws-sdk:"


class Diary:
    """An account with a role for schedules and a queue to look into."""

    def __init__(self, aws: Any) -> None:
        self.aws = aws
        now = aws.world.now()
        aws.world.clock.move_to(now // HOUR * HOUR + 1.5 * HOUR)  # far from a full hour, whenever the tests run
        self.scheduler, self.sqs = aws.client("scheduler"), aws.client("sqs")
        self.role("scheduler", "scheduler.amazonaws.com")
        self.url = self.sqs.create_queue(QueueName="q")["QueueUrl"]
        self.queue = f"arn:aws:sqs:us-east-1:{HUB}:q"

    def role(self, name: str, principal: str) -> str:
        trust = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        found = self.aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=policy)
        return str(found["Role"]["Arn"])

    def put(self, name: str = "s", expression: str = "cron(0 * * * ? *)", arn: str = "", **members: Any) -> str:
        target = {"Arn": arn or self.queue, "RoleArn": ROLE, **members.pop("Target", {})}
        members = {"FlexibleTimeWindow": OFF, **members}
        made = self.scheduler.create_schedule(Name=name, ScheduleExpression=expression, Target=target, **members)
        return str(made["ScheduleArn"])

    def received(self, url: str = "") -> list[Any]:
        found: list[Any] = []
        ask = {"QueueUrl": url or self.url, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"]}
        while messages := self.sqs.receive_message(**ask).get("Messages"):
            found += messages
            for message in messages:
                self.sqs.delete_message(QueueUrl=ask["QueueUrl"], ReceiptHandle=message["ReceiptHandle"])
        return found

    def bodies(self) -> list[Any]:
        return [json.loads(message["Body"]) for message in self.received()]

    def advance(self, seconds: float) -> None:
        self.aws.world.walk.advance(seconds)


@pytest.fixture
def diary(aws: Any) -> Diary:
    return Diary(aws)


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call()
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


# --- the API


def test_a_schedule_is_shown_as_it_was_made(diary: Diary) -> None:
    start = datetime(2030, 1, 1, tzinfo=UTC)
    window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}
    arn = diary.put(
        Description="d", StartDate=start, ScheduleExpressionTimezone="Europe/Berlin", FlexibleTimeWindow=window,
        Target={"Input": "{}", "RetryPolicy": {"MaximumRetryAttempts": 3}}, State="DISABLED",
    )  # fmt: skip
    assert arn == f"arn:aws:scheduler:us-east-1:{HUB}:schedule/default/s"
    found = diary.scheduler.get_schedule(Name="s")
    assert found["StartDate"] == start
    assert found["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert found["FlexibleTimeWindow"] == window
    assert found["State"] == "DISABLED" and found["ActionAfterCompletion"] == "NONE"
    assert found["Target"]["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 3}


def test_an_update_replaces_everything(diary: Diary) -> None:
    diary.put(Description="d", Target={"Input": '"one"'})
    target = {"Arn": diary.queue, "RoleArn": ROLE}
    diary.scheduler.update_schedule(
        Name="s", ScheduleExpression="rate(1 day)", Target=target, FlexibleTimeWindow=OFF, State="DISABLED"
    )
    found = diary.scheduler.get_schedule(Name="s")
    assert "Description" not in found and "Input" not in found["Target"]
    assert (found["ScheduleExpression"], found["State"]) == ("rate(1 day)", "DISABLED")


def test_the_same_request_twice_makes_one(diary: Diary) -> None:
    first = diary.put(ClientToken="token")
    assert diary.put(ClientToken="token") == first
    assert refusal(lambda: diary.put(ClientToken="other"))[0] == "ConflictException"
    assert refusal(lambda: diary.scheduler.get_schedule(Name="t"))[0] == "ResourceNotFoundException"
    diary.scheduler.delete_schedule(Name="s")
    assert refusal(lambda: diary.scheduler.delete_schedule(Name="s"))[0] == "ResourceNotFoundException"


def test_groups_hold_schedules_and_take_them_along(diary: Diary) -> None:
    assert refusal(lambda: diary.put(GroupName="g"))[0] == "ResourceNotFoundException"
    group = diary.scheduler.create_schedule_group(Name="g", Tags=[{"Key": "a", "Value": "1"}])["ScheduleGroupArn"]
    diary.scheduler.tag_resource(ResourceArn=group, Tags=[{"Key": "b", "Value": "2"}])
    diary.scheduler.untag_resource(ResourceArn=group, TagKeys=["a"])
    assert diary.scheduler.list_tags_for_resource(ResourceArn=group)["Tags"] == [{"Key": "b", "Value": "2"}]
    diary.put("one", GroupName="g")
    diary.put("two")
    names = [found["Name"] for found in diary.scheduler.list_schedules()["Schedules"]]
    assert sorted(names) == ["one", "two"]
    assert [found["Name"] for found in diary.scheduler.list_schedules(GroupName="g")["Schedules"]] == ["one"]
    assert [found["Name"] for found in diary.scheduler.list_schedule_groups()["ScheduleGroups"]] == ["default", "g"]
    page = diary.scheduler.list_schedules(MaxResults=1)
    assert len(diary.scheduler.list_schedules(NextToken=page["NextToken"])["Schedules"]) == 1
    diary.scheduler.delete_schedule_group(Name="g")
    assert [found["Name"] for found in diary.scheduler.list_schedules()["Schedules"]] == ["two"]
    assert refusal(lambda: diary.scheduler.delete_schedule_group(Name="default"))[0] == "ValidationException"


@pytest.mark.parametrize("members, told", [
    ({"expression": "rate(5 weeks)"}, "Invalid Schedule Expression"),
    ({"expression": "at(2020-01-01T00:00:00)"}, "has passed"),
    ({"ScheduleExpressionTimezone": "Mars/Olympus"}, "not a time zone"),
    ({"EndDate": datetime(2020, 1, 1, tzinfo=UTC)}, "must be in the future"),
    ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "MaximumWindowInMinutes"),
    ({"FlexibleTimeWindow": {"Mode": "OFF", "MaximumWindowInMinutes": 5}}, "MaximumWindowInMinutes"),
    ({"arn": "arn:aws:ecs:us-east-1:111111111111:cluster/c"}, "has no such target"),
    ({"arn": UNIVERSAL + "sagemaker:describeEndpoint"}, "only reads"),
    ({"arn": UNIVERSAL + "sagemaker:CreateProcessingJob"}, "not an API action"),
    ({"arn": UNIVERSAL + "sagemaker:createNothing"}, "not an API action"),
    ({"arn": UNIVERSAL + "mainframe:start"}, "no service 'mainframe'"),
    ({"arn": UNIVERSAL + "sqs:sendMessage", "Target": {"Input": '{"Body": "x"}'}}, "that sendMessage has not"),
    ({"arn": UNIVERSAL + "sqs:sendMessage", "Target": {"Input": "no json"}}, "not JSON"),
    ({"arn": UNIVERSAL + "sqs:sendMessage", "Target": {"SqsParameters": {}}}, "a universal target has none"),
    ({"arn": "arn:aws:events:us-east-1:111111111111:event-bus/default"}, "EventBridgeParameters must be given"),
    ({"arn": "arn:aws:sqs:us-east-1:111111111111:q.fifo"}, "MessageGroupId"),
    ({"Target": {"RoleArn": "arn:aws:iam::111111111111:role/nobody"}}, "does not exist"),
    ({"Target": {"RoleArn": "arn:aws:iam::222222222222:role/scheduler"}}, "must be in the schedule's account"),
    ({"KmsKeyArn": "arn:aws:kms:us-east-1:111111111111:key/none"}, "cannot be used"),
])  # fmt: skip
def test_what_is_refused(diary: Diary, members: dict[str, Any], told: str) -> None:
    code, message = refusal(lambda: diary.put(**members))
    assert code == "ValidationException" and told in message
    assert not diary.scheduler.list_schedules()["Schedules"]


def test_a_role_must_trust_the_scheduler(diary: Diary) -> None:
    other = diary.role("other", "events.amazonaws.com")
    code, message = refusal(lambda: diary.put(Target={"RoleArn": other}))
    assert code == "ValidationException" and "does not trust scheduler.amazonaws.com" in message


# --- firing


def test_an_hour_after_another(diary: Diary) -> None:
    parts = ("schedule-arn", "scheduled-time", "execution-id", "attempt-number")
    arn = diary.put(Target={"Input": json.dumps({part: f"<aws.scheduler.{part}>" for part in parts})})
    diary.advance(24 * HOUR)
    found = diary.bodies()
    assert len(found) == 24 and {each["schedule-arn"] for each in found} == {arn}
    times = [datetime.fromisoformat(each["scheduled-time"]) for each in found]
    assert all(later - earlier == timedelta(hours=1) for earlier, later in pairwise(times))
    assert all((time.minute, time.second) == (0, 0) for time in times)
    assert len({each["execution-id"] for each in found}) == 24
    assert {each["attempt-number"] for each in found} == {"1"}


def test_a_rate_fires_at_once_and_a_target_without_input_is_told_of_the_schedule(diary: Diary) -> None:
    arn = diary.put(expression="rate(1 hour)")
    (told,) = until(diary.bodies)
    assert (told["source"], told["detail-type"], told["resources"]) == ("aws.scheduler", "Scheduled Event", [arn])
    diary.advance(2 * HOUR)
    assert len(diary.bodies()) == 2


def test_a_disabled_schedule_rests_and_an_enabled_one_goes_on(diary: Diary) -> None:
    diary.put(State="DISABLED")
    diary.advance(2 * HOUR)
    target = {"Arn": diary.queue, "RoleArn": ROLE}
    settings = {"Name": "s", "ScheduleExpression": "cron(0 * * * ? *)", "Target": target, "FlexibleTimeWindow": OFF}
    diary.scheduler.update_schedule(**settings, State="ENABLED")
    assert diary.received() == []
    diary.advance(HOUR)
    assert len(diary.received()) == 1
    diary.scheduler.delete_schedule(Name="s")
    diary.advance(3 * HOUR)
    assert diary.received() == []


def test_a_schedule_that_is_over_goes_if_it_was_asked_to(diary: Diary) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=2)).strftime("at(%Y-%m-%dT%H:%M:%S)")
    diary.put("gone", soon, ActionAfterCompletion="DELETE")
    diary.put("stays", soon)
    diary.advance(3 * HOUR)
    assert len(diary.received()) == 2
    assert [found["Name"] for found in diary.scheduler.list_schedules()["Schedules"]] == ["stays"]


def test_a_flexible_window_fires_once_within_it(diary: Diary) -> None:
    window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 30}
    diary.put(FlexibleTimeWindow=window, Target={"Input": '"<aws.scheduler.scheduled-time>"'})
    diary.advance(HOUR + 31 * 60)
    assert 1 <= len(diary.bodies()) <= 2


def test_templated_targets_start_what_they_name(diary: Diary) -> None:
    aws = diary.aws
    topic = aws.client("sns").create_topic(Name="t")["TopicArn"]
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=diary.queue)
    aws.client("events").put_rule(Name="r", EventPattern=json.dumps({"source": ["diary"]}))
    aws.client("events").put_targets(Rule="r", Targets=[{"Id": "1", "Arn": diary.queue}])
    states = diary.role("states", "states.amazonaws.com")
    definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
    machine = aws.client("stepfunctions").create_state_machine(name="m", definition=definition, roleArn=states)
    bus = f"arn:aws:events:us-east-1:{HUB}:event-bus/default"
    given = {"Input": '{"a": "<aws.scheduler.attempt-number>"}'}
    diary.put("topic", arn=topic, Target=given)
    diary.put("bus", arn=bus, Target={**given, "EventBridgeParameters": {"Source": "diary", "DetailType": "entry"}})
    diary.put("machine", arn=machine["stateMachineArn"], Target=given)
    diary.advance(HOUR)
    bodies = until(lambda: (found := diary.bodies()) and found) + diary.bodies()
    assert sorted(str(body.get("Message") or body["detail"]) for body in bodies) == ['{"a": "1"}', "{'a': '1'}"]
    listed = aws.client("stepfunctions").list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]
    found = aws.client("stepfunctions").describe_execution(executionArn=listed[0]["executionArn"])
    assert len(listed) == 1 and found["input"] == '{"a": "1"}'


def test_a_universal_target_makes_the_request(diary: Diary) -> None:
    request = {"QueueName": "made-<aws.scheduler.execution-id>", "Attributes": {"DelaySeconds": "5"}}
    diary.put(arn=UNIVERSAL + "sqs:createQueue", Target={"Input": json.dumps(request)})
    diary.advance(HOUR)
    (url,) = diary.sqs.list_queues(QueueNamePrefix="made-")["QueueUrls"]
    assert len(url.rpartition("made-")[2]) == 16
    found = diary.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])
    assert found["Attributes"]["DelaySeconds"] == "5"


def test_what_a_target_refuses_goes_to_the_dead_letter_queue(diary: Diary) -> None:
    dead = diary.sqs.create_queue(QueueName="dead")["QueueUrl"]
    target = {
        "Input": '{"QueueUrl": "nowhere", "MessageBody": "m"}',
        "DeadLetterConfig": {"Arn": f"{diary.queue[:-1]}dead"},
    }
    arn = diary.put(arn=UNIVERSAL + "sqs:sendMessage", Target=target)
    diary.advance(HOUR)
    (letter,) = diary.received(dead)
    told = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert (told["SCHEDULE_ARN"], told["EXHAUSTED_RETRY_CONDITION"]) == (arn, "NonRetryableError")
    assert told["RETRY_ATTEMPTS"] == "0" and len(told["EXECUTION_ID"]) == 16
    assert json.loads(letter["Body"])["MessageBody"] == "m"


# --- down and up again


def test_of_what_was_missed_while_down_the_latest_fires(diary: Diary) -> None:
    aws = diary.aws
    diary.put(expression="cron(* * * * ? *)", Target={"Input": '"<aws.scheduler.scheduled-time>"'})
    key = Key(HUB, "us-east-1", "scheduler", "Schedule", "default/s")
    now = aws.world.now()
    aws.stop()
    store = Store(aws.home / "state.db")
    store.update(key, lambda schedule: schedule.update(next=now // 60 * 60 - 3 * HOUR))
    with store.transaction() as database:
        database.execute("UPDATE tasks SET due = 0 WHERE kind = 'scheduler.schedule'")
    store.close()
    aws.restart()
    found = until(diary.bodies)
    moments = [datetime.fromisoformat(each).timestamp() for each in found]
    assert len(moments) == 1 and now // 60 * 60 <= moments[0] <= aws.world.now()


def test_a_firing_that_was_cut_off_is_made_again_under_its_id(diary: Diary) -> None:
    """The execution it started is known by the id, so it starts no other and nothing is a failure."""
    aws = diary.aws
    dead = diary.sqs.create_queue(QueueName="dead")["QueueUrl"]
    states = diary.role("states", "states.amazonaws.com")
    definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
    machine = aws.client("stepfunctions").create_state_machine(name="m", definition=definition, roleArn=states)
    target = {"Input": "{}", "DeadLetterConfig": {"Arn": f"{diary.queue[:-1]}dead"}}
    diary.put(arn=machine["stateMachineArn"], Target=target)
    firing = Key(HUB, "us-east-1", "scheduler", "Firing", "default/s/1000")
    schedule = aws.world.store.get(firing._replace(type="Schedule", name="default/s"))
    half = {
        "schedule": "default/s", "made": schedule["made"], "due": 1000.0, "identity": "0123456789abcdef",
        "target": schedule["target"], "attempts": 0, "began": aws.world.now(),
    }  # fmt: skip
    client = aws.client("stepfunctions")
    client.start_execution(stateMachineArn=machine["stateMachineArn"], name=half["identity"], input='{"other": 1}')
    with aws.world.store.transaction():
        aws.world.store.put(firing, half)
        aws.world.tasks.schedule("scheduler.firing", firing)
    until(lambda: aws.world.store.get(firing) is None)
    assert len(client.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]) == 1
    assert diary.received(dead) == []


@pytest.mark.parametrize("granted", [True, False])
def test_a_target_is_started_with_the_permissions_of_the_role(tmp_path: Any, granted: bool) -> None:
    aws = Aws(tmp_path / "home", authorization="enforce")
    try:
        diary = Diary(aws)
        dead = diary.sqs.create_queue(QueueName="dead")["QueueUrl"]
        letters = f"{diary.queue[:-1]}dead"
        allowed = [letters, diary.queue] if granted else [letters]
        statement = {"Effect": "Allow", "Action": ["sqs:GetQueueUrl", "sqs:SendMessage"], "Resource": allowed}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        aws.client("iam").put_role_policy(RoleName="scheduler", PolicyName="p", PolicyDocument=policy)
        diary.put(Target={"DeadLetterConfig": {"Arn": letters}})
        diary.advance(HOUR)
        assert len(diary.received()) == granted
        codes = [letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] for letter in diary.received(dead)]
        assert codes == ([] if granted else ["AccessDenied"])
    finally:
        aws.stop()
