"""The query protocol: a form in, XML out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from botocore.model import OperationModel, OperationNotFoundError

from orchestrator.local.messages import Request, Response
from orchestrator.local.protocol.interface import Protocol, unpacked
from orchestrator.local.protocol.values import Malformed, decode_text, encode_time, scalar, type_in_words, wire_name
from orchestrator.local.service import ServiceError

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""https://www.w3.org/TR/xml/#charsets"""

Tree = dict[str, Any]
"""The form's dotted names as a tree: ``Tags.member.1.Key=a`` is {"Tags": {"member": {"1": {"Key": "a"}}}}."""


class Query(Protocol):
    """cloudformation."""

    validation_code = "ValidationError"

    def accepts(self, request: Request) -> bool:
        return request.method == "POST" and b"Action=" in unpacked(request)

    def operation(self, request: Request) -> OperationModel:
        name = dict(_form(request)).get("Action", "")
        try:
            return self.model.operation_model(name)
        except OperationNotFoundError:
            message = f"Could not find operation {name} for version {self.model.api_version}"
            raise ServiceError("InvalidAction", message) from None

    def read(self, operation: OperationModel, request: Request) -> tuple[dict[str, Any], list[str]]:
        tree: Tree = {}
        for name, text in _form(request):
            if name not in ("Action", "Version"):
                _plant(tree, name, text)
        shape, unknown = operation.input_shape, list[str]()
        try:
            return (_read_structure(shape, tree, "", unknown) if shape else {}), unknown
        except Malformed as problem:
            raise ServiceError("MalformedInput", str(problem)) from None

    def respond(self, operation: OperationModel, result: Mapping[str, Any], request_id: str) -> Response:
        shape = operation.output_shape
        content = ""
        if shape is not None:
            wrapper = shape.serialization.get("resultWrapper", f"{operation.name}Result")
            content = f"<{wrapper}>{''.join(_write_members(shape, result, ''))}</{wrapper}>"
        metadata = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        return self._answer(200, f"{operation.name}Response", content + metadata, request_id)

    def fail(self, error: ServiceError, request_id: str) -> Response:
        status = self.status_of(error)
        shape = self.error_shape(error)
        members = "".join(_write_members(shape, error.members, "")) if shape else ""
        content = (
            f"<Error><Type>{'Sender' if status < 500 else 'Receiver'}</Type><Code>{escape(error.code)}</Code>"
            f"<Message>{_text(error.message)}</Message>{members}</Error><RequestId>{request_id}</RequestId>"
        )
        return self._answer(status, "ErrorResponse", content, request_id)

    def _answer(self, status: int, root: str, content: str, request_id: str) -> Response:
        namespace = self.model.metadata.get("xmlNamespace", "")
        body = f'<{root} xmlns="{namespace}">{content}</{root}>'
        return Response(status, (("Content-Type", "text/xml"), ("x-amzn-RequestId", request_id)), body.encode())


def _form(request: Request) -> list[tuple[str, str]]:
    return parse_qsl(unpacked(request).decode("utf-8", "replace"), keep_blank_values=True)


def _plant(tree: Tree, name: str, text: str) -> None:
    *branches, leaf = name.split(".")
    for branch in branches:
        below = tree.setdefault(branch, {})
        if not isinstance(below, dict):  # "Tags=" beside "Tags.member.1.Key=": the empty list loses
            below = tree[branch] = {}
        tree = below
    tree.setdefault(leaf, text)


def _read(shape: Any, tree: Any, path: str, unknown: list[str]) -> Any:
    match shape.type_name:
        case "structure":
            return _read_structure(shape, tree, path, unknown)
        case "list":
            return _read_list(shape, tree, path, unknown)
        case "map":
            return _read_map(shape, tree, path, unknown)
    if not isinstance(tree, str):
        raise Malformed(path, type_in_words(shape))
    return decode_text(shape, tree, path)


def _read_structure(shape: Any, tree: Any, path: str, unknown: list[str]) -> dict[str, Any]:
    if tree == "":
        return {}
    if not isinstance(tree, dict):
        raise Malformed(path, "a structure")
    names = {wire_name(member, inner): (member, inner) for member, inner in shape.members.items()}
    decoded = {}
    for name, below in tree.items():
        inner_path = f"{path}.{name}" if path else name
        if name in names:
            member, inner = names[name]
            decoded[member] = _read(inner, below, inner_path, unknown)
        else:
            unknown.append(inner_path)
    return decoded


def _read_list(shape: Any, tree: Any, path: str, unknown: list[str]) -> list[Any]:
    if tree == "":
        return []
    if not shape.serialization.get("flattened"):
        tree = _only(tree, shape.member.serialization.get("name", "member"), path)
    return [_read(shape.member, tree[number], f"{path}.{number}", unknown) for number in _numbers(tree, path)]


def _read_map(shape: Any, tree: Any, path: str, unknown: list[str]) -> dict[str, Any]:
    if tree == "":
        return {}
    if not shape.serialization.get("flattened"):
        tree = _only(tree, "entry", path)
    key_name, value_name = wire_name("key", shape.key), wire_name("value", shape.value)
    entries = {}
    for number in _numbers(tree, path):
        entry = tree[number]
        if not isinstance(entry, dict) or not isinstance(entry.get(key_name), str):
            raise Malformed(f"{path}.{number}", "a key and a value")
        key = entry[key_name]
        entries[key] = _read(shape.value, entry.get(value_name, ""), f"{path}.{key}", unknown)
    return entries


def _only(tree: Any, name: str, path: str) -> Any:
    if not isinstance(tree, dict) or list(tree) != [name]:
        raise Malformed(path, f"numbered as {path}.{name}.1")
    return tree[name]


def _numbers(tree: Any, path: str) -> list[str]:
    if not isinstance(tree, dict) or not all(number.isdigit() for number in tree):
        raise Malformed(path, "numbered from 1")
    return sorted(tree, key=int)


def _write(name: str, shape: Any, value: Any, path: str) -> Iterator[str]:
    match shape.type_name:
        case "structure":
            yield f"<{name}>"
            yield from _write_members(shape, value, path)
            yield f"</{name}>"
        case "list":
            flattened = shape.serialization.get("flattened")
            inner = name if flattened else shape.member.serialization.get("name", "member")
            elements = (part for element in value for part in _write(inner, shape.member, element, path))
            yield from elements if flattened else (f"<{name}>", *elements, f"</{name}>")
        case "map":
            key_name, value_name = wire_name("key", shape.key), wire_name("value", shape.value)
            yield f"<{name}>"
            for key, element in value.items():
                yield f"<entry><{key_name}>{_text(key)}</{key_name}>"
                yield from _write(value_name, shape.value, element, f"{path}.{key}")
                yield "</entry>"
            yield f"</{name}>"
        case "timestamp":
            yield f"<{name}>{encode_time(value, shape.serialization.get('timestampFormat', 'iso8601'), path)}</{name}>"
        case "boolean":
            yield f"<{name}>{'true' if scalar(shape, value, path) else 'false'}</{name}>"
        case _:
            yield f"<{name}>{_text(str(scalar(shape, value, path)))}</{name}>"


def _write_members(shape: Any, value: Mapping[str, Any], path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        raise TypeError(f"the answer's {path or 'root'} must be a structure, not {value!r:.80}")
    for member, inner in shape.members.items():
        if value.get(member) is not None:
            yield from _write(wire_name(member, inner), inner, value[member], f"{path}.{member}")


def _text(value: str) -> str:
    """XML text; a character that XML cannot carry becomes a question mark."""
    return escape(NOT_XML.sub("?", value), {"\r": "&#13;"})
