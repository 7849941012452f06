"""Every operation of every service of ours, with made-up values: what botocore writes we read, and the reverse."""

from __future__ import annotations

import io
import random

import pytest
from botocore.awsrequest import AWSRequest, HeadersDict, prepare_request_dict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from orchestrator.local.messages import Request
from orchestrator.local.protocol import PROTOCOLS, protocol_of
from orchestrator.local.protocol.models import service_model
from orchestrator.local.service import ServiceError

SERVICES = [
    "cloudformation",
    "codecommit",
    "codepipeline",
    "events",
    "lambda",
    "sagemaker",
    "sagemaker-runtime",
    "stepfunctions",
]
LETTERS = "abcXYZ019-_. /:+&=<>\"'%é日\t"


def made_up(shape, source, depth=0):
    """A value of the shape; deep structures stay small."""
    match shape.type_name:
        case "structure" if getattr(shape, "is_document_type", False):
            return {"any": [1, "two", {"three": None}]}
        case "structure":
            names = list(shape.members)
            if getattr(shape, "is_tagged_union", False):
                names = [source.choice(names)]
            elif depth:
                names = source.sample(names, min(len(names), 3 if depth < 4 else 1))
            return {name: made_up(shape.members[name], source, depth + 1) for name in names}
        case "list":
            return [made_up(shape.member, source, depth + 1) for _ in range(source.choice([1, 2, 3]))]
        case "map":
            keys = {"k" + text(source) for _ in range(2)}
            return {key: made_up(shape.value, source, depth + 1) for key in keys}
        case "string" | "character":
            return source.choice(shape.enum) if getattr(shape, "enum", None) else text(source)
        case "integer" | "long":
            return source.randint(-5, 10**6)
        case "float" | "double":
            return source.randint(-1000, 1000) / 8
        case "boolean":
            return source.random() < 0.5
        case "blob":
            return source.randbytes(source.randint(1, 30))
        case "timestamp":
            return float(source.randint(10**9, 2 * 10**9))
    raise AssertionError(shape.type_name)


def text(source):
    return "".join(source.choice(LETTERS) for _ in range(source.randint(1, 12)))


def fit_for_http(shape, value):
    """Values in headers and paths cannot be just anything."""
    for name, inner in shape.members.items():
        location = inner.serialization.get("location")
        if inner.type_name == "string" and location in ("header", "uri", "querystring") and not inner.enum:
            value[name] = "plain-value.1"
        if location == "headers":
            value[name] = {"a": "b"}
        if location == "statusCode":
            value[name] = 202
    return value


def as_request(model, operation, value):
    serializer = create_serializer(model.resolved_protocol, include_validation=False)
    wire = serializer.serialize_to_request(value, operation)
    prepare_request_dict(wire, endpoint_url="http://127.0.0.1", context={})
    prepared = AWSRequest(
        method=wire["method"], url=wire["url"], data=wire["body"], headers=dict(wire["headers"])
    ).prepare()
    body = prepared.body or b""
    target = prepared.url.removeprefix("http://127.0.0.1")
    pairs = prepared.headers.items()
    headers = tuple((name, value.decode() if isinstance(value, bytes) else value) for name, value in pairs)
    return Request(prepared.method, target, headers, body if isinstance(body, bytes) else body.encode())


@pytest.mark.parametrize("name", SERVICES)
def test_what_botocore_writes_we_read(name):
    model, source = service_model(name), random.Random(name)
    protocol = protocol_of(model)
    for operation_name in model.operation_names:
        operation = model.operation_model(operation_name)
        if operation.input_shape is None or operation.get_event_stream_input():
            continue
        value = fit_for_http(operation.input_shape, made_up(operation.input_shape, source))
        request = as_request(model, operation, value)
        assert protocol.accepts(request)
        assert protocol.operation(request).name == operation_name
        read, unknown = protocol.read(operation, request)
        assert unknown == []
        assert read == value, operation_name


@pytest.mark.parametrize("name", SERVICES)
def test_what_we_write_botocore_reads(name):
    model, source = service_model(name), random.Random(name)
    protocol = protocol_of(model)
    parser = create_parser(model.resolved_protocol)
    for operation_name in model.operation_names:
        operation = model.operation_model(operation_name)
        shape = operation.output_shape
        if shape is None or operation.get_event_stream_output():
            continue
        value = fit_for_http(shape, made_up(shape, source))
        response = protocol.respond(operation, {**value, "NotInTheShape": 1}, "request-id")
        body = io.BytesIO(response.body) if operation.has_streaming_output else response.body
        wire = {"status_code": response.status, "headers": _lower(response.headers), "body": body, "context": {}}
        parsed = parser.parse(wire, shape)
        metadata = parsed.pop("ResponseMetadata")
        assert metadata["RequestId"] == "request-id"
        assert plain(parsed) == value, operation_name


def _lower(headers):
    return HeadersDict(headers)


def plain(value):
    """Parsed times as POSIX seconds again, and what a stream held."""
    if hasattr(value, "read"):
        return value.read()
    if hasattr(value, "timestamp"):
        return value.timestamp()
    if isinstance(value, dict):
        return {key: plain(element) for key, element in value.items()}
    if isinstance(value, list):
        return [plain(element) for element in value]
    return value


@pytest.mark.parametrize("name", SERVICES)
def test_every_modelled_error_reaches_the_client(name):
    model = service_model(name)
    protocol = protocol_of(model)
    parser = create_parser(model.resolved_protocol)
    for shape in model.error_shapes:
        response = protocol.fail(ServiceError(shape.error_code, "what <happened> & why"), "request-id")
        wire = {"status_code": response.status, "headers": _lower(response.headers), "body": response.body}
        parsed = parser.parse(wire, None)
        assert response.status >= 400
        assert parsed["Error"]["Code"] == shape.error_code
        assert parsed["Error"]["Message"] == "what <happened> & why"


@pytest.mark.parametrize("name", SERVICES)
def test_boto3_still_speaks_a_protocol_that_is_built(name):
    """The day botocore prefers another one for a service (Smithy's CBOR, say), this tells."""
    assert service_model(name).resolved_protocol in PROTOCOLS
