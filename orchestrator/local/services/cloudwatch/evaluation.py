"""The state of an alarm, decided from a metric's data points. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html and, for missing data,
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html. The window of
an alarm ends at the last whole minute and slides with it. CloudWatch looks at more periods than it needs, so that data
which came late or has gaps still counts: here at two more, as in its examples.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.local.services.cloudwatch.series import MINUTE_SECONDS, Points, within

OK, ALARM, INSUFFICIENT = "OK", "ALARM", "INSUFFICIENT_DATA"
MORE_PERIODS = 2
OPERATORS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
TREATMENTS = {"missing": "Missing", "ignore": "Ignored", "breaching": "Breaching", "notBreaching": "NonBreaching"}
GROWING = {"Greater": ("Sum", "SampleCount", "Maximum"), "Less": ("Minimum",)}
"""Statistics that more data only drives further beyond such a threshold (a sum of counts, that is)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When an alarm goes off: ``needed`` of the last ``periods`` data points, each of ``period`` seconds."""

    statistic: str
    period: int
    periods: int
    needed: int
    operator: str
    threshold: float
    missing: str = "missing"
    unit: str | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Rule:
        """The rule in the settings of a metric alarm."""
        periods = settings["EvaluationPeriods"]
        return cls(
            settings.get("Statistic") or settings["ExtendedStatistic"],
            settings["Period"],
            periods,
            settings.get("DatapointsToAlarm", periods),
            settings["ComparisonOperator"],
            settings["Threshold"],
            settings.get("TreatMissingData", "missing"),
            settings.get("Unit"),
        )

    @property
    def step(self) -> int:
        """How far the window slides at once, in seconds."""
        return min(MINUTE_SECONDS, self.period)

    @property
    def seen(self) -> int:
        """How many periods are looked at."""
        return self.periods + MORE_PERIODS

    @property
    def only_grows(self) -> bool:
        """Whether a breach in a minute that is not over yet is one for sure."""
        return any(self.operator.startswith(name) and self.statistic in of for name, of in GROWING.items())

    def breached_by(self, value: float) -> bool:
        return OPERATORS[self.operator][0](value, self.threshold)


@dataclass(frozen=True, slots=True)
class Datapoint:
    """A period's value. ``age`` is 0 for the last period; ``moment`` its beginning in POSIX seconds."""

    age: int
    moment: float
    value: float
    samples: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state an alarm should be in (None: the one it is in), why, and the data points that decided."""

    state: str | None
    reason: str = ""
    evaluated: tuple[Datapoint, ...] = ()


def datapoints(points: Points, rule: Rule, end: float) -> list[Datapoint]:
    """The data points of a window that ends at ``end``, the latest first; periods without data are left out."""
    found = []
    for age in range(rule.seen):
        start = end - (age + 1) * rule.period
        part = within(points, start, start + rule.period, rule.unit)
        value = part.statistic(rule.statistic) if part else None
        if part and value is not None:
            found.append(Datapoint(age, start, float(value), part.count))
    return found


def decide(found: Sequence[Datapoint], rule: Rule) -> Verdict:
    """What the data points, the latest first, say."""
    evaluated = tuple(found[: rule.periods])
    filled = rule.periods - len(evaluated)
    breaching = sum(rule.breached_by(one.value) for one in evaluated)
    if not filled or rule.missing in ("breaching", "notBreaching"):
        counted = breaching + (filled if rule.missing == "breaching" else 0)
        return _verdict(ALARM if counted >= rule.needed else OK, evaluated, filled, rule)
    if breaching >= rule.needed:
        return _verdict(ALARM, evaluated, filled, rule)
    if breaching < len(evaluated):
        return _verdict(OK, evaluated, filled, rule)
    if rule.missing == "ignore":
        return Verdict(None)
    if not evaluated:
        count = _counted(rule.periods, "datapoint")
        return Verdict(INSUFFICIENT, f"Insufficient Data: {count} {_were(rule.periods)} unknown.")
    if evaluated[-1].age + 1 >= rule.needed:  # breaching long enough ago, and since then nothing else
        return _verdict(ALARM, evaluated, filled, rule)
    return Verdict(None)


def next_change(seconds: Iterable[int], rule: Rule, end: float) -> float | None:
    """The next end of the window, after ``end``, at which a data point enters it, leaves it or changes its period."""
    found: list[float] = []
    for second in seconds:
        entering = second // rule.step * rule.step + rule.step
        passed = max(0, int((end - entering) // rule.period) + 1) if end >= entering else 0
        if passed <= rule.seen:
            found.append(float(entering + passed * rule.period))
    return min(found, default=None)


def _verdict(state: str, evaluated: tuple[Datapoint, ...], filled: int, rule: Rule) -> Verdict:
    parts = []
    if evaluated:
        parts.append(_crossed(state, evaluated, rule))
    else:
        parts.append(f"no datapoints were received for {_counted(rule.periods, 'period')}")
    if filled and rule.missing in ("breaching", "notBreaching"):
        treated = TREATMENTS[rule.missing]
        parts.append(f"{_counted(filled, 'missing datapoint')} {_were(filled)} treated as [{treated}]")
    text = "Threshold Crossed: " + " and ".join(parts)
    if evaluated:
        needed = rule.needed if state == ALARM else rule.periods - rule.needed + 1
        way = "OK -> ALARM" if state == ALARM else "ALARM -> OK"
        text += f" (minimum {_counted(needed, 'datapoint')} for {way} transition)"
    return Verdict(state, f"{text}.", evaluated)


def _crossed(state: str, evaluated: tuple[Datapoint, ...], rule: Rule) -> str:
    shown = [one for one in evaluated if rule.breached_by(one.value) is (state == ALARM)] or list(evaluated)
    values = ", ".join(f"{one.value} ({_short(one.moment)})" for one in shown)
    compared = OPERATORS[rule.operator][1]
    said = f"{_were(len(shown))}{'' if state == ALARM else ' not'} {compared} the threshold ({rule.threshold})"
    return f"{len(shown)} out of the last {rule.periods} datapoints [{values}] {said}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _short(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%d/%m/%y %H:%M:%S")
