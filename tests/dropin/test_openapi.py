"""The committed OpenAPI file is what the generator writes, and says what API Gateway is told and what answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft7Validator

from orchestrator import openapi
from orchestrator.blueprint import load_catalog
from orchestrator.routes import ROUTES
from tests.corridor.launch import MULTI, ROOT, SINGLE, resources
from tests.dropin.old_product import cases

CATALOG = load_catalog()
DOCUMENT: dict[str, Any] = openapi.document(CATALOG)


def test_the_file_is_fresh() -> None:
    text = (ROOT / openapi.FILE).read_text(encoding="utf-8")
    assert text == openapi.written(CATALOG), "run `python -m orchestrator.openapi`"


@pytest.mark.parametrize("hub", [SINGLE, MULTI])
def test_api_gateway_has_the_same_routes(hub: str) -> None:
    paths = resources(hub)["Api"]["Properties"]["Body"]["paths"]
    gateway = {(method, path) for path, methods in paths.items() for method in methods}
    assert gateway == {(route.method.lower(), route.path) for route in ROUTES}
    assert gateway == {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    for path, methods in paths.items():
        for method in methods.values():
            assert method["security"] == [{"sigv4": []}], f"{path} would be open to everybody"


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        inside = {each for value in node.values() for each in references(value)}
        return inside | ({node["$ref"]} if isinstance(node.get("$ref"), str) else set())
    return {each for value in node for each in references(value)} if isinstance(node, list) else set()


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        place = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
    Draft7Validator.check_schema(DOCUMENT["components"]["schemas"]["Config"])


def body_validator() -> Draft7Validator:
    return Draft7Validator({"$ref": "#/components/schemas/Body", "components": DOCUMENT["components"]})


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_recorded_requests_fit_the_document(case: Any) -> None:
    """A value differing by stage fits as well; a type without a blueprint is not described yet."""
    wanted = case.first["status"] == 200 and case.body["pipeline_type"] in CATALOG.types
    assert body_validator().is_valid(dict(case.body)) == wanted


@pytest.mark.parametrize("path", sorted(ROOT.glob("blueprints/*/examples/*.json")), ids=lambda path: path.stem)
def test_every_example_fits_the_document(path: Any) -> None:
    assert body_validator().is_valid(json.loads(path.read_text()))


def test_old_types_are_marked() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for info in CATALOG.types.values():
        assert schemas[f"config.{info.name}"].get("deprecated", False) is info.deprecated
