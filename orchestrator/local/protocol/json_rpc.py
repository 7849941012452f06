"""AWS JSON 1.0 and 1.1: one POST, the operation named in X-Amz-Target."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.model import OperationModel, OperationNotFoundError

from orchestrator.local.messages import Request, Response
from orchestrator.local.protocol.interface import UNSUPPORTED, Protocol, unpacked
from orchestrator.local.protocol.values import Malformed, decode, encode
from orchestrator.local.service import ServiceError


class JsonRpc(Protocol):
    """codepipeline, events, sagemaker, stepfunctions, codecommit."""

    def accepts(self, request: Request) -> bool:
        return request.fields.get("x-amz-target", "").startswith(f"{self.model.metadata['targetPrefix']}.")

    def operation(self, request: Request) -> OperationModel:
        name = request.fields.get("x-amz-target", "").rpartition(".")[2]
        if not name:
            message = (
                f"The embedded AWS speaks the JSON protocol with {self.model.service_name}; X-Amz-Target is missing."
            )
            raise ServiceError(UNSUPPORTED, message, 501)
        try:
            return self.model.operation_model(name)
        except OperationNotFoundError:
            raise ServiceError(
                "UnknownOperationException", f"{self.model.service_name} has no operation {name}"
            ) from None

    def read(self, operation: OperationModel, request: Request) -> tuple[dict[str, Any], list[str]]:
        return read_body(operation.input_shape, unpacked(request))

    def respond(self, operation: OperationModel, result: Mapping[str, Any], request_id: str) -> Response:
        shape = operation.output_shape
        return self._answer(200, encode(shape, result) if shape else {}, request_id)

    def fail(self, error: ServiceError, request_id: str) -> Response:
        return self._answer(self.status_of(error), error_body(self, error), request_id)

    def _answer(self, status: int, body: dict[str, Any], request_id: str) -> Response:
        version = self.model.metadata.get("jsonVersion", "1.1")
        headers = (("Content-Type", f"application/x-amz-json-{version}"), ("x-amzn-RequestId", request_id))
        return Response(status, headers, json.dumps(body).encode())


def read_body(shape: Any, body: bytes) -> tuple[dict[str, Any], list[str]]:
    """A JSON body along its shape, and the paths of the members no shape has; raises ServiceError."""
    unknown: list[str] = []
    try:
        value = json.loads(body or b"{}")
        return (decode(shape, value, "", unknown) if shape else {}), unknown
    except Malformed as problem:
        raise ServiceError("SerializationException", str(problem)) from None
    except (ValueError, RecursionError):
        raise ServiceError("SerializationException", "the body is not valid JSON") from None


def error_body(protocol: Protocol, error: ServiceError) -> dict[str, Any]:
    """An error as JSON: its code, its message and the members its shape has."""
    shape = protocol.error_shape(error)
    members = encode(shape, error.members) if shape else {}
    spelling = next((name for name in (shape.members if shape else ()) if name.lower() == "message"), "message")
    return {**members, "__type": error.code, spelling: error.message}
