"""What is known when a decision is made: the policies of callers and resources, as they are at this moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from orchestrator.local.authorization.asked import ONLY_OF, Asked, Values
from orchestrator.local.authorization.caller import ROOT, SERVICE, SESSION, USER, Grants
from orchestrator.local.authorization.identity import Identity
from orchestrator.local.authorization.kinds import Place
from orchestrator.local.authorization.policy import Policy, read
from orchestrator.local.journal import moto_access
from orchestrator.local.service import Service


class Knowledge:
    """Looks policies up. ``own`` has our own services by the name in ARNs, which several may share."""

    def __init__(self, own: Mapping[str, Sequence[Service]], now: Callable[[], float] = time.time) -> None:
        self._own = own
        self._now = now

    def grants(self, identity: Identity) -> Grants:
        """The policies of a caller; none when its role is gone, or is another than it was."""
        caller = identity.caller
        if caller.kind == ROOT:
            return Grants(None)
        if caller.kind == SERVICE:
            return Grants()
        name = caller.principal_arn.rpartition("/")[2]
        holder = (moto_access.user if caller.kind == USER else moto_access.role)(caller.account, name)
        if holder is None or (caller.kind == SESSION and holder.identity != caller.user_id.partition(":")[0]):
            return Grants()
        session = [read("the session policy", text) for text in identity.policies]
        session += [read(arn, moto_access.managed_policy(caller.account, arn)) for arn in identity.policy_arns]
        boundary = read(*holder.boundary) if holder.boundary[0] else None
        policies = tuple(read(place, document) for place, document in holder.policies)
        # several session policies together say what one would: a permission in any of them is one
        merged = Policy("the session policy", tuple(each for one in session for each in one.statements))
        return Grants(policies, boundary, (merged,) if session else ())

    def resource_policy(self, arn: str, owner: str) -> Policy | None:
        """The policy of a resource."""
        parts = arn.split(":", 5)
        if len(parts) < 6:
            return None
        text = self._text(parts[2], arn, parts, owner)
        return read(f"the policy of {arn}", text) if text else None

    def _text(self, service: str, arn: str, parts: list[str], owner: str) -> str:
        match service:
            case "s3":
                bucket = moto_access.bucket(parts[5].partition("/")[0])
                return bucket.policy if bucket else ""
            case "kms":
                key = moto_access.kms_key(owner, parts[3], arn)
                return key[1] if key else ""
            case "iam" if parts[5].startswith("role/"):
                role = moto_access.role(parts[4], parts[5].rpartition("/")[2])
                return role.trust if role else ""
            case "sns":
                topic = moto_access.topic(":".join(arn.split(":")[:6]))
                return topic[0] if topic else ""
            case "sqs":
                queue = moto_access.queue(arn)
                return queue[0] if queue else ""
            case "ecr":
                return moto_access.repository(arn)
            case "secretsmanager":
                secret = moto_access.secret(parts[4], parts[3], arn)
                return secret[1] if secret else ""
        return next((text for one in self._own.get(service, ()) if (text := one.resource_policy(arn))), "")

    def owner(self, arn: str, place: Place) -> str:
        """The account a resource belongs to."""
        parts = arn.split(":", 5)
        if len(parts) < 6:
            return place.account
        if parts[2] == "s3":
            bucket = moto_access.bucket(parts[5].partition("/")[0])
            return bucket.owner if bucket else place.account
        return parts[4] or place.account

    def exact(self, asked: Asked, place: Place) -> Asked:
        """The question with the whole ARN of what was named by something shorter: a path, an alias, a URL."""
        parts = asked.resource.split(":", 5)
        if len(parts) < 6:
            return asked
        found = self._exact(parts, asked.resource, place)
        return Asked(asked.action, found, asked.context) if found else asked

    def _exact(self, parts: list[str], arn: str, place: Place) -> str:
        match parts[2]:
            case "kms" if not parts[5].startswith("alias/") or "alias/" in arn:
                key = moto_access.kms_key(parts[4], parts[3], arn if "alias/" not in arn else _alias(arn))
                return key[0] if key else ""
            case "iam" if parts[5].startswith("role/"):
                role = moto_access.role(parts[4], parts[5].rpartition("/")[2])
                return role.arn if role else ""
            case "secretsmanager":
                name = parts[5].removeprefix("secret:")
                secret = moto_access.secret(parts[4], parts[3], arn if name.startswith("arn:") else name)
                return secret[0] if secret else ""
            case "sqs" if "//" in parts[5]:
                _, account, queue = parts[5].rsplit("/", 2)
                return f"arn:{parts[1]}:sqs:{place.region}:{account}:{queue}"
            case "sns" if parts[5].count(":"):
                return arn.rpartition(":")[0]  # a subscription is governed by its topic
        return next((found for one in self._own.get(parts[2], ()) if (found := one.governing(arn)) != arn), "")

    def context(self, identity: Identity, asked: Asked, place: Place, owner: str) -> Values:
        """The condition keys of a question: of everyone's, the caller's, and its own.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
        """
        caller, now = identity.caller, self._now()
        made: Values = {
            "aws:currenttime": (datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),),
            "aws:epochtime": (str(int(now)),),
            "aws:principalisawsservice": ("true" if caller.kind == SERVICE else "false",),
            "aws:requestedregion": (place.region,),
            "aws:securetransport": ("true",),  # the loopback interface is as private as TLS
            "aws:sourceip": ("127.0.0.1",),
            "aws:viaawsservice": ("false",),
            "aws:resourceaccount": (owner,),
            "s3:resourceaccount": (owner,),
        }
        if caller.kind == SERVICE:
            made["aws:principalservicename"] = (caller.arn,)
            made["aws:sourceaccount"] = made["aws:sourceowner"] = (caller.source_account,)
            if caller.source_arn.startswith("arn:"):
                made["aws:sourcearn"] = (caller.source_arn,)
        else:
            made |= {
                "aws:principalaccount": (caller.account,),
                "aws:principalarn": (caller.principal_arn,),
                "aws:principaltype": (caller.kind,),
                "aws:sourceowner": (caller.account,),
                "aws:userid": (caller.user_id,),
                "kms:calleraccount": (caller.account,),
            }
            if caller.name:
                made["aws:username"] = (caller.name,)
            if organization := moto_access.organization_of(caller.account):
                made["aws:principalorgid"] = (organization,)
            made |= {f"aws:principaltag/{key.lower()}": (value,) for key, value in self._tags(identity)}
        return {**made, **self._boundary(asked), **asked.context}

    def _tags(self, identity: Identity) -> tuple[tuple[str, str], ...]:
        caller = identity.caller
        if caller.kind != SESSION:
            return caller.tags
        role = moto_access.role(caller.account, caller.principal_arn.rpartition("/")[2])
        return (*(role.tags if role else ()), *caller.tags)

    def _boundary(self, asked: Asked) -> Values:
        """``iam:PermissionsBoundary`` of an action on a role that is there: the role's own."""
        key, action = "iam:permissionsboundary", asked.action.removeprefix("iam:")
        if action not in ONLY_OF[key] - {"CreateRole"} or ":role/" not in asked.resource:
            return {}
        role = moto_access.role(asked.resource.split(":")[4], asked.resource.rpartition("/")[2])
        return {key: (role.boundary[0],)} if role and role.boundary[0] else {}


def _alias(arn: str) -> str:
    """The ARN of an alias, however it was put together: ``...:key/alias/x`` is one too."""
    return arn.replace(":key/alias/", ":alias/")
