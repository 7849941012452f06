"""What a target receives for an event: the event, a part of it, a constant, or a template filled from it.

Rules as at https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html; what the page
leaves open (a path the event has not becomes an empty string, text keeps its quotes) is as AWS was seen to answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PLACEHOLDER = re.compile(r"<([^<>]*)>")
STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
PREDEFINED = (
    "aws.events.rule-arn",
    "aws.events.rule-name",
    "aws.events.event.ingestion-time",
    "aws.events.event",
    "aws.events.event.json",
)
MISSING = object()


class InvalidInput(ValueError):
    """The input members of a target contradict each other or cannot be used."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """An event on its way through a rule."""

    event: Mapping[str, Any]
    rule_arn: str
    rule_name: str
    ingested: str


def check(target: Mapping[str, Any]) -> None:
    """Refuse what AWS refuses when a target is put; raises InvalidInput."""
    identity = target["Id"]
    given = [name for name in ("Input", "InputPath", "InputTransformer") if name in target]
    if len(given) > 1:
        raise InvalidInput(f"Only one of Input, InputPath, or InputTransformer must be provided for target {identity}.")
    if "Input" in target:
        try:
            json.loads(target["Input"])
        except ValueError as problem:
            raise InvalidInput(f"JSON syntax error in input for target {identity} : {problem}.") from None
    if "InputPath" in target:
        _check_path(target["InputPath"], f"InputPath for target {identity}")
    if "InputTransformer" in target:
        _check_transformer(target["InputTransformer"], identity)


def render(target: Mapping[str, Any], occasion: Occasion) -> str:
    """The text that is sent to the target."""
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return _dump(_found(occasion.event, target["InputPath"]))
    if "InputTransformer" in target:
        return _fill(target["InputTransformer"], occasion)
    return _dump(occasion.event)


def find(document: Any, path: str) -> Any:
    """The value at a JSON path in dot notation (``$.detail.items[0]``), or MISSING."""
    for match in STEP.finditer(path.removeprefix("$")):
        name, index = match.groups()
        if name is not None and isinstance(document, Mapping) and name in document:
            document = document[name]
        elif index is not None and isinstance(document, list) and int(index) < len(document):
            document = document[int(index)]
        else:
            return MISSING
    return document


def _found(document: Any, path: str) -> Any:
    value = find(document, path)
    return "" if value is MISSING else value


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _fill(transformer: Mapping[str, Any], occasion: Occasion) -> str:
    """Put values in place of the placeholders: as JSON where a value stands by itself, as text inside a string."""
    template = transformer["InputTemplate"]
    values = {name: _found(occasion.event, path) for name, path in transformer.get("InputPathsMap", {}).items()}
    values |= _predefined(occasion)
    pieces, position, quoted = [], 0, False
    for match in PLACEHOLDER.finditer(template):
        literal = template[position : match.start()]
        quoted ^= _quotes(literal) % 2 == 1
        value = values[match[1]]
        pieces += [literal, _inside_string(value) if quoted else _dump(value)]
        position = match.end()
    return "".join([*pieces, template[position:]])


def _predefined(occasion: Occasion) -> dict[str, Any]:
    event = dict(occasion.event)
    without_detail = {name: value for name, value in event.items() if name not in ("detail", "detail-type")}
    return {
        "aws.events.rule-arn": occasion.rule_arn,
        "aws.events.rule-name": occasion.rule_name,
        "aws.events.event.ingestion-time": occasion.ingested,
        "aws.events.event": {**without_detail, "detailType": event.get("detail-type", "")},
        "aws.events.event.json": event,
    }


def _quotes(text: str) -> int:
    """How many quotation marks open or close a string in this piece of JSON."""
    return len(re.findall(r'(?<!\\)(?:\\\\)*"', text))


def _inside_string(value: Any) -> str:
    """A value as characters of a JSON string: text escaped, lists without the quotes of their elements."""
    if isinstance(value, list):
        return "[" + ",".join(_inside_string(element) for element in value) + "]"
    return _dump(value if isinstance(value, str) else _dump(value))[1:-1]


def _check_path(path: str, where: str) -> None:
    if not path.startswith("$") or STEP.sub("", path.removeprefix("$")):
        raise InvalidInput(f"Invalid {where}: {path!r} is not a JSON path in dot notation.")


def _check_transformer(transformer: Mapping[str, Any], identity: str) -> None:
    paths = transformer.get("InputPathsMap", {})
    for name, path in paths.items():
        if name.lower().startswith("aws."):
            raise InvalidInput(f"InputPathsMap for target {identity} must not have a key beginning with AWS: {name}.")
        _check_path(path, f"InputPathsMap for target {identity}")
    template = transformer["InputTemplate"]
    for name in PLACEHOLDER.findall(template):
        if name not in paths and name not in PREDEFINED:
            raise InvalidInput(f"InputTemplate for target {identity} contains invalid placeholder {name}.")
    probe = _fill(
        {"InputTemplate": template, "InputPathsMap": dict.fromkeys(paths, "$.nothing")},
        Occasion({}, "arn", "name", "1970-01-01T00:00:00Z"),
    )
    if not _is_json(probe) and not all(_is_json(line) for line in probe.splitlines() if line.strip()):
        raise InvalidInput(f"Invalid InputTemplate for target {identity} : it must be valid JSON once it is filled.")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
