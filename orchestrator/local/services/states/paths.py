"""JSONPath as the Amazon States Language uses it.

Supported: ``$`` and ``$$``, members (``.name``, ``['any name']``), indexes (also from the end), slices and the
wildcard. Recursive descent and filters are refused when the definition is checked.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

WILDCARD = "*"
MEMBER = re.compile(r"\.([\w-]+)")
ANY_MEMBER = re.compile(r"\.\*")
BRACKET = re.compile(
    r"\[\s*(?:'(?P<single>(?:[^'\\]|\\.)*)'|\"(?P<double>(?:[^\"\\]|\\.)*)\""
    r"|(?P<star>\*)|(?P<start>-?\d*):(?P<stop>-?\d*)|(?P<index>-?\d+))\s*\]"
)


class PathSyntaxError(ValueError):
    """The text is no path that we understand."""


class PathNotFound(LookupError):
    """The path leads nowhere in this document."""


@dataclass(frozen=True, slots=True)
class Member:
    """A step to a member of an object, or to all of them (and all items of a list)."""

    name: str
    every: bool = False


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path; ``root`` is ``$`` (the data) or ``$$`` (the context object)."""

    text: str
    root: str
    steps: tuple[Member | int | slice, ...]

    @property
    def definite(self) -> bool:
        """Whether the path names exactly one place, so that its value is a value and not a list of matches."""
        return not any(isinstance(step, slice) or (isinstance(step, Member) and step.every) for step in self.steps)

    @property
    def reference(self) -> bool:
        """Whether the path may be written to: one place, no index from the end."""
        return self.definite and not any(isinstance(step, int) and step < 0 for step in self.steps)


@lru_cache(maxsize=4096)
def parse(text: str) -> Path:
    """Parse a path; raises PathSyntaxError with the reason."""
    root = "$$" if text.startswith("$$") else "$"
    if not text.startswith(root):
        raise PathSyntaxError(f"a path begins with '$': {text!r}")
    steps: list[Member | int | slice] = []
    position = len(root)
    while position < len(text):
        if text.startswith("..", position):
            raise PathSyntaxError(f"recursive descent ('..') is not supported by the embedded AWS: {text!r}")
        if re.match(r"\[\s*\?", text[position:]):
            raise PathSyntaxError(f"filters ('[?(...)]') are not supported by the embedded AWS: {text!r}")
        if match := ANY_MEMBER.match(text, position):
            steps.append(Member(WILDCARD, every=True))
        elif match := MEMBER.match(text, position):
            steps.append(Member(match[1]))
        elif match := BRACKET.match(text, position):
            steps.append(_bracket(match))
        else:
            raise PathSyntaxError(f"not a JSONPath from position {position} on: {text!r}")
        position = match.end()
    return Path(text, root, tuple(steps))


def _bracket(match: re.Match[str]) -> Member | int | slice:
    if match["star"]:
        return Member(WILDCARD, every=True)
    if match["index"] is not None:
        return int(match["index"])
    if match["start"] is not None:
        return slice(*(int(match[end]) if match[end] else None for end in ("start", "stop")))
    quoted = match["single"] if match["single"] is not None else match["double"]
    return Member(re.sub(r"\\(.)", r"\1", quoted))


def select(path: Path, document: Any) -> Any:
    """The value at the path; for an indefinite path the list of all matches.

    Raises PathNotFound when a definite path matches nothing.
    """
    found = [document]
    for step in path.steps:
        found = [value for parent in found for value in _children(step, parent)]
    if not path.definite:
        return found
    if not found:
        raise PathNotFound(path.text)
    return found[0]


def _children(step: Member | int | slice, parent: Any) -> Iterator[Any]:
    if isinstance(step, Member):
        if step.every:
            yield from parent.values() if isinstance(parent, dict) else parent if isinstance(parent, list) else ()
        elif isinstance(parent, dict) and step.name in parent:
            yield parent[step.name]
    elif isinstance(parent, list):
        if isinstance(step, slice):
            yield from parent[step]
        elif -len(parent) <= step < len(parent):
            yield parent[step]


def assign(path: Path, document: Any, value: Any) -> Any:
    """A copy of the document with the value at a reference path; missing objects are made on the way.

    Raises PathNotFound when a step meets something that it cannot go into.
    """
    if not path.steps:
        return value
    result = copy.deepcopy(document)
    place = result
    for number, step in enumerate(path.steps):
        last = number == len(path.steps) - 1
        if isinstance(step, Member) and isinstance(place, dict):
            place[step.name] = value if last else place.get(step.name, {})
            place = place[step.name]
        elif isinstance(step, int) and isinstance(place, list) and step < len(place):
            if last:
                place[step] = value
            place = place[step]
        else:
            raise PathNotFound(path.text)
    return result
