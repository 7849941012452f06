"""What an alarm says when its state changes: to a topic, to a function, and to EventBridge. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-actions-Lambda.html
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

from orchestrator.local.protocol.models import session
from orchestrator.local.store import Document, Key

LONGEST_SUBJECT = 100


def alarm_arn(key: Key) -> str:
    """The ARN of an alarm."""
    partition = "aws-cn" if key.region.startswith("cn-") else "aws"
    partition = "aws-us-gov" if key.region.startswith("us-gov-") else partition
    return f"arn:{partition}:cloudwatch:{key.region}:{key.account}:alarm:{key.name}"


def stamp(moment: float) -> str:
    """A time as CloudWatch writes it: ``2030-01-31T12:00:00.000+0000``."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


@cache
def region_title(region: str) -> str:
    """A region as people call it: ``US East (N. Virginia)``."""
    data: Any = session().get_component("data_loader").load_data("endpoints")
    regions = {name: found["description"] for part in data["partitions"] for name, found in part["regions"].items()}
    return str(regions.get(region, region))


def subject(told: Document, region: str) -> str:
    """The subject of a notification."""
    return f'{told["new"]["value"]}: "{told["alarm"]}" in {region_title(region)}'[:LONGEST_SUBJECT]


def notification(told: Document, account: str, region: str) -> str:
    """The message that a topic gets, JSON."""
    settings = told["settings"]
    document = {
        "AlarmName": told["alarm"],
        "AlarmDescription": settings.get("AlarmDescription"),
        "AWSAccountId": account,
        "AlarmConfigurationUpdatedTimestamp": stamp(told["configured"]),
        "NewStateValue": told["new"]["value"],
        "NewStateReason": told["new"]["reason"],
        "StateChangeTime": stamp(told["new"]["updated"]),
        "Region": region_title(region),
        "AlarmArn": told["arn"],
        "OldStateValue": told["old"]["value"],
        "OKActions": settings.get("OKActions", []),
        "AlarmActions": settings.get("AlarmActions", []),
        "InsufficientDataActions": settings.get("InsufficientDataActions", []),
        "Trigger": _trigger(settings),
    }
    return json.dumps(document)


def _trigger(settings: Document) -> Document:
    statistic = settings.get("Statistic")
    kind = {"StatisticType": "Statistic", "Statistic": statistic.upper()} if statistic else None
    return {
        "MetricName": settings["MetricName"],
        "Namespace": settings["Namespace"],
        **(kind or {"StatisticType": "ExtendedStatistic", "ExtendedStatistic": settings.get("ExtendedStatistic")}),
        "Unit": settings.get("Unit"),
        "Dimensions": [{"value": one["Value"], "name": one["Name"]} for one in settings.get("Dimensions", [])],
        "Period": settings["Period"],
        "EvaluationPeriods": settings["EvaluationPeriods"],
        "DatapointsToAlarm": settings.get("DatapointsToAlarm", settings["EvaluationPeriods"]),
        "ComparisonOperator": settings["ComparisonOperator"],
        "Threshold": settings["Threshold"],
        "TreatMissingData": settings.get("TreatMissingData", "missing"),
        "EvaluateLowSampleCountPercentile": settings.get("EvaluateLowSampleCountPercentile", ""),
    }


def event_detail(told: Document) -> Document:
    """The detail of ``CloudWatch Alarm State Change``."""
    configuration = _configuration(told)
    states = {"state": _state(told["new"]), "previousState": _state(told["old"])}
    return {"alarmName": told["alarm"], "configuration": configuration, **states}


def function_event(told: Document, account: str, region: str) -> Document:
    """What a Lambda function gets."""
    return {
        "source": "aws.cloudwatch",
        "alarmArn": told["arn"],
        "accountId": account,
        "time": stamp(told["new"]["updated"]),
        "region": region,
        "alarmData": event_detail(told),
    }


def _state(state: Document) -> Document:
    data = {"reasonData": state["data"]} if state["data"] else {}
    return {"value": state["value"], "reason": state["reason"], **data, "timestamp": stamp(state["updated"])}


def _configuration(told: Document) -> Document:
    settings = told["settings"]
    metric = {
        "namespace": settings["Namespace"],
        "name": settings["MetricName"],
        "dimensions": {one["Name"]: one["Value"] for one in settings.get("Dimensions", [])},
    }
    stat = {
        "metric": metric,
        "period": settings["Period"],
        "stat": settings.get("Statistic") or settings["ExtendedStatistic"],
    }
    if "Unit" in settings:
        stat["unit"] = settings["Unit"]
    found = {"metrics": [{"id": told["metric"], "metricStat": stat, "returnData": True}]}
    described = {"description": settings["AlarmDescription"]} if "AlarmDescription" in settings else {}
    return {**described, **found}
