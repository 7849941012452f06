"""IAM's evaluation written a second time, on the JSON itself and as slowly as it likes: what the real one is held to.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import fnmatch
from typing import Any

Json = dict[str, Any]


def several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def glob(pattern: str, text: str) -> bool:
    """``*`` and ``?`` only: a bracket of fnmatch's means nothing to IAM."""
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


def covers_arn(pattern: str, arn: str) -> bool:
    if pattern == "*":
        return True
    parts = pattern.split(":", 5)
    parts += ["*"] * (6 - len(parts))
    return all(glob(one, other) for one, other in zip(parts, arn.split(":", 5), strict=True))


def condition_met(block: Json, context: dict[str, list[str]]) -> bool:
    """StringEquals, StringLike, their negations, IfExists, ForAllValues, ForAnyValue and Null."""
    for name, keys in block.items():
        quantifier, _, rest = name.rpartition(":")
        operator, if_exists = rest.removesuffix("IfExists"), rest.endswith("IfExists")
        for key, wanted in keys.items():
            have = context.get(key)
            if operator == "Null":
                if (wanted == "true") == bool(have):
                    return False
                continue
            negated = "Not" in operator
            compare = glob if "Like" in operator else (lambda pattern, text: pattern == text)
            if not have:
                good = if_exists or quantifier == "ForAllValues" or (negated and not quantifier)
            else:
                hits = [any(compare(one, value) for one in several(wanted)) != negated for value in have]
                every = quantifier == "ForAllValues" or (negated and quantifier != "ForAnyValue")
                good = all(hits) if every else any(hits)
            if not good:
                return False
    return True


class Request:
    """Who (a role of an account, in a session), what, on which resource of which account, with which keys."""

    def __init__(self, account: str, action: str, resource: str, owner: str, context: dict[str, list[str]]) -> None:
        self.account, self.action, self.resource, self.owner, self.context = account, action, resource, owner, context
        self.role = f"arn:aws:iam::{account}:role/worker"
        self.session = f"arn:aws:sts::{account}:assumed-role/worker/s"


def relevant(statement: Json, request: Request) -> bool:
    """Whether everything but the principal speaks of the request."""
    actions = [one.lower() for one in several(statement.get("Action", statement.get("NotAction")))]
    if any(glob(one, request.action.lower()) for one in actions) == ("NotAction" in statement):
        return False
    if "Resource" in statement or "NotResource" in statement:
        resources = several(statement.get("Resource", statement.get("NotResource")))
        if any(covers_arn(one, request.resource) for one in resources) == ("NotResource" in statement):
            return False
    return condition_met(statement.get("Condition", {}), request.context)


def principal_of(statement: Json, request: Request) -> str:
    """'session', 'name', 'account' or ''."""
    principal = statement["Principal"]
    values = ["*"] if principal == "*" else several(principal.get("AWS", []))
    root = f"arn:aws:iam::{request.account}:root"
    for found, wanted in (
        ("session", {request.session}),
        ("name", {"*", request.role}),
        ("account", {request.account, root}),
    ):
        if wanted & set(values):
            return found
    return ""


def allowed(
    request: Request,
    identity: list[Json],
    boundary: Json | None,
    session: Json | None,
    resource: Json | None,
    *,
    guarded: bool = False,
) -> bool:
    """The decision."""
    own = [*identity, *([boundary] if boundary else []), *([session] if session else [])]
    for document in own:
        for statement in document["Statement"]:
            if statement["Effect"] == "Deny" and relevant(statement, request):
                return False
    speaking = [(s, principal_of(s, request)) for s in (resource or {"Statement": []})["Statement"]]
    speaking = [(s, how) for s, how in speaking if how and relevant(s, request)]
    if any(s["Effect"] == "Deny" for s, _ in speaking):
        return False
    granted = {how for s, how in speaking if s["Effect"] == "Allow"}

    def grants(document: Json) -> bool:
        return any(s["Effect"] == "Allow" and relevant(s, request) for s in document["Statement"])

    within = (boundary is None or grants(boundary)) and (session is None or grants(session))
    by_identity = any(grants(document) for document in identity) and within
    if request.owner != request.account:
        return by_identity and bool(granted)
    if "session" in granted:
        return True
    if "name" in granted:
        return within
    if guarded and "account" not in granted:
        return False
    return by_identity
