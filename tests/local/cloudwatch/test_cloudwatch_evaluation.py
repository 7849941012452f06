"""How data points become states: AWS's own tables, comparisons, and when a window changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.local.services.cloudwatch.evaluation import (
    ALARM,
    INSUFFICIENT,
    OK,
    Rule,
    datapoints,
    decide,
    next_change,
)
from orchestrator.local.services.cloudwatch.series import Points
from orchestrator.local.services.cloudwatch.statistics import Aggregate, together

END = 1_800_000_000 // 3600 * 3600
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")


def rule(needed: int = 1, periods: int = 1, missing: str = "missing", **more: Any) -> Rule:
    settings = {"statistic": "Maximum", "period": 60, "operator": "GreaterThanThreshold", "threshold": 1.0, **more}
    return Rule(periods=periods, needed=needed, missing=missing, **settings)


def drawn(text: str, period: int = 60) -> Points:
    """``0 - X``: fine, missing, breaching; the last stands for the latest period."""
    found: Points = {}
    for age, mark in enumerate(reversed(text.split())):
        if mark != "-":
            value = 5.0 if mark == "X" else 0.0
            found[END - (age + 1) * period] = {"None": Aggregate.of([(value, 1.0)])}
    return found


# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html; None: as it is
@pytest.mark.parametrize("data, needed, states", [
    ("0 - X - X", 3, (OK, OK, OK, OK)),
    ("0 - - - -", 3, (OK, OK, OK, OK)),
    ("- - - - -", 3, (INSUFFICIENT, None, ALARM, OK)),
    ("0 X X - X", 3, (ALARM, ALARM, ALARM, ALARM)),
    ("- - X - -", 3, (ALARM, None, ALARM, OK)),
    ("0 - X - X", 2, (ALARM, ALARM, ALARM, ALARM)),
    ("0 0 X 0 X", 2, (ALARM, ALARM, ALARM, ALARM)),
    ("0 - X - -", 2, (OK, OK, ALARM, OK)),
    ("- - - - 0", 2, (OK, OK, ALARM, OK)),
    ("- - - X -", 2, (ALARM, None, ALARM, OK)),
    ("- - - - X", 3, (None, None, ALARM, OK)),
])  # fmt: skip
def test_missing_data(data: str, needed: int, states: tuple[str | None, ...]) -> None:
    for missing, expected in zip(TREATMENTS, states, strict=True):
        asked = rule(needed, 3, missing)
        assert decide(datapoints(drawn(data), asked, END), asked).state == expected, missing


@pytest.mark.parametrize("operator, value, state", [
    ("GreaterThanThreshold", 1.0, OK), ("GreaterThanThreshold", 1.1, ALARM),
    ("GreaterThanOrEqualToThreshold", 1.0, ALARM), ("GreaterThanOrEqualToThreshold", 0.9, OK),
    ("LessThanThreshold", 1.0, OK), ("LessThanThreshold", 0.9, ALARM),
    ("LessThanOrEqualToThreshold", 1.0, ALARM), ("LessThanOrEqualToThreshold", 1.1, OK),
])  # fmt: skip
def test_comparisons(operator: str, value: float, state: str) -> None:
    asked = rule(operator=operator)
    points: Points = {END - 60: {"None": Aggregate.of([(value, 1.0)])}}
    assert decide(datapoints(points, asked, END), asked).state == state


def test_reasons_are_worded_as_aws_words_them() -> None:
    asked = rule(statistic="Average", threshold=1.0)
    verdict = decide(datapoints(drawn("X"), asked, END), asked)
    assert verdict.reason == (
        "Threshold Crossed: 1 out of the last 1 datapoints [5.0 (15/01/27 07:59:00)] was greater than the threshold"
        " (1.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )
    verdict = decide(datapoints(drawn("0"), asked, END), asked)
    assert "was not greater than the threshold (1.0) (minimum 1 datapoint for ALARM -> OK" in verdict.reason
    assert decide([], rule(3, 3)).reason == "Insufficient Data: 3 datapoints were unknown."
    assert decide([], rule(missing="notBreaching")).reason == (
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as"
        " [NonBreaching]."
    )


@pytest.mark.parametrize("statistic, value", [
    ("SampleCount", 4), ("Sum", 10), ("Average", 2.5), ("Minimum", 1), ("Maximum", 4), ("p50", 2), ("p75", 3),
    ("p99.9", 4), ("p0", 1),
])  # fmt: skip
def test_statistics(statistic: str, value: float) -> None:
    whole = together([Aggregate.of([(1.0, 1.0), (4.0, 1.0)]), Aggregate.of([(2.0, 1.0), (3.0, 1.0)])])
    assert whole is not None
    assert whole.statistic(statistic) == value
    assert Aggregate.read(whole.written()) == whole


def test_sums_alone_have_no_percentiles() -> None:
    told = Aggregate(3, 6.0, 1.0, 3.0, None)
    assert told.statistic("p50") is None and told.statistic("Average") == 2.0
    assert Aggregate(3, 6.0, 2.0, 2.0, None).statistic("p50") == 2.0


def test_units_are_told_apart_when_one_is_asked_for() -> None:
    points: Points = {END - 60: {"Count": Aggregate.of([(5.0, 1.0)]), "Percent": Aggregate.of([(0.5, 1.0)])}}
    assert decide(datapoints(points, rule(), END), rule()).state == ALARM
    percent = rule(unit="Percent")
    assert decide(datapoints(points, percent, END), percent).state == OK


@settings(max_examples=200, deadline=None)
@given(
    offsets=st.lists(st.integers(-7200, 7200), max_size=6),
    period=st.sampled_from([10, 60, 300, 3600]),
    periods=st.integers(1, 3),
)
def test_between_changes_a_window_stays_as_it_is(offsets: list[int], period: int, periods: int) -> None:
    asked = rule(periods=periods, period=period)
    points: Points = {
        END + offset // asked.step * asked.step: {"None": Aggregate.of([(float(offset), 1.0)])} for offset in offsets
    }

    def seen(end: float) -> list[tuple[int, float]]:
        return [(one.age, one.value) for one in datapoints(points, asked, end)]

    limit = END + 7200 + asked.step * 2 + period * asked.seen
    expected = next(
        (end for end in range(END + asked.step, limit, asked.step) if seen(end) != seen(end - asked.step)), None
    )
    found = next_change(points, asked, float(END))
    assert expected is None or (found is not None and found <= expected), "no change is slept through"
    assert found is None or found > END
