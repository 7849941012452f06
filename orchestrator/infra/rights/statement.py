"""A statement of a policy with the reason for it, and the few intrinsic functions that resources are written with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Value = Any
"""Text or a CloudFormation function, as it stands in a template."""
ACCOUNT: Value = {"Ref": "AWS::AccountId"}
EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. ``principal`` only in policies of resources; ``reason`` says why it must be there."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[Value, ...]
    reason: str
    condition: Mapping[str, Any] = field(default_factory=dict)
    effect: str = "Allow"
    principal: Value = None

    def document(self) -> dict[str, Any]:
        """The statement as IAM takes it; the only action or resource stands alone."""
        written: dict[str, Any] = {"Sid": self.sid, "Effect": self.effect}
        if self.principal is not None:
            written["Principal"] = self.principal
        written["Action"] = list(self.actions) if len(self.actions) > 1 else self.actions[0]
        if self.resources:
            written["Resource"] = list(self.resources) if len(self.resources) > 1 else self.resources[0]
        if self.condition:
            written["Condition"] = dict(self.condition)
        return written


Policy = tuple[Statement, ...]


def allow(
    sid: str, actions: str, resources: Value, reason: str, condition: Mapping[str, Any] | None = None, **more: Any
) -> Statement:
    """A statement from actions separated by spaces, and one resource or a list of them."""
    listed = tuple(resources) if isinstance(resources, list) else (resources,)
    return Statement(sid, tuple(actions.split()), listed, reason, condition or {}, **more)


def document(policy: Policy) -> dict[str, Any]:
    """A policy document."""
    return {"Version": "2012-10-17", "Statement": [statement.document() for statement in policy]}


def ref(name: str) -> Value:
    """``Ref`` of a parameter or resource."""
    return {"Ref": name}


def arn_of(resource: str) -> Value:
    """The ARN of a resource of the template."""
    return {"Fn::GetAtt": [resource, "Arn"]}


def sub(text: str, **values: Value) -> Value:
    """``Fn::Sub``; ``values`` fill the names that are neither parameters nor resources."""
    return {"Fn::Sub": [text, values]} if values else {"Fn::Sub": text}


def here(service: str, resource: str) -> Value:
    """An ARN in the stack's own account and region."""
    return sub(f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}")


def role(name: str, account: str = "${AWS::AccountId}") -> Value:
    """The ARN of a role, of the stack's own account if no other is given."""
    return sub(f"arn:${{AWS::Partition}}:iam::{account}:role/{name}")


def passed_to(*services: str) -> dict[str, Any]:
    """The condition of ``iam:PassRole``: to these services and no others."""
    names = [f"{service}.amazonaws.com" for service in services]
    return {"StringEquals": {"iam:PassedToService": names if len(names) > 1 else names[0]}}


def from_this_account() -> dict[str, Any]:
    """The condition against confused deputies, for services that are known to say for whom they act."""
    return {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def from_accounts(accounts: Value) -> dict[str, Any]:
    """The same for several accounts: whoever the service acts for must be one of these."""
    return {"StringEquals": {"aws:SourceAccount": accounts}}


def trust_of_service(service: str, *, says_source: bool) -> dict[str, Any]:
    """The trust policy of a role for an AWS service.

    A service that does not say for whom it acts could never take a role under a plain condition; for those of which
    AWS documents nothing the condition holds as soon as the service says something.
    """
    operator = "StringEquals" if says_source else "StringEqualsIfExists"
    statement = Statement(
        "TheServiceForThisAccount",
        ("sts:AssumeRole",),
        (),
        f"{service} works with this role, for this account only.",
        {operator: {"aws:SourceAccount": ACCOUNT}},
        principal={"Service": f"{service}.amazonaws.com"},
    )
    return document((statement,))


def trust_of_account(account: Value, roles: Value) -> dict[str, Any]:
    """The trust policy of a role that some roles of an account may take."""
    statement = Statement(
        "TheHubsRoles",
        ("sts:AssumeRole",),
        (),
        "Only the orchestrator's own roles of the hub may act here, not whoever else lives in that account.",
        {"ArnLike": {"aws:PrincipalArn": roles}},
        principal={"AWS": sub("arn:${AWS::Partition}:iam::${Account}:root", Account=account)},
    )
    return document((statement,))
