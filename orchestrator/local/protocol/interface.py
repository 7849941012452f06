"""What every protocol can do."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import uuid4

from botocore.model import OperationModel, ServiceModel

from orchestrator.local.messages import Request, Response
from orchestrator.local.protocol.validation import validate
from orchestrator.local.service import ServiceError

UNSUPPORTED = "UnsupportedOperation"
GZIP = 16 + zlib.MAX_WBITS
LARGEST_UNPACKED = 16 * 1024**2


class Protocol(ABC):
    """Reads requests to one service and writes the answers."""

    validation_code: ClassVar[str] = "ValidationException"

    def __init__(self, model: ServiceModel) -> None:
        self.model = model

    @abstractmethod
    def accepts(self, request: Request) -> bool:
        """Whether the request has the form of one to this service (several share a signing name)."""

    @abstractmethod
    def operation(self, request: Request) -> OperationModel:
        """The operation a request asks for; raises ServiceError when the service has none such."""

    @abstractmethod
    def read(self, operation: OperationModel, request: Request) -> tuple[dict[str, Any], list[str]]:
        """The operation's parameters, typed, and the paths of members it does not have; raises ServiceError."""

    def parse(self, operation: OperationModel, request: Request) -> dict[str, Any]:
        """The operation's parameters, typed and validated; raises ServiceError naming everything wrong."""
        parameters, unknown = self.read(operation, request)
        validate(operation.input_shape, parameters, self.validation_code, unknown)
        return parameters

    @abstractmethod
    def respond(self, operation: OperationModel, result: Mapping[str, Any], request_id: str) -> Response:
        """The answer that carries ``result``; members the output shape lacks are left out."""

    @abstractmethod
    def fail(self, error: ServiceError, request_id: str) -> Response:
        """The answer that boto3 turns into a ClientError with the error's code."""

    def error_shape(self, error: ServiceError) -> Any:
        """How the model describes the error; None when it does not."""
        shapes: list[Any] = self.model.error_shapes
        return next((shape for shape in shapes if shape.error_code == error.code), None)

    def status_of(self, error: ServiceError) -> int:
        """The status the service chose, else that of the model, else 400."""
        shape = self.error_shape(error)
        if error.status != 400 or shape is None:
            return error.status
        return int(shape.metadata.get("error", {}).get("httpStatusCode", error.status))


def new_request_id() -> str:
    """An id as AWS gives each request."""
    return str(uuid4())


def unpacked(request: Request) -> bytes:
    """The body of a request, which boto3 may have compressed; raises ServiceError."""
    if request.fields.get("content-encoding", "").lower() != "gzip":
        return request.body
    try:
        stream = zlib.decompressobj(GZIP)
        body = stream.decompress(request.body, LARGEST_UNPACKED)
    except zlib.error:
        raise ServiceError("SerializationException", "the body is not valid gzip") from None
    if not stream.eof:
        message = f"the body must be complete and have at most {LARGEST_UNPACKED} bytes once it is unpacked"
        raise ServiceError("SerializationException", message)
    return body
