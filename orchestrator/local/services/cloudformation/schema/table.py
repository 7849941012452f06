"""The table of resource types, read when first asked for."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "types"
ALTERNATIVES = ("allOf", "anyOf", "oneOf")
Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ResourceType:
    """What the registry says of one type.

    ``create_only`` and ``read_only`` are property paths (``EncryptionConfiguration/KmsKey``), ``attributes`` what
    ``Fn::GetAtt`` may ask for, ``tags`` the property that holds tags ("" when the type has none).
    """

    name: str
    properties: Mapping[str, Node]
    definitions: Mapping[str, Node]
    required: frozenset[str]
    identifier: tuple[str, ...]
    create_only: tuple[str, ...]
    read_only: tuple[str, ...]
    attributes: frozenset[str]
    tags: str = ""
    root: Node = field(default_factory=dict, repr=False)

    @property
    def writable(self) -> frozenset[str]:
        """The properties a template may set."""
        return frozenset(self.properties) - set(self.read_only)

    def follow(self, node: Node) -> Node:
        """The node itself, or the definition it points to."""
        while "$ref" in node:
            pointer = str(node["$ref"])
            if pointer.startswith("#/definitions/"):
                node = self.definitions[pointer.removeprefix("#/definitions/")]
            else:
                node = self.properties[pointer.removeprefix("#/properties/")]
        return node

    def members(self, node: Node) -> dict[str, Node]:
        """The members an object may have, those of its alternatives included."""
        node = self.follow(node)
        found = dict(node.get("properties", {}))
        for alternative in self._alternatives(node):
            for name, member in self.members(alternative).items():
                found.setdefault(name, member)
        return found

    def types(self, node: Node) -> frozenset[str]:
        """The JSON types a value may have; empty when the schema does not say."""
        node = self.follow(node)
        kind = node.get("type")
        if kind is not None:
            return frozenset([kind] if isinstance(kind, str) else kind)
        if "properties" in node or "patternProperties" in node:
            return frozenset({"object"})
        return frozenset().union(*(self.types(alternative) for alternative in self._alternatives(node)))

    def _alternatives(self, node: Node) -> Iterator[Node]:
        for keyword in ALTERNATIVES:
            yield from node.get(keyword, [])


@functools.cache
def resource_type(name: str) -> ResourceType | None:
    """The type of this name (``AWS::SNS::Topic``), or None when the table does not have it."""
    parts = name.split("::")
    if len(parts) != 3 or parts[0] != "AWS":
        return None
    entry = _service(parts[1].lower()).get(name)
    if entry is None:
        return None
    return ResourceType(
        name=name,
        properties=entry["properties"],
        definitions=entry.get("definitions", {}),
        required=frozenset(entry.get("required", [])),
        identifier=tuple(entry["identifier"]),
        create_only=tuple(entry.get("createOnly", [])),
        read_only=tuple(entry.get("readOnly", [])),
        attributes=frozenset(entry.get("attributes", [])),
        tags=entry.get("tags", ""),
        root={
            "type": "object",
            "additionalProperties": False,
            "properties": entry["properties"],
            "required": entry.get("required", []),
        },
    )


def resource_types(service: str) -> list[ResourceType]:
    """All types of a service (``sagemaker``)."""
    return [kind for name in _service(service) if (kind := resource_type(name)) is not None]


@functools.cache
def _service(service: str) -> Mapping[str, Any]:
    path = FOLDER / f"{service}.json"
    if not service.isalnum() or not path.is_file():
        return {}
    table: dict[str, Any] = json.loads(path.read_text())
    return table
