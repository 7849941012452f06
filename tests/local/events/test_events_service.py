"""Buses, rules and targets through boto3, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

PATTERN = json.dumps({"source": ["shop"]})
QUEUE = "arn:aws:sqs:us-east-1:111111111111:q"


def code_of(problem: Any) -> str:
    return str(problem.value.response["Error"]["Code"])


def test_the_life_of_a_rule(aws: Any) -> None:
    events = aws.client("events")
    arn = events.put_rule(Name="r", EventPattern=PATTERN, Description="d", Tags=[{"Key": "a", "Value": "b"}])["RuleArn"]
    assert arn == "arn:aws:events:us-east-1:111111111111:rule/r"
    rule = events.describe_rule(Name="r")
    assert {key: rule[key] for key in ("Name", "State", "EventPattern", "Description", "EventBusName")} == {
        "Name": "r", "State": "ENABLED", "EventPattern": PATTERN, "Description": "d", "EventBusName": "default",
    }  # fmt: skip
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": QUEUE, "InputPath": "$.detail"}])
    events.put_rule(Name="r", EventPattern=PATTERN)  # keeps targets and tags
    assert events.list_targets_by_rule(Rule="r")["Targets"] == [{"Id": "1", "Arn": QUEUE, "InputPath": "$.detail"}]
    assert events.list_rule_names_by_target(TargetArn=QUEUE)["RuleNames"] == ["r"]
    events.tag_resource(ResourceARN=arn, Tags=[{"Key": "c", "Value": "d"}])
    events.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "c", "Value": "d"}]
    events.disable_rule(Name="r")
    aws.restart()
    assert events.describe_rule(Name="r")["State"] == "DISABLED"
    with pytest.raises(ClientError, match="since it has targets"):
        events.delete_rule(Name="r")
    assert events.remove_targets(Rule="r", Ids=["1", "2"])["FailedEntryCount"] == 1
    events.delete_rule(Name="r")
    events.delete_rule(Name="r")
    with pytest.raises(ClientError) as caught:
        events.describe_rule(Name="r")
    assert code_of(caught) == "ResourceNotFoundException"


def test_rules_are_listed_by_bus_prefix_and_page(aws: Any) -> None:
    events = aws.client("events")
    bus = events.create_event_bus(Name="orders", Tags=[{"Key": "a", "Value": "b"}])["EventBusArn"]
    assert bus == "arn:aws:events:us-east-1:111111111111:event-bus/orders"
    for name in ("b1", "a2", "a1"):
        events.put_rule(Name=name, EventPattern=PATTERN, EventBusName="orders")
    assert [rule["Name"] for rule in events.list_rules(EventBusName=bus, NamePrefix="a")["Rules"]] == ["a1", "a2"]
    pages = events.get_paginator("list_rules").paginate(EventBusName="orders", PaginationConfig={"PageSize": 2})
    assert [[rule["Name"] for rule in page["Rules"]] for page in pages] == [["a1", "a2"], ["b1"]]
    assert events.list_rules()["Rules"] == []
    assert events.list_rules(EventBusName="orders")["Rules"][0]["Arn"].endswith(":rule/orders/a1")
    with pytest.raises(ClientError, match="since it has rules"):
        events.delete_event_bus(Name="orders")


def test_the_life_of_a_bus(aws: Any) -> None:
    events = aws.client("events")
    events.create_event_bus(Name="orders", Description="d")
    with pytest.raises(ClientError) as caught:
        events.create_event_bus(Name="orders")
    assert code_of(caught) == "ResourceAlreadyExistsException"
    events.update_event_bus(Name="orders", Description="e")
    assert events.describe_event_bus(Name="orders")["Description"] == "e"
    assert [bus["Name"] for bus in events.list_event_buses()["EventBuses"]] == ["default", "orders"]
    events.put_permission(EventBusName="orders", Action="events:PutEvents", Principal="222222222222", StatementId="dev")
    (statement,) = json.loads(events.describe_event_bus(Name="orders")["Policy"])["Statement"]
    assert (statement["Sid"], statement["Principal"]) == ("dev", {"AWS": "arn:aws:iam::222222222222:root"})
    events.remove_permission(EventBusName="orders", StatementId="dev")
    assert "Policy" not in events.describe_event_bus(Name="orders")
    events.delete_event_bus(Name="orders")
    assert [bus["Name"] for bus in events.list_event_buses()["EventBuses"]] == ["default"]
    for name in ("orders", "arn:aws:events:us-east-1:222222222222:event-bus/default"):
        with pytest.raises(ClientError) as caught:
            events.describe_event_bus(Name=name)
        assert code_of(caught) == "ResourceNotFoundException"


@pytest.mark.parametrize("rule, code", [
    ({}, "ValidationException"),
    ({"EventPattern": '{"source": "shop"}'}, "InvalidEventPatternException"),
    ({"ScheduleExpression": "rate(1 minutes)"}, "ValidationException"),
    ({"ScheduleExpression": "rate(1 minute)", "EventBusName": "other"}, "ValidationException"),
    ({"EventPattern": PATTERN, "EventBusName": "nowhere"}, "ResourceNotFoundException"),
    ({"EventPattern": PATTERN, "State": "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"}, "ValidationException"),
])  # fmt: skip
def test_rules_that_are_refused(aws: Any, rule: dict[str, Any], code: str) -> None:
    events = aws.client("events")
    events.create_event_bus(Name="other")
    with pytest.raises(ClientError) as caught:
        events.put_rule(Name="r", **rule)
    assert code_of(caught) == code


ROLE = "arn:aws:iam::111111111111:role/r"
PIPELINE = "arn:aws:codepipeline:us-east-1:111111111111:p"


@pytest.mark.parametrize("target, reason", [
    ({"Arn": "nonsense"}, "Provided Arn is not in correct format"),
    ({"Arn": "arn:aws:kinesis:us-east-1:111111111111:stream/s"}, "no such kind of target"),
    ({"Arn": "arn:aws:states:us-east-1:111111111111:activity:a", "RoleArn": ROLE}, "no such kind of target"),
    ({"Arn": PIPELINE}, "RoleArn is required for target 1."),
    ({"Arn": QUEUE, "KinesisParameters": {"PartitionKeyPath": "$.id"}}, "KinesisParameters not valid"),
    ({"Arn": PIPELINE, "RoleArn": ROLE}, f"role '{ROLE}' cannot be assumed by principal 'events.amazonaws.com'"),
    ({"Arn": PIPELINE, "RoleArn": ROLE, "SqsParameters": {"MessageGroupId": "g"}}, "SqsParameters not valid"),
    ({"Arn": QUEUE + ".fifo"}, "needs SqsParameters.MessageGroupId"),
    ({"Arn": QUEUE, "DeadLetterConfig": {"Arn": "arn:aws:sns:us-east-1:111111111111:t"}}, "a standard SQS queue"),
    ({"Arn": QUEUE, "Input": "{"}, "JSON syntax error"),
    ({"Arn": QUEUE, "Input": "1", "InputPath": "$"}, "Only one of Input"),
    ({"Arn": "arn:aws:events:us-east-1:222222222222:event-bus/default", "Input": "1"}, "takes no Input"),
    ({"Arn": "arn:aws:events:us-east-1:111111111111:event-bus/default"}, "own event bus"),
])  # fmt: skip
def test_targets_that_are_refused(aws: Any, target: dict[str, Any], reason: str) -> None:
    events = aws.client("events")
    events.put_rule(Name="r", EventPattern=PATTERN)
    with pytest.raises(ClientError) as caught:
        events.put_targets(Rule="r", Targets=[{"Id": "1", **target}])
    assert code_of(caught) == "ValidationException"
    assert reason in str(caught.value)
    assert events.list_targets_by_rule(Rule="r")["Targets"] == []


def test_a_rule_has_five_targets_at_most(aws: Any) -> None:
    events = aws.client("events")
    events.put_rule(Name="r", EventPattern=PATTERN)
    with pytest.raises(ClientError) as caught:
        events.put_targets(Rule="r", Targets=[{"Id": str(number), "Arn": QUEUE} for number in range(6)])
    assert code_of(caught) == "LimitExceededException"


@pytest.mark.parametrize("event, result", [
    ({"source": "shop"}, True),
    ({"source": "other"}, False),
])  # fmt: skip
def test_event_patterns_can_be_tried(aws: Any, event: dict[str, Any], result: bool) -> None:
    whole = {"id": "1", "detail-type": "t", "account": "1", "time": "t", "region": "r", "resources": [], "detail": {}}
    events = aws.client("events")
    assert events.test_event_pattern(EventPattern=PATTERN, Event=json.dumps({**whole, **event}))["Result"] is result
    with pytest.raises(ClientError, match="detail-type, account"):
        events.test_event_pattern(EventPattern=PATTERN, Event='{"id": "1", "source": "shop"}')


@pytest.mark.parametrize("entry, code", [
    ({"DetailType": "t", "Detail": "{}"}, "InvalidArgument"),
    ({"Source": "s", "Detail": "{}"}, "InvalidArgument"),
    ({"Source": "s", "DetailType": "t"}, "InvalidArgument"),
    ({"Source": "s", "DetailType": "t", "Detail": "{"}, "MalformedDetail"),
    ({"Source": "s", "DetailType": "t", "Detail": "[]"}, "MalformedDetail"),
])  # fmt: skip
def test_events_that_are_refused(aws: Any, entry: dict[str, Any], code: str) -> None:
    good = {"Source": "s", "DetailType": "t", "Detail": "{}"}
    answer = aws.client("events").put_events(Entries=[entry, good])
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == code
    assert answer["Entries"][1]["EventId"]


def test_what_is_not_there_is_refused_by_name(aws: Any) -> None:
    with pytest.raises(ClientError, match="CreateArchive"):
        aws.client("events").create_archive(ArchiveName="a", EventSourceArn="arn:aws:events:us-east-1:1:event-bus/x")
