"""Takes in the config of one pipeline as it was written: old names, old forms of values, defaults.

What comes out has the names of the blueprint's schema only. ``origin`` remembers under which name a value was
written, so that problems speak of what stands in the user's file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.blueprint import Blueprint, TypeInfo
from orchestrator.errors import Problem
from orchestrator.explain import join, path_to, unknown_key
from orchestrator.staged import is_per_stage, member

Way = tuple[str | int, ...]


@dataclass(slots=True)
class Intake:
    """One pipeline's config under the blueprint's names, with what was noticed on the way in."""

    path: str
    config: dict[str, Any] = field(default_factory=dict)
    origin: dict[Way, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def locate(self, way: Way) -> str:
        """The JSON path, in the document as written, of a way into ``config``."""
        for length in range(len(way), 0, -1):
            if way[:length] in self.origin:
                return join(path_to(self.path, self.origin[way[:length]]), way[length:])
        return join(self.path, way)


def take_in(given: Mapping[str, Any], path: str, blueprint: Blueprint, info: TypeInfo, stages: list[str]) -> Intake:
    """The config of a pipeline under the blueprint's names, old forms changed and defaults filled in.

    A deprecated type is read as leniently as it always was: unknown and empty keys are ignored, numbers and booleans
    may be texts. ``stages`` are the names a per-stage object may have. Changes nothing of ``given``.
    """
    intake = Intake(path)
    properties: Mapping[str, Any] = blueprint.schema["properties"]
    for key, value in given.items():
        if info.deprecated and value in (None, ""):
            continue
        target = key if key in properties else blueprint.keys.get(key)
        if target is None:
            problem = unknown_key(path, key, value, properties, blueprint.keys)
            (intake.warnings if info.deprecated else intake.problems).append(problem)
            continue
        if target != key and not info.deprecated:
            fix = f"Write `{target}`."
            intake.warnings.append(Problem(path_to(path, key), f"`{key}` is the old name of `{target}`.", fix=fix))
        _place(intake, key, target, _copy(value))
    intake.config = {
        key: _fitting(value, properties[key], stages, lenient=info.deprecated) for key, value in intake.config.items()
    }
    for key, value in info.presets.items():
        intake.config.setdefault(key, _copy(value))
    _fill(intake.config, blueprint.schema, stages)
    return intake


def _place(intake: Intake, key: str, target: str, value: Any) -> None:
    """Put ``value`` where ``target`` says, a key or a dotted way into objects."""
    *outer, last = target.split(".")
    place: Any = intake.config
    for step in outer:
        place = place.setdefault(step, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict) or last in place:
        other = intake.origin.get((*outer, last), target)
        old = other if key == target else key
        text = f"`{key}` and `{other}` say the same thing."
        intake.problems.append(Problem(path_to(intake.path, old), text, fix=f"Keep one of them: `{target}`."))
        return
    place[last] = value
    if target != key:
        intake.origin[(*outer, last)] = key


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(item) for item in value]
    return value


def _fitting(value: Any, schema: Mapping[str, Any], stages: list[str], *, lenient: bool) -> Any:
    """The value in the form the schema wants, where that is another way to write the same."""
    if is_per_stage(value, schema, stages):
        plain = {key: rule for key, rule in schema.items() if key != "x-per-stage"}
        given = {stage: None if lenient and item == "" else item for stage, item in value.items()}
        return {stage: _fitting(item, plain, stages, lenient=lenient) for stage, item in given.items()}
    if isinstance(value, dict):
        return {key: _fitting(item, member(schema, key), stages, lenient=lenient) for key, item in value.items()}
    types = schema.get("type", [])
    wanted = {types} if isinstance(types, str) else set(types)
    if isinstance(value, list):
        items = schema.get("items")
        inside = items if isinstance(items, Mapping) else {}
        return [_fitting(item, inside, stages, lenient=lenient) for item in value]
    if isinstance(value, float) and "integer" in wanted and value.is_integer():
        return int(value)
    return _old_form(value, wanted) if lenient else value


def _old_form(value: Any, wanted: set[str]) -> Any:
    """What the predecessor of a deprecated type took: it made a text of everything, and read texts."""
    if isinstance(value, str):
        text = value.strip()
        if "string" in wanted or not wanted:
            return text if wanted else value
        if "boolean" in wanted and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if wanted & {"integer", "number", "array", "object"}:
            read = _read_json(text)
            kinds = {"array": list, "object": dict, "integer": int, "number": int | float}
            fits = any(kind in wanted and isinstance(read, form) for kind, form in kinds.items())
            return read if fits and not isinstance(read, bool) else value
    elif wanted == {"string"} and isinstance(value, bool | int | float):
        return str(value)
    return value


def _read_json(text: str) -> Any:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return None if isinstance(read, float) and not math.isfinite(read) else read


def _fill(config: dict[str, Any], schema: Mapping[str, Any], stages: list[str]) -> None:
    """Put in the schema's defaults, also inside objects that are there."""
    for key, rule in schema.get("properties", {}).items():
        if key not in config and isinstance(rule, Mapping) and "default" in rule:
            config[key] = _copy(rule["default"])
    for key, value in config.items():
        rule = member(schema, key)
        if isinstance(value, dict) and not is_per_stage(value, rule, stages):
            _fill(value, rule, stages)
        elif isinstance(value, list) and isinstance(rule.get("items"), Mapping):
            for item in value:
                if isinstance(item, dict):
                    _fill(item, rule["items"], stages)
