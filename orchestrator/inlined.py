"""A JSON schema from a file, with what its references stand for in their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator.errors import BlueprintBroken

DEEPEST = 40


def inlined(file: Path) -> Any:
    """The schema without its ``definitions``, in which each ``$ref`` is replaced by what it refers to.

    A reference is ``#/definitions/<name>`` for one of the same file, ``<path>#/definitions/<name>`` for one of another,
    whose path begins at the folder of the file that says it. Raises BlueprintBroken, naming the file.
    """
    files: dict[Path, Any] = {}
    schema = _read(file, files)
    if isinstance(schema, dict):
        schema = {key: value for key, value in schema.items() if key != "definitions"}
    return _put_in(schema, file, files)


def _read(file: Path, files: dict[Path, Any]) -> Any:
    if file not in files:
        try:
            files[file] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BlueprintBroken(f"{file}: {error}") from error
    return files[file]


def _put_in(node: Any, file: Path, files: dict[Path, Any], depth: int = 0) -> Any:
    """The node of the file's schema with its references replaced."""
    if depth > DEEPEST:
        raise BlueprintBroken(f"{file}: definitions: refer to one another in a circle")
    if isinstance(node, list):
        return [_put_in(item, file, files, depth + 1) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" not in node:
        return {key: _put_in(value, file, files, depth + 1) for key, value in node.items()}
    place, _, name = str(node["$ref"]).partition("#/definitions/")
    home = file.parent / place if place else file
    definitions = _read(home, files).get("definitions", {})
    if name not in definitions:
        raise BlueprintBroken(f"{file}: $ref: there is no definition {name!r} in {home.name}")
    return _put_in(definitions[name], home, files, depth + 1)
