"""Every blueprint folder is whole, and says what it means in words its users understand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from walking import CATALOG, EXAMPLES, ROOT

from orchestrator.blueprint import Blueprint
from orchestrator.expressions import members_of

KINDS = pytest.mark.parametrize("blueprint", list(CATALOG), ids=lambda blueprint: blueprint.kind)
OWN_KEYWORDS = {"x-per-stage", "x-key", "x-reference", "x-image", "x-review"}


def schemas(schema: Any, path: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property's schema, at any depth."""
    for key, inner in schema.get("properties", {}).items():
        yield f"{path}.{key}", inner
        yield from schemas(inner, f"{path}.{key}")
    for inner in (schema.get("additionalProperties"), schema.get("items")):
        if isinstance(inner, dict):
            yield from schemas(inner, f"{path}[]")
    for name, inner in schema.get("definitions", {}).items():
        yield f"{path}#{name}", inner


def expressions(blueprint: Blueprint) -> Iterator[str]:
    """Every expression of the blueprint."""
    yield from blueprint.values.values()
    yield from blueprint.shape.values()
    yield from blueprint.parameters.values()
    yield from (check.that for check in blueprint.checks)
    if blueprint.job:
        yield blueprint.job.state_machine
        yield from blueprint.job.input.values()
    if blueprint.review:
        yield blueprint.review.when


@KINDS
def test_the_folder_is_whole(blueprint: Blueprint) -> None:
    names = {path.name for path in blueprint.folder.iterdir()}
    assert {"blueprint.yaml", "config.schema.json", "workload.yaml.j2", "examples", "expected", "README.md"} <= names
    assert any(example.blueprint is blueprint for example in EXAMPLES)
    assert not list(blueprint.folder.rglob("*.py")), "a blueprint is data"


@KINDS
def test_the_schema_is_draft_07_and_explains_itself(blueprint: Blueprint) -> None:
    assert blueprint.schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(blueprint.schema)
    for path, schema in schemas(blueprint.schema):
        if "$ref" in schema or path.endswith(("].Name", "].Regex")):
            continue
        assert schema.get("title") and schema.get("description", "").rstrip(")`").endswith("."), path
    newer = {"$defs", "unevaluatedProperties", "dependentRequired", "dependentSchemas", "prefixItems"}
    assert not newer & set(json.dumps(blueprint.schema).replace('"', " ").split())


@KINDS
def test_defaults_and_examples_of_the_schema_are_valid(blueprint: Blueprint) -> None:
    resolver = {"definitions": blueprint.schema.get("definitions", {})}
    for path, schema in schemas(blueprint.schema):
        for value in [*schema.get("examples", []), *([schema["default"]] if "default" in schema else [])]:
            if isinstance(value, dict) and ("from" in value or schema.get("x-per-stage")):
                continue
            assert jsonschema.Draft7Validator({**schema, **resolver}).is_valid(value), (path, value)


@KINDS
def test_texts_that_reach_a_template_are_bounded(blueprint: Blueprint) -> None:
    for path, schema in schemas(blueprint.schema):
        kinds = schema.get("type", [])
        if "string" in ([kinds] if isinstance(kinds, str) else kinds):
            assert {"pattern", "enum", "maxLength"} & set(schema), f"{path} takes any text"


@KINDS
def test_expressions_use_keys_of_the_schema(blueprint: Blueprint) -> None:
    known = set(blueprint.schema["properties"])
    for expression in expressions(blueprint):
        assert members_of("config", expression) <= known, expression
        assert members_of("values", expression) <= set(blueprint.values), expression
    assert {check.path.partition(".")[0] for check in blueprint.checks} <= known
    assert {target.partition(".")[0] for target in blueprint.keys.values()} <= known


@KINDS
def test_references_name_results_that_some_blueprint_has(blueprint: Blueprint) -> None:
    results = {result for each in CATALOG for result in each.results}
    for key, targets in blueprint.references.items():
        assert blueprint.schema["properties"][key]["x-reference"] in {target.result for target in targets}
        assert {target.result for target in targets} <= results


@KINDS
def test_jobs_and_their_results_go_together(blueprint: Blueprint) -> None:
    if blueprint.review:
        assert blueprint.job and blueprint.results, "a review is about results"
    if blueprint.job is None or not blueprint.results:
        return
    rendered = next(each for each in EXAMPLES if each.blueprint is blueprint).rendering
    reports = [
        state["Parameters"]
        for name, data in rendered.files.items()
        if name.endswith(".yaml")
        for resource in json.loads(data)["Resources"].values()
        if resource["Type"] == "AWS::StepFunctions::StateMachine"
        for state in resource["Properties"]["Definition"]["States"].values()
        if state.get("End")
    ]
    assert {name.removesuffix(".$") for report in reports for name in report} == set(blueprint.results)


def test_every_type_is_claimed_once_and_old_ones_are_marked() -> None:
    for name, info in CATALOG.types.items():
        assert info.deprecated == bool(info.postfix), name


@KINDS
def test_the_readme_names_every_key_and_type(blueprint: Blueprint) -> None:
    text = (blueprint.folder / "README.md").read_text()
    for name in [*blueprint.schema["properties"], *blueprint.types, *blueprint.results]:
        assert f"`{name}`" in text, name


def test_the_guide_for_authors_knows_every_derived_value() -> None:
    from orchestrator.derived import Derived

    text = (ROOT / "docs" / "adding-a-blueprint.md").read_text()
    names = [name for name in vars(Derived) if not name.startswith("_") and callable(getattr(Derived, name))]
    assert [name for name in names if f"`{name}(" not in text] == []
