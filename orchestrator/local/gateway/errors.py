"""Errors of the gateway itself, before any service is known to answer."""

from __future__ import annotations

import json
from xml.sax.saxutils import escape

from orchestrator.local.messages import Request, Response
from orchestrator.local.service import ServiceError

REST_XML = frozenset({"cloudfront", "route53", "s3"})
"""Signing names of services whose errors are XML though their requests need not be."""


def internal_failure(problem: Exception) -> ServiceError:
    """A defect of ours or of moto, as AWS answers its own."""
    return ServiceError("InternalFailure", f"The embedded AWS failed: {problem!r:.300}", 500)


def fail_plainly(request: Request, error: ServiceError, service: str, request_id: str) -> Response:
    """An error in the form the caller most likely reads, told from the shape of the request."""
    identity = (("x-amzn-RequestId", request_id), ("x-amzn-ErrorType", error.code))
    form = "x-www-form-urlencoded" in request.fields.get("content-type", "")
    if "x-amz-target" in request.fields or (service not in REST_XML and not form):
        body = json.dumps({"__type": error.code, "message": error.message}).encode()
        return Response(error.status, (("Content-Type", "application/json"), *identity), body)
    inner = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    if service == "s3":
        text = f"<Error>{inner}<RequestId>{request_id}</RequestId></Error>"
    else:
        text = f"<ErrorResponse><Error>{inner}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    return Response(error.status, (("Content-Type", "application/xml"), *identity), text.encode())
