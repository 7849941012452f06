"""The published JSON Schema of ``mlops-config.json``, made from the schemas of all blueprints.

``python -m orchestrator.schema`` writes ``mlops-config.schema.json`` and the generated part of
``docs/configuration.md``; a test keeps both fresh. The schema is draft-07, the version editors know best. It says as
much as a schema can: ``validate`` asks more (that references point backwards, that images exist, that an image runs
on its instance), and is more tolerant with old names in current types.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator import forms
from orchestrator.blueprint import Blueprint, Catalog, TypeInfo, load_catalog
from orchestrator.staged import member

DRAFT = "http://json-schema.org/draft-07/schema#"
FILE = "mlops-config.schema.json"
PAGE = "docs/configuration.md"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"
NOTES = ("title", "description", "default", "examples", "deprecated")
CONDITIONS = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependencies")
MARKS = {
    "x-per-stage": "may differ by stage",
    "x-reference": "or a reference",
    "x-key": "key in the assets bucket or S3 URI",
}
BY_STAGE = "By stage"
SHORT = 120
"""A rule of so few characters is written again rather than referred to."""
WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "object",
}
Schema = dict[str, Any]


def published(catalog: Catalog) -> Schema:
    """The whole schema. The same catalog always gives the same document."""
    types = catalog.types.values()
    kinds = {
        **{f"kind.{each.kind}": _kind(each) for each in catalog},
        **{f"old.{each.kind}": _old(each) for each in catalog if any(t.deprecated for t in each.types.values())},
        **{f"pipeline.{info.name}": _pipeline(info, catalog.for_type(info.name)) for info in types},
        **{f"config.{info.name}": _config(info, catalog.for_type(info.name)) for info in types},
    }
    return {
        "$schema": DRAFT,
        "title": "mlops-config.json",
        "description": "A config of MLOps Orchestrator: a workload, or a single pipeline.",
        "type": "object",
        "if": {
            "anyOf": [{"required": ["pipelines"]}, {"properties": {"version": {"const": 2}}, "required": ["version"]}]
        },
        "then": {"$ref": "#/definitions/workload"},
        "else": {"$ref": "#/definitions/one_pipeline"},
        "definitions": {
            "workload": _workload(types),
            "one_pipeline": _one_pipeline(types),
            "reference": forms.REFERENCE,
            "form": {"properties": {**forms.COMMON, "version": forms.ONE_PIPELINE["properties"]["version"]}},
            **_once(kinds),
        },
    }


# ---- the two forms ----


def _workload(types: Iterable[TypeInfo]) -> Schema:
    properties = {
        **_refs("form", forms.COMMON),
        "version": forms.WORKLOAD["properties"]["version"],
        "deployment": forms.DEPLOYMENT,
        "pipelines": {**forms.PIPELINES, "items": _by_type(types, "pipeline")},
    }
    return {**forms.WORKLOAD, "properties": properties}


def _one_pipeline(types: Iterable[TypeInfo]) -> Schema:
    return {"title": "One pipeline", **_by_type(types, "config")}


def _refs(definition: str, keys: Iterable[str]) -> Schema:
    """Each key as a reference to where its schema is written once."""
    return {key: {"$ref": f"#/definitions/{definition}/properties/{key}"} for key in keys}


def _by_type(types: Iterable[TypeInfo], definition: str) -> Schema:
    """A pipeline, whose type decides about all other keys. The current types are offered first."""
    choices = [{"const": info.name, **_marks(info)} for info in types]
    known = {"title": "Pipeline type", "description": "What the pipeline does.", "type": "string", "oneOf": choices}
    return {
        "type": "object",
        "required": ["pipeline_type"],
        "properties": {"pipeline_type": known},
        "allOf": [
            {
                "if": {"properties": {"pipeline_type": {"const": info.name}}, "required": ["pipeline_type"]},
                "then": {"$ref": f"#/definitions/{definition}.{info.name}"},
            }
            for info in types
        ],
    }


def _marks(info: TypeInfo) -> Schema:
    return {"deprecated": True, "description": "An old name, accepted for good."} if info.deprecated else {}


# ---- the kinds ----


def _kind(blueprint: Blueprint) -> Schema:
    """The kind's own keys, where per-stage objects and references may stand in for values."""
    schema = blueprint.schema
    properties = {key: _staged(rule) for key, rule in schema["properties"].items()}
    return {"title": blueprint.title, "description": blueprint.summary, "properties": properties}


def _staged(rule: Schema) -> Schema:
    """A value's schema with the objects that may stand in its place; our own keywords go."""
    plain = {key: value for key, value in rule.items() if not key.startswith("x-")}
    for inside in ("properties", "patternProperties"):
        if inside in plain:
            plain[inside] = {key: _staged(value) for key, value in plain[inside].items()}
    for inside in ("items", "additionalProperties"):
        if isinstance(plain.get(inside), dict):
            plain[inside] = _staged(plain[inside])
    others: list[Schema] = []
    if rule.get("x-per-stage"):
        inner = {key: value for key, value in plain.items() if key not in (*NOTES, "default")}
        others.append(
            {
                "title": BY_STAGE,
                "description": "A value for each stage, or for some and a `default` for the others.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": forms.STAGE_NAME["pattern"]},
                "additionalProperties": {"anyOf": [inner, {"type": "null", "description": "No value in this stage."}]},
            }
        )
    if rule.get("x-reference"):
        others.append({"$ref": "#/definitions/reference"})
    if not others:
        return plain
    notes = {key: plain.pop(key) for key in NOTES if key in plain}
    return {**notes, "anyOf": [plain, *others]}


def _pipeline(info: TypeInfo, blueprint: Blueprint) -> Schema:
    """A pipeline of one type within a workload."""
    own = {"name": forms.PIPELINE_NAME, "pipeline_type": {"const": info.name}}
    return _typed(info, blueprint, own, ["name"])


def _config(info: TypeInfo, blueprint: Blueprint) -> Schema:
    """A config that is one pipeline of one type."""
    own = _refs("form", [*forms.COMMON, "version"])
    if info.deprecated:
        own = {"model_name": {**forms.MODEL_NAME, "type": ["string", "number"]}}
    own["pipeline_type"] = {"const": info.name}
    return _typed(info, blueprint, own, [info.model_name])


def _typed(info: TypeInfo, blueprint: Blueprint, own: Schema, required: list[str]) -> Schema:
    head = {"title": blueprint.title, "description": blueprint.summary, "type": "object"}
    if not info.deprecated:
        conditions = {key: rule for key, rule in blueprint.schema.items() if key in CONDITIONS}
        properties = {**own, **_refs(f"kind.{blueprint.kind}", blueprint.schema["properties"])}
        needed = [*required, *blueprint.schema.get("required", [])]
        return {**head, **conditions, "required": needed, "properties": properties, "additionalProperties": False}
    properties = {**own, **_refs(f"old.{blueprint.kind}", [*blueprint.schema["properties"], *blueprint.keys])}
    whole = {**head, "deprecated": True, "required": required, "properties": properties}
    always = [key.key for key in info.required if not key.when and key.key not in ("pipeline_type", "model_name")]
    choices = [[key, blueprint.keys.get(key, key).split(".")[0]] for key in always]
    either = [{"anyOf": [{"required": [name]} for name in dict.fromkeys(choice)]} for choice in choices]
    return {**whole, "allOf": either} if either else whole


def _old(blueprint: Blueprint) -> Schema:
    """The kind's keys as its deprecated types take them: the old names too, and old forms of values."""
    properties = {key: _lenient(rule) for key, rule in _kind(blueprint)["properties"].items()}
    for old, target in blueprint.keys.items():
        note = {"description": f"Old name of `{target}`.", "deprecated": True}
        properties[old] = {**_lenient(_target(blueprint, target)), **note}
    return {"properties": properties}


def _target(blueprint: Blueprint, target: str) -> Schema:
    """The schema of what an old key stands for, through objects."""
    rule: Schema = dict(blueprint.schema)
    for step in target.split("."):
        rule = dict(member(rule, step))
    return _staged(rule)


def _lenient(rule: Schema) -> Schema:
    """What a deprecated type takes for a value: also texts for numbers, booleans and lists, and nothing at all."""
    notes = {key: value for key, value in rule.items() if key in NOTES}
    plain = {key: value for key, value in rule.items() if key not in NOTES}
    branches = [dict(branch) for branch in plain.get("anyOf", [plain])]
    types = {kind for branch in branches for kind in _types(branch)}
    for branch in branches:
        if branch.get("title") == BY_STAGE:
            branch["additionalProperties"] = _lenient(branch["additionalProperties"])
    texts: Schema = {"enum": ["", None]}
    if types & {"integer", "number", "boolean", "array"}:
        texts = {"type": ["string", "null"]}
    elif "string" in types:  # spaces around a text are taken off
        texts = {"anyOf": [texts, {"type": ["number", "boolean"]}, {"type": "string", "pattern": r"^\s|\s$"}]}
    return {**notes, "anyOf": [*branches, texts]}


def _types(rule: Schema) -> set[str]:
    found = rule.get("type", [])
    return {found} if isinstance(found, str) else set(found)


# ---- what is said twice ----


def _once(definitions: Mapping[str, Schema]) -> Schema:
    """The definitions, in which a property that an earlier one has to the letter is a reference to it."""
    first: dict[str, str] = {}
    moved: dict[str, str] = {}

    def shared(rule: Any, way: str) -> Any:
        """The rule, with references in it; ``way`` leads there, and is empty where a list lies on it."""
        if not isinstance(rule, dict):
            return rule
        if rule.get("$ref") in moved:
            return {"$ref": moved[rule["$ref"]]}
        if "title" in rule and len(text := json.dumps(rule)) > SHORT:
            if text in first:
                moved[way] = first[text]
                return {"$ref": first[text]}
            if way:
                first[text] = way
        return members(rule, way)

    def members(rule: Schema, way: str) -> Schema:
        return {key: member_of(key, value, way and f"{way}/{key}") for key, value in rule.items()}

    def member_of(keyword: str, value: Any, way: str) -> Any:
        if keyword in ("properties", "patternProperties"):
            return {name: shared(rule, way and f"{way}/{name}") for name, rule in value.items()}
        if keyword in ("anyOf", "allOf", "oneOf"):
            return [shared(rule, "") for rule in value]
        return shared(value, way) if keyword in ("items", "additionalProperties") else value

    return {name: members(rule, f"#/definitions/{name}") for name, rule in definitions.items()}


# ---- the page ----


def page(catalog: Catalog) -> str:
    """The generated part of the configuration page: every kind's keys as a table."""
    parts = [_section(blueprint) for blueprint in catalog]
    return "\n\n".join([BEGIN, *parts, END])


def _section(blueprint: Blueprint) -> str:
    current = [f"`{info.name}`" for info in blueprint.types.values() if not info.deprecated]
    old = [f"`{info.name}`" for info in blueprint.types.values() if info.deprecated]
    where = "Runs once, before the stages." if blueprint.scope == "hub" else "Is deployed in every stage."
    head = f"### {', '.join(current)}\n\n{blueprint.summary} {where}"
    if blueprint.results:
        head += (
            " Results that later pipelines may use: " + ", ".join(f"`{result}`" for result in blueprint.results) + "."
        )
    table = ["| key | value | default | what it says |", "|---|---|---|---|"]
    table += _rows(blueprint.schema, set(blueprint.schema.get("required", [])), "")
    text = f"{head}\n\n" + "\n".join(table)
    if old:
        renamed = "; ".join(f"`{key}` is `{target}`" for key, target in blueprint.keys.items())
        text += f"\n\nOld types: {', '.join(old)}." + (f" Old keys: {renamed}." if renamed else "")
    return text


def _rows(schema: Mapping[str, Any], required: set[str], prefix: str) -> Iterator[str]:
    for key, rule in schema["properties"].items():
        default = "required" if key in required else f"`{json.dumps(rule['default'])}`" if "default" in rule else ""
        marks = [text for mark, text in MARKS.items() if rule.get(mark)]
        value = ", ".join([_value(rule), *marks])
        description = str(rule.get("description", "")).replace("|", "\\|")
        yield f"| `{prefix}{key}` | {value} | {default} | {description} |"
        if "properties" in rule:
            yield from _rows(rule, set(rule.get("required", [])), f"{prefix}{key}.")
        inner = rule.get("additionalProperties")
        if isinstance(inner, Mapping) and "properties" in inner:
            yield from _rows(inner, set(inner.get("required", [])), f"{prefix}{key}.<name>.")


def _value(rule: Mapping[str, Any]) -> str:
    if "enum" in rule:
        return " or ".join(f"`{json.dumps(each)}`" for each in rule["enum"]).replace("|", "\\|")
    types = _types(dict(rule))
    words = [word for kind, word in WORDS.items() if kind in types]
    text = " or ".join(words)
    if "minimum" in rule and "maximum" in rule:
        text += f", {rule['minimum']} to {rule['maximum']}"
    return text


def written(catalog: Catalog, root: Path) -> dict[Path, str]:
    """What the generated files should hold: path -> text."""
    target = root / PAGE
    before, _, rest = target.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    return {
        root / FILE: json.dumps(published(catalog), indent=1, ensure_ascii=False) + "\n",
        target: before + page(catalog) + after,
    }


def main() -> None:
    """Write the schema and the page of this checkout."""
    catalog = load_catalog()
    for path, text in written(catalog, catalog.root).items():
        path.write_text(text, encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
