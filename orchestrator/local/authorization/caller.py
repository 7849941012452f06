"""Who asks: the root of an account, a user, a session of a role, or a service of AWS."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.local.authorization.policy import Policy

ROOT, USER, SESSION, SERVICE = "Account", "User", "AssumedRole", "Service"
"""The kinds; the first three are also the values of ``aws:PrincipalType``."""

UNMATCHED, ACCOUNT, NAMED, ITSELF = 0, 1, 2, 3
"""How a principal element speaks of a caller: not at all, through its account, by name (its role's, or everyone), or
this very session."""


@dataclass(frozen=True, slots=True)
class Caller:
    """``arn`` is what messages show; ``principal_arn`` that of the role behind a session (``aws:PrincipalArn``)."""

    kind: str
    account: str
    arn: str
    principal_arn: str
    user_id: str = ""
    name: str = ""
    """Of a user."""
    tags: tuple[tuple[str, str], ...] = ()
    source_arn: str = ""
    """Of a service: the resource on whose behalf it calls."""
    source_account: str = ""

    @property
    def described(self) -> str:
        """The caller as AWS's messages name it."""
        return f"Principal: {self.arn}" if self.kind == SERVICE else f"User: {self.arn}"

    def matched_by(self, principals: tuple[tuple[str, str], ...]) -> int:
        """How the most telling of the principals speaks of this caller."""
        return max((self._match(kind, value) for kind, value in principals), default=UNMATCHED)

    def _match(self, kind: str, value: str) -> int:
        if kind == "*" or (kind == "AWS" and value == "*"):
            return NAMED
        if kind == "Service":
            return NAMED if self.kind == SERVICE and value == self.arn else UNMATCHED
        if kind != "AWS" or self.kind == SERVICE:
            return UNMATCHED
        if value == self.principal_arn:
            return NAMED
        if value == self.arn:
            return ITSELF
        return ACCOUNT if value == self.account or _is_root_of(value, self.account) else UNMATCHED

    def excepted_by(self, principals: tuple[tuple[str, str], ...]) -> bool:
        """Whether a NotPrincipal lists the caller whole: a session must be listed with its role and its account.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
        """
        if self.kind == SERVICE:
            return self.matched_by(principals) == NAMED
        listed = {value for kind, value in principals if kind == "AWS"}
        whole = listed & {self.account} or any(_is_root_of(value, self.account) for value in listed)
        return bool(whole) and {self.arn, self.principal_arn} - {_root_arn(self.arn, self.account)} <= listed


@dataclass(frozen=True, slots=True)
class Grants:
    """The policies that belong to a caller. ``identity`` None: a root, who may do everything in its account."""

    identity: tuple[Policy, ...] | None = ()
    boundary: Policy | None = None
    session: tuple[Policy, ...] = ()
    """Session policies; each permission must be in the role's policies and in these."""


def _root_arn(like: str, account: str) -> str:
    return f"arn:{like.split(':')[1] if like.startswith('arn:') else 'aws'}:iam::{account}:root"


def _is_root_of(value: str, account: str) -> bool:
    return value.startswith("arn:") and value.endswith(f":iam::{account}:root")


def root(account: str, partition: str = "aws") -> Caller:
    """The root user of an account."""
    arn = f"arn:{partition}:iam::{account}:root"
    return Caller(ROOT, account, arn, arn, account)


def service(principal: str, source_account: str, source_arn: str = "") -> Caller:
    """A service of AWS, such as ``events.amazonaws.com``, acting for a resource of an account (``-``: for some)."""
    return Caller(SERVICE, "", principal, principal, "", "", (), source_arn.removeprefix("-"), source_account)


def session(role_arn: str, role_id: str, name: str, tags: tuple[tuple[str, str], ...] = ()) -> Caller:
    """A session of a role."""
    _, partition, _, _, account, path = role_arn.split(":", 5)
    arn = f"arn:{partition}:sts::{account}:assumed-role/{path.rpartition('/')[2]}/{name}"
    return Caller(SESSION, account, arn, role_arn, f"{role_id}:{name}", "", tags)


def user(arn: str, user_id: str, tags: tuple[tuple[str, str], ...] = ()) -> Caller:
    """A user of IAM."""
    return Caller(USER, arn.split(":")[4], arn, arn, user_id, arn.rpartition("/")[2], tags)
