"""Watching: the persisted task of each alarm, and what follows when an alarm changes its state.

An alarm is looked at when data arrives for its metric, and whenever a data point enters its window, leaves it or moves
to another period; in between nothing can change. The new state, its history, the notifications and the event are
written in one transaction, so each change is told, and told once unless the process dies while it tells.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from orchestrator.local.services.cloudwatch.actions import Actions
from orchestrator.local.services.cloudwatch.evaluation import ALARM, Datapoint, Rule, datapoints, decide, next_change
from orchestrator.local.services.cloudwatch.history import note
from orchestrator.local.services.cloudwatch.messages import alarm_arn, stamp
from orchestrator.local.services.cloudwatch.series import MINUTE_SECONDS, SERVICE, Series
from orchestrator.local.store import Document, Key
from orchestrator.local.world import World

TASK = "cloudwatch.alarm"
FUTURE_SECONDS = 2 * 3600 + MINUTE_SECONDS
"""As far ahead of the clock as data points may be."""
ACTIONS = {"OK": "OKActions", "ALARM": "AlarmActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}


class Watch:
    """Evaluates alarms."""

    def __init__(self, world: World, series: Series) -> None:
        self._world = world
        self._store = world.store
        self._series = series
        self._actions = Actions(world)
        world.tasks.register(TASK, self._step, by_clock=True)

    def look_after(self, place: tuple[str, str], metrics: Iterable[str]) -> None:
        """Have the alarms on these metrics evaluated. Part of a transaction."""
        touched = set(metrics)
        for key, alarm in self._store.list(SERVICE, "Alarm", *place):
            if alarm["metric"] in touched:
                self._world.tasks.schedule(TASK, key)

    def soon(self, key: Key, alarm: Document) -> None:
        """Have an alarm evaluated when the minute is over, as after its state was set by hand."""
        step = Rule.of(alarm["settings"]).step
        now = self._world.now()
        self._world.tasks.schedule(TASK, key, (math.floor(now / step) + 1) * step - now)

    def now(self, key: Key) -> None:
        """Have an alarm evaluated at once."""
        self._world.tasks.schedule(TASK, key)

    def _step(self, key: Key) -> float | None:
        now = self._world.now()
        with self._store.transaction():
            alarm = self._store.get(key)
            if alarm is None:
                return None
            rule = Rule.of(alarm["settings"])
            end = math.floor(now / rule.step) * rule.step
            start = end - rule.seen * rule.period
            points = self._series.points((key.account, key.region), alarm["metric"], start, end + FUTURE_SECONDS)
            verdict = decide(datapoints(points, rule, end), rule)
            if verdict.state != ALARM and rule.only_grows:
                early = decide(datapoints(points, rule, end + rule.step), rule)
                verdict = early if early.state == ALARM else verdict
            if verdict.state not in (None, alarm["state"]["value"]):
                data = _reason_data(rule, verdict.evaluated, now, start)
                self.change(key, alarm, str(verdict.state), verdict.reason, data)
            change = next_change(points, rule, end)
            return None if change is None else max(0.0, change - now)

    def change(self, key: Key, alarm: Document, value: str, reason: str, data: str) -> None:
        """Write an alarm's state; a new one makes history, an event, and the actions. Part of a transaction."""
        now = self._world.now()
        old = alarm["state"]
        moved = value != old["value"]
        new = {"value": value, "reason": reason, "data": data, "updated": now}
        new["transitioned"] = now if moved else old["transitioned"]
        self._store.put(key, {**alarm, "state": new})
        if not moved:
            return
        note(self._store, key, "StateUpdate", now, f"Alarm updated from {old['value']} to {value}", _moved(old, new))
        told = {"alarm": key.name, "arn": alarm_arn(key), "settings": alarm["settings"], "old": old, "new": new}
        told |= {"configured": alarm["configured"], "metric": alarm["metric"]}
        self._actions.begin(key, "events", told)
        if alarm["settings"].get("ActionsEnabled", True):
            for action in alarm["settings"].get(ACTIONS[value], []):
                self._actions.begin(key, action, told)


def _moved(old: Document, new: Document) -> Document:
    def shown(state: Document) -> Document:
        found = {"stateValue": state["value"], "stateReason": state["reason"]}
        return {**found, **({"stateReasonData": json.loads(state["data"])} if state["data"] else {})}

    return {"version": "1.0", "oldState": shown(old), "newState": shown(new)}


def _reason_data(rule: Rule, evaluated: tuple[Datapoint, ...], now: float, start: float) -> str:
    document: dict[str, Any] = {
        "version": "1.0",
        "queryDate": stamp(now),
        "startDate": stamp(evaluated[-1].moment if evaluated else start),
        "statistic": rule.statistic,
        "period": rule.period,
        "recentDatapoints": [one.value for one in reversed(evaluated)],
        "threshold": rule.threshold,
        "evaluatedDatapoints": [
            {"timestamp": stamp(one.moment), "sampleCount": one.samples, "value": one.value} for one in evaluated[:20]
        ],
    }
    if rule.unit:
        document["unit"] = rule.unit
    return json.dumps(document)
