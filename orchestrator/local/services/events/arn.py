"""ARNs, taken apart and put together."""

from __future__ import annotations

from typing import NamedTuple

PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}


class Arn(NamedTuple):
    """The parts of ``arn:partition:service:region:account:resource``."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return ":".join(("arn", *self))


def parse_arn(text: str) -> Arn:
    """The parts of an ARN; raises ValueError."""
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not parts[5]:
        raise ValueError(f"{text} is not an ARN")
    return Arn(*parts[1:])


def events_arn(region: str, account: str, resource: str) -> str:
    """The ARN of something of EventBridge."""
    partition = next((name for prefix, name in PARTITIONS.items() if region.startswith(prefix)), "aws")
    return str(Arn(partition, "events", region, account, resource))


def rule_arn(region: str, account: str, bus: str, rule: str) -> str:
    """The ARN of a rule; the default bus is not named in it."""
    return events_arn(region, account, f"rule/{rule}" if bus == "default" else f"rule/{bus}/{rule}")
