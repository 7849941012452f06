"""Schedule expressions, as a table of expressions, moments and the next time to fire."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchestrator.local.services.events.schedule import InvalidSchedule, parse


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize("expression, moment, expected", [
    ("rate(1 minute)", "2024-01-31T23:59:30", "2024-02-01T00:00:30"),
    ("rate(2 hours)", "2024-01-01T00:00:00", "2024-01-01T02:00:00"),
    ("rate(1 day)", "2024-01-01T00:00:00", "2024-01-02T00:00:00"),
    ("cron(0 12 * * ? *)", "2024-01-01T11:59:59", "2024-01-01T12:00:00"),
    ("cron(0 12 * * ? *)", "2024-01-01T12:00:00", "2024-01-02T12:00:00"),
    ("cron(*/15 * * * ? *)", "2024-01-01T10:31:00", "2024-01-01T10:45:00"),
    ("cron(5/20 * * * ? *)", "2024-01-01T10:31:00", "2024-01-01T10:45:00"),
    ("cron(15,45 8-9 ? * MON-FRI *)", "2024-01-05T09:45:00", "2024-01-08T08:15:00"),
    ("cron(0 8 1 * ? *)", "2024-01-01T08:00:00", "2024-02-01T08:00:00"),
    ("cron(0 0 31 * ? *)", "2024-02-01T00:00:00", "2024-03-31T00:00:00"),
    ("cron(0 0 29 FEB ? *)", "2024-03-01T00:00:00", "2028-02-29T00:00:00"),
    ("cron(0 0 L * ? *)", "2024-02-01T00:00:00", "2024-02-29T00:00:00"),
    ("cron(0 0 LW * ? *)", "2024-03-01T00:00:00", "2024-03-29T00:00:00"),
    ("cron(0 0 1W * ? *)", "2024-05-31T00:00:00", "2024-06-03T00:00:00"),
    ("cron(0 0 15W * ? *)", "2024-06-01T00:00:00", "2024-06-14T00:00:00"),
    ("cron(0 0 ? * 6L *)", "2024-03-01T00:00:00", "2024-03-29T00:00:00"),
    ("cron(0 0 ? * L *)", "2024-03-01T00:00:00", "2024-03-02T00:00:00"),
    ("cron(0 0 ? * 2#1 *)", "2024-03-05T00:00:00", "2024-04-01T00:00:00"),
    ("cron(0 0 ? * SUN *)", "2024-03-05T00:00:00", "2024-03-10T00:00:00"),
    ("cron(0 0 1 JAN ? 2030-2031)", "2024-03-05T00:00:00", "2030-01-01T00:00:00"),
])  # fmt: skip
def test_next(expression: str, moment: str, expected: str) -> None:
    after = parse(expression).after(seconds(moment))
    assert after is not None
    assert datetime.fromtimestamp(after, UTC).replace(tzinfo=None).isoformat() == expected


def test_a_past_schedule_never_fires() -> None:
    assert parse("cron(0 0 1 1 ? 2020)").after(seconds("2024-01-01T00:00:00")) is None


@pytest.mark.parametrize("expression", [
    "rate(1 minutes)", "rate(5 minute)", "rate(0 minutes)", "rate(5 weeks)", "every 5 minutes", "at(2024-01-01T00:00)",
    "cron(0 12 * * *)", "cron(0 12 * * * *)", "cron(0 12 ? * ? *)", "cron(60 12 * * ? *)", "cron(0 24 * * ? *)",
    "cron(0 0 32 * ? *)", "cron(0 0 ? * 8 *)", "cron(0 0 ? * 2#6 *)", "cron(0 0 * 13 ? *)", "cron(0 9-5 * * ? *)",
    "cron(*/0 * * * ? *)", "cron(x * * * ? *)",
])  # fmt: skip
def test_refused(expression: str) -> None:
    with pytest.raises(InvalidSchedule):
        parse(expression)
