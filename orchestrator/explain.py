"""From what a JSON Schema validator reports to sentences a person can act on.

The validator says which keyword failed where; this module says what is wrong with the value, what may stand there
(from the schema's own titles, descriptions and examples) and, where it can be guessed, what was meant.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import Problem

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

SHOWN = 120
TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


def nearest(value: object, allowed: Iterable[str]) -> str:
    """ "Did you mean ...?" for a misspelt word, or nothing when no allowed word is near."""
    text = str(value)
    names = [name for name in allowed if name]
    if len(text) > 64 or not text:
        return ""
    start = next((name for name in names if len(text) > 1 and name.startswith(text)), "")
    near = difflib.get_close_matches(text.lower(), [name.lower() for name in names], n=1, cutoff=0.7)
    found = start or next((name for name in names if near and name.lower() == near[0]), "")
    return f"Did you mean `{found}`?" if found else ""


def one_of(allowed: Iterable[object]) -> str:
    """ "One of a, b, c." """
    return f"One of {', '.join(word(item) for item in allowed)}."


def word(value: object) -> str:
    """A short JSON value as it stands in a sentence: texts without quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def path_to(path: str, key: str | int) -> str:
    """The JSON path of a member or an item of what stands at ``path``."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_-]{0,80}", key) else f"{path}[{json.dumps(key[:80])}]"


def join(path: str, keys: Iterable[str | int]) -> str:
    """The JSON path of what lies ``keys`` deep in what stands at ``path``."""
    for key in keys:
        path = path_to(path, key)
    return path


def shown(value: object) -> Any:
    """The value as a problem shows it: texts cut and printable, large objects left out (None)."""
    if isinstance(value, str):
        text = "".join(each if each.isprintable() else "\ufffd" for each in value[: SHOWN + 1])
        return text if len(text) <= SHOWN else text[:SHOWN] + "..."
    if isinstance(value, Mapping | list | tuple):
        text = json.dumps(value, ensure_ascii=False, default=str)
        return value if len(text) <= SHOWN and text.isprintable() else None
    return value


def allowed_by(schema: Mapping[str, Any]) -> str:
    """What a schema allows, as one sentence."""
    if "enum" in schema:
        return one_of(schema["enum"])
    if "const" in schema:
        return f"Only {word(schema['const'])}."
    types = schema.get("type", [])
    sentence = " or ".join(TYPES[each] for each in ([types] if isinstance(types, str) else types))
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        sentence += f" from {low} to {high}"
    elif low is not None or high is not None:
        sentence += f" of at least {low}" if high is None else f" of at most {high}"
    examples = [example for example in schema.get("examples", []) if isinstance(example, str | int | float)]
    if examples:
        sentence += f" such as {' or '.join(word(example) for example in examples[:2])}"
    elif "pattern" in schema:
        sentence += f" matching {schema['pattern']}"
    if "x-reference" in schema:
        sentence += ', or {"from": "<an earlier pipeline>"}'
    return f"{sentence[:1].upper()}{sentence[1:]}." if sentence else ""


@dataclass(frozen=True, slots=True)
class Broken:
    """One broken rule of a schema: the ``keyword``, what it says (``rule``), and the ``value`` that breaks it.

    ``schema`` is the object the keyword stands in, ``reason`` what the schema says of the condition under which the
    rule holds, ``context`` the rules broken inside each ``branch`` of an anyOf or oneOf, ``path`` the way from the
    outer value to this one.
    """

    keyword: str
    rule: Any
    value: Any
    schema: Mapping[str, Any]
    path: tuple[str | int, ...]
    message: str
    reason: str
    branch: object
    context: tuple[Broken, ...]


def _read(error: ValidationError, root: Mapping[str, Any]) -> Broken:
    steps = list(error.relative_schema_path)
    return Broken(
        keyword="propertyNames" if "propertyNames" in steps[-2:] else str(error.validator),
        rule=error.validator_value,
        value=error.instance,
        schema=error.schema if isinstance(error.schema, Mapping) else {},
        path=tuple(error.relative_path),
        message=error.message,
        reason=sentence(_reason(list(error.absolute_schema_path), root)),
        branch=steps[0] if steps else None,
        context=tuple(_read(inner, root) for inner in error.context or ()),
    )


def _reason(steps: list[str | int], root: Mapping[str, Any]) -> str:
    """The description of the innermost condition on the way to a rule; a condition has no title, values have."""
    node: Any = root
    reason = ""
    for index, step in enumerate(steps[:-1]):
        if step == "if" and steps[index + 1] in ("then", "else"):
            continue  # the validator names the condition and its consequence; the schema has them side by side
        node = node[step]
        if isinstance(node, Mapping):
            reason = "" if "title" in node else str(node.get("description", reason))
    return reason


def sentence(text: str) -> str:
    """``text`` with a capital at its beginning and a full stop at its end."""
    whole = f"{text[:1].upper()}{text[1:]}"
    return whole if not whole or whole.endswith((".", "?", "!")) else f"{whole}."


def problems_of(
    error: ValidationError, root: Mapping[str, Any], locate: Callable[[tuple[str | int, ...]], str]
) -> Iterator[Problem]:
    """The problems behind one error of the validator of ``root``.

    ``locate`` gives the JSON path, in the document as written, of a way into the validated instance.
    """
    broken = _read(error, root)
    yield from _explain(broken, locate(broken.path))


def _explain(broken: Broken, path: str) -> Iterator[Problem]:
    yield from EXPLANATIONS.get(broken.keyword, _other)(broken, path)


def _name(schema: Mapping[str, Any]) -> str:
    title = str(schema.get("title", "value"))
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def _value(broken: Broken, path: str, message: str, fix: str = "") -> Iterator[Problem]:
    yield Problem(path, message, shown(broken.value), allowed_by(broken.schema), fix)


def _type(broken: Broken, path: str) -> Iterator[Problem]:
    wanted = broken.rule if isinstance(broken.rule, list) else [broken.rule]
    value = broken.value
    name = _name(broken.schema)
    is_text = "text" if isinstance(value, str) else "an object" if isinstance(value, Mapping) else None
    is_other = "null" if value is None else "a list" if isinstance(value, list) else "true or false"
    is_number = "a number" if isinstance(value, int | float) and not isinstance(value, bool) else None
    what = is_text or is_number or is_other
    fix = ""
    if isinstance(value, str) and {"integer", "number"} & set(wanted) and re.fullmatch(r"\s*-?\d+(\.\d+)?\s*", value):
        fix = f"Write {value.strip()} without quotes."
    elif isinstance(value, str) and "boolean" in wanted and value.strip().lower() in ("true", "false"):
        fix = f"Write {value.strip().lower()} without quotes."
    elif is_number and "string" in wanted:
        fix = f'Write it in quotes: "{value}".'
    elif "array" in wanted and isinstance(value, str):
        fix = "Write a list, even of one item."
    kinds = " or ".join(TYPES[each] for each in wanted)
    yield from _value(broken, path, f"The {name} must be {kinds}; this is {what}.", fix)


def _enum(broken: Broken, path: str) -> Iterator[Problem]:
    words = [item for item in broken.rule if isinstance(item, str)]
    message = f"{_quoted(broken.value)} is not a known {_name(broken.schema)}."
    yield from _value(broken, path, message, nearest(broken.value, words) if isinstance(broken.value, str) else "")


def _const(broken: Broken, path: str) -> Iterator[Problem]:
    yield from _value(broken, path, f"The {_name(broken.schema)} must be {word(broken.rule)}.")


def _pattern(broken: Broken, path: str) -> Iterator[Problem]:
    yield from _value(broken, path, f"{_quoted(broken.value)} is not a valid {_name(broken.schema)}.")


def _range(broken: Broken, path: str) -> Iterator[Problem]:
    kind = "small" if "inimum" in broken.keyword else "large"
    yield from _value(broken, path, f"The {_name(broken.schema)} is too {kind}.")


def _length(broken: Broken, path: str) -> Iterator[Problem]:
    keyword, limit = broken.keyword, broken.rule
    unit = {"Length": "characters", "Items": "items", "Properties": "keys"}[keyword[3:]]
    bound = "at least" if keyword.startswith("min") else "at most"
    message = f"The {_name(broken.schema)} must have {bound} {limit} {unit}; this has {len(broken.value)}."
    yield Problem(path, message, shown(broken.value), f"{bound.capitalize()} {limit} {unit}.")


def _unique(broken: Broken, path: str) -> Iterator[Problem]:
    yield from _value(broken, path, f"The {_name(broken.schema)} holds an item twice.", "Keep one of them.")


def _required(broken: Broken, path: str) -> Iterator[Problem]:
    """The validator reports one error for each missing key, but names it in its English message alone."""
    for key in broken.rule:
        if key not in broken.value and broken.message.startswith(repr(key)):
            known = broken.schema.get("properties", {}).get(key, {})
            allowed = allowed_by(known) if isinstance(known, Mapping) else ""
            text = f"`{key}` is missing."
            yield Problem(path_to(path, key), text, allowed=broken.reason or allowed, fix=f"Add `{key}`.")


def _additional(broken: Broken, path: str) -> Iterator[Problem]:
    known = list(broken.schema.get("properties", {}))
    for key in broken.value:
        if key not in known:
            yield unknown_key(path, key, broken.value[key], known)


def unknown_key(path: str, key: str, value: object, known: Iterable[str], more: Iterable[str] = ()) -> Problem:
    """The problem of a key that does not exist; ``more`` are names that may be meant but are not advertised."""
    names = list(known)
    fix = nearest(key, [*names, *more]) or f"Remove `{shown(key)}`."
    return Problem(path_to(path, key), f"There is no key `{shown(key)}` here.", shown(value), one_of(names), fix)


def _property_names(broken: Broken, path: str) -> Iterator[Problem]:
    yield Problem(path, f"{_quoted(broken.value)} cannot be a key here.", allowed=allowed_by(broken.schema))


def _dependencies(broken: Broken, path: str) -> Iterator[Problem]:
    for key, needs in broken.rule.items():
        for need in needs if isinstance(needs, list) and key in broken.value else []:
            if need not in broken.value:
                yield Problem(path_to(path, need), f"`{key}` needs `{need}` beside it.", fix=f"Add `{need}`.")


def _not(broken: Broken, path: str) -> Iterator[Problem]:
    keys = list(broken.rule.get("required", [])) if isinstance(broken.rule, Mapping) else []
    reason = broken.reason or sentence(str(broken.schema.get("not", {}).get("description", "")))
    if not keys:
        yield Problem(path, reason or "The value is not allowed here.", shown(broken.value))
    elif len(keys) == 1:
        place = path_to(path, keys[0])
        text = f"`{keys[0]}` does not go with the other keys."
        yield Problem(place, text, allowed=reason, fix=f"Remove `{keys[0]}`.")
    else:
        names = " and ".join(f"`{key}`" for key in keys)
        text = f"{names} do not go together."
        yield Problem(path_to(path, keys[0]), text, allowed=reason, fix="Keep one of them.")


def _alternatives(broken: Broken, path: str) -> Iterator[Problem]:
    """anyOf and oneOf: a choice between keys is told as one; else the branch that comes nearest is explained."""
    branches = [branch for branch in broken.rule if isinstance(branch, Mapping)]
    if branches and all("required" in branch for branch in branches) and isinstance(broken.value, Mapping):
        choices = "; ".join(" with ".join(f"`{key}`" for key in branch["required"]) for branch in branches)
        if broken.context:
            yield Problem(path, f"One of these is missing: {choices}.", allowed=broken.reason, fix="Add one of them.")
        else:
            text = f"Only one of these may be given: {choices}."
            yield Problem(path, text, allowed=broken.reason, fix="Keep one of them.")
        return
    by_branch: dict[object, list[Broken]] = {}
    for inner in broken.context:
        by_branch.setdefault(inner.branch, []).append(inner)
    if not by_branch:
        yield from _value(broken, path, f"The {_name(broken.schema)} fits several forms at once.")
        return
    # A branch that fails on the value itself is further away than one that fails inside it.
    best = min(by_branch.values(), key=lambda inner: (sum(not each.path for each in inner), len(inner)))
    for inner in best:
        yield from _explain(inner, join(path, inner.path))


def _other(broken: Broken, path: str) -> Iterator[Problem]:
    yield Problem(path, "The value is not allowed here.", shown(broken.value), broken.reason)


def _quoted(value: object) -> str:
    return repr(shown(value))


EXPLANATIONS: dict[str, Callable[[Broken, str], Iterator[Problem]]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "pattern": _pattern,
    "required": _required,
    "additionalProperties": _additional,
    "propertyNames": _property_names,
    "dependencies": _dependencies,
    "not": _not,
    "anyOf": _alternatives,
    "oneOf": _alternatives,
    "uniqueItems": _unique,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), _range),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _length),
}
