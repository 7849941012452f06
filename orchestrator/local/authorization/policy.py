"""Policy documents as frozen values, and which of their statements speak of a request.

Grammar: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

ALLOW, DENY = "Allow", "Deny"
Context = Mapping[str, tuple[str, ...]]
"""The condition keys of a request, in lower case, each with its values."""

VARIABLE = re.compile(r"\$\{([^}]*)\}")
DEFAULTED = re.compile(r"(?P<key>[^,]+?)(\s*,\s*'(?P<default>[^']*)')?")
LITERALS = {"*": "*", "?": "?", "$": "$"}
ARN_PARTS = 6


class Malformed(Exception):
    """A document that is no policy."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key; ``operator`` is the base name in lower case, ``key`` too."""

    operator: str
    key: str
    values: tuple[str, ...]
    if_exists: bool = False
    quantifier: str = ""
    """'', 'forallvalues' or 'foranyvalue'."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement; of each pair of elements (Action, NotAction) exactly one is not None."""

    effect: str
    sid: str = ""
    actions: tuple[str, ...] | None = None
    not_actions: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    not_resources: tuple[str, ...] | None = None
    principals: tuple[tuple[str, str], ...] | None = None
    """(kind, value) as ("AWS", "111111111111"); ("*", "*") is everyone."""
    not_principals: tuple[tuple[str, str], ...] | None = None
    conditions: tuple[Condition, ...] = ()
    variables: bool = True
    """Whether ``${...}`` means something: only in documents of version 2012-10-17."""

    def is_about(self, action: str, resource: str, context: Context) -> bool:
        """Whether the statement's action and resource elements cover an action on a resource."""
        if self.actions is not None and not any(like(pattern, action.lower()) for pattern in self.actions):
            return False
        if self.not_actions is not None and any(like(pattern, action.lower()) for pattern in self.not_actions):
            return False
        if self.resources is not None:
            return any(self._covers(pattern, resource, context) for pattern in self.resources)
        if self.not_resources is not None:
            return not any(self._covers(pattern, resource, context) for pattern in self.not_resources)
        return True  # the policy of one resource need not name it

    def _covers(self, pattern: str, resource: str, context: Context) -> bool:
        if pattern == "*":
            return True
        if not self.variables or "${" not in pattern:
            return arn_like(pattern, resource)
        expanded = expand(pattern, context)
        return expanded is not None and arn_like(expanded, resource)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy and where it is, such as ``inline policy deploy of the role mlops-pipeline-action``."""

    place: str
    statements: tuple[Statement, ...]


@lru_cache(maxsize=4096)
def read(place: str, document: str) -> Policy:
    """A policy from its JSON. Raises Malformed naming what is wrong and where."""
    try:
        parsed = json.loads(document)
    except ValueError as problem:
        raise Malformed(f"{place} is not JSON: {problem}") from None
    if not isinstance(parsed, dict):
        raise Malformed(f"{place} is not a JSON object")
    variables = parsed.get("Version") == "2012-10-17"
    try:
        statements = tuple(_statement(each, variables) for each in listed(parsed.get("Statement", [])))
    except Malformed as problem:
        raise Malformed(f"{place}: {problem}") from None
    return Policy(place, statements)


def listed(value: Any) -> list[Any]:
    """A list as it is, anything else as the only element of one."""
    return value if isinstance(value, list) else [value]


def _statement(body: Any, variables: bool) -> Statement:
    if not isinstance(body, dict):
        raise Malformed("a statement is an object")
    sid, effect = str(body.get("Sid", "")), body.get("Effect")
    if effect not in (ALLOW, DENY):
        raise Malformed(f"the effect of a statement is Allow or Deny, not {effect!r:.40}")
    for one, other in (("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal")):
        if one in body and other in body:
            raise Malformed(f"statement {sid!r:.60} has both {one} and {other}")
    if "Action" not in body and "NotAction" not in body:
        raise Malformed(f"statement {sid!r:.60} has neither Action nor NotAction")
    return Statement(
        effect,
        sid,
        _texts(body, "Action", str.lower),
        _texts(body, "NotAction", str.lower),
        _texts(body, "Resource"),
        _texts(body, "NotResource"),
        _principals(body.get("Principal")),
        _principals(body.get("NotPrincipal")),
        tuple(_conditions(body.get("Condition", {}))),
        variables,
    )


def _texts(body: Mapping[str, Any], name: str, change: Callable[[str], str] = str) -> tuple[str, ...] | None:
    if name not in body:
        return None
    values = listed(body[name])
    if not all(isinstance(value, str) for value in values):
        raise Malformed(f"{name} is a text or a list of texts")
    return tuple(change(value) for value in values)


def _principals(value: Any) -> tuple[tuple[str, str], ...] | None:
    if value is None:
        return None
    if value == "*":
        return (("*", "*"),)
    if not isinstance(value, dict):
        raise Malformed('a principal is "*" or an object')
    return tuple((kind, str(each)) for kind, group in value.items() for each in listed(group))


def _conditions(block: Any) -> list[Condition]:
    if not isinstance(block, dict):
        raise Malformed("Condition is an object")
    found = []
    for name, keys in block.items():
        if not isinstance(keys, dict):
            raise Malformed(f"Condition.{name} is an object")
        quantifier, _, operator = name.lower().rpartition(":")
        base = operator.removesuffix("ifexists")
        for key, values in keys.items():
            texts = tuple(_text(value) for value in listed(values))
            found.append(Condition(base, key.lower(), texts, base != operator, quantifier))
    return found


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def expand(text: str, context: Context) -> str | None:
    """The text with its policy variables put in, None when one has no value; wildcards that came in are literal.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
    """
    parts, end = [], 0
    for match in VARIABLE.finditer(text):
        parts.append(text[end : match.start()])
        end = match.end()
        inner = match[1].strip()
        if inner in LITERALS:
            parts.append(_literal(LITERALS[inner]))
            continue
        named = DEFAULTED.fullmatch(inner)
        values = context.get(named["key"].strip().lower(), ()) if named else ()
        if len(values) == 1:
            parts.append(_literal(values[0]))
        elif named and named["default"] is not None and not values:
            parts.append(_literal(named["default"]))
        else:
            return None
    return "".join(parts) + text[end:]


MARKS = str.maketrans({"*": "\ue000", "?": "\ue001"})
"""Stand-ins (of the private area) for wildcard characters that are meant as themselves."""
BACK = str.maketrans({"\ue000": "*", "\ue001": "?"})


def _literal(text: str) -> str:
    return text.translate(MARKS)


@lru_cache(maxsize=8192)
def _pattern(pattern: str) -> re.Pattern[str]:
    parts = (".*" if one == "*" else "." if one == "?" else re.escape(one.translate(BACK)) for one in pattern)
    return re.compile("".join(parts), re.DOTALL)


def like(pattern: str, text: str) -> bool:
    """Whether a text is as the pattern says, in which ``*`` is any text and ``?`` any character."""
    if "*" not in pattern and "?" not in pattern:
        return pattern.translate(BACK) == text if "\ue000" in pattern or "\ue001" in pattern else pattern == text
    return _pattern(pattern).fullmatch(text) is not None


def arn_like(pattern: str, arn: str) -> bool:
    """Whether an ARN is as the pattern says, part by part; what an incomplete pattern leaves out may be anything.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    if pattern == "*":
        return True
    wanted, found = pattern.split(":", ARN_PARTS - 1), arn.split(":", ARN_PARTS - 1)
    if len(found) < ARN_PARTS:
        return like(pattern, arn)
    wanted += ["*"] * (ARN_PARTS - len(wanted))
    return all(like(one, other) for one, other in zip(wanted, found, strict=True))
