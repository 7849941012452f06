"""From JSON values to Python values and back, along the shapes of a botocore model."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any


class Malformed(Exception):
    """A value is not of its shape's type."""

    def __init__(self, path: str, expected: str) -> None:
        super().__init__(f"{path or 'the request'} must be {expected}")


def wire_name(member: str, shape: Any) -> str:
    """The name of a structure's member on the wire."""
    return str(shape.serialization.get("name", member))


def type_in_words(shape: Any) -> str:
    """The type of a shape with its article."""
    return f"{'an' if shape.type_name[0] in 'aeiou' else 'a'} {shape.type_name}"


def decode(shape: Any, value: Any, path: str, unknown: list[str]) -> Any:
    """A JSON value as the shape's Python value; members no shape has are added to ``unknown``.

    Timestamps become POSIX seconds, blobs bytes. Raises Malformed.
    """
    if getattr(shape, "is_document_type", False):
        return value
    match shape.type_name:
        case "structure":
            return _decode_structure(shape, value, path, unknown)
        case "list":
            if not isinstance(value, list):
                raise Malformed(path, "a list")
            return [
                decode(shape.member, element, f"{path}.{number}", unknown) for number, element in enumerate(value, 1)
            ]
        case "map":
            if not isinstance(value, dict):
                raise Malformed(path, "an object")
            return {key: decode(shape.value, element, f"{path}.{key}", unknown) for key, element in value.items()}
    return _decode_scalar(shape, value, path)


def _decode_structure(shape: Any, value: Any, path: str, unknown: list[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(path, "an object")
    names = {wire_name(member, inner): (member, inner) for member, inner in shape.members.items()}
    decoded = {}
    for name, element in value.items():
        inner_path = f"{path}.{name}" if path else name
        if name not in names:
            unknown.append(inner_path)
        elif element is not None:  # AWS reads null as "not given"
            member, inner = names[name]
            decoded[member] = decode(inner, element, inner_path, unknown)
    return decoded


def _decode_scalar(shape: Any, value: Any, path: str) -> Any:
    match shape.type_name:
        case "string" | "character" if isinstance(value, str):
            return value
        case "boolean" if isinstance(value, bool):
            return value
        case "integer" | "long" if isinstance(value, int | float) and not isinstance(value, bool):
            if value == math.floor(value):
                return int(value)
        case "float" | "double" if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        case "blob" if isinstance(value, str):
            try:
                return base64.b64decode(value, validate=True)
            except binascii.Error:
                raise Malformed(path, "base64 text") from None
        case "timestamp":
            return decode_time(value, path)
    raise Malformed(path, type_in_words(shape))


def decode_text(shape: Any, text: str, path: str) -> Any:
    """A value that travels as text (query string, form, header) as the shape's Python value; raises Malformed."""
    try:
        match shape.type_name:
            case "boolean":
                return {"true": True, "false": False}[text.lower()]
            case "integer" | "long":
                return int(text)
            case "float" | "double":
                return float(text)
    except (KeyError, ValueError):
        raise Malformed(path, type_in_words(shape)) from None
    return _decode_scalar(shape, text, path)


def decode_time(value: Any, path: str) -> float:
    """POSIX seconds of a number, an ISO 8601 text or an HTTP date; raises Malformed."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        for read in (float, _iso_seconds, lambda text: parsedate_to_datetime(text).timestamp()):
            try:
                return float(read(value))
            except (ValueError, TypeError):
                continue
    raise Malformed(path, "a timestamp")


def _iso_seconds(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def encode(shape: Any, value: Any, path: str = "") -> Any:
    """A Python value as JSON along its shape; members the shape lacks and None are left out.

    Raises TypeError naming the path of a value that is not of its type: the service gave a wrong answer.
    """
    if getattr(shape, "is_document_type", False):
        return value
    match shape.type_name:
        case "structure":
            _expect(isinstance(value, Mapping), shape, value, path)
            return {
                wire_name(member, inner): encode(inner, value[member], f"{path}.{member}")
                for member, inner in shape.members.items()
                if value.get(member) is not None
            }
        case "list":
            _expect(isinstance(value, list | tuple), shape, value, path)
            return [encode(shape.member, element, f"{path}.{number}") for number, element in enumerate(value, 1)]
        case "map":
            _expect(isinstance(value, Mapping), shape, value, path)
            return {key: encode(shape.value, element, f"{path}.{key}") for key, element in value.items()}
        case "blob":
            return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
        case "timestamp":
            return encode_time(value, shape.serialization.get("timestampFormat", "unixTimestamp"), path)
    return scalar(shape, value, path)


def scalar(shape: Any, value: Any, path: str) -> Any:
    """The value itself when it is of its shape's type; raises TypeError otherwise."""
    match shape.type_name:
        case "boolean":
            _expect(isinstance(value, bool), shape, value, path)
        case "integer" | "long":
            _expect(isinstance(value, int) and not isinstance(value, bool), shape, value, path)
        case "float" | "double":
            _expect(isinstance(value, int | float) and not isinstance(value, bool), shape, value, path)
        case _:
            _expect(isinstance(value, str), shape, value, path)
    return value


def _expect(right: bool, shape: Any, value: Any, path: str) -> None:
    if not right:
        raise TypeError(f"the answer's {path or 'root'} must be {type_in_words(shape)}, not {value!r:.80}")


def encode_time(value: Any, form: str, path: str) -> Any:
    """POSIX seconds or a datetime in one of Smithy's forms: unixTimestamp, iso8601 or rfc822."""
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"the answer's {path} must be a time, not {value!r:.80}")
    if form == "unixTimestamp":
        return round(value, 3)
    moment = datetime.fromtimestamp(value, UTC)
    if form == "rfc822":
        return format_datetime(moment, usegmt=True)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
