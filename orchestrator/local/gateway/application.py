"""The gateway itself: one request in, one response out, never an exception and never a page of HTML."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from xml.sax.saxutils import escape

from orchestrator.local.gateway.accounts import Scope, account_of, scope_of
from orchestrator.local.gateway.guard import check_origin
from orchestrator.local.messages import Request, Response
from orchestrator.local.protocol import Protocol, protocol_of
from orchestrator.local.protocol.interface import UNSUPPORTED, new_request_id
from orchestrator.local.protocol.models import service_model
from orchestrator.local.service import Call, Service, ServiceError

LOGGER = logging.getLogger(__name__)

KEPT_BY_MOTO = {
    "s3": "s3",
    "iam": "iam",
    "sts": "sts",
    "sns": "sns",
    "sqs": "sqs",
    "kms": "kms",
    "ssm": "ssm",
    "ecr": "ecr",
    "logs": "logs",
    "dynamodb": "dynamodb",
    "apigateway": "apigateway",
    "monitoring": "cloudwatch",
    "secretsmanager": "secretsmanager",
    "organizations": "organizations",
}
"""Signing name -> botocore name of the services that only have to remember."""

Moto = Callable[[Request, str], Response]


class Gateway:
    """Routes requests to our services by signing name and botocore model, and the rest to moto."""

    def __init__(self, services: Mapping[str, Service], moto: Moto, owner_of_user_key: Callable[[str], str | None]):
        self._own: dict[str, list[tuple[Protocol, Service]]] = {}
        for name, service in services.items():
            model = service_model(name)
            self._own.setdefault(model.signing_name, []).append((protocol_of(model), service))
        self._moto = moto
        self._owner_of_user_key = owner_of_user_key

    def answer(self, request: Request) -> Response:
        """The response to a request."""
        request_id = new_request_id()
        try:
            check_origin(request)
            if request.raw_path.startswith("/_local/"):
                return self._local(request)
            return self._aws(request, request_id)
        except ServiceError as error:
            return fail_plainly(request, error, request_id)
        except Exception as problem:
            LOGGER.exception("%s %s failed", request.method, request.raw_path)
            return fail_plainly(request, internal_failure(problem), request_id)

    def _local(self, request: Request) -> Response:
        if request.method == "GET" and request.raw_path == "/_local/health":
            return Response(200, (("Content-Type", "application/json"),), json.dumps({"status": "ready"}).encode())
        raise ServiceError("NotFound", f"There is nothing at {request.raw_path:.200}", 404)

    def _aws(self, request: Request, request_id: str) -> Response:
        scope = scope_of(request)
        if scope is None:
            raise ServiceError(
                "MissingAuthenticationToken",
                "The request is not signed; sign it with an account id of 12 digits as the access key.",
                403,
            )
        account = account_of(scope.access_key, self._owner_of_user_key)
        if scope.service in self._own:
            return self._ask_own(request, scope, account, request_id)
        if scope.service not in KEPT_BY_MOTO:
            raise ServiceError(UNSUPPORTED, f"The embedded AWS has no service {scope.service!r:.60}.", 501)
        try:
            return self._moto(request, account)
        except NotImplementedError as problem:
            raise ServiceError(UNSUPPORTED, f"{scope.service}: the embedded AWS lacks this: {problem}", 501) from None

    def _ask_own(self, request: Request, scope: Scope, account: str, request_id: str) -> Response:
        candidates = self._own[scope.service]
        protocol, service = next((pair for pair in candidates if pair[0].accepts(request)), candidates[0])
        try:
            operation = protocol.operation(request)
            method = getattr(service, operation.name, None)
            if method is None:
                message = f"The embedded AWS does not support {service.name} {operation.name}."
                raise ServiceError(UNSUPPORTED, message, 501)
            parameters = protocol.parse(operation, request)
            call = Call(account, scope.region, scope.access_key, request_id, request.fields)
            return protocol.respond(operation, method(call, parameters) or {}, request_id)
        except ServiceError as error:
            return protocol.fail(error, request_id)
        except Exception as problem:
            LOGGER.exception("%s failed in %s", request.fields.get("x-amz-target", request.raw_path), service.name)
            return protocol.fail(internal_failure(problem), request_id)


def internal_failure(problem: Exception) -> ServiceError:
    """A defect of ours or of moto, as AWS answers its own."""
    return ServiceError("InternalFailure", f"The embedded AWS failed: {problem!r:.300}", 500)


def fail_plainly(request: Request, error: ServiceError, request_id: str) -> Response:
    """An error in the form the caller most likely reads, told from the shape of the request."""
    identity = (("x-amzn-RequestId", request_id), ("x-amzn-ErrorType", error.code))
    content_type = request.fields.get("content-type", "")
    scope_service = _service_in(request)
    if "x-amz-target" in request.fields or (scope_service != "s3" and "x-www-form-urlencoded" not in content_type):
        body = json.dumps({"__type": error.code, "message": error.message}).encode()
        return Response(error.status, (("Content-Type", "application/json"), *identity), body)
    inner = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    if scope_service == "s3":
        text = f"<Error>{inner}<RequestId>{request_id}</RequestId></Error>"
    else:
        text = f"<ErrorResponse><Error>{inner}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    return Response(error.status, (("Content-Type", "application/xml"), *identity), text.encode())


def _service_in(request: Request) -> str:
    try:
        scope = scope_of(request)
    except ServiceError:
        return ""
    return scope.service if scope else ""
