"""Which requests change something, told from the operation's name, and what else the journal must know of them."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from orchestrator.local.messages import Request

READING = (
    "BatchCheck",
    "BatchGet",
    "Check",
    "Describe",
    "Estimate",
    "Filter",
    "Get",
    "Head",
    "List",
    "Lookup",
    "Query",
    "Scan",
    "Search",
    "Select",
    "Simulate",
    "Test",
    "TransactGet",
    "Validate",
)
CRYPTOGRAPHY = frozenset(
    {
        "Decrypt",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateMac",
        "GenerateRandom",
        "ReEncrypt",
        "Sign",
        "Verify",
        "VerifyMac",
    }
)
"""Operations of KMS that use a key and leave no trace."""

SEEDED_KEYS = (b'"SYMMETRIC_DEFAULT"', b'"HMAC_')


NAMED = re.compile(r"AWS4-HMAC-SHA256 .*?Credential=[^/,\s]+/[^/,\s]+/[^/,\s]+/(?!s3/|apigateway/)")
"""The signature of a request to a service whose requests name an operation. Those to S3 and API Gateway do not,
whatever an uploaded file may look like."""


def operation_name(request: Request) -> str:
    """The operation a JSON or query request names; empty for a REST request."""
    if not NAMED.match(request.fields.get("authorization", "")):
        return ""
    if target := request.fields.get("x-amz-target"):
        return target.rpartition(".")[2]
    if "x-www-form-urlencoded" in request.fields.get("content-type", ""):
        form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
        return form.get("Action", "")
    return dict(request.query).get("Action", "") if request.method == "GET" else ""


def changes_something(request: Request) -> bool:
    """Whether the request may change state; in doubt it does."""
    name = operation_name(request)
    if name:
        return not name.startswith(READING) and name not in CRYPTOGRAPHY
    return request.method not in ("GET", "HEAD", "OPTIONS")


def left_a_trace(request: Request, answer: bytes) -> bool:
    """Whether the successful request did change something: asking an empty queue for messages did not."""
    return operation_name(request) != "ReceiveMessage" or b'"Messages"' in answer


def cannot_be_repeated(request: Request) -> bool:
    """Whether running the request again gives something else whatever the seed: key pairs come from OpenSSL."""
    match operation_name(request):
        case "CreateKey":
            named = b'"KeySpec"' in request.body or b'"CustomerMasterKeySpec"' in request.body
            return named and not any(spec in request.body for spec in SEEDED_KEYS)
        case "ReplicateKey" | "ImportKeyMaterial":
            return True
    return False
