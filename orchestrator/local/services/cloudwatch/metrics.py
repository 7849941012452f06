"""Operations on metrics: putting, reading and listing them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.local.credentials import SERVICE_MARK
from orchestrator.local.service import Call, Service, ServiceError
from orchestrator.local.services.cloudwatch.series import MINUTE_SECONDS, Points, Series, metric_id, within
from orchestrator.local.services.cloudwatch.statistics import Aggregate, known
from orchestrator.local.services.cloudwatch.watch import Watch
from orchestrator.local.store import Document

OLDEST_SECONDS = 14 * 86_400
NEWEST_SECONDS = 2 * 3600
MOST_DATA, MOST_VALUES, MOST_QUERIES, MOST_DATAPOINTS = 1000, 150, 500, 1440
LISTED_AT_ONCE = 500
LISTED_SECONDS = 14 * 86_400
RECENT_SECONDS = 3 * 3600
SHORT_PERIODS = (1, 5, 10, 20, 30)


class MetricOperations(Service):
    """The part of the API that is about metrics."""

    name = "cloudwatch"

    def register_tasks(self) -> None:
        self.series = Series(self.store)
        self.watch = Watch(self.world, self.series)

    def PutMetricData(self, call: Call, parameters: Document) -> None:
        namespace = parameters["Namespace"]
        _refuse(parameters, ("EntityMetricData", "StrictEntityValidation"), "PutMetricData")
        if namespace.startswith("AWS/") and not call.credentials.session_token.startswith(SERVICE_MARK):
            raise _invalid(f"The value {namespace} for parameter Namespace is invalid: AWS/ is for AWS's services.")
        data = parameters.get("MetricData", [])
        if len(data) > MOST_DATA:
            raise _invalid(f"The collection MetricData must not have a size greater than {MOST_DATA}.")
        now = self.world.now()
        faults = [fault for number, datum in enumerate(data, 1) for fault in _datum_faults(number, datum, now)]
        if faults:
            raise _invalid(" ".join(faults))
        place = (call.account, call.region)
        with self.store.transaction():
            touched = {
                self.series.add(place, namespace, datum, datum.get("Timestamp", now), _aggregate(datum))
                for datum in data
            }
            self.watch.look_after(place, touched)

    def GetMetricStatistics(self, call: Call, parameters: Document) -> Document:
        names = [*parameters.get("Statistics", []), *parameters.get("ExtendedStatistics", [])]
        if not names:
            raise ServiceError("MissingParameter", "At least one of Statistics and ExtendedStatistics must be given.")
        _check_statistics(names)
        period = _period(parameters["Period"])
        start = parameters["StartTime"] // MINUTE_SECONDS * MINUTE_SECONDS
        if period < MINUTE_SECONDS:
            start = parameters["StartTime"] // period * period
        end = parameters["EndTime"]
        if start >= end:
            raise _invalid("The parameter StartTime must be less than the parameter EndTime.")
        if (end - start) / period > MOST_DATAPOINTS:
            message = f"The requested number of datapoints exceeds the limit of {MOST_DATAPOINTS}: ask for less time."
            raise ServiceError("InvalidParameterCombination", message)
        points = self._points(call, parameters, start, end)
        found = [
            _datapoint(moment, unit, part, names)
            for moment in _buckets(points, start, end, period)
            for unit, part in _by_unit(points, moment, min(end, moment + period), parameters.get("Unit"))
        ]
        return {"Label": parameters["MetricName"], "Datapoints": found}

    def GetMetricData(self, call: Call, parameters: Document) -> Document:
        _refuse(parameters, ("MaxDatapoints", "LabelOptions"), "GetMetricData")
        queries = parameters["MetricDataQueries"]
        if len(queries) > MOST_QUERIES:
            raise _invalid(f"The collection MetricDataQueries must not have a size greater than {MOST_QUERIES}.")
        for query in queries:
            _refuse(query, ("Expression", "AccountId"), "a query")
            if "MetricStat" not in query:
                raise _invalid(f"The query {query['Id']} has no MetricStat.")
            _check_statistics([query["MetricStat"]["Stat"]])
        if parameters["StartTime"] >= parameters["EndTime"]:
            raise _invalid("The parameter StartTime must be less than the parameter EndTime.")
        descending = parameters.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        results = [
            self._result(call, query, parameters, descending) for query in queries if query.get("ReturnData", True)
        ]
        return {"MetricDataResults": results, "Messages": []}

    def _result(self, call: Call, query: Document, parameters: Document, descending: bool) -> Document:
        stat = query["MetricStat"]
        period = _period(stat["Period"])
        start, end = parameters["StartTime"] // period * period, parameters["EndTime"]
        points = self._points(call, stat["Metric"], start, end)
        pairs = []
        for moment in _buckets(points, start, end, period):
            part = within(points, moment, moment + period, stat.get("Unit"))
            value = part.statistic(stat["Stat"]) if part else None
            if value is not None:
                pairs.append((moment, value))
        pairs.sort(reverse=descending)
        return {
            "Id": query["Id"],
            "Label": query.get("Label", stat["Metric"].get("MetricName", query["Id"])),
            "Timestamps": [moment for moment, _ in pairs],
            "Values": [float(value) for _, value in pairs],
            "StatusCode": "Complete",
        }

    def _points(self, call: Call, metric: Document, start: float, end: float) -> Points:
        identity = metric_id(metric.get("Namespace", ""), metric.get("MetricName", ""), metric.get("Dimensions", []))
        return self.series.points((call.account, call.region), identity, start, end)

    def ListMetrics(self, call: Call, parameters: Document) -> Document:
        _refuse(parameters, ("IncludeLinkedAccounts", "OwningAccount"), "ListMetrics")
        now = self.world.now()
        longest = RECENT_SECONDS if "RecentlyActive" in parameters else LISTED_SECONDS
        found = [
            {"Namespace": metric["namespace"], "MetricName": metric["name"], "Dimensions": metric["dimensions"]}
            for metric in self.series.metrics((call.account, call.region))
            if metric["last"] > now - longest and _is_wanted(metric, parameters)
        ]
        shown, more = page(found, parameters, LISTED_AT_ONCE)
        return {"Metrics": shown, **more}


def page(items: Sequence[Any], parameters: Document, size: int) -> tuple[list[Any], dict[str, str]]:
    """One page of a list, and the ``NextToken`` member when there is more."""
    token = parameters.get("NextToken", "0")
    if not token.isdigit():
        raise ServiceError("InvalidNextToken", "The NextToken is not valid.")
    start = int(token)
    return list(items[start : start + size]), {"NextToken": str(start + size)} if start + size < len(items) else {}


def _is_wanted(metric: Document, parameters: Document) -> bool:
    has = {one["Name"]: one["Value"] for one in metric["dimensions"]}
    return (
        parameters.get("Namespace") in (None, metric["namespace"])
        and parameters.get("MetricName") in (None, metric["name"])
        and all(
            one["Name"] in has and one.get("Value") in (None, has[one["Name"]])
            for one in parameters.get("Dimensions", [])
        )
    )


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidParameterValue", message)


def _refuse(parameters: Document, names: Sequence[str], what: str) -> None:
    if given := [name for name in names if name in parameters]:
        raise _invalid(f"The embedded AWS does not support {', '.join(given)} of {what}.")


def _check_statistics(names: Sequence[str]) -> None:
    if strange := [name for name in names if not known(name)]:
        raise _invalid(f"The embedded AWS has no statistic {', '.join(strange)}; it has five and percentiles.")


def _period(seconds: int) -> int:
    if seconds not in SHORT_PERIODS and seconds % MINUTE_SECONDS:
        raise _invalid(f"The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60, not {seconds}.")
    return seconds


def _datum_faults(number: int, datum: Document, now: float) -> Iterator[str]:
    where = f"MetricData.member.{number}"
    given = [name for name in ("Value", "Values", "StatisticValues") if name in datum]
    if len(given) != 1:
        yield f"The parameter {where} must have exactly one of Value, Values and StatisticValues."
    values, counts = datum.get("Values", []), datum.get("Counts")
    if len(values) > MOST_VALUES or ("Values" in given and not values):
        yield f"The parameter {where}.Values must have 1 to {MOST_VALUES} values."
    if counts is not None and (len(counts) != len(values) or any(times <= 0 for times in counts)):
        yield f"The parameter {where}.Counts must have a positive number for each of Values."
    numbers = [*values, *([datum["Value"]] if "Value" in datum else []), *datum.get("StatisticValues", {}).values()]
    if not all(math.isfinite(value) for value in numbers):
        yield f"The parameter {where} has a value that is not a number."
    if datum.get("StatisticValues", {}).get("SampleCount", 1.0) <= 0:
        yield f"The parameter {where}.StatisticValues.SampleCount must be greater than 0."
    if datum.get("StorageResolution", MINUTE_SECONDS) not in (1, MINUTE_SECONDS):
        yield f"The parameter {where}.StorageResolution must be 1 or 60."
    moment = datum.get("Timestamp", now)
    if not now - OLDEST_SECONDS <= moment <= now + NEWEST_SECONDS:
        yield f"The parameter {where}.Timestamp must specify a time from two weeks ago to two hours from now."


def _aggregate(datum: Document) -> Aggregate:
    if "StatisticValues" in datum:
        told = datum["StatisticValues"]
        return Aggregate(told["SampleCount"], told["Sum"], told["Minimum"], told["Maximum"], None)
    values = datum.get("Values", [datum.get("Value")])
    return Aggregate.of(zip(values, datum.get("Counts", [1.0] * len(values)), strict=True))


def _buckets(points: Points, start: float, end: float, period: int) -> list[float]:
    """The beginnings of the periods in which something was measured."""
    return sorted({start + (second - start) // period * period for second in points if start <= second < end})


def _by_unit(points: Points, start: float, end: float, wanted: str | None) -> list[tuple[str, Aggregate]]:
    units = {unit for second, found in points.items() if start <= second < end for unit in found}
    parts = [(unit, within(points, start, end, unit)) for unit in sorted(units) if wanted in (None, unit)]
    return [(unit, part) for unit, part in parts if part is not None]


def _datapoint(moment: float, unit: str, part: Aggregate, names: Sequence[str]) -> Document:
    values = {name: part.statistic(name) for name in names}
    extended = {name: float(value) for name, value in values.items() if name.startswith("p") and value is not None}
    plain = {name: float(value) for name, value in values.items() if not name.startswith("p") and value is not None}
    return {"Timestamp": moment, "Unit": unit, **plain, **({"ExtendedStatistics": extended} if extended else {})}
