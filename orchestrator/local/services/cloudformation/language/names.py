"""The names a template may use without declaring them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final


class _NoValue:
    """What ``AWS::NoValue`` gives: a property or list item that is as good as absent."""

    def __repr__(self) -> str:
        return "NO_VALUE"


NO_VALUE: Final = _NoValue()
PSEUDO_PARAMETERS = (
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
)


def partition(region: str) -> str:
    """The partition a region lies in."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def pseudo_parameters(
    account: str, region: str, stack_id: str, stack_name: str, notifications: Sequence[str]
) -> dict[str, Any]:
    """Their values in one stack."""
    return {
        "AWS::AccountId": account,
        "AWS::NotificationARNs": list(notifications),
        "AWS::NoValue": NO_VALUE,
        "AWS::Partition": partition(region),
        "AWS::Region": region,
        "AWS::StackId": stack_id,
        "AWS::StackName": stack_name,
        "AWS::URLSuffix": "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com",
    }
