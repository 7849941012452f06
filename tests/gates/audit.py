"""The IAM audit: what a policy must not say, whoever renders it.

| rule | meaning |
|---|---|
| IAM-ACTION-STAR | an Allow with `*`, `service:*` or a part of a name (`s3:Get*`) |
| IAM-UNKNOWN-ACTION | an action that AWS does not have |
| IAM-RESOURCE-STAR | `*` as the resource of an action that could be limited, and no condition limits it |
| IAM-WILDCARD | a wildcard in a resource, in a form that `wildcards.yaml` gives no reason for |
| IAM-PASSROLE | `iam:PassRole` without `iam:PassedToService`, or on any role |
| IAM-TRUST | a service that may take a role without `aws:SourceAccount` or `aws:SourceArn` |
| IAM-TRUST-ANYONE | a role that everybody, or another account as a whole, may take |
| IAM-OPEN | a resource policy that lets everybody in without a condition |
| IAM-ACCOUNT | a resource policy for another account as a whole, without naming its roles |
| IAM-PARAMETER | a parameter that may be any text and reaches an action, a resource or a principal |
| IAM-ADMIN | a managed policy that is an administrator's |
| IAM-INLINE | a policy inside of a role, where no limit of a managed policy and no review of it holds |
| IAM-BOUNDARY | a role of a blueprint without a permissions boundary |
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.gates.findings import Finding
from tests.gates.policies import PSEUDO, UNKNOWN, Statement, flat, references, statements
from tests.gates.service_authorization import known, limitable
from tests.gates.subjects import Subject

SOURCES = ("aws:SourceAccount", "aws:SourceArn", "aws:SourceOrgID")
TRUSTED_WITHOUT_SOURCE = frozenset({"cloudformation.amazonaws.com", "lambda.amazonaws.com"})
"""Services that are not known to send source keys when they take a function's or a stack's role; whoever hands one
of these the role needs ``iam:PassRole`` on it, in its own account.
https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html"""
FORMS = Path(__file__).parent / "wildcards.yaml"
ADMINISTRATORS = re.compile(r"policy/(AdministratorAccess|IAMFullAccess|PowerUserAccess|.*FullAccess)$")

Complaint = tuple[str, str]


def audit(subject: Subject) -> list[Finding]:
    """All findings of one template."""
    found = [
        Finding("iam audit", rule, subject.name, each.place, message)
        for each in statements(subject.template)
        for check in CHECKS
        for rule, message in check(each)
    ]
    return [*found, *_wildcards(subject), *_parameters(subject), *_roles(subject)]


@cache
def forms() -> Sequence[dict[str, Any]]:
    """The forms of wildcards that have a reason."""
    found: list[dict[str, Any]] = yaml.safe_load(FORMS.read_text())
    return found


def with_wildcards(subject: Subject) -> Iterator[tuple[Statement, str, dict[str, Any] | None]]:
    """(statement, resource, its form if there is one) of every wildcard in a resource that an identity may use."""
    for each in statements(subject.template):
        for resource in each.resources if each.kind == "identity" and each.effect == "Allow" else ():
            if "*" in resource and resource != "*":
                fitting = (one for one in forms() if re.fullmatch(one["form"], resource) and _belongs(one, subject))
                yield each, resource, next(fitting, None)


def _belongs(form: dict[str, Any], subject: Subject) -> bool:
    where = form.get("in", "")
    return subject.name.startswith("launch-") == (where == "launch") and (where == "launch" or where in subject.name)


def _wildcards(subject: Subject) -> Iterator[Finding]:
    for each, resource, form in with_wildcards(subject):
        if form is None:
            yield Finding("iam audit", "IAM-WILDCARD", subject.name, each.place, f"allows on {resource}")


def _actions(each: Statement) -> Iterator[Complaint]:
    if each.effect != "Allow" or each.kind == "boundary":
        return
    for action in each.actions:
        if "*" in action:
            yield "IAM-ACTION-STAR", f"allows {action}"
        elif action != UNKNOWN and not known(action):
            yield "IAM-UNKNOWN-ACTION", f"AWS has no action {action}"


def _resources(each: Statement) -> Iterator[Complaint]:
    if each.effect == "Allow" and each.kind == "identity" and "*" in each.resources and not each.condition:
        narrow = sorted(action for action in each.actions if limitable(action))
        if narrow:
            yield "IAM-RESOURCE-STAR", f"allows {', '.join(narrow)} on every resource"


def _passing(each: Statement) -> Iterator[Complaint]:
    if each.effect != "Allow" or each.kind == "boundary" or "iam:passrole" not in map(str.lower, each.actions):
        return
    if "iam:PassedToService" not in json.dumps(each.condition):
        yield "IAM-PASSROLE", "passes a role without saying to which service"
    if any(resource == "*" or resource.endswith("role/*") for resource in each.resources):
        yield "IAM-PASSROLE", "passes any role"


def _trust(each: Statement) -> Iterator[Complaint]:
    if each.kind != "trust" or each.effect != "Allow":
        return
    services = [name for name in each.principals.get("Service", ()) if name not in TRUSTED_WITHOUT_SOURCE]
    if services and not any(key in json.dumps(each.condition) for key in SOURCES):
        yield "IAM-TRUST", f"{', '.join(services)} may take the role for anyone"
    for principal in each.principals.get("AWS", ()):
        if principal == "*" or (principal.endswith(":root") and not each.condition):
            yield "IAM-TRUST-ANYONE", f"{principal} may take the role"


def _openness(each: Statement) -> Iterator[Complaint]:
    if each.kind != "resource" or each.effect != "Allow":
        return
    condition = json.dumps(each.condition)
    limited = "aws:PrincipalArn" in condition or "aws:PrincipalOrg" in condition
    for principal in each.principals.get("AWS", ()):
        own = principal.endswith(f"{PSEUDO['AWS::AccountId']}:root")
        if principal == "*" and not each.condition:
            yield "IAM-OPEN", "lets everybody in"
        elif principal != "*" and not own and not limited and "role/" not in principal:
            yield "IAM-ACCOUNT", f"lets all of {principal} in"
    limits = (*SOURCES, "kms:EncryptionContext")
    if each.principals.get("Service") and not any(key in condition for key in limits):
        yield "IAM-OPEN", f"lets {', '.join(each.principals['Service'])} in for anyone"


CHECKS: tuple[Callable[[Statement], Iterator[Complaint]], ...] = (_actions, _resources, _passing, _trust, _openness)


def _parameters(subject: Subject) -> Iterator[Finding]:
    """Parameters that are any text and reach a policy: whoever names a bucket `*` would widen a role."""
    declared = subject.template.get("Parameters", {})
    loose = {name for name, rule in declared.items() if not {"AllowedPattern", "AllowedValues"} & set(rule)}
    loose = {name for name in loose if declared[name].get("Type") in ("String", "CommaDelimitedList")}
    for each in statements(subject.template):
        for part in ("Action", "Resource", "Principal"):
            for name in sorted(loose & set(references(each.raw.get(part)))):
                message = f"{part} takes the parameter {name}, which may be any text"
                yield Finding("iam audit", "IAM-PARAMETER", subject.name, each.place, message)


def _roles(subject: Subject) -> Iterator[Finding]:
    for name, resource in subject.template.get("Resources", {}).items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        properties = resource.get("Properties", {})
        for arn in map(flat, properties.get("ManagedPolicyArns", [])):
            if ADMINISTRATORS.search(arn):
                yield Finding("iam audit", "IAM-ADMIN", subject.name, name, f"has {arn}")
        if properties.get("Policies"):
            yield Finding("iam audit", "IAM-INLINE", subject.name, name, "has a policy inside")
        if not subject.name.startswith("launch-") and "PermissionsBoundary" not in properties:
            yield Finding("iam audit", "IAM-BOUNDARY", subject.name, name, "has no permissions boundary")
