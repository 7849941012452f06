"""What no config may hold, whatever its form: the checks that come before any other.

A config comes from a repository, a bucket or the network. It must be JSON of a reasonable size, and no text in it may
be one that CloudFormation replaces by something else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from orchestrator.errors import Problem
from orchestrator.explain import path_to

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 20
MAX_NUMBER = 2**63

# C0 and C1 controls but tab, line feed and carriage return; and halves of surrogate pairs, which UTF-8 cannot hold.
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
# CloudFormation replaces these where they stand in a parameter or a template:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html, and Fn::Sub.
REPLACED = {"{{resolve:": "a dynamic reference of CloudFormation", "${": "a substitution of CloudFormation"}


def oversized(body: object) -> Problem | None:
    """The problem of a body that is too large, too deep or not JSON; nothing else should be asked of such a body."""
    if _deeper(body, MAX_DEPTH):
        return Problem("$", "The config is nested too deeply.", allowed=f"At most {MAX_DEPTH} levels.")
    try:
        size = len(json.dumps(body, ensure_ascii=False, allow_nan=True).encode("utf-8", "surrogatepass"))
    except (TypeError, ValueError, RecursionError) as error:
        return Problem("$", f"The config is not JSON: {error}.")
    if size > MAX_BYTES:
        return Problem("$", f"The config is too large: {size} bytes.", allowed=f"At most {MAX_BYTES} bytes.")
    return None


def _deeper(value: object, levels: int) -> bool:
    if not isinstance(value, Mapping | list | tuple):
        return False
    inside = value.values() if isinstance(value, Mapping) else value
    return levels == 0 or any(_deeper(item, levels - 1) for item in inside)


def hostile(value: object, path: str = "$") -> Iterator[Problem]:
    """Every text and number in ``value`` that cannot be passed on as it is."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                yield Problem(path, f"The key {key!r} is not a text.")
                continue
            yield from _text(key, path, "A key")
            yield from hostile(item, path_to(path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from hostile(item, path_to(path, index))
    elif isinstance(value, str):
        yield from _text(value, path, "The text")
    elif isinstance(value, int | float) and not abs(value) < MAX_NUMBER:  # the comparison also catches NaN
        yield Problem(path, "The number is out of range.", value=str(value)[:40])


def _text(text: str, path: str, what: str) -> Iterator[Problem]:
    found = CONTROL.search(text)
    if found:
        yield Problem(path, f"{what} holds the control character U+{ord(found[0]):04X}.", fix="Remove it.")
    for part, meaning in REPLACED.items():
        if part in text:
            yield Problem(path, f"{what} holds `{part}`, {meaning}.", fix="Write the value itself.")
