"""Alarms that go off: from a data point to a message in a queue, an event, a function, and back to OK."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import Aws
from tests.local.waiting import until

HUB, DEV = "111111111111", "222222222222"
TOPIC = f"arn:aws:sns:us-east-1:{HUB}:drift"
ARN = f"arn:aws:cloudwatch:us-east-1:{DEV}:alarm:drift"
METRIC = {"Namespace": "MLOps/Monitoring", "MetricName": "Violations"}
DIMENSIONS = [{"Name": "Endpoint", "Value": "e"}]
SETTINGS: dict[str, Any] = {
    **METRIC, "AlarmName": "drift", "Dimensions": DIMENSIONS, "Statistic": "Sum", "Period": 300, "EvaluationPeriods": 1,
    "Threshold": 0, "ComparisonOperator": "GreaterThanThreshold",
}  # fmt: skip


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call()
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


class Tower:
    """The account dev with alarms, whose events go to a queue; in the hub a topic that delivers to a queue."""

    def __init__(self, aws: Any, policy: bool = True) -> None:
        self.aws = aws
        self.cloudwatch = aws.client("cloudwatch", "dev")
        sqs, sns = aws.client("sqs"), aws.client("sns")
        self.messages = sqs.create_queue(QueueName="drift")["QueueUrl"]
        sns.create_topic(Name="drift")
        sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:{HUB}:drift")
        if policy:
            statement = {
                "Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": "sns:Publish",
                "Resource": TOPIC, "Condition": {"StringEquals": {"aws:SourceAccount": DEV}},
            }  # fmt: skip
            text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            sns.set_topic_attributes(TopicArn=TOPIC, AttributeName="Policy", AttributeValue=text)
        self.events = aws.client("sqs", "dev").create_queue(QueueName="events")["QueueUrl"]
        pattern = {"source": ["aws.cloudwatch"], "detail": {"alarmName": [{"prefix": "dri"}]}}
        events = aws.client("events", "dev")
        events.put_rule(Name="alarms", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="alarms", Targets=[{"Id": "1", "Arn": f"arn:aws:sqs:us-east-1:{DEV}:events"}])
        aws.world.clock.move_to((aws.world.now() // 60 + 1) * 60 + 0.5)  # a minute begins, whenever the tests run

    def put(self, **members: Any) -> None:
        self.cloudwatch.put_metric_alarm(**{**SETTINGS, "AlarmActions": [TOPIC], **members})
        self.aws.world.tasks.settle(10)

    def measure(self, value: float, **members: Any) -> None:
        datum = {"MetricName": "Violations", "Dimensions": DIMENSIONS, "Value": value, **members}
        self.cloudwatch.put_metric_data(Namespace="MLOps/Monitoring", MetricData=[datum])
        self.aws.world.tasks.settle(10)

    def advance(self, seconds: float) -> None:
        self.aws.world.walk.advance(seconds)

    @property
    def alarm(self) -> Any:
        return self.cloudwatch.describe_alarms(AlarmNames=["drift"])["MetricAlarms"][0]

    @property
    def state(self) -> str:
        return str(self.alarm["StateValue"])

    def received(self, url: str, account: str) -> list[Any]:
        sqs = self.aws.client("sqs", account)
        found = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            found += [json.loads(message["Body"]) for message in messages]
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def notified(self) -> list[Any]:
        return self.received(self.messages, "orchestrator")

    def told(self) -> list[Any]:
        return self.received(self.events, "dev")


@pytest.fixture
def tower(aws: Any) -> Tower:
    return Tower(aws)


def test_a_data_point_beyond_the_threshold_arrives_as_a_message_and_an_event(tower: Tower) -> None:
    tower.put(AlarmDescription="drift of e")
    assert tower.state == "INSUFFICIENT_DATA"
    tower.measure(3, Unit="Count")
    assert tower.state == "ALARM"
    (envelope,) = until(tower.notified)
    assert envelope["Subject"] == 'ALARM: "drift" in US East (N. Virginia)'
    message = json.loads(envelope["Message"])
    assert (message["AWSAccountId"], message["AlarmArn"], message["AlarmDescription"]) == (DEV, ARN, "drift of e")
    assert (message["OldStateValue"], message["NewStateValue"]) == ("INSUFFICIENT_DATA", "ALARM")
    assert message["NewStateReason"].startswith("Threshold Crossed: 1 out of the last 1 datapoints [3.0 (")
    assert message["Trigger"] == {
        **METRIC, "StatisticType": "Statistic", "Statistic": "SUM", "Unit": None,
        "Dimensions": [{"value": "e", "name": "Endpoint"}], "Period": 300, "EvaluationPeriods": 1,
        "DatapointsToAlarm": 1, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 0.0,
        "TreatMissingData": "missing", "EvaluateLowSampleCountPercentile": "",
    }  # fmt: skip
    (event,) = until(tower.told)
    assert (event["detail-type"], event["resources"]) == ("CloudWatch Alarm State Change", [ARN])
    detail = event["detail"]
    assert (detail["alarmName"], detail["state"]["value"]) == ("drift", "ALARM")
    assert detail["previousState"]["value"] == "INSUFFICIENT_DATA"
    assert json.loads(detail["state"]["reasonData"])["recentDatapoints"] == [3.0]
    stat = detail["configuration"]["metrics"][0]["metricStat"]
    metric = {"namespace": "MLOps/Monitoring", "name": "Violations", "dimensions": {"Endpoint": "e"}}
    assert stat == {"metric": metric, "period": 300, "stat": "Sum"}


def test_it_recovers_when_good_data_comes_and_tells_so(tower: Tower) -> None:
    tower.put(OKActions=[TOPIC])
    tower.measure(3)
    tower.advance(600)
    tower.measure(0)
    tower.advance(60)
    assert tower.state == "OK"
    states = [json.loads(envelope["Message"])["NewStateValue"] for envelope in until(tower.notified)]
    assert states == ["ALARM", "OK"]
    tower.advance(3600)
    assert tower.state == "INSUFFICIENT_DATA"
    told = [event["detail"]["state"]["value"] for event in tower.told()]
    assert told == ["ALARM", "OK", "INSUFFICIENT_DATA"]


def test_what_may_still_fall_waits_until_the_minute_is_over(tower: Tower) -> None:
    tower.put(Statistic="Average", Threshold=5)
    tower.measure(9)
    assert tower.state == "INSUFFICIENT_DATA"
    tower.measure(0)
    tower.advance(60)
    assert tower.state == "OK"


def test_several_data_points_may_be_needed(tower: Tower) -> None:
    tower.put(EvaluationPeriods=3, DatapointsToAlarm=2, Period=60)
    tower.measure(1)
    assert tower.state == "INSUFFICIENT_DATA", "one is too few, and nothing says that all is well"
    tower.advance(60)
    tower.measure(0)
    tower.advance(60)
    tower.measure(2)
    assert tower.state == "ALARM"


def test_an_alarm_without_data_is_what_it_treats_missing_data_as(tower: Tower) -> None:
    tower.put(TreatMissingData="notBreaching")
    assert tower.state == "OK" and "[NonBreaching]" in tower.alarm["StateReason"]
    tower.put(TreatMissingData="breaching")
    assert tower.state == "ALARM"


def test_a_state_set_by_hand_acts_and_lasts_until_the_minute_is_over(tower: Tower) -> None:
    tower.put(TreatMissingData="notBreaching")
    tower.cloudwatch.set_alarm_state(
        AlarmName="drift", StateValue="ALARM", StateReason="by hand", StateReasonData='{"a": 1}'
    )
    assert (tower.state, tower.alarm["StateReason"]) == ("ALARM", "by hand")
    message = json.loads(until(tower.notified)[0]["Message"])
    assert (message["NewStateReason"], message["OldStateValue"]) == ("by hand", "OK")
    tower.advance(60)
    assert tower.state == "OK"
    kinds = {
        entry["HistoryItemType"]
        for entry in tower.cloudwatch.describe_alarm_history(AlarmName="drift")["AlarmHistoryItems"]
    }
    assert kinds == {"ConfigurationUpdate", "StateUpdate", "Action"}
    asked = {"AlarmName": "drift", "HistoryItemType": "StateUpdate"}
    summaries = [
        entry["HistorySummary"] for entry in tower.cloudwatch.describe_alarm_history(**asked)["AlarmHistoryItems"]
    ]
    assert summaries == [
        "Alarm updated from ALARM to OK", "Alarm updated from OK to ALARM",
        "Alarm updated from INSUFFICIENT_DATA to OK",
    ]  # fmt: skip


def test_actions_that_are_switched_off_do_nothing_but_the_event_is_told(tower: Tower) -> None:
    tower.put(ActionsEnabled=False)
    tower.measure(3)
    assert until(tower.told) and tower.notified() == []
    tower.cloudwatch.enable_alarm_actions(AlarmNames=["drift"])
    tower.cloudwatch.set_alarm_state(AlarmName="drift", StateValue="OK", StateReason="r")
    tower.cloudwatch.set_alarm_state(AlarmName="drift", StateValue="ALARM", StateReason="r")
    assert len(until(tower.notified)) == 1
    tower.cloudwatch.disable_alarm_actions(AlarmNames=["drift"])
    assert tower.alarm["ActionsEnabled"] is False


def test_a_topic_that_is_gone_is_told_in_the_history(tower: Tower) -> None:
    tower.put(AlarmActions=[TOPIC + "-gone"])
    tower.measure(3)
    asked = {"AlarmName": "drift", "HistoryItemType": "Action"}
    (entry,) = until(lambda: tower.cloudwatch.describe_alarm_history(**asked)["AlarmHistoryItems"])
    assert entry["HistorySummary"].startswith("Failed to execute action")


@pytest.mark.parametrize("members, told", [
    ({"Metrics": [{"Id": "a", "Expression": "1"}]}, "no metric math"),
    ({"ThresholdMetricId": "a"}, "no anomaly detection"),
    ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "no anomaly detection"),
    ({"ExtendedStatistic": "p99"}, "Exactly one of"),
    ({"Period": 45}, "a multiple of 60"),
    ({"Period": 3600, "EvaluationPeriods": 200}, "at most 604800"),
    ({"DatapointsToAlarm": 2}, "must not be greater"),
    ({"TreatMissingData": "notbreaching"}, "none of missing, ignore, breaching, notBreaching"),
    ({"AlarmActions": ["arn:aws:automate:us-east-1:ec2:stop"]}, "no alarm action arn:aws:automate"),
    ({"OKActions": ["arn:aws:sns:eu-west-1:111111111111:t"]}, "not in the alarm's region"),
])  # fmt: skip
def test_what_is_refused(tower: Tower, members: dict[str, Any], told: str) -> None:
    code, message = refusal(lambda: tower.put(**members))
    assert code == "ValidationError" and told in message
    assert tower.cloudwatch.describe_alarms()["MetricAlarms"] == []


def test_composite_alarms_are_refused_by_name(tower: Tower) -> None:
    assert (
        refusal(lambda: tower.cloudwatch.put_composite_alarm(AlarmName="c", AlarmRule="TRUE"))[0]
        == "UnsupportedOperation"
    )


def test_alarms_are_found_tagged_and_deleted(tower: Tower) -> None:
    tower.put(Tags=[{"Key": "a", "Value": "1"}])
    tower.cloudwatch.put_metric_alarm(**{**SETTINGS, "AlarmName": "other", "MetricName": "Rows"})
    names = lambda **asked: [one["AlarmName"] for one in tower.cloudwatch.describe_alarms(**asked)["MetricAlarms"]]  # noqa: E731
    assert names() == ["drift", "other"] and names(AlarmNamePrefix="dr") == ["drift"]
    assert names(ActionPrefix=TOPIC) == ["drift"] and names(StateValue="ALARM") == []
    page = tower.cloudwatch.describe_alarms(MaxRecords=1)
    assert names(NextToken=page["NextToken"]) == ["other"]
    found = tower.cloudwatch.describe_alarms_for_metric(**METRIC, Dimensions=DIMENSIONS)["MetricAlarms"]
    assert [one["AlarmName"] for one in found] == ["drift"]
    tower.cloudwatch.tag_resource(ResourceARN=ARN, Tags=[{"Key": "b", "Value": "2"}])
    tower.cloudwatch.untag_resource(ResourceARN=ARN, TagKeys=["a"])
    assert tower.cloudwatch.list_tags_for_resource(ResourceARN=ARN)["Tags"] == [{"Key": "b", "Value": "2"}]
    assert refusal(lambda: tower.cloudwatch.delete_alarms(AlarmNames=["drift", "none"]))[0] == "ResourceNotFound"
    tower.cloudwatch.delete_alarms(AlarmNames=["drift", "other"])
    assert names() == []


def test_an_alarm_may_invoke_a_function(tower: Tower, tmp_path: Any) -> None:
    import io
    import zipfile

    aws = tower.aws
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = aws.client("iam", "dev").create_role(RoleName="f", AssumeRolePolicyDocument=policy)["Role"]["Arn"]
    heard = tmp_path / "heard.json"
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        source = f"import json\ndef handler(event, context):\n    open({str(heard)!r}, 'w').write(json.dumps(event))\n"
        archive.writestr("index.py", source)
    made = aws.client("lambda", "dev").create_function(
        FunctionName="f", Runtime="python3.11", Role=role, Handler="index.handler", Code={"ZipFile": code.getvalue()}
    )
    aws.client("lambda", "dev").add_permission(
        FunctionName="f", StatementId="alarms", Action="lambda:InvokeFunction",
        Principal="lambda.alarms.cloudwatch.amazonaws.com", SourceArn=ARN,
    )  # fmt: skip
    tower.put(AlarmActions=[made["FunctionArn"]])
    tower.measure(3)
    until(lambda: heard.exists() and heard.read_text())
    event = json.loads(heard.read_text())
    assert (event["source"], event["alarmArn"], event["accountId"]) == ("aws.cloudwatch", ARN, DEV)
    assert event["alarmData"]["state"]["value"] == "ALARM"


def test_a_stack_makes_an_alarm_that_goes_off(tower: Tower) -> None:
    properties = {name: value for name, value in SETTINGS.items() if name != "AlarmName"}
    template = {
        "Resources": {
            "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {**properties, "AlarmActions": [TOPIC]}}
        }
    }
    cloudformation = tower.aws.client("cloudformation", "dev")
    cloudformation.create_stack(StackName="s", TemplateBody=json.dumps(template))
    tower.aws.world.walk.advance(1, patience=30)  # waits for the stack
    assert cloudformation.describe_stacks(StackName="s")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    tower.measure(3)
    assert len(until(tower.notified)) == 1
    cloudformation.delete_stack(StackName="s")
    until(lambda: tower.cloudwatch.describe_alarms()["MetricAlarms"] == [])


@pytest.mark.parametrize("allowed", [True, False])
def test_a_topic_of_another_account_must_allow_it(tmp_path: Any, allowed: bool) -> None:
    aws = Aws(tmp_path / "home", authorization="enforce")
    try:
        tower = Tower(aws, policy=allowed)
        _ring(tower, allowed)
    finally:
        aws.stop()


def _ring(tower: Tower, allowed: bool) -> None:
    tower.put()
    tower.measure(3)
    asked = {"AlarmName": "drift", "HistoryItemType": "Action"}
    (entry,) = until(lambda: tower.cloudwatch.describe_alarm_history(**asked)["AlarmHistoryItems"])
    assert entry["HistorySummary"].startswith("Successfully" if allowed else "Failed to execute action")
    assert ("SNS:Publish" in entry["HistoryData"].replace("sns:", "SNS:")) is not allowed
    assert len(tower.notified()) == allowed
