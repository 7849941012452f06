"""What an analysis found as CloudWatch metrics, so that an alarm can look at it.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from orchestrator.runtime.monitoring.clients import refusals

MOST_AT_ONCE = 1000
"""CloudWatch takes so many metrics in one request (and 1 MB, which as many of ours never have)."""
LARGEST = 2.0**360
"""CloudWatch refuses numbers beyond it, infinities and NaN."""
OLDEST = timedelta(days=14)
"""CloudWatch refuses older data points."""


def data(values: Mapping[str, float], dimensions: Mapping[str, str], at: datetime) -> list[dict[str, Any]]:
    """The data points of some numbers at one time; numbers that CloudWatch does not take are left out."""
    names = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    return [
        {"MetricName": name, "Dimensions": names, "Timestamp": at, "Value": float(value)}
        for name, value in values.items()
        if math.isfinite(value) and abs(value) <= LARGEST
    ]


def put(cloudwatch: Any, namespace: str, points: Sequence[Mapping[str, Any]]) -> None:
    """Send the data points. Raises AwsRefused."""
    doing, condition = f"Writing metrics of {namespace}", f"* with cloudwatch:namespace {namespace}"
    for batch in _batches(points):
        with refusals(doing, "cloudwatch:PutMetricData", condition):
            cloudwatch.put_metric_data(Namespace=namespace, MetricData=batch)


def is_too_old(at: datetime, now: datetime) -> bool:
    """Whether CloudWatch refuses a data point of that time."""
    return now - at > OLDEST


def _batches(points: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    for begin in range(0, len(points), MOST_AT_ONCE):
        yield list(points[begin : begin + MOST_AT_ONCE])
