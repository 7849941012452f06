"""Values drawn from a JSON schema (draft-07), and whole configs that walk through what a pipeline type allows.

A schema with conditions has too few solutions for blind drawing. So a walk begins at an example of the type and changes
one place after another: a value is replaced, an option added or taken away, each time with what the schema of that
place allows. A change that the product refuses is taken back, and counts as an invalid config on the way.
"""

from __future__ import annotations

import copy
import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st

from orchestrator.blueprint import Blueprint
from orchestrator.errors import BadRequest
from orchestrator.model import Workload
from orchestrator.schema import published
from orchestrator.settings import Settings
from orchestrator.validate import examine
from tests.blueprints.walking import CATALOG

Schema = Mapping[str, Any]
ASCII = string.ascii_letters + string.digits + " -_./:"
DEEPEST = 6
PUBLISHED = published(CATALOG)


@cache
def rules(kind: str) -> dict[str, Schema]:
    """The schema of every key that a config of this type may have."""
    return dict(PUBLISHED["definitions"][f"config.{kind}"]["properties"])


def resolved(rule: Schema) -> Schema:
    """The rule a reference stands for."""
    while "$ref" in rule:
        found: Any = PUBLISHED
        for step in rule["$ref"].removeprefix("#/").split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        rule = found
    return rule


def value(rule: Schema, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of a schema; conditions between keys are left to whoever looks at the result."""
    rule = resolved(rule)
    if "const" in rule:
        return st.just(rule["const"])
    options = [value(each, depth + 1) for name in ("anyOf", "oneOf") for each in rule.get(name, ())]
    if "examples" in rule:
        options.append(st.sampled_from(rule["examples"]))
    if "enum" in rule:
        options.append(st.sampled_from(rule["enum"]))
    elif "type" in rule and depth <= DEEPEST:
        types = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
        options += [TYPES[each](rule, depth) for each in types]
    return st.one_of(*options) if options else st.nothing()


def _text(rule: Schema, _: int) -> st.SearchStrategy[str]:
    shortest, longest = rule.get("minLength", 0), rule.get("maxLength", 1000)
    if "pattern" in rule:
        drawn = st.from_regex(rule["pattern"], fullmatch=True, alphabet=st.characters(codec="ascii"))
        return drawn.filter(lambda text: shortest <= len(text) <= longest)
    return st.text(ASCII, min_size=shortest, max_size=min(longest, 40))


def _integer(rule: Schema, _: int) -> st.SearchStrategy[int]:
    low, high = rule.get("minimum", 0), rule.get("maximum", 10**6)
    return st.integers(low, high) | st.sampled_from([low, high])


def _number(rule: Schema, _: int) -> st.SearchStrategy[float]:
    low = rule.get("minimum", rule.get("exclusiveMinimum", -1000))
    high = rule.get("maximum", rule.get("exclusiveMaximum", 1000))
    drawn = st.floats(low, high, allow_nan=False, allow_subnormal=False, exclude_min="exclusiveMinimum" in rule)
    return drawn | st.integers(int(low) + 1, int(high)) if low + 1 <= high else drawn


def _array(rule: Schema, depth: int) -> st.SearchStrategy[list[Any]]:
    items = rule.get("items", {"type": "string"})
    if isinstance(items, list):
        return st.tuples(*(value(each, depth + 1) for each in items)).map(list)
    return st.lists(
        value(items, depth + 1),
        min_size=rule.get("minItems", 0),
        max_size=min(rule.get("maxItems", 4), max(4, rule.get("minItems", 0))),
    )


def _object(rule: Schema, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    known = {name: value(each, depth + 1) for name, each in rule.get("properties", {}).items()}
    needed = {name: known[name] for name in rule.get("required", ()) if name in known}
    drawn = st.fixed_dictionaries(needed, optional={name: each for name, each in known.items() if name not in needed})
    free = rule.get("additionalProperties")
    if not isinstance(free, Mapping) or not free:
        return drawn
    names = value({"type": "string", "maxLength": 20, **rule.get("propertyNames", {})}, depth + 1)
    most = min(rule.get("maxProperties", 3), 3)
    extra = st.dictionaries(names, value(free, depth + 1), min_size=rule.get("minProperties", 0), max_size=most)
    return st.builds(lambda more, named: {**more, **named}, extra, drawn)


TYPES = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": lambda rule, _: st.booleans(),
    "null": lambda rule, _: st.none(),
    "array": _array,
    "object": _object,
}


@dataclass(frozen=True)
class Walked:
    """A valid config, what it means, and how many changes on the way were refused."""

    body: dict[str, Any]
    workload: Workload
    refused: int


def starts(blueprint: Blueprint, kind: str) -> list[dict[str, Any]]:
    """The pipelines of this type among the examples of its blueprint, each as a config of its own.

    A reference to another pipeline cannot stand alone; what an example says of the workload stays outside.
    """
    found = []
    for file in sorted((blueprint.folder / "examples").glob("*.json")):
        document = json.loads(file.read_text())
        for pipeline in document.get("pipelines", [document]):
            if pipeline.get("pipeline_type") == kind and not _refers(pipeline):
                body = {key: held for key, held in pipeline.items() if key not in ("name", "$schema")}
                found.append({"model_name": document["model_name"], **body} if "model_name" in document else body)
    return found


def _refers(node: Any) -> bool:
    if isinstance(node, dict):
        return set(node) == {"from"} or any(map(_refers, node.values()))
    return isinstance(node, list) and any(map(_refers, node))


@st.composite
def walks(draw: st.DrawFn, kind: str, beginnings: Sequence[dict[str, Any]], settings: Settings) -> Walked:
    """A valid config of this type, some changes away from one of these."""
    body = copy.deepcopy(draw(st.sampled_from(beginnings)))
    workload = examine(body, CATALOG, settings)[0]
    keys = sorted(set(rules(kind)) - {"pipeline_type", "$schema"})
    refused = 0
    step = st.lists(st.sampled_from(keys), min_size=1, max_size=3, unique=True)  # some keys only change together
    for together in draw(st.lists(step, min_size=2, max_size=8)):
        changed = {name: held for name, held in body.items() if name not in together}
        for key in together:
            if key not in body or draw(st.booleans()):
                changed[key] = draw(value(rules(kind)[key]))
        try:
            workload, body = examine(changed, CATALOG, settings)[0], changed
        except BadRequest as refusal:
            assert refusal.as_dict()
            refused += 1
    return Walked(body, workload, refused)
