"""Values that differ from stage to stage: ``{"dev": "ml.m5.large", "default": "ml.m5.xlarge"}``.

Where a schema marks a value with ``x-per-stage``, an object keyed by stage names may stand in its place, at any
depth. ``default`` stands for every stage that is not named, and null for no value in that stage.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

DEFAULT = "default"


def is_per_stage(value: object, schema: Mapping[str, Any], stages: Collection[str]) -> bool:
    """Whether ``value`` is keyed by stage. An object that could be a value itself is, when it names stages only."""
    if not isinstance(value, Mapping) or not schema.get("x-per-stage"):
        return False
    if schema.get("x-reference") and set(value) == {"from"} and "from" not in stages:
        return False
    types = schema.get("type", "object")
    if "object" not in ([types] if isinstance(types, str) else types):
        return True
    return bool(value) and set(value) <= {*stages, DEFAULT}


def at_stage(value: Any, schema: Mapping[str, Any], stages: Collection[str], stage: str) -> Any:
    """``value`` as it is in one stage: every per-stage object replaced by the stage's member.

    A key whose member is null is left out. A per-stage object that does not cover the stage stays as it is;
    ``validate`` has refused it before.
    """
    if is_per_stage(value, schema, stages):
        chosen = value.get(stage, value.get(DEFAULT, value))
        return chosen if chosen is value else at_stage(chosen, _plain(schema), stages, stage)
    if isinstance(value, Mapping):
        chosen_of = {key: at_stage(item, member(schema, key), stages, stage) for key, item in value.items()}
        return {key: chosen for key, chosen in chosen_of.items() if chosen is not None or value[key] is None}
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [at_stage(item, schema["items"], stages, stage) for item in value]
    return value


def per_stage_values(
    value: Any, schema: Mapping[str, Any], stages: Collection[str], path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    """Every per-stage object inside ``value``, with its path."""
    if is_per_stage(value, schema, stages):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from per_stage_values(item, member(schema, key), stages, (*path, key))
    elif isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for index, item in enumerate(value):
            yield from per_stage_values(item, schema["items"], stages, (*path, index))


def member(schema: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The schema of one member of an object; empty when the schema says nothing of it."""
    properties = schema.get("properties", {})
    found = properties[key] if key in properties else schema.get("additionalProperties")
    return found if isinstance(found, Mapping) else {}


def _plain(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in schema.items() if key != "x-per-stage"}
