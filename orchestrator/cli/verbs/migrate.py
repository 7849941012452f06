"""Show how a config of MLOps Workload Orchestrator v2 is understood, and write its modern form.

The modern form has the current type and keys, says every value that the old type filled in, and is checked before it
is written. Both plan the same stacks, except for the names that are made from the type: keep the old type where a
pipeline runs already and must keep its stacks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli import config, target
from orchestrator.cli.console import Console, table
from orchestrator.errors import BadRequest

if TYPE_CHECKING:
    from orchestrator.blueprint import Blueprint, Catalog, TypeInfo
    from orchestrator.model import Workload
    from orchestrator.settings import Settings

SUMMARY = "show how an old config is understood, and write its modern form"
ENDPOINT_KEYS = frozenset({"endpoint", "endpoint_name"})


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="the old config (- for stdin)")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the modern form there (default: show it)")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from orchestrator.blueprint import load_catalog

    body, catalog = config.read(arguments.config), load_catalog()
    settings = target.settings_for_reading(arguments, console)
    modern, rows = migrated(body, catalog, settings)
    text = json.dumps(modern, indent=2) + "\n"
    if arguments.output:
        Path(arguments.output).write_text(text, encoding="utf-8")
    parts = [table(rows, ["old key", "key", "value", "note"]), arguments.output or text.rstrip()]
    console.data({"config": modern, "keys": rows}, "\n\n".join(parts))
    return 0


def migrated(body: Any, catalog: Catalog, settings: Settings) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The modern form of an old config, and how each of its keys is understood.

    Raises ConfigInvalid for a config that is not valid, BadRequest for one that has no old form.
    """
    from orchestrator.plan import plan
    from orchestrator.validate import validate

    workload = validate(body, catalog, settings)
    spec = workload.pipelines[0]
    info, blueprint = catalog.types[spec.pipeline_type], catalog.blueprints[spec.kind]
    if workload.form != 1 or not info.deprecated:
        raise BadRequest(
            f"{info.name} is a modern type: there is nothing to migrate.", hint="`mlops validate` checks it."
        )
    modern = _modern(workload, blueprint, settings)
    for key in ENDPOINT_KEYS & set(blueprint.schema["properties"]):  # old types write these names in lower case
        stacks = plan(workload, settings, catalog).pipelines[0].stacks
        modern[key] = _by_stage({each.stage.name: each.parameters["EndpointName"] for each in stacks})
    validate(modern, catalog, settings)
    return modern, list(_rows(body, modern, info, blueprint))


def _modern(workload: Workload, blueprint: Blueprint, settings: Settings) -> dict[str, Any]:
    from orchestrator.images import image_uri, is_legacy

    current = next(name for name, info in blueprint.types.items() if not info.deprecated)
    keys = dict(workload.pipelines[0].config)
    if is_legacy(keys.get("framework", ""), keys.get("framework_version")):  # modern types take it by its URI only
        scope = blueprint.schema["properties"]["framework"].get("x-image")
        keys["image"] = image_uri(keys.pop("framework"), keys.pop("framework_version"), settings.region, scope=scope)
    return {"pipeline_type": current, "model_name": workload.model_name, **keys}


def _by_stage(values: Mapping[str, str]) -> Any:
    """One value where all stages have the same."""
    return dict(values) if len(set(values.values())) > 1 else next(iter(values.values()))


def _rows(
    body: Mapping[str, Any], modern: Mapping[str, Any], info: TypeInfo, blueprint: Blueprint
) -> Iterator[dict[str, str]]:
    """Every key of the old config with what became of it, then the values the old type filled in."""
    told = {"pipeline_type", "model_name"}
    yield _row("pipeline_type", "pipeline_type", modern["pipeline_type"], f"was {info.name}")
    yield _row(info.model_name, "model_name", modern["model_name"], "")
    for key, value in body.items():
        if key in ("pipeline_type", "model_name", info.model_name):
            continue
        way = key if key in blueprint.schema["properties"] else blueprint.keys.get(key)
        found = _at(modern, way.split(".")) if way else None
        if way:
            told.add(way.split(".")[0])
        if way is None:
            yield _row(key, "", value, "dropped: nothing looks at it")
        elif found is None and way.startswith("framework") and "image" in modern:
            yield _row(key, "image", modern["image"], "the image of 2018, which only its URI names")
            told.add("image")
        elif found is None:
            yield _row(key, way, value, "dropped: it is empty")
        else:
            yield _row(key, way, found, "" if way == key else "renamed")
    for key, value in modern.items():
        if key not in told:
            note = "the name the old type makes" if key == "endpoint_name" else "default"
            yield _row("", key, value, "the old default" if key in info.presets else note)


def _row(old: str, new: str, value: Any, note: str) -> dict[str, str]:
    text = value if isinstance(value, str) else json.dumps(value)
    return {"old key": old, "key": new, "value": text if len(text) <= 60 else f"{text[:57]}...", "note": note}


def _at(document: Any, way: list[str]) -> Any:
    for step in way:
        document = document.get(step) if isinstance(document, Mapping) else None
    return document
