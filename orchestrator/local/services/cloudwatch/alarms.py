"""Operations on metric alarms."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.cloudwatch import actions, history
from orchestrator.local.services.cloudwatch.evaluation import INSUFFICIENT, OPERATORS, TREATMENTS
from orchestrator.local.services.cloudwatch.messages import alarm_arn
from orchestrator.local.services.cloudwatch.metrics import MetricOperations, page
from orchestrator.local.services.cloudwatch.series import MINUTE_SECONDS, metric_id
from orchestrator.local.services.cloudwatch.statistics import PERCENTILE
from orchestrator.local.store import Document, Key

REFUSED = {
    "Metrics": "metric math",
    "ThresholdMetricId": "anomaly detection",
    "EvaluationWindow": "windows by the wall clock",
    "EvaluationCriteria": "PromQL",
    "EvaluationInterval": "intervals of evaluation",
    "WarmUpConfiguration": "warming up",
    "ActionConfiguration": "tags in notifications",
}
NEEDED = ("MetricName", "Namespace", "Period", "EvaluationPeriods", "ComparisonOperator", "Threshold")
SHORT_PERIODS = (10, 20, 30)
LONGEST_WINDOW_SECONDS = {False: 86_400, True: 7 * 86_400}
"""Of Period * EvaluationPeriods; longer for periods of an hour and more."""
ACTION_LISTS = ("AlarmActions", "OKActions", "InsufficientDataActions")
MOST_TAGS = 50
SHOWN_AT_ONCE = 50
CREATED = "Unchecked: Initial alarm creation"


class AlarmOperations(MetricOperations):
    """The part of the API that is about alarms."""

    def PutMetricAlarm(self, call: Call, parameters: Document) -> None:
        """Makes an alarm or replaces all settings of one; its state stays, and is evaluated at once."""
        faults = list(_faults(parameters, call.region))
        if faults:
            raise ServiceError("ValidationError", " ".join(f"{fault}." for fault in faults))
        key = self.key(call, "Alarm", parameters["AlarmName"])
        now = self.world.now()
        settings = {name: value for name, value in parameters.items() if name not in ("AlarmName", "Tags")}
        identity = metric_id(settings["Namespace"], settings["MetricName"], settings.get("Dimensions", []))
        with self.store.transaction():
            old = self.store.get(key)
            state = {"value": INSUFFICIENT, "reason": CREATED, "data": "", "updated": now, "transitioned": now}
            tags = _tags(parameters.get("Tags", []))
            base = old or {"created": now, "state": state, "tags": tags}
            self.store.put(key, {**base, "settings": settings, "metric": identity, "configured": now})
            verb = "created" if old is None else "updated"
            data = {"type": "Create" if old is None else "Update", "version": "1.0", "updatedAlarm": settings}
            history.note(self.store, key, "ConfigurationUpdate", now, f'Alarm "{key.name}" {verb}', data)
            self.watch.now(key)

    def DescribeAlarms(self, call: Call, parameters: Document) -> Document:
        for name in ("ChildrenOfAlarmName", "ParentsOfAlarmName"):
            if name in parameters:
                raise _unsupported("composite alarms", name)
        if "AlarmNames" in parameters and "AlarmNamePrefix" in parameters:
            message = "AlarmNames and AlarmNamePrefix cannot be given together."
            raise ServiceError("InvalidParameterCombination", message)
        wanted = "MetricAlarm" in parameters.get("AlarmTypes", ["MetricAlarm"])
        found = [
            _shown(key, alarm) for key, alarm in self._alarms(call) if wanted and _is_asked(key, alarm, parameters)
        ]
        shown, more = page(found, parameters, parameters.get("MaxRecords", SHOWN_AT_ONCE * 2))
        return {"MetricAlarms": shown, "CompositeAlarms": [], "LogAlarms": [], **more}

    def DescribeAlarmsForMetric(self, call: Call, parameters: Document) -> Document:
        wanted = metric_id(parameters["Namespace"], parameters["MetricName"], parameters.get("Dimensions", []))
        given = ("Statistic", "ExtendedStatistic", "Period", "Unit")
        return {
            "MetricAlarms": [
                _shown(key, alarm)
                for key, alarm in self._alarms(call)
                if alarm["metric"] == wanted
                and all(parameters[name] == alarm["settings"].get(name) for name in given if name in parameters)
            ]
        }

    def DescribeAlarmHistory(self, call: Call, parameters: Document) -> Document:
        if "AlarmContributorId" in parameters:
            raise _unsupported("alarms with contributors", "AlarmContributorId")
        found = [
            entry
            for entry in history.entries(self.store, self.name, call.account, call.region, parameters.get("AlarmName"))
            if parameters.get("HistoryItemType") in (None, entry["HistoryItemType"])
            and parameters.get("StartDate", 0.0) <= entry["Timestamp"] <= parameters.get("EndDate", float("inf"))
            and "MetricAlarm" in parameters.get("AlarmTypes", ["MetricAlarm"])
        ]
        if parameters.get("ScanBy", "TimestampDescending") == "TimestampDescending":
            found.reverse()
        shown, more = page(found, parameters, parameters.get("MaxRecords", SHOWN_AT_ONCE * 2))
        return {"AlarmHistoryItems": shown, **more}

    def DeleteAlarms(self, call: Call, parameters: Document) -> None:
        with self.store.transaction():
            keys = [self.key(call, "Alarm", name) for name in parameters["AlarmNames"]]
            if gone := [key.name for key in keys if self.store.get(key) is None]:
                raise ServiceError("ResourceNotFound", f"There is no alarm {', '.join(gone)}.", 404)
            for key in keys:
                self.store.delete(key)
                data = {"type": "Delete", "version": "1.0"}
                summary = f'Alarm "{key.name}" deleted'
                history.note(self.store, key, "ConfigurationUpdate", self.world.now(), summary, data)

    def SetAlarmState(self, call: Call, parameters: Document) -> None:
        """Until the alarm is evaluated again, at the end of the minute; the actions are those of any change."""
        with self.store.transaction():
            key, alarm = self._alarm(call, parameters["AlarmName"])
            data = parameters.get("StateReasonData", "")
            if data:
                _check_json(data)
            self.watch.change(key, alarm, parameters["StateValue"], parameters["StateReason"], data)
            self.watch.soon(key, alarm)

    def EnableAlarmActions(self, call: Call, parameters: Document) -> None:
        self._set_enabled(call, parameters["AlarmNames"], enabled=True)

    def DisableAlarmActions(self, call: Call, parameters: Document) -> None:
        self._set_enabled(call, parameters["AlarmNames"], enabled=False)

    def _set_enabled(self, call: Call, names: Sequence[str], *, enabled: bool) -> None:
        with self.store.transaction():
            for name in names:
                key = self.key(call, "Alarm", name)
                alarm = self.store.get(key)
                if alarm is not None:  # as on AWS, names of nothing are passed over
                    alarm["settings"]["ActionsEnabled"] = enabled
                    self.store.put(key, alarm)

    # --- tags

    def TagResource(self, call: Call, parameters: Document) -> None:
        with self.store.transaction():
            key, alarm = self._by_arn(call, parameters["ResourceARN"])
            self.store.put(key, {**alarm, "tags": _tags(parameters["Tags"], alarm["tags"])})

    def UntagResource(self, call: Call, parameters: Document) -> None:
        with self.store.transaction():
            key, alarm = self._by_arn(call, parameters["ResourceARN"])
            left = {name: value for name, value in alarm["tags"].items() if name not in parameters["TagKeys"]}
            self.store.put(key, {**alarm, "tags": left})

    def ListTagsForResource(self, call: Call, parameters: Document) -> Document:
        tags = self._by_arn(call, parameters["ResourceARN"])[1]["tags"]
        return {"Tags": [{"Key": name, "Value": value} for name, value in sorted(tags.items())]}

    # --- finding alarms

    def _alarms(self, call: Call) -> list[tuple[Key, Document]]:
        return sorted(self.store.list(self.name, "Alarm", call.account, call.region), key=lambda pair: pair[0].name)

    def _alarm(self, call: Call, name: str) -> tuple[Key, Document]:
        key = self.key(call, "Alarm", name)
        found = self.store.get(key)
        if found is None:
            raise ServiceError("ResourceNotFound", f"There is no alarm {name}.", 404)
        return key, found

    def _by_arn(self, call: Call, arn: str) -> tuple[Key, Document]:
        key = self.key(call, "Alarm", arn.partition(":alarm:")[2])
        found = self.store.get(key) if arn == alarm_arn(key) else None
        if found is None:
            raise ServiceError("ResourceNotFoundException", f"There is no alarm {arn} here.", 404)
        return key, found


def _is_asked(key: Key, alarm: Document, parameters: Document) -> bool:
    arns = [action for name in ACTION_LISTS for action in alarm["settings"].get(name, [])]
    return (
        ("AlarmNames" not in parameters or key.name in parameters["AlarmNames"])
        and key.name.startswith(parameters.get("AlarmNamePrefix", ""))
        and parameters.get("StateValue") in (None, alarm["state"]["value"])
        and ("ActionPrefix" not in parameters or any(arn.startswith(parameters["ActionPrefix"]) for arn in arns))
    )


def _shown(key: Key, alarm: Document) -> Document:
    state = alarm["state"]
    return {
        "ActionsEnabled": True,
        "Dimensions": [],
        **{name: [] for name in ACTION_LISTS},
        **alarm["settings"],
        "AlarmName": key.name,
        "AlarmArn": alarm_arn(key),
        "AlarmConfigurationUpdatedTimestamp": alarm["configured"],
        "StateValue": state["value"],
        "StateReason": state["reason"],
        "StateReasonData": state["data"] or None,
        "StateUpdatedTimestamp": state["updated"],
        "StateTransitionedTimestamp": state["transitioned"],
    }


def _faults(parameters: Document, region: str) -> Iterator[str]:
    for name, what in REFUSED.items():
        if name in parameters:
            yield f"The embedded AWS has no {what} in alarms ({name})"
    if missing := [name for name in NEEDED if name not in parameters]:
        if "Metrics" not in parameters:
            yield f"The parameters {', '.join(missing)} must be given"
        return
    if ("Statistic" in parameters) == ("ExtendedStatistic" in parameters):
        yield "Exactly one of Statistic and ExtendedStatistic must be given"
    if not PERCENTILE.fullmatch(parameters.get("ExtendedStatistic", "p50")):
        yield f"The embedded AWS has no ExtendedStatistic {parameters['ExtendedStatistic']}, only percentiles as p99"
    if parameters["ComparisonOperator"] not in OPERATORS:
        yield f"The embedded AWS has no anomaly detection ({parameters['ComparisonOperator']})"
    if parameters.get("TreatMissingData", "missing") not in TREATMENTS:
        yield f"TreatMissingData is {parameters['TreatMissingData']}, which is none of {', '.join(TREATMENTS)}"
    low = parameters.get("EvaluateLowSampleCountPercentile", "evaluate")
    if low != "evaluate":
        yield f"The embedded AWS evaluates percentiles of few samples too (EvaluateLowSampleCountPercentile: {low})"
    yield from _window_faults(parameters)
    for name in ACTION_LISTS:
        yield from (fault for action in parameters.get(name, []) if (fault := actions.fault(action, region)))


def _window_faults(parameters: Document) -> Iterator[str]:
    period, periods = parameters["Period"], parameters["EvaluationPeriods"]
    if period not in SHORT_PERIODS and period % MINUTE_SECONDS:
        yield f"Period is {period}; it must be 10, 20, 30 or a multiple of 60"
    longest = LONGEST_WINDOW_SECONDS[period >= 3600]
    if period * periods > longest:
        yield f"Period * EvaluationPeriods is {period * periods} seconds; it must be at most {longest}"
    if parameters.get("DatapointsToAlarm", periods) > periods:
        yield "DatapointsToAlarm must not be greater than EvaluationPeriods"


def _check_json(text: str) -> None:
    try:
        json.loads(text)
    except ValueError:
        raise ServiceError("InvalidFormat", "StateReasonData is not JSON.") from None


def _unsupported(what: str, member: str) -> ServiceError:
    return ServiceError("InvalidParameterValue", f"The embedded AWS has no {what} ({member}).")


def _tags(given: Sequence[dict[str, Any]], old: Document | None = None) -> Document:
    tags = {**(old or {}), **{tag["Key"]: tag["Value"] for tag in given}}
    if len(tags) > MOST_TAGS:
        raise ServiceError("LimitExceeded", f"An alarm can have at most {MOST_TAGS} tags.")
    return tags
