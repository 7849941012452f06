"""Who is behind a key: read from the access key and the token that came with it.

The token of a session of a role says whose session it is, so a key is good for as long as its role is the same,
whatever was forgotten since. The token is not a secret: whoever reaches the port owns the embedded AWS anyway.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.local.authorization import caller
from orchestrator.local.authorization.caller import Caller
from orchestrator.local.credentials import SERVICE_MARK
from orchestrator.local.gateway.accounts import account_in_temporary_key
from orchestrator.local.journal import moto_access
from orchestrator.local.messages import Request
from orchestrator.local.service import ServiceError

SESSION_MARK = "embedded-aws/"


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller, and what its session was narrowed to: policies, and the ARNs of managed ones."""

    caller: Caller
    policies: tuple[str, ...] = ()
    policy_arns: tuple[str, ...] = ()
    own_doing: bool = False
    """Whether AWS itself does something in the course of its work, for which nobody needs a permission."""


def token_of(request: Request) -> str:
    """The session token of a request, from its header or its query."""
    header = request.fields.get("x-amz-security-token", "")
    return header or next((value for name, value in request.query if name.lower() == "x-amz-security-token"), "")


def session_token(role_arn: str, role_id: str, name: str, parameters: Mapping[str, Any]) -> str:
    """The token of a session that ``sts:AssumeRole`` with these parameters gave."""
    tags = {str(tag.get("Key", "")): str(tag.get("Value", "")) for tag in parameters.get("Tags") or []}
    document = {
        "role": role_arn,
        "id": role_id,
        "name": name,
        "policies": [parameters["Policy"]] if parameters.get("Policy") else [],
        "arns": [str(each.get("arn", "")) for each in parameters.get("PolicyArns") or []],
        "tags": tags,
    }
    packed = zlib.compress(json.dumps(document).encode())
    return SESSION_MARK + base64.urlsafe_b64encode(packed).decode()


def identify(access_key: str, token: str, account: str) -> Identity:
    """The identity behind a key of an account. Raises ServiceError for a session that nobody remembers."""
    if token.startswith(SERVICE_MARK):
        principal, _, source = token.removeprefix(SERVICE_MARK).partition("/")
        told = source.split(":")[4] if source.startswith("arn:") else ""  # the ARN of a bucket names no account
        return Identity(caller.service(principal, told or account, source), own_doing=not source)
    if re.fullmatch(r"\d{12}", access_key):
        return Identity(caller.root(account))
    if token.startswith(SESSION_MARK):
        return _session(token, account)
    if account_in_temporary_key(access_key):
        remembered = moto_access.session_of_key(access_key, account)
        if remembered is None:
            raise _unknown(access_key)
        role = moto_access.role(account, remembered[0].rpartition("/")[2])
        return Identity(caller.session(remembered[0], role.identity if role else "", remembered[1]))
    holder = moto_access.user_of_key(access_key)
    user = moto_access.user(*holder) if holder else None
    if user is None:
        raise _unknown(access_key)
    return Identity(caller.user(user.arn, user.identity, user.tags))


def _unknown(access_key: str) -> ServiceError:
    text = f"The session of the key '{access_key:.40}' is not known; send the session token that came with the key."
    return ServiceError("InvalidClientTokenId", text, 403)


def _session(token: str, account: str) -> Identity:
    try:
        packed = base64.urlsafe_b64decode(token.removeprefix(SESSION_MARK))
        document = json.loads(zlib.decompress(packed))
        role_arn = str(document["role"])
    except (ValueError, KeyError, zlib.error):
        raise ServiceError("InvalidClientTokenId", "The session token is not one of the embedded AWS.", 403) from None
    if role_arn.split(":")[4] != account:
        raise ServiceError("InvalidClientTokenId", "The session token belongs to another access key.", 403)
    tags = tuple(document["tags"].items())
    made = caller.session(role_arn, document["id"], document["name"], tags)
    return Identity(made, tuple(document["policies"]), tuple(document["arns"]))
