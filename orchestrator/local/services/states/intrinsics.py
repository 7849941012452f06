"""The intrinsic functions of the Amazon States Language that the product's state machines use.

``States.Format('Hello {}', $.name)`` is parsed once into a tree and evaluated against data and context object.
Functions outside the table are refused when the definition is checked.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from orchestrator.local.services.states.errors import INTRINSIC, StateFailure
from orchestrator.local.services.states.paths import Path, PathNotFound, PathSyntaxError, parse, select

Documents = Mapping[str, Any]
"""What paths are read from: ``$`` is the state's data, ``$$`` the context object."""

NAME = re.compile(r"States\.(\w+)\s*\(")
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
STRING = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
WORD = re.compile(r"(true|false|null)\b")
PATH = re.compile(r"\$(?:[^,()\s\[]|\[(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\]'\"])*\])*")
FORMAT_TOKEN = re.compile(r"\\(.)|(\{\})|([{}])", re.DOTALL)
LONGEST_TEXT = 10_000
HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant argument; text keeps its escapes, which Format and the others read differently."""

    value: Any
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """A call of an intrinsic function."""

    name: str
    arguments: tuple[Literal | Path | Function, ...]


class IntrinsicSyntaxError(ValueError):
    """The text is no call of a supported intrinsic function."""


@lru_cache(maxsize=2048)
def compile(text: str) -> Function:  # shadows the builtin on purpose: intrinsics.compile reads as what it does
    """Parse a whole intrinsic expression; raises IntrinsicSyntaxError with the reason."""
    function, end = _function(text, _blank(text, 0))
    if text[end:].strip():
        raise IntrinsicSyntaxError(f"unexpected text after the function: {text[end:]!r}")
    return function


def _function(text: str, position: int) -> tuple[Function, int]:
    match = NAME.match(text, position)
    if not match:
        raise IntrinsicSyntaxError(f"not a call of an intrinsic function: {text[position:]!r}")
    if match[1] not in FUNCTIONS:
        raise IntrinsicSyntaxError(f"the intrinsic function States.{match[1]} is not supported by the embedded AWS")
    arguments: list[Literal | Path | Function] = []
    position = _blank(text, match.end())
    while not text.startswith(")", position):
        if arguments:
            if not text.startswith(",", position):
                raise IntrinsicSyntaxError(f"',' or ')' expected at {text[position:]!r}")
            position = _blank(text, position + 1)
        argument, position = _argument(text, position)
        arguments.append(argument)
        position = _blank(text, position)
    least, most, _ = FUNCTIONS[match[1]]
    if not least <= len(arguments) <= most:
        raise IntrinsicSyntaxError(f"States.{match[1]} got {len(arguments)} arguments")
    return Function(match[1], tuple(arguments)), position + 1


def _argument(text: str, position: int) -> tuple[Literal | Path | Function, int]:
    if match := STRING.match(text, position):
        return Literal(re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL), raw=match[1]), match.end()
    if match := PATH.match(text, position):
        try:
            return parse(match[0]), match.end()
        except PathSyntaxError as problem:
            raise IntrinsicSyntaxError(str(problem)) from None
    if match := NUMBER.match(text, position) or WORD.match(text, position):
        return Literal(json.loads(match[0])), match.end()
    return _function(text, position)


def _blank(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def evaluate(node: Literal | Path | Function, documents: Documents) -> Any:
    """The value of a parsed expression; raises StateFailure (States.IntrinsicFailure) with the reason."""
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Path):
        try:
            return select(node, documents[node.root])
        except PathNotFound:
            raise StateFailure(INTRINSIC, f"The argument '{node.text}' could not be found in the data") from None
    arguments = [evaluate(argument, documents) for argument in node.arguments]
    if node.name == "Format" and isinstance(node.arguments[0], Literal):
        arguments[0] = node.arguments[0].raw  # here \{ is a brace of the text and {} a placeholder
    try:
        return FUNCTIONS[node.name][2](*arguments)
    except (TypeError, ValueError, LookupError, AttributeError) as problem:
        raise StateFailure(INTRINSIC, f"States.{node.name} failed: {problem}") from None


def _format(template: str, *values: Any) -> str:
    rest = list(values)

    def token(match: re.Match[str]) -> str:
        if match[1]:
            return match[1]
        if match[3]:
            raise ValueError(f"unescaped {match[3]!r} in {template!r}")
        if not rest:
            raise ValueError(f"more placeholders than values in {template!r}")
        value = rest.pop(0)
        return value if isinstance(value, str) else to_json(value)

    text = FORMAT_TOKEN.sub(token, template)
    if rest:
        raise ValueError(f"{len(rest)} values have no placeholder in {template!r}")
    return text


def to_json(value: Any) -> str:
    """Compact JSON, as Step Functions writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _item(array: list[Any], index: int) -> Any:
    if index < 0:
        raise IndexError(f"index {index} is negative")
    return array[index]


def _length(array: list[Any]) -> int:
    if not isinstance(array, list):
        raise TypeError("the argument is no array")
    return len(array)


def _split(text: str, separators: str) -> list[str]:
    # Every character of the second argument separates, and empty parts are left out.
    return [part for part in re.split(f"[{re.escape(separators)}]", text) if part]


def _add(first: float, second: float) -> int:
    if isinstance(first, bool) or isinstance(second, bool):
        raise TypeError("the arguments are no numbers")
    return round(first) + round(second)


def _merge(first: dict[str, Any], second: dict[str, Any], deep: bool) -> dict[str, Any]:
    if deep is not False:
        raise ValueError("only a shallow merge is offered: the third argument must be false")
    if not isinstance(first, dict) or not isinstance(second, dict):
        raise TypeError("both arguments must be objects")
    return {**first, **second}


def _encode(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"the text is longer than {LONGEST_TEXT} characters")
    return base64.b64encode(text.encode()).decode()


def _hash(data: Any, algorithm: str) -> str:
    text = data if isinstance(data, str) else to_json(data)
    return hashlib.new(HASHES[algorithm], text.encode(), usedforsecurity=False).hexdigest()


FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    # name: (fewest arguments, most arguments, function)
    "Format": (1, 11, _format),
    "StringToJson": (1, 1, json.loads),
    "JsonToString": (1, 1, to_json),
    "Array": (0, 100, lambda *items: list(items)),
    "ArrayGetItem": (2, 2, _item),
    "ArrayLength": (1, 1, _length),
    "StringSplit": (2, 2, _split),
    "MathAdd": (2, 2, _add),
    "JsonMerge": (3, 3, _merge),
    "Base64Encode": (1, 1, _encode),
    "Hash": (2, 2, _hash),
    "UUID": (0, 0, lambda: str(uuid.uuid4())),
}
