"""rest-json: members travel in the path, the query string, headers and a body that is JSON or bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from botocore.model import OperationModel, ServiceModel

from orchestrator.local.messages import Request, Response
from orchestrator.local.protocol.interface import Protocol
from orchestrator.local.protocol.json_rpc import error_body, read_body
from orchestrator.local.protocol.routes import Routes
from orchestrator.local.protocol.values import Malformed, decode_text, encode, encode_time, scalar, wire_name
from orchestrator.local.service import ServiceError


class RestJson(Protocol):
    """lambda, sagemaker-runtime."""

    def __init__(self, model: ServiceModel) -> None:
        super().__init__(model)
        self._routes = Routes(model)

    def accepts(self, request: Request) -> bool:
        return "x-amz-target" not in request.fields and self._routes.find(request) is not None

    def operation(self, request: Request) -> OperationModel:
        found = self._routes.find(request)
        if found is None:
            message = f"{self.model.service_name} has no operation at {request.method} {unquote(request.raw_path)}"
            raise ServiceError("UnknownOperationException", message, 404)
        return found[0]

    def read(self, operation: OperationModel, request: Request) -> tuple[dict[str, Any], list[str]]:
        shape = operation.input_shape
        if shape is None:
            return {}, []
        found = self._routes.find(request)
        unknown: list[str] = []
        try:
            parameters = _read_located(shape, request, found[1] if found else {})
        except Malformed as problem:
            raise ServiceError("SerializationException", str(problem)) from None
        return parameters | _read_payload(shape, request, unknown), unknown

    def respond(self, operation: OperationModel, result: Mapping[str, Any], request_id: str) -> Response:
        shape = operation.output_shape
        status = int(operation.http.get("responseCode", 200))
        headers = [("x-amzn-RequestId", request_id)]
        body: bytes = b""
        content_type = "application/json"
        if shape is not None:
            for member, inner in shape.members.items():
                value = result.get(member)
                if value is None:
                    continue
                match inner.serialization.get("location"):
                    case "statusCode":
                        status = int(value)
                    case "header":
                        headers.append((wire_name(member, inner), _header_text(inner, value, member)))
                    case "headers":
                        prefix = wire_name(member, inner)
                        headers += [(prefix + key, str(text)) for key, text in value.items()]
            body, content_type = _write_payload(shape, result)
        if not any(name.lower() == "content-type" for name, _ in headers):
            headers.append(("Content-Type", content_type))
        return Response(status, tuple(headers), body)

    def fail(self, error: ServiceError, request_id: str) -> Response:
        headers = (
            ("Content-Type", "application/json"),
            ("x-amzn-RequestId", request_id),
            ("x-amzn-ErrorType", error.code),
        )
        return Response(self.status_of(error), headers, json.dumps(error_body(self, error)).encode())


def _read_located(shape: Any, request: Request, labels: Mapping[str, str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for member, inner in shape.members.items():
        name = wire_name(member, inner)
        match inner.serialization.get("location"):
            case "uri" if name in labels:
                parameters[member] = decode_text(inner, labels[name], member)
            case "querystring":
                values = [text for key, text in request.query if key == name]
                if values and inner.type_name == "list":
                    parameters[member] = [decode_text(inner.member, text, member) for text in values]
                elif values:
                    parameters[member] = decode_text(inner, values[0], member)
            case "header" if name.lower() in request.fields:
                parameters[member] = decode_text(inner, request.fields[name.lower()], member)
            case "headers":
                prefix = name.lower()
                found = {key[len(prefix) :]: text for key, text in request.headers if key.lower().startswith(prefix)}
                if found:
                    parameters[member] = found
    return parameters


def _read_payload(shape: Any, request: Request, unknown: list[str]) -> dict[str, Any]:
    payload = shape.serialization.get("payload")
    if payload:
        inner = shape.members[payload]
        if inner.type_name == "blob":
            return {payload: request.body} if request.body else {}
        if inner.type_name == "string":
            return {payload: request.body.decode()} if request.body else {}
        if not request.body:
            return {}
        value, extra = read_body(inner, request.body)
        unknown += extra
        return {payload: value}
    if not any("location" not in inner.serialization for inner in shape.members.values()):
        return {}
    value, extra = read_body(shape, request.body)
    unknown += extra
    return {member: found for member, found in value.items() if "location" not in shape.members[member].serialization}


def _write_payload(shape: Any, result: Mapping[str, Any]) -> tuple[bytes, str]:
    payload = shape.serialization.get("payload")
    if payload:
        inner, value = shape.members[payload], result.get(payload)
        if inner.type_name in ("blob", "string"):
            body = b"" if value is None else value.encode() if isinstance(value, str) else bytes(value)
            return body, "application/octet-stream"
        return json.dumps(encode(inner, value or {}, payload)).encode(), "application/json"
    inside = {member: value for member, value in result.items() if _in_body(shape, member)}
    return json.dumps(encode(shape, inside)).encode(), "application/json"


def _in_body(shape: Any, member: str) -> bool:
    return member in shape.members and "location" not in shape.members[member].serialization


def _header_text(shape: Any, value: Any, path: str) -> str:
    if shape.type_name == "timestamp":
        return str(encode_time(value, shape.serialization.get("timestampFormat", "rfc822"), path))
    if shape.type_name == "boolean":
        return "true" if scalar(shape, value, path) else "false"
    return str(scalar(shape, value, path))
