"""Condition operators of policies.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import UTC, datetime

from orchestrator.local.authorization.policy import Condition, Context, arn_like, expand, like

Test = Callable[[str, str], bool]
"""(what the policy says, what the request has)."""


class Undecidable(Exception):
    """A condition that cannot be evaluated here; says which and why."""


def _plain(text: str) -> str:
    """A text in which wildcard characters of variables are themselves again."""
    return text.replace("\ue000", "*").replace("\ue001", "?")


def _number(text: str) -> float:
    return float(_plain(text))


def _moment(text: str) -> float:
    plain = _plain(text)
    if plain.replace(".", "", 1).isdigit() and len(plain) != len("2030"):
        return float(plain)
    moment = datetime.fromisoformat(plain.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _compared(read: Callable[[str], float], compare: Callable[[float, float], bool]) -> Test:
    """Whether what the request has, as a number, stands so to what the policy says; never for what is no number."""

    def test(wanted: str, found: str) -> bool:
        try:
            return compare(read(found), read(wanted))
        except ValueError:
            return False

    return test


def _in_network(wanted: str, found: str) -> bool:
    try:
        return ipaddress.ip_address(found) in ipaddress.ip_network(_plain(wanted), strict=False)
    except ValueError:
        return False


COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "equals": lambda one, other: one == other,
    "lessthan": lambda one, other: one < other,
    "lessthanequals": lambda one, other: one <= other,
    "greaterthan": lambda one, other: one > other,
    "greaterthanequals": lambda one, other: one >= other,
}
POSITIVE: dict[str, Test] = {
    "stringequals": lambda wanted, found: _plain(wanted) == found,
    "stringequalsignorecase": lambda wanted, found: _plain(wanted).lower() == found.lower(),
    "stringlike": like,
    "bool": lambda wanted, found: wanted.lower() == found.lower(),
    "binaryequals": lambda wanted, found: wanted == found,
    "arnequals": arn_like,  # AWS: ArnEquals and ArnLike behave identically
    "arnlike": arn_like,
    "ipaddress": _in_network,
    **{f"numeric{name}": _compared(_number, compare) for name, compare in COMPARISONS.items()},
    **{f"date{name}": _compared(_moment, compare) for name, compare in COMPARISONS.items()},
}
NEGATED = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
    "notipaddress": "ipaddress",
    "numericnotequals": "numericequals",
    "datenotequals": "dateequals",
}
QUANTIFIERS = frozenset({"", "forallvalues", "foranyvalue"})

KNOWN_KEYS = frozenset(
    {
        "aws:currenttime",
        "aws:epochtime",
        "aws:multifactorauthage",
        "aws:multifactorauthpresent",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalisawsservice",
        "aws:principalorgid",
        "aws:principalservicename",
        "aws:principaltype",
        "aws:requestedregion",
        "aws:resourceaccount",
        "aws:securetransport",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:tagkeys",
        "aws:userid",
        "aws:username",
        "aws:viaawsservice",
        "cloudformation:changesetname",
        "cloudformation:rolearn",
        "cloudformation:templateurl",
        "cloudwatch:namespace",
        "iam:passedtoservice",
        "iam:permissionsboundary",
        "iam:policyarn",
        "kms:calleraccount",
        "kms:grantisforawsresource",
        "kms:viaservice",
        "lambda:functionarn",
        "lambda:principal",
        "s3:delimiter",
        "s3:if-match",
        "s3:if-none-match",
        "s3:max-keys",
        "s3:prefix",
        "s3:resourceaccount",
        "s3:versionid",
        "s3:x-amz-acl",
        "s3:x-amz-copy-source",
        "s3:x-amz-server-side-encryption",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "sagemaker:modelapprovalstatus",
        "sns:endpoint",
        "sns:protocol",
        "sts:externalid",
        "sts:rolesessionname",
    }
)
KNOWN_PREFIXES = ("aws:principaltag/", "aws:requesttag/", "kms:encryptioncontext:")
"""Every key whose value, or whose absence, the embedded AWS knows of each request it matters for."""


def holds(condition: Condition, context: Context, *, variables: bool = True) -> bool:
    """Whether a condition is met. Raises Undecidable for an operator or a key that is not known here."""
    _check(condition)
    found = context.get(condition.key, ())
    if condition.operator == "null":
        return any((value.lower() == "true") == (not found) for value in condition.values)
    if not found:
        if condition.if_exists or condition.quantifier == "forallvalues":
            return True
        return condition.operator in NEGATED and not condition.quantifier
    wanted = condition.values
    if variables:
        expanded = [expand(value, context) if "${" in value else value for value in wanted]
        wanted = tuple(value for value in expanded if value is not None)
    test = POSITIVE[NEGATED.get(condition.operator, condition.operator)]
    matches = [any(test(one, value) for one in wanted) for value in found]
    if condition.operator in NEGATED:
        matches = [not match for match in matches]
        return any(matches) if condition.quantifier == "foranyvalue" else all(matches)
    return all(matches) if condition.quantifier == "forallvalues" else any(matches)


def _check(condition: Condition) -> None:
    operator = condition.operator
    if operator not in POSITIVE and operator not in NEGATED and operator != "null":
        raise Undecidable(f"the condition operator {operator!r} is not known")
    if condition.quantifier not in QUANTIFIERS:
        raise Undecidable(f"the qualifier {condition.quantifier!r} of a condition operator is not known")
    if condition.key not in KNOWN_KEYS and not condition.key.startswith(KNOWN_PREFIXES):
        raise Undecidable(f"the embedded AWS does not know the condition key {condition.key!r}")
