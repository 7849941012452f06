"""The patterns of schemas as JSON Schema means them: ``$`` is the end of the text, and nothing else.

In Python it also stands before a line feed at the end, so a validator that leaves patterns to ``re`` takes
``"444444444444\\n"`` for an account. Rule: https://json-schema.org/draft-07/json-schema-validation#rfc.section.4.3
(ECMA 262, without the flag for several lines).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

# What is left alone: an escaped character, and a class of characters, in which a dollar sign is one.
DOLLAR = re.compile(r"(\\.|\[(?:\\.|[^\]\\])*\])|\$", re.DOTALL)


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, to be searched for."""
    return re.compile(DOLLAR.sub(lambda found: found[1] or r"\Z", pattern))


def keyword(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[Any]:
    """The keyword ``pattern`` of a validator."""
    if validator.is_type(instance, "string") and not compiled(pattern).search(instance):
        from jsonschema.exceptions import ValidationError

        yield ValidationError(f"{instance!r} does not match {pattern!r}")
