"""The policies of a template as statements whose intrinsic functions have become plain texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::AccountId": "111122223333",
    "AWS::Region": "us-east-1",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "stack",
}
UNKNOWN = "VALUE"
"""Stands for what is only known when a stack is made."""
RESOURCE_POLICIES = {
    "AWS::S3::BucketPolicy": "PolicyDocument",
    "AWS::SNS::TopicPolicy": "PolicyDocument",
    "AWS::SQS::QueuePolicy": "PolicyDocument",
    "AWS::KMS::Key": "KeyPolicy",
    "AWS::ECR::Repository": "RepositoryPolicyText",
    "AWS::SageMaker::ModelPackageGroup": "ModelPackageGroupPolicy",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. ``kind``: identity, resource, trust or boundary; ``raw`` is what the template says."""

    place: str
    kind: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Any]
    principals: Mapping[str, tuple[str, ...]]
    raw: Mapping[str, Any] = field(hash=False, compare=False)


def statements(template: Mapping[str, Any]) -> Iterator[Statement]:
    """Every statement of every policy in the template, both sides of ``Fn::If``."""
    boundaries = _boundaries(template)
    for name, resource in template.get("Resources", {}).items():
        properties, kind = resource.get("Properties", {}), resource["Type"]
        if kind == "AWS::IAM::Role":
            yield from _of(f"{name}.AssumeRolePolicyDocument", "trust", properties.get("AssumeRolePolicyDocument"))
            for policy in _alternatives(properties.get("Policies", [])):
                yield from _of(f"{name}.{flat(policy['PolicyName'])}", "identity", policy["PolicyDocument"])
        elif kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"):
            side = "boundary" if name in boundaries else "identity"
            yield from _of(name, side, properties.get("PolicyDocument"))
        elif kind in RESOURCE_POLICIES:
            yield from _of(name, "resource", properties.get(RESOURCE_POLICIES[kind]))


def _boundaries(template: Mapping[str, Any]) -> set[str]:
    """Managed policies that are called a boundary limit others and give nothing."""
    return {
        name
        for name, resource in template.get("Resources", {}).items()
        if resource["Type"] == "AWS::IAM::ManagedPolicy" and "boundary" in name.lower()
    }


def _of(place: str, kind: str, document: Any) -> Iterator[Statement]:
    for each in _alternatives((document or {}).get("Statement", [])):
        principal = each.get("Principal", {})
        groups = principal if isinstance(principal, dict) else {"AWS": principal}
        sid = each.get("Sid")
        yield Statement(
            f"{place}/{sid}" if isinstance(sid, str) else place,
            kind,
            each.get("Effect", "Allow"),
            texts(each.get("Action", [])),
            texts(each.get("Resource", [])),
            each.get("Condition", {}),
            {group: texts(named) for group, named in groups.items()},
            each,
        )


def _alternatives(node: Any) -> Iterator[Any]:
    for each in node if isinstance(node, list) else [node]:
        if isinstance(each, dict) and set(each) == {"Fn::If"}:
            for side in each["Fn::If"][1:]:
                yield from _alternatives(side)
        elif not (isinstance(each, dict) and each.get("Ref") == "AWS::NoValue"):
            yield each


def texts(node: Any) -> tuple[str, ...]:
    """A value or a list of them as texts."""
    return tuple(flat(each) for each in _alternatives(node))


def flat(value: Any) -> str:
    """A value as a text; what is not known yet is ``UNKNOWN``, a literal ``*`` stays one."""
    if not isinstance(value, dict):
        return str(value)
    ((function, argument),) = value.items() if len(value) == 1 else (("", None),)
    if function == "Ref":
        return PSEUDO.get(argument, UNKNOWN)
    if function == "Fn::GetAtt":
        parts = argument if isinstance(argument, list) else argument.split(".")
        return f"arn:aws:service:us-east-1:111122223333:{UNKNOWN}" if parts[-1].lower().endswith("arn") else UNKNOWN
    if function == "Fn::Join":
        return str(argument[0]).join(texts(argument[1]))
    if function == "Fn::Sub":
        text, given = (argument, {}) if isinstance(argument, str) else argument
        known = {**PSEUDO, **{name: flat(each) for name, each in given.items()}}
        return re.sub(r"\$\{([^}]*)\}", lambda match: known.get(match[1], UNKNOWN), text)
    if function == "Fn::If":
        return flat(argument[1])
    return UNKNOWN


def references(node: Any) -> Iterator[str]:
    """The names that ``Ref`` and ``Fn::Sub`` mention anywhere inside."""
    if isinstance(node, dict):
        if set(node) == {"Ref"}:
            yield str(node["Ref"])
            return
        if set(node) == {"Fn::Sub"}:
            text = node["Fn::Sub"] if isinstance(node["Fn::Sub"], str) else node["Fn::Sub"][0]
            yield from (name.partition(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", text))
        for inside in node.values():
            yield from references(inside)
    elif isinstance(node, list):
        for inside in node:
            yield from references(inside)
