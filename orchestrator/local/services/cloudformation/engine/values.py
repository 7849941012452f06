"""Values while an operation runs or is planned: what resources give to each other, and their properties in force."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from orchestrator.local.services.cloudformation.engine.records import StackResource
from orchestrator.local.services.cloudformation.faults import invalid
from orchestrator.local.services.cloudformation.language.evaluation import LATER, Evaluator
from orchestrator.local.services.cloudformation.language.names import NO_VALUE
from orchestrator.local.services.cloudformation.language.template import Resource
from orchestrator.local.services.cloudformation.schema.check import conform
from orchestrator.local.services.cloudformation.schema.table import ResourceType, resource_type


class Exports:
    """The exports of an account and region, looked up when the first is asked for: most stacks use none."""

    def __init__(self, look: Callable[[], Mapping[str, tuple[str, str]]]) -> None:
        self._look = look
        self._found: Mapping[str, tuple[str, str]] | None = None

    def get(self, name: str) -> tuple[str, str] | None:
        """The value of an export and the id of its stack."""
        if self._found is None:
            self._found = self._look()
        return self._found.get(name)


OUTPUT_PREFIX = "Outputs."
UNTAGGED = {"AWS::SageMaker::ModelPackage": "ModelPackageGroupName"}
"""Types that take no tags when they have this property: SageMaker refuses tags on the versions of a group."""
LASTING_ENDINGS = ("Arn", "Name", "Id", "Uri", "Url")


class Live:
    """Resources as they are now."""

    def __init__(self, resources: Mapping[str, StackResource], exports: Exports) -> None:
        self._resources = resources
        self._exports = exports

    def reference(self, logical: str) -> Any:
        resource = self._resources.get(logical)
        if resource is None or resource.instance is None:
            raise invalid(f"Unresolved resource dependency {logical}")
        return resource.instance.physical_id

    def attribute(self, logical: str, name: str) -> Any:
        resource = self._resources.get(logical)
        if resource is None or resource.instance is None:
            raise invalid(f"Unresolved resource dependency {logical}")
        if name in resource.instance.attributes:
            return resource.instance.attributes[name]
        value: Any = resource.instance.properties
        for part in name.split("."):
            if not isinstance(value, dict) or part not in value:
                raise invalid(f"Attribute '{name}' does not exist")
            value = value[part]
        return value

    def exported(self, name: str) -> str:
        found = self._exports.get(name)
        if found is None:
            raise invalid(f"No export named {name} found.")
        return found[0]


class Planned(Live):
    """Resources as they will be: what is made anew is not known yet, nor is what an update may change."""

    def __init__(
        self,
        resources: Mapping[str, StackResource],
        exports: Exports,
        fresh: Collection[str],
        changed: Collection[str],
    ) -> None:
        super().__init__(resources, exports)
        self._fresh = fresh
        self._changed = changed

    def reference(self, logical: str) -> Any:
        return LATER if logical in self._fresh else super().reference(logical)

    def exported(self, name: str) -> str:
        return super().exported(name) if self._exports.get(name) else LATER

    def attribute(self, logical: str, name: str) -> Any:
        if logical in self._fresh or (logical in self._changed and not name.endswith(LASTING_ENDINGS)):
            return LATER
        return super().attribute(logical, name)


def known_type(name: str) -> ResourceType:
    """The registry's entry of a type that was checked before."""
    kind = resource_type(name)
    if kind is None:
        raise invalid(f"Template format error: Unrecognized resource types: [{name}]")
    return kind


def properties_of(resource: Resource, evaluator: Evaluator, stack_tags: list[dict[str, str]]) -> dict[str, Any]:
    """A resource's properties, evaluated, in the schema's types, with the stack's tags.

    Raises ServiceError when an expression has no value and ResourceFailed when a value is not allowed.
    """
    kind = known_type(resource.type)
    properties = evaluator.value(dict(resource.properties))
    if kind.tags and stack_tags and UNTAGGED.get(kind.name) not in properties:
        properties = {**properties, kind.tags: merged_tags(kind, properties.get(kind.tags), stack_tags)}
    return conform(kind, properties)


def merged_tags(kind: ResourceType, own: Any, stack_tags: list[dict[str, str]]) -> Any:
    """A resource's own tags and those of its stack that it does not set itself."""
    if "object" in kind.types(kind.properties[kind.tags]):
        return {**{tag["Key"]: tag["Value"] for tag in stack_tags}, **(own or {})}
    mine = list(own or [])
    keys = {tag.get("Key") for tag in mine if isinstance(tag, dict)}
    return mine + [dict(tag) for tag in stack_tags if tag["Key"] not in keys]


def metadata_of(resource: Resource, evaluator: Evaluator) -> Any:
    """A resource's metadata, evaluated."""
    value = evaluator.value(resource.metadata)
    return None if value is NO_VALUE else value


def created_anew(kind: ResourceType, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The create-only properties that differ: a change of one of them needs a new physical resource."""
    return [path for path in kind.create_only if _at(before, path) != _at(after, path)]


def _at(properties: Any, path: str) -> Any:
    for part in path.split("/"):
        if part == "*":
            continue
        if isinstance(properties, list):
            properties = [_at(item, part) for item in properties]
        elif isinstance(properties, dict):
            properties = properties.get(part)
        else:
            return None
    return properties
