"""Who calls: the account is decided from the access key alone.

Secrets and signatures are not checked: whoever reaches the loopback port owns the machine's embedded AWS.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from orchestrator.local.messages import Request
from orchestrator.local.service import ServiceError

SIGV4 = re.compile(r"AWS4-HMAC-SHA256 +(?:.*[ ,])?Credential=([^,\s]+)")
SIGV2 = re.compile(r"AWS ([^:\s]+):")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signature says: the key, and the region and service it was made for."""

    access_key: str
    region: str
    service: str


def scope_of(request: Request) -> Scope | None:
    """The scope of a signed request, None for an unsigned one; raises ServiceError for one that cannot be read."""
    header = request.fields.get("authorization", "")
    if match := SIGV4.match(header):
        return _sigv4(match[1])
    if match := SIGV2.match(header):
        return Scope(match[1], "us-east-1", "s3")
    if header:
        raise ServiceError("IncompleteSignature", "The Authorization header is not an AWS signature.", 400)
    query = dict(request.query)
    if "X-Amz-Credential" in query:
        return _sigv4(query["X-Amz-Credential"])
    if "AWSAccessKeyId" in query:
        return Scope(query["AWSAccessKeyId"], "us-east-1", "s3")
    return None


def _sigv4(credential: str) -> Scope:
    parts = unquote(credential).split("/")
    if len(parts) != 5 or not all(parts):
        raise ServiceError("IncompleteSignature", f"'{credential:.200}' is not key/date/region/service/aws4_request.")
    return Scope(parts[0], parts[2], parts[3].lower())


def account_of(access_key: str, owner_of_user_key: Callable[[str], str | None]) -> str:
    """The account of a key: 12 digits are the account, a temporary key carries it, a user's key IAM knows.

    Raises ServiceError InvalidClientTokenId for any other key.
    """
    if re.fullmatch(r"\d{12}", access_key):
        return access_key
    account = account_in_temporary_key(access_key) or owner_of_user_key(access_key)
    if account is None:
        raise ServiceError(
            "InvalidClientTokenId",
            f"The access key '{access_key:.40}' belongs to no account of the embedded AWS; an account id of"
            " 12 digits is an access key of that account.",
            403,
        )
    return account


def account_in_temporary_key(access_key: str) -> str | None:
    """The account in a key made by STS: bits 7 to 46 of the key's first six bytes, in base32 as on AWS."""
    if len(access_key) != 20 or not access_key.startswith("ASIA"):
        return None
    try:
        number = int.from_bytes(base64.b32decode(access_key[4:])[:6], "big")
    except binascii.Error:
        return None
    return f"{(number & 0x7FFFFFFFFF80) >> 7:012d}"
