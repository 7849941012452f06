"""When schedules fire: a table of known times, and an independent search minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.local.services.scheduler.timing import InvalidTiming, Plan, parse

BERLIN = "Europe/Berlin"
HORIZON_MINUTES = 3 * 1440


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def text(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@pytest.mark.parametrize("expression, zone, moment, expected", [
    ("at(2030-01-31T12:00:00)", "UTC", "2029-01-01T00:00:00", "2030-01-31T12:00:00"),
    ("at(2030-01-31T12:00:00)", BERLIN, "2029-01-01T00:00:00", "2030-01-31T11:00:00"),
    ("at(2030-07-31T12:00:00)", BERLIN, "2029-01-01T00:00:00", "2030-07-31T10:00:00"),
    ("at(2030-01-31T12:00:00)", "UTC", "2030-01-31T12:00:00", None),
    ("cron(0 8 * * ? *)", BERLIN, "2026-03-28T08:00:00", "2026-03-29T06:00:00"),  # the clocks went forward in between
    ("cron(30 2 * * ? *)", BERLIN, "2026-03-28T12:00:00", "2026-03-30T00:30:00"),  # 02:30 of the 29th is left out
    ("cron(30 2 * * ? *)", BERLIN, "2026-10-24T12:00:00", "2026-10-25T00:30:00"),  # 02:30 comes twice: the first
    ("cron(30 2 * * ? *)", BERLIN, "2026-10-25T00:30:00", "2026-10-26T01:30:00"),  # and not the second
    ("cron(0 * * * ? *)", "Asia/Kolkata", "2026-01-01T00:00:00", "2026-01-01T00:30:00"),
    ("cron(0 0 ? * 2#1 *)", "America/New_York", "2026-01-06T00:00:00", "2026-02-02T05:00:00"),
])  # fmt: skip
def test_next(expression: str, zone: str, moment: str, expected: str | None) -> None:
    assert text(Plan(parse(expression, zone), anchor=0.0).after(at(moment))) == expected


@pytest.mark.parametrize("expression", ["rate(1 minute)", "rate(1 minutes)", "rate(2 hour)"])
def test_a_rate_takes_either_number_of_its_unit(expression: str) -> None:
    parse(expression)


@pytest.mark.parametrize("expression, zone", [
    ("at(2030-01-31)", "UTC"), ("at(2030-02-31T00:00:00)", "UTC"), ("at(2030-01-31T12:00:00Z)", "UTC"),
    ("rate(0 minutes)", "UTC"), ("rate(5 weeks)", "UTC"), ("cron(0 12 * * *)", "UTC"), ("every day", "UTC"),
    ("rate(1 day)", "Mars/Olympus"), ("rate(1 day)", "../../etc/passwd"), ("rate(1 day)", ""),
    ("rate(1 day)", "Europe"),
])  # fmt: skip
def test_what_cannot_be_understood_is_refused(expression: str, zone: str) -> None:
    with pytest.raises(InvalidTiming):
        parse(expression, zone)


def test_a_rate_begins_at_once_and_keeps_its_grid() -> None:
    plan = Plan(parse("rate(10 minutes)"), anchor=1000.0)
    assert plan.first(1000.5) == 1000.0
    assert plan.after(1000.0) == 1600.0
    assert plan.after(2199.0) == 2200.0


def test_a_rate_with_a_start_begins_there() -> None:
    plan = Plan(parse("rate(1 hour)"), anchor=0.0, start=at("2026-01-01T00:30:00"))
    assert text(plan.first(at("2025-12-31T00:00:00"))) == "2026-01-01T00:30:00"
    assert text(plan.first(at("2026-01-01T02:00:00"))) == "2026-01-01T02:30:00"


def test_start_and_end_bound_a_cron() -> None:
    start, end = at("2026-01-01T00:00:00"), at("2026-01-01T02:00:00")
    plan = Plan(parse("cron(0 * * * ? *)"), 0.0, start, end)
    assert plan.after(at("2025-01-01T00:00:00")) == start
    assert plan.after(start) == start + 3600
    assert plan.after(start + 3600) is None


# --- against a search that only looks at clocks


def matches(fields: tuple[frozenset[int], frozenset[int], frozenset[int]], local: datetime) -> bool:
    minutes, hours, weekdays = fields
    return local.minute in minutes and local.hour in hours and local.isoweekday() % 7 + 1 in weekdays


def search(
    fields: tuple[frozenset[int], frozenset[int], frozenset[int]], zone: ZoneInfo, moment: datetime
) -> datetime | None:
    """The first minute after the moment whose local time matches and has not been before."""
    minute = moment.replace(second=0, microsecond=0)
    for _ in range(HORIZON_MINUTES):
        minute += timedelta(minutes=1)
        local = minute.astimezone(zone)
        if local.fold == 0 and matches(fields, local):
            return minute
    return None


CHOICES = {
    "minutes": st.frozensets(st.integers(0, 59), min_size=1, max_size=4),
    "hours": st.frozensets(st.integers(0, 23), min_size=1, max_size=6),
    "weekdays": st.frozensets(st.integers(1, 7), min_size=1, max_size=7),
}
AROUND_CHANGES = st.sampled_from(["2026-03-28T20:00:00", "2026-10-24T20:00:00", "2026-06-01T00:00:00"])
ZONES = st.sampled_from(["UTC", BERLIN, "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])


@settings(max_examples=60, deadline=None)
@given(**CHOICES, zone=ZONES, day=AROUND_CHANGES, seconds=st.integers(0, 86_400))
def test_cron_finds_what_a_search_finds(
    minutes: frozenset[int], hours: frozenset[int], weekdays: frozenset[int], zone: str, day: str, seconds: int
) -> None:
    texts = [",".join(map(str, sorted(numbers))) for numbers in (minutes, hours, weekdays)]
    plan = Plan(parse(f"cron({texts[0]} {texts[1]} ? * {texts[2]} *)", zone), anchor=0.0)
    moment = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(seconds=seconds)
    expected = search((minutes, hours, weekdays), ZoneInfo(zone), moment)
    found = plan.after(moment.timestamp())
    if expected is None:
        assert found is None or found > moment.timestamp() + HORIZON_MINUTES * 60
    else:
        assert text(found) == expected.strftime("%Y-%m-%dT%H:%M:%S")


@settings(max_examples=60, deadline=None)
@given(
    expression=st.sampled_from(["rate(7 minutes)", "rate(1 day)", "cron(*/13 3-9 ? * MON-FRI *)", "cron(0 0 1 * ? *)"]),
    down=st.integers(0, 40 * 86_400),
)
def test_the_latest_missed_time_is_the_last_of_all_missed(expression: str, down: int) -> None:
    plan = Plan(parse(expression), anchor=at("2026-01-01T00:00:00"))
    due = plan.after(at("2026-01-02T00:00:00"))
    assert due is not None
    now, last = due + down, due
    if expression == "rate(7 minutes)":
        last = due + down // 420 * 420
    else:
        while (later := plan.after(last)) is not None and later <= now:
            last = later
    assert plan.latest(due, now) == last
