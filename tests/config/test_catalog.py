"""Blueprint folders are data; a malformed one says which file and which member."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.blueprint import Blueprint, ReferenceTarget, RequiredKey, default_root, load_blueprint, load_catalog
from orchestrator.errors import BadRequest, BlueprintBroken

HERE = Path(__file__).parent / "catalog"


def test_reads_every_member(catalog: Any) -> None:
    forge = catalog.blueprints["forge"]
    assert [blueprint.kind for blueprint in catalog] == ["booth", "forge"]
    assert (forge.title, forge.scope, forge.verify) == ("Forge", "hub", False)
    old = forge.types["old_forge"]
    assert (old.deprecated, old.postfix, old.template, old.presets) == (True, "Forge", "old_forge.yaml", {"rounds": 7})
    assert old.required == (RequiredKey("ore_place"), RequiredKey("seal", "settings.use_model_registry"))
    assert forge.types["image_forge"].model_name == "label"
    assert forge.checks[0].path == "rounds"
    assert forge.job is not None and forge.job.input == {"Rounds": "config.rounds"}
    assert forge.review is not None and forge.review.accept == "approve_model_package"
    assert forge.template_file.name == "workload.yaml.j2"
    booth = catalog.blueprints["booth"]
    assert booth.references["blade"] == (ReferenceTarget("Blade", "Blade"), ReferenceTarget("Hilt", "Hilt"))
    assert booth.references["badge"] == (ReferenceTarget("Badge", "Badge"),)


def test_the_schemas_own_definitions_are_put_in_place(catalog: Any) -> None:
    schema = catalog.blueprints["forge"].schema
    assert schema["properties"]["ore"]["additionalProperties"]["properties"]["place"]["x-key"] is True
    assert "$ref" not in json.dumps(schema) and "definitions" not in schema


def test_definitions_of_another_file_are_put_in_place(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, references=None)
    rule = {"$ref": "../../shared/sizes.json#/definitions/size"}
    own = {"properties": {"size": rule}, "additionalProperties": False, "definitions": {"whole": {"type": "null"}}}
    (folder / "config.schema.json").write_text(json.dumps(own))
    shared = {"size": {"anyOf": [{"$ref": "#/definitions/whole"}]}, "whole": {"type": "integer"}}
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "sizes.json").write_text(json.dumps({"definitions": shared}))
    schema = load_blueprint(folder).schema
    assert schema == {"properties": {"size": {"anyOf": [{"type": "integer"}]}}, "additionalProperties": False}


def test_types_are_found_and_current_ones_come_first(catalog: Any) -> None:
    assert list(catalog.types) == ["booth", "forge", "image_forge", "old_booth", "old_forge"]
    assert catalog.for_type("old_booth").kind == "booth"


@pytest.mark.parametrize("given, hint", [("forgee", "Did you mean `forge`?"), ("zzz", "Known types: booth, forge")])
def test_an_unknown_type_is_refused_with_a_hint(catalog: Any, given: str, hint: str) -> None:
    with pytest.raises(BadRequest) as caught:
        catalog.for_type(given)
    assert hint in caught.value.hint


def test_the_real_catalog_is_found_and_whole() -> None:
    catalog = load_catalog()
    assert catalog.root == default_root()
    for blueprint in catalog:
        assert blueprint.schema["properties"]
        assert blueprint.folder.name == blueprint.kind


def folder_with(tmp_path: Path, **changes: Any) -> Path:
    """The folder of the forge with members of its manifest replaced (None removes one)."""
    folder = tmp_path / "blueprints" / "forge"
    shutil.copytree(HERE / "blueprints" / "forge", folder)
    manifest = yaml.safe_load((folder / "blueprint.yaml").read_text())
    manifest.update(changes)
    (folder / "blueprint.yaml").write_text(yaml.safe_dump({k: v for k, v in manifest.items() if v is not None}))
    return folder


@pytest.mark.parametrize(
    "member, value",
    [
        ("kind", "smithy"),
        ("kind", None),
        ("title", 3),
        ("summary", " "),
        ("scope", "everywhere"),
        ("types", None),
        ("types", {}),
        ("types", ["forge"]),
        ("types.forge", {"forge": {"old": True}}),
        ("types.forge.deprecated", {"forge": {"deprecated": "yes"}}),
        ("types.forge.required[0].key", {"forge": {"required": [{"when": "x"}]}}),
        ("keys.a", {"a": 1}),
        ("checks", {"that": "x"}),
        ("checks[0].that", [{"path": "x", "message": "y"}]),
        ("checks[0]", [{"that": "x", "path": "x", "message": "y", "severity": "z"}]),
        ("values.x", {"x": 1}),
        ("shape", "config.a"),
        ("parameters.P", {"P": None}),
        ("references.blade.parameter", {"blade": {"result": "Blade"}}),
        ("job.state_machine", {"input": {}}),
        ("review.accept", {"when": "x", "message": "y"}),
        ("verify", "always"),
    ],
)
def test_a_malformed_member_is_named(tmp_path: Path, member: str, value: Any) -> None:
    folder = folder_with(tmp_path, **{member.split(".")[0].split("[")[0]: value})
    with pytest.raises(BlueprintBroken) as caught:
        load_blueprint(folder)
    assert f"{folder / 'blueprint.yaml'}: {member}: " in str(caught.value)


def test_an_unknown_member_is_named(tmp_path: Path) -> None:
    with pytest.raises(BlueprintBroken, match="unknown member 'colour'"):
        load_blueprint(folder_with(tmp_path, colour="red"))


@pytest.mark.parametrize("text", ["a: [", "- a", "\x00", ""])
def test_a_manifest_that_is_no_document_is_named(tmp_path: Path, text: str) -> None:
    folder = folder_with(tmp_path)
    (folder / "blueprint.yaml").write_text(text)
    with pytest.raises(BlueprintBroken, match=r"blueprint\.yaml: "):
        load_blueprint(folder)


@pytest.mark.parametrize(
    "schema, said",
    [
        ("{", "config.schema.json: "),
        ("[]", "properties: must be an object"),
        ('{"properties": {}}', "additionalProperties: must be false"),
        ('{"properties": {"a": {"$ref": "#/definitions/b"}}, "additionalProperties": false}', "no definition 'b'"),
        (
            '{"properties": {"a": {"$ref": "#/definitions/b"}}, "additionalProperties": false,'
            ' "definitions": {"b": {"items": {"$ref": "#/definitions/b"}}}}',
            "in a circle",
        ),
        ('{"properties": {"a": {"$ref": "../b.json#/definitions/b"}}, "additionalProperties": false}', "b.json: "),
        (
            '{"properties": {"a": {"$ref": "blueprint.json#/definitions/b"}}, "additionalProperties": false}',
            "no definition 'b' in blueprint.json",
        ),
    ],
)
def test_a_malformed_schema_is_named(tmp_path: Path, schema: str, said: str) -> None:
    folder = folder_with(tmp_path)
    (folder / "config.schema.json").write_text(schema)
    (folder / "blueprint.json").write_text('{"definitions": {}}')
    blueprint = load_blueprint(folder)
    with pytest.raises(BlueprintBroken) as caught:
        _ = blueprint.schema
    assert said in str(caught.value)


def test_a_reference_the_schema_does_not_know_is_named(tmp_path: Path) -> None:
    blueprint = load_blueprint(folder_with(tmp_path, references={"sheath": {"result": "S", "parameter": "S"}}))
    with pytest.raises(BlueprintBroken, match=r"references\.sheath: the schema has no such property"):
        _ = blueprint.schema


def test_a_type_belongs_to_one_kind(tmp_path: Path) -> None:
    folder_with(tmp_path, types={"booth": {}})
    shutil.copytree(HERE / "blueprints" / "booth", tmp_path / "blueprints" / "booth")
    with pytest.raises(BlueprintBroken, match=r"types\.booth: also claimed by booth"):
        load_catalog(tmp_path)


def test_an_empty_catalog_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BlueprintBroken, match="holds no blueprint"):
        load_catalog(tmp_path)


def test_a_blueprint_can_be_a_key_of_a_cache(catalog: Any) -> None:
    forge: Blueprint = catalog.blueprints["forge"]
    assert {forge: 1}[forge] == 1
