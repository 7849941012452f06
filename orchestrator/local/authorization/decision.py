"""The decision: whether a caller's policies and those of a resource allow an action on it. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from orchestrator.local.authorization.caller import ACCOUNT, ITSELF, NAMED, SERVICE, SESSION, UNMATCHED, Caller, Grants
from orchestrator.local.authorization.conditions import Undecidable, holds
from orchestrator.local.authorization.policy import ALLOW, DENY, Context, Policy, Statement

GUARDED = ("kms:", "sts:")
"""Beginnings of actions on resources that need their own policy's word in any case: keys and roles.

https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html"""


@dataclass(frozen=True, slots=True)
class Question:
    """May ``caller`` do ``action`` on ``resource``? ``owner`` is the resource's account, '' for the caller's own."""

    caller: Caller
    action: str
    resource: str
    context: Context = field(default_factory=dict)
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """``reason`` says why not, as AWS words it; ``doubts`` what could not be evaluated on the way."""

    allowed: bool
    reason: str = ""
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one kind of policy says: how it allows (UNMATCHED: not), and the place of a deny."""

    allows: int = UNMATCHED
    denied_by: str = ""


def decide(question: Question, grants: Grants, resource_policy: Policy | None = None) -> Decision:
    """Whether the caller's policies and the resource's allow it."""
    doubts: list[str] = []
    kinds = [
        ("an identity-based policy", _verdict(grants.identity or (), question, doubts)),
        ("a permissions boundary", _verdict([grants.boundary] if grants.boundary else (), question, doubts)),
        ("a session policy", _verdict(grants.session, question, doubts)),
        ("a resource-based policy", _verdict([resource_policy] if resource_policy else (), question, doubts)),
    ]
    for name, verdict in kinds:
        if verdict.denied_by:
            return Decision(False, f"with an explicit deny in {name}", tuple(doubts))
    missing = _missing(question, grants, *(verdict.allows for _, verdict in kinds))
    reason = f"because no {missing} allows the {question.action} action" if missing else ""
    return Decision(not missing, reason, tuple(doubts))


def _missing(question: Question, grants: Grants, identity: int, boundary: int, session: int, resource: int) -> str:
    """The kind of policy that should allow it and does not; '' when all do."""
    caller = question.caller
    if caller.kind == SERVICE:
        return "" if resource >= NAMED else "resource-based policy"
    by_identity = grants.identity is None or identity != UNMATCHED
    limits = [
        ("permissions boundary", grants.boundary is None or boundary != UNMATCHED),
        ("session policy", not grants.session or session != UNMATCHED),
    ]
    limit = next((name for name, passed in limits if not passed), "")
    if question.owner and question.owner != caller.account:
        if not by_identity:
            return "identity-based policy"
        return limit or ("" if resource != UNMATCHED else "resource-based policy")
    if resource == ITSELF:
        return ""
    if resource == NAMED:  # AWS: the limits of a role bind what its ARN is granted, not what a session's is
        return limit if caller.kind == SESSION else ""
    if question.action.startswith(GUARDED) and question.resource != "*" and resource != ACCOUNT:
        return "resource-based policy"
    return limit if by_identity else "identity-based policy"


def _verdict(policies: Iterable[Policy], question: Question, doubts: list[str]) -> Verdict:
    allows, denied = UNMATCHED, ""
    for policy in policies:
        for statement, match in statements_about(policy, question, doubts):
            if statement.effect == DENY:
                denied = denied or f"{policy.place} {statement.sid}"
            else:
                allows = max(allows, match)
    return Verdict(allows, denied)


def statements_about(policy: Policy, question: Question, doubts: list[str]) -> Iterator[tuple[Statement, int]]:
    """The statements that are about the question, each with how it speaks of the caller."""
    for statement in policy.statements:
        if not statement.is_about(question.action, question.resource, question.context):
            continue
        match = _match(statement, question.caller)
        if match and _conditions_hold(policy, statement, question, doubts):
            yield statement, match


def _match(statement: Statement, caller: Caller) -> int:
    if statement.principals is not None:
        return caller.matched_by(statement.principals)
    if statement.not_principals is not None:
        if statement.effect == ALLOW:
            return UNMATCHED if caller.matched_by(statement.not_principals) else NAMED
        return UNMATCHED if caller.excepted_by(statement.not_principals) else NAMED
    return NAMED  # a policy of the caller itself


def _conditions_hold(policy: Policy, statement: Statement, question: Question, doubts: list[str]) -> bool:
    """Whether every condition is met. One that cannot be evaluated never helps: nothing is allowed by it, and what
    it may deny is denied."""
    undecided = False
    for condition in statement.conditions:
        try:
            if not holds(condition, question.context, variables=statement.variables):
                return False
        except Undecidable as problem:
            doubts.append(f"{policy.place}, statement {statement.sid or '?'}: {problem}")
            undecided = True
    return not undecided or statement.effect == DENY
