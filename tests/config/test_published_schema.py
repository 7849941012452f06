"""The published schema and the configuration page: fresh, sound, and of one mind with ``validate``."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from orchestrator.blueprint import Catalog, default_root, load_catalog
from orchestrator.errors import ConfigInvalid
from orchestrator.model import Stage
from orchestrator.schema import FILE, PAGE, SHORT, page, published, written
from orchestrator.validate import validate

ROOT = default_root()
EXAMPLES = sorted((ROOT / "blueprints").glob("*/examples/*.json")) + sorted(ROOT.glob("pipelines/*/mlops-config.json"))
STAGES = tuple(Stage(name, "222222222222", "us-east-1") for name in ("dev", "staging", "prod"))
BLOCK = re.compile(r"```json ?(?P<kind>\w*)\n(?P<text>.*?)```", re.DOTALL)

FORGE = {"name": "forge", "pipeline_type": "forge", "ore": {"main": {"place": "a"}}}
OLD_FORGE = {"pipeline_type": "old_forge", "model_name": "x", "ore_place": "a"}


@pytest.fixture(scope="module")
def real() -> Draft7Validator:
    return Draft7Validator(published(load_catalog()))


@pytest.fixture(scope="module")
def small(catalog: Catalog) -> Draft7Validator:
    return Draft7Validator(published(catalog))


@pytest.mark.parametrize("path", [ROOT / FILE, ROOT / PAGE], ids=lambda path: path.name)
def test_the_committed_files_are_fresh(path: Path) -> None:
    expected = written(load_catalog(), ROOT)[path]
    assert path.read_text(encoding="utf-8") == expected, "run `make schema` and commit the result"


def test_the_schema_is_a_sound_draft_07_schema() -> None:
    schema = published(load_catalog())
    Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    text = json.dumps(schema)
    assert '"x-' not in text, "keywords of our own are no use to an editor"
    for name in re.findall(r'"#/definitions/([^"/]+)', text):
        assert name in schema["definitions"]


def test_every_reference_leads_somewhere() -> None:
    schema = published(load_catalog())
    for way in set(re.findall(r'"#/([^"]+)"', json.dumps(schema))):
        node: Any = schema
        for step in way.split("/"):
            node = node[step]
        assert node.get("title") or node.get("properties")


def test_no_property_is_written_twice() -> None:
    def properties(node: Any) -> Iterator[str]:
        for key, value in node.items() if isinstance(node, dict) else ():
            if key == "properties":
                yield from (json.dumps(rule) for rule in value.values())
            yield from properties(value)

    kinds = {name: rule for name, rule in published(load_catalog())["definitions"].items() if "." in name}
    times = Counter(text for text in properties(kinds) if '"title"' in text and len(text) > SHORT)
    assert times and set(times.values()) == {1}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_every_example_passes(path: Path, real: Draft7Validator) -> None:
    assert [error.message for error in real.iter_errors(json.loads(path.read_text()))] == []


def test_every_type_is_offered_and_old_ones_are_marked(catalog: Catalog) -> None:
    choices = published(catalog)["definitions"]["one_pipeline"]["properties"]["pipeline_type"]["oneOf"]
    assert {choice["const"]: choice.get("deprecated", False) for choice in choices} == {
        info.name: info.deprecated for info in catalog.types.values()
    }
    old = published(catalog)["definitions"]["old.forge"]["properties"]["ore_place"]
    assert old["deprecated"] is True and old["description"] == "Old name of `ore.main.place`."


@pytest.mark.parametrize(
    "body",
    [
        {"$schema": "x", "version": 2, "model_name": "x", "pipelines": [FORGE]},
        {"version": 2, "model_name": "x", "pipelines": [FORGE, {"name": "b", "pipeline_type": "booth", "count": 1,
         "blade": {"from": "forge"}, "place": {"spot": {"dev": "A", "default": "B"}}}]},
        {"pipeline_type": "forge", "model_name": "x", "ore": {"m": {"place": "a"}}, "tags": {"a": "b"}, "version": 1},
        {"pipeline_type": "booth", "model_name": "x", "count": {"dev": 1, "prod": 2}},
        OLD_FORGE,
        {**OLD_FORGE, "rounds": "7", "hot": "True", "label": "", "seal": None, "colour": 1, "marks": '["ab"]'},
        {"pipeline_type": "old_booth", "model_name": "x", "size": {"dev": "1", "prod": "2"}},
        {"pipeline_type": "old_booth", "model_name": 7, "count": "2"},
    ],
)  # fmt: skip
def test_what_is_right_is_right_to_both(
    body: dict[str, Any], small: Draft7Validator, catalog: Catalog, deployed: Callable[..., Any]
) -> None:
    assert [error.message for error in small.iter_errors(body)] == []
    validate(body, catalog, deployed())


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"version": 2},
        {"version": 2, "model_name": "x", "pipelines": []},
        {"version": 2, "model_name": "x", "pipelines": [{**FORGE, "name": "A"}]},
        {"version": 2, "model_name": "x", "pipelines": [{**FORGE, "rounds": 0}]},
        {"version": 2, "model_name": "x", "pipelines": [{**FORGE, "pipeline_type": "nothing"}]},
        {"version": 2, "model_name": "x", "pipelines": [FORGE], "stage": []},
        {"version": 2, "model_name": "x", "pipelines": [FORGE], "stages": [{"name": "hub", "account": "1" * 12}]},
        {"pipeline_type": "forge", "model_name": "x"},
        {"pipeline_type": "forge", "model_name": "x y", "ore": {"m": {"place": "a"}}},
        {"pipeline_type": "forge", "model_name": "x", "ore": {"m": {"place": "a"}}, "seal": "lion"},
        {"pipeline_type": "forge", "model_name": "x", "ore": {"m": {"place": "a", "plce": 1}}},
        {"pipeline_type": "booth", "model_name": "x", "count": {"dev": 0, "prod": 2}},
        {"pipeline_type": "booth", "model_name": "x", "count": "2"},
        {"pipeline_type": "old_forge", "model_name": "x"},
        {"pipeline_type": "old_booth", "model_name": "x", "size": 99},
    ],
)
def test_what_is_wrong_is_wrong_to_both(
    body: dict[str, Any], small: Draft7Validator, catalog: Catalog, deployed: Callable[..., Any]
) -> None:
    assert not small.is_valid(body)
    with pytest.raises(ConfigInvalid):
        validate(body, catalog, deployed())


def test_the_page_has_every_key_of_every_kind() -> None:
    catalog = load_catalog()
    text = page(catalog)
    for blueprint in catalog:
        for key in blueprint.schema["properties"]:
            assert f"| `{key}` |" in text
        for info in blueprint.types.values():
            assert f"`{info.name}`" in text


def blocks(kind: str) -> list[Any]:
    found = BLOCK.finditer((ROOT / PAGE).read_text(encoding="utf-8"))
    return [json.loads(match["text"]) for match in found if match["kind"] == kind]


def test_the_configs_on_the_page_are_valid(real: Draft7Validator, deployed: Callable[..., Any]) -> None:
    assert len(blocks("")) == 3
    for body in blocks(""):
        assert [error.message for error in real.iter_errors(body)] == []
        validate(body, load_catalog(), deployed(stages=STAGES))


def test_the_problems_on_the_page_are_the_ones_that_are_told(deployed: Callable[..., Any]) -> None:
    (body,), (answer,) = blocks("broken"), blocks("answer")
    with pytest.raises(ConfigInvalid) as caught:
        validate(body, load_catalog(), deployed(stages=STAGES))
    told = [problem.as_dict() for problem in caught.value.problems]
    assert len(told) == len(answer)
    for shown, problem in zip(answer, told, strict=True):
        assert problem.pop("allowed").startswith(shown.pop("allowed").removesuffix("..."))
        assert problem == shown
