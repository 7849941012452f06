"""Schedules and groups that a template makes, changes and takes away."""

from __future__ import annotations

import json
import time
from typing import Any

ROLE = "arn:aws:iam::111111111111:role/scheduler"


def template(expression: str, group: str, state: str = "ENABLED") -> str:
    groups = {
        name: {"Type": "AWS::Scheduler::ScheduleGroup", "Properties": {"Tags": [{"Key": "group", "Value": name}]}}
        for name in ("One", "Two")
    }
    properties = {
        "GroupName": {"Ref": group},
        "ScheduleExpression": expression,
        "State": state,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage",
            "RoleArn": ROLE,
            "Input": '{"QueueUrl": "q", "MessageBody": "<aws.scheduler.execution-id>"}',
        },
    }
    outputs = {"Arn": {"Value": {"Fn::GetAtt": ["Schedule", "Arn"]}}, "Name": {"Value": {"Ref": "Schedule"}}}
    schedule = {"Type": "AWS::Scheduler::Schedule", "Properties": properties}
    return json.dumps({"Resources": {**groups, "Schedule": schedule}, "Outputs": outputs})


def rest(cloudformation: Any) -> tuple[str, dict[str, str]]:
    """The stack's status at rest, and its outputs."""
    while True:
        found = cloudformation.describe_stacks(StackName="s")["Stacks"][0]
        if not found["StackStatus"].endswith("IN_PROGRESS"):
            told = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
            return str(found["StackStatus"]), told
        time.sleep(0.02)


def test_a_stack_of_schedules(aws: Any) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    aws.client("iam").create_role(RoleName="scheduler", AssumeRolePolicyDocument=policy)
    cloudformation, scheduler = aws.client("cloudformation"), aws.client("scheduler")
    cloudformation.create_stack(StackName="s", TemplateBody=template("rate(1 day)", "One", "DISABLED"))
    status, told = rest(cloudformation)
    assert status == "CREATE_COMPLETE"
    first = scheduler.list_schedules()["Schedules"][0]
    assert (first["Arn"], first["Name"], first["State"]) == (told["Arn"], told["Name"], "DISABLED")
    group = scheduler.get_schedule_group(Name=first["GroupName"])
    assert scheduler.list_tags_for_resource(ResourceArn=group["Arn"])["Tags"] == [{"Key": "group", "Value": "One"}]

    cloudformation.update_stack(StackName="s", TemplateBody=template("cron(0 4 * * ? *)", "Two"))
    assert rest(cloudformation)[0] == "UPDATE_COMPLETE"
    (second,) = scheduler.list_schedules()["Schedules"]
    assert second["GroupName"] != first["GroupName"] and second["State"] == "ENABLED"
    found = scheduler.get_schedule(Name=second["Name"], GroupName=second["GroupName"])
    assert found["ScheduleExpression"] == "cron(0 4 * * ? *)"

    cloudformation.update_stack(StackName="s", TemplateBody=template("rate(5 weeks)", "Two"))
    assert rest(cloudformation)[0] == "UPDATE_ROLLBACK_COMPLETE"
    found = scheduler.get_schedule(Name=second["Name"], GroupName=second["GroupName"])
    assert found["ScheduleExpression"] == "cron(0 4 * * ? *)"

    cloudformation.delete_stack(StackName="s")
    while scheduler.list_schedules()["Schedules"] or len(scheduler.list_schedule_groups()["ScheduleGroups"]) > 1:
        time.sleep(0.02)
