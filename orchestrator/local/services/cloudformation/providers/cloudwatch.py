"""CloudWatch: alarms."""

from __future__ import annotations

from typing import Any

from orchestrator.local.services.cloudformation.providers.contract import (
    Naming,
    Provider,
    Request,
    if_there,
    picked,
    tag_list,
    tags_to_remove,
)

SETTINGS = (
    "ActionsEnabled",
    "AlarmActions",
    "AlarmDescription",
    "ComparisonOperator",
    "DatapointsToAlarm",
    "Dimensions",
    "EvaluateLowSampleCountPercentile",
    "EvaluationPeriods",
    "ExtendedStatistic",
    "InsufficientDataActions",
    "MetricName",
    "Namespace",
    "OKActions",
    "Period",
    "Statistic",
    "Threshold",
    "TreatMissingData",
    "Unit",
)


class Alarm(Provider):
    """AWS::CloudWatch::Alarm. To put an alarm again replaces all of its settings; its state stays."""

    type = "AWS::CloudWatch::Alarm"
    service = "cloudwatch"
    naming = Naming("AlarmName", 255)
    supported = frozenset({"AlarmName", "Tags", *SETTINGS})

    def find(self, request: Request) -> str | None:
        alarms = self.api(request).describe_alarms(AlarmNames=[request.name])["MetricAlarms"]
        return request.name if alarms else None

    def make(self, request: Request) -> str:
        self._put(request, request.name)
        return request.name

    def _put(self, request: Request, name: str) -> None:
        tags = tag_list(request.properties.get("Tags"))
        self.api(request).put_metric_alarm(AlarmName=name, Tags=tags, **picked(request.properties, *SETTINGS))

    def update(self, request: Request) -> None:
        self._put(request, request.physical_id)
        if request.changed("Tags"):
            arn, client = self.attributes(request)["Arn"], self.api(request)
            client.tag_resource(ResourceARN=arn, Tags=tag_list(request.properties.get("Tags")))
            client.untag_resource(ResourceARN=arn, TagKeys=tags_to_remove(request))

    def attributes(self, request: Request) -> dict[str, Any]:
        return {"Arn": request.arn("cloudwatch", f"alarm:{request.physical_id}")}

    def delete(self, request: Request) -> None:
        if_there(self.api(request).delete_alarms, AlarmNames=[request.physical_id])


PROVIDERS = (Alarm(),)
