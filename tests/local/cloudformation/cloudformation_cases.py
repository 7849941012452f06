"""What the tables of resource types share: a case, the walk through it, and resources that stand beside others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cloudformation_rig import Cloud, exists

Read = Callable[[Cloud, str, str], Any]
"""Reads something back with the type's own API, given the physical id and the stack's name."""


@dataclass
class Case:
    """A resource before and after an update, with what its API says each time."""

    type: str
    before: dict[str, Any]
    after: dict[str, Any]
    read: Read
    says_before: Any
    says_after: Any
    gone: Read
    beside: dict[str, Any] = field(default_factory=dict)

    def template(self, properties: dict[str, Any]) -> dict[str, Any]:
        return {"Resources": {**self.beside, "It": {"Type": self.type, "Properties": properties}}}


def tags(**pairs: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def tag_map(found: list[dict[str, str]]) -> dict[str, str]:
    return {
        tag.get("Key", tag.get("key", tag.get("TagKey", ""))): next(
            value for key, value in tag.items() if key.lower().endswith("value")
        )
        for tag in found
    }


QUEUE = {"Type": "AWS::SQS::Queue"}
TOPIC = {"Type": "AWS::SNS::Topic"}


def absent(client: str, call: str, parameter: str) -> Read:
    return lambda cloud, physical, stack: not exists(getattr(cloud.client(client), call), **{parameter: physical})


def walk(cloud: Cloud, case: Case) -> None:
    """Make the resource, change it, take it away, and ask its API each time."""
    name = cloud.name("kind")
    stack = cloud.create(case.template(case.before), name, Capabilities=["CAPABILITY_NAMED_IAM"])
    assert stack["StackStatus"] == "CREATE_COMPLETE", cloud.failures(stack)
    physical = cloud.physical(stack, "It")
    assert case.read(cloud, physical, name) == case.says_before
    stack = cloud.update(stack, case.template(case.after), Capabilities=["CAPABILITY_NAMED_IAM"])
    assert stack["StackStatus"] == "UPDATE_COMPLETE", cloud.failures(stack)
    physical = cloud.physical(stack, "It")
    assert case.read(cloud, physical, name) == case.says_after
    only_the_rest = {"Resources": {**case.beside, "Other": TOPIC}}
    stack = cloud.update(stack, only_the_rest, Capabilities=["CAPABILITY_NAMED_IAM"])
    assert stack["StackStatus"] == "UPDATE_COMPLETE", cloud.failures(stack)
    assert case.gone(cloud, physical, name)
    stack = cloud.delete(stack)
    assert stack["StackStatus"] == "DELETE_COMPLETE", cloud.failures(stack)
