"""The gateway's question to IAM, for each request before any service sees it, and the error when the answer is no."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from botocore.model import OperationNotFoundError

from orchestrator.local.authorization.authorizer import OFF, Authorizer
from orchestrator.local.authorization.identity import Identity, identify, session_token, token_of
from orchestrator.local.authorization.kinds import Place
from orchestrator.local.gateway.accounts import Scope
from orchestrator.local.journal import moto_access
from orchestrator.local.journal.moto_app import Answer
from orchestrator.local.journal.mutations import operation_name
from orchestrator.local.messages import Request, Response
from orchestrator.local.protocol.json_rpc import JsonRpc
from orchestrator.local.protocol.models import partition_of, service_model
from orchestrator.local.protocol.query import Query
from orchestrator.local.service import ServiceError

MODELS = {"monitoring": "cloudwatch"}
"""Signing names that are not the name of the model."""
ERRORS = {
    "iam": ("AccessDenied", 403),
    "cloudformation": ("AccessDenied", 403),
    "lambda": ("AccessDeniedException", 403),
    "apigateway": ("AccessDeniedException", 403),
    "monitoring": ("AccessDenied", 403),
    "s3": ("AccessDenied", 403),
    "sns": ("AuthorizationError", 403),
    "sqs": ("AccessDenied", 403),
    "sts": ("AccessDenied", 403),
}
"""How a service refuses, where it is not ``AccessDeniedException`` with 400."""


DECRYPTED = {("lambda", "GetFunctionConfiguration"): "", ("lambda", "GetFunction"): "Configuration"}
"""Operations that show a function's variables, and where in their answers the function stands."""


class Permission:
    """Asks for requests to our services and to those that moto keeps."""

    def __init__(self, authorizer: Authorizer) -> None:
        self.authorizer = authorizer

    def identity(self, request: Request, scope: Scope, account: str) -> Identity | None:
        """Who calls; None when nobody is to be asked. Raises ServiceError for a session that is not known."""
        if self.authorizer.mode == OFF:
            return None
        return identify(scope.access_key, token_of(request), account)

    def check(
        self, identity: Identity | None, scope: Scope, account: str, operation: str, parameters: Mapping[str, Any]
    ) -> None:
        """Raise ServiceError when the caller may not do the operation."""
        if identity is not None:
            place = Place(account, scope.region, partition_of(scope.region))
            _refuse(scope.service, self.authorizer.refusal(identity, place, scope.service, operation, parameters))

    def shown(
        self, identity: Identity | None, scope: Scope, account: str, operation: str, answered: dict[str, Any]
    ) -> dict[str, Any]:
        """The answer as the caller may see it: a function's variables are decrypted with the caller's right to the key.

        https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
        """
        if identity is None or (scope.service, operation) not in DECRYPTED:
            return answered
        within = DECRYPTED[scope.service, operation]
        function = answered[within] if within else answered
        place = Place(account, scope.region, partition_of(scope.region))
        key, variables = function.get("KMSKeyArn", ""), function.get("Environment", {}).get("Variables")
        if not key or not variables:
            return answered
        refusal = self.authorizer.refusal_of_variables(identity, place, function["FunctionArn"], key)
        if not refusal:
            return answered
        text = f"Lambda was unable to decrypt your environment variables because the KMS access was denied. {refusal}"
        hidden = {**function, "Environment": {"Error": {"ErrorCode": "AccessDeniedException", "Message": text}}}
        return {**answered, within: hidden} if within else hidden

    def check_kept(self, request: Request, scope: Scope, account: str) -> None:
        """The same for a request that moto will answer."""
        identity = self.identity(request, scope, account)
        place = Place(account, scope.region, partition_of(scope.region))
        if identity is not None and not identity.own_doing:
            _refuse(scope.service, self._refusal_of_kept(identity, request, scope, place))
        if scope.service == "logs":
            self._check_log_key(request, place)

    def _refusal_of_kept(self, identity: Identity, request: Request, scope: Scope, place: Place) -> str:
        if scope.service == "s3":
            return self.authorizer.refusal_of_s3(identity, place, request)
        if scope.service == "apigateway":
            return self.authorizer.refusal_of_api(identity, place, request)
        operation = operation_name(request) or request.raw_path.rpartition("/")[2]
        parameters = parameters_of(request, scope.service, operation)
        return self.authorizer.refusal(identity, place, scope.service, operation, parameters)

    def _check_log_key(self, request: Request, place: Place) -> None:
        """Raise ServiceError when CloudWatch Logs may not use the key that a log group is to be encrypted with."""
        operation = operation_name(request)
        if operation not in ("AssociateKmsKey", "CreateLogGroup"):
            return
        parameters = parameters_of(request, "logs", operation)
        key, name = parameters.get("kmsKeyId"), parameters.get("logGroupName")
        group = f"arn:{place.partition}:logs:{place.region}:{place.account}:log-group:{name}"
        if not name:
            group = str(parameters.get("resourceIdentifier", "")).removesuffix(":*")
        if key and self.authorizer.refusal_of_log_key(place, group, key):
            text = f"The specified KMS key does not exist or is not allowed to be used with Arn '{group}'"
            raise ServiceError("AccessDeniedException", text)


def _refuse(service: str, refusal: str) -> None:
    if refusal:
        code, status = ERRORS.get(service, ("AccessDeniedException", 400))
        raise ServiceError(code, refusal, status)


def parameters_of(request: Request, service: str, operation: str) -> dict[str, Any]:
    """The parameters of a request to a service that moto keeps; none when they cannot be read (moto will say so)."""
    model = service_model(MODELS.get(service, service))
    try:
        described = model.operation_model(operation)
        if "x-amz-target" in request.fields:
            return JsonRpc(model).read(described, request)[0]
        if "x-www-form-urlencoded" in request.fields.get("content-type", ""):
            return Query(model).read(described, request)[0]
    except (OperationNotFoundError, ServiceError):
        pass
    return {}


SESSION_TOKEN = re.compile(rb"<SessionToken>[^<]*</SessionToken>")


def with_session(answer: Answer, request: Request, operation: str) -> Answer:
    """The answer of ``sts:AssumeRole`` with a token that says whose session it is."""
    if operation != "AssumeRole" or answer.response.status != 200:
        return answer
    parameters = parameters_of(request, "sts", operation)
    role_arn = str(parameters.get("RoleArn", ""))
    role = moto_access.role(role_arn.split(":")[4], role_arn.rpartition("/")[2])
    name = str(parameters.get("RoleSessionName", ""))
    token = session_token(role.arn if role else role_arn, role.identity if role else "", name, parameters)
    body = SESSION_TOKEN.sub(b"<SessionToken>" + token.encode() + b"</SessionToken>", answer.response.body)
    return Answer(Response(200, answer.response.headers, body), answer.events)
