"""The gateway itself: one request in, one response out, never an exception and never a page of HTML."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from functools import cache

from orchestrator.local.gateway import execute_api
from orchestrator.local.gateway.accounts import Scope, account_of, scope_of
from orchestrator.local.gateway.errors import fail_plainly, internal_failure
from orchestrator.local.gateway.execute_api import ExecuteApi
from orchestrator.local.gateway.guard import check_origin
from orchestrator.local.gateway.kept import SERVICES, Kept
from orchestrator.local.gateway.permission import Permission
from orchestrator.local.gateway.request_log import RequestLog
from orchestrator.local.gateway.s3_events import S3Events
from orchestrator.local.journal.mutations import operation_name
from orchestrator.local.messages import Request, Response
from orchestrator.local.protocol import Protocol, protocols_of
from orchestrator.local.protocol.interface import UNSUPPORTED, new_request_id
from orchestrator.local.protocol.models import service_model, session
from orchestrator.local.service import Call, Controlled, Service, ServiceError

LOGGER = logging.getLogger(__name__)
LOCAL = "/_local/"


class Gateway:
    """Routes requests to our services by signing name and botocore model, and the rest to moto."""

    def __init__(
        self,
        services: Mapping[str, Service],
        kept: Kept,
        s3_events: S3Events,
        api: ExecuteApi,
        owner_of_user_key: Callable[[str], str | None],
        log: RequestLog,
        permission: Permission,
        controls: Mapping[str, Controlled],
    ) -> None:
        self._own: dict[str, list[tuple[Protocol, Service]]] = {}
        self._controls: dict[str, Controlled] = dict(controls)
        for name, service in services.items():
            model = service_model(name)
            self._own.setdefault(model.signing_name, []).extend((each, service) for each in protocols_of(model))
            self._controls[_package(service)] = service
        self._kept = kept
        self._s3_events = s3_events
        self._api = api
        self._owner_of_user_key = owner_of_user_key
        self._log = log
        self._permission = permission

    def answer(self, request: Request) -> Response:
        """The response to a request."""
        request_id, began = new_request_id(), time.time()
        scope: Scope | None = None
        account = "-"
        try:
            check_origin(request)
            if request.raw_path.startswith(LOCAL):
                response = self._local(request)
            else:
                scope = scope_of(request)
                account = account_of(scope.access_key, self._owner_of_user_key) if scope else "-"
                response = self._aws(request, scope, account, request_id)
        except ServiceError as error:
            response = fail_plainly(request, error, scope.service if scope else "", request_id)
        except Exception as problem:
            LOGGER.exception("%s %s failed", request.method, request.raw_path)
            response = fail_plainly(request, internal_failure(problem), scope.service if scope else "", request_id)
        region, service = (scope.region, scope.service) if scope else ("-", "-")
        what = f"{service} {operation_name(request) or f'{request.method} {request.raw_path:.300}'}"
        self._log.write(request, response, f"{account} {region}", what, began)
        return response

    def _local(self, request: Request) -> Response:
        """What AWS has no API for: health, and the controls of our services."""
        name, _, path = request.raw_path.removeprefix(LOCAL).partition("/")
        if name == "health" and request.method == "GET":
            document: dict[str, object] = {"status": "ready"}
        elif name in self._controls:
            try:
                body = json.loads(request.body or b"{}")
            except ValueError:
                raise ServiceError("SerializationException", "The body is not JSON.") from None
            if not isinstance(body, dict):
                raise ServiceError("SerializationException", "The body is not a JSON object.")
            document = self._controls[name].control(path, request.method, body)
        else:
            raise ServiceError("NotFound", f"There is nothing at {request.raw_path:.200}", 404)
        return Response(200, (("Content-Type", "application/json"),), json.dumps(document).encode())

    def _aws(self, request: Request, scope: Scope | None, account: str, request_id: str) -> Response:
        if request.raw_path.startswith(execute_api.PREFIX):
            return self._api.answer(request, _caller(scope, account), request_id)
        if scope is None:
            raise ServiceError(
                "MissingAuthenticationToken",
                "The request is not signed; sign it with an account id of 12 digits as the access key.",
                403,
            )
        if scope.region not in known_regions():
            raise ServiceError("InvalidRegion", f"There is no region {scope.region!r:.40}.")
        if scope.service in self._own:
            return self._ask_own(request, scope, account, request_id)
        if scope.service not in SERVICES:
            raise ServiceError(UNSUPPORTED, f"The embedded AWS has no service {scope.service!r:.60}.", 501)
        self._permission.check_kept(request, scope, account)
        answer = self._kept.answer(request, scope, account)
        self._s3_events.note(answer, account, request_id)
        return answer.response

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
            identity = self._permission.identity(request, scope, account)
            self._permission.check(identity, scope, account, operation.name, parameters)
            call = Call(account, scope.region, scope.access_key, request_id, request.fields)
            answered = self._permission.shown(identity, scope, account, operation.name, method(call, parameters) or {})
            return protocol.respond(operation, answered, request_id)
        except ServiceError as error:
            return protocol.fail(error, request_id)
        except Exception as problem:
            LOGGER.exception("%s failed in %s", request.fields.get("x-amz-target", request.raw_path), service.name)
            return protocol.fail(internal_failure(problem), request_id)


def _package(service: Service) -> str:
    """The package of a service, which names its local controls."""
    return type(service).__module__.removeprefix("orchestrator.local.services.").partition(".")[0]


def _caller(scope: Scope | None, account: str) -> dict[str, str | None]:
    """Who calls an API, as far as the key tells."""
    if scope is None:
        return {}
    return {"accessKey": scope.access_key, "accountId": account, "caller": account, "user": account}


@cache
def known_regions() -> frozenset[str]:
    """Every region of every partition."""
    found = session()
    partitions = found.get_available_partitions()
    return frozenset(region for partition in partitions for region in found.get_available_regions("ec2", partition))
