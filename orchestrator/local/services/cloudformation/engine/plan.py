"""What an operation would change, known before it begins: the content of a change set."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.local.service import ServiceError
from orchestrator.local.services.cloudformation.engine.records import Stack, StackResource
from orchestrator.local.services.cloudformation.engine.values import (
    Exports,
    Planned,
    known_type,
    metadata_of,
    properties_of,
)
from orchestrator.local.services.cloudformation.language.evaluation import Evaluator, later, text
from orchestrator.local.services.cloudformation.language.frame import Frame
from orchestrator.local.services.cloudformation.language.parameters import MASK
from orchestrator.local.services.cloudformation.language.references import Reference
from orchestrator.local.services.cloudformation.language.template import Resource
from orchestrator.local.services.cloudformation.providers import provider_of
from orchestrator.local.services.cloudformation.schema.table import ResourceType

POLICY_WORDS = {"Delete": "Delete", "Retain": "Retain", "RetainExceptOnCreate": "Retain"}


@dataclass(slots=True)
class Plan:
    """The changes to resources, as ``DescribeChangeSet`` shows them, and whether anything else changes."""

    changes: list[dict[str, Any]] = field(default_factory=list)
    beyond_resources: bool = False

    @property
    def empty(self) -> bool:
        """Whether the operation would do nothing at all."""
        return not self.changes and not self.beyond_resources


@dataclass(slots=True)
class _Progress:
    """What is known so far of the resources that come first."""

    stack: Stack
    frame: Frame
    resources: Mapping[str, StackResource]
    previous: Frame | None
    tags: list[dict[str, str]]
    evaluator: Evaluator
    masked: frozenset[str] = frozenset()
    fresh: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)


def plan(
    stack: Stack,
    frame: Frame,
    tags: list[dict[str, str]],
    resources: Mapping[str, StackResource],
    exports: Exports,
    previous: Frame | None,
) -> Plan:
    """Compare what is there with what the frame says.

    Raises ServiceError and ResourceFailed for values that are wrong whatever the operation brings.
    """
    progress = _Progress(stack, frame, resources, previous, tags, frame.evaluate(Planned({}, exports, (), ())))
    values = [*frame.values.values(), *(previous.values.values() if previous else ())]
    progress.masked = frozenset(value.text for value in values if value.hidden and value.text)
    progress.evaluator = frame.evaluate(Planned(resources, exports, progress.fresh, progress.changed))
    found = Plan()
    for logical in _ordered(frame):
        change = _change(progress, frame.active[logical])
        if change:
            found.changes.append({"Type": "Resource", "ResourceChange": change})
    for logical, resource in resources.items():
        if logical not in frame.active and resource.instance:
            found.changes.append({"Type": "Resource", "ResourceChange": _removal(progress, resource)})
    found.beyond_resources = (
        tags != stack.goal.tags
        or _outputs_change(progress, stack)
        or any(_reached_always(resource) for resource in resources.values())
    )
    return found


def _ordered(frame: Frame) -> Iterator[str]:
    done: set[str] = set()
    waiting = list(frame.active)
    while waiting:
        for logical in [name for name in waiting if frame.dependencies[name] <= done]:
            done.add(logical)
            waiting.remove(logical)
            yield logical


def _reached_always(resource: StackResource) -> bool:
    provider = provider_of(resource.type)
    return bool(provider and provider.updates_always)


def _change(progress: _Progress, entry: Resource) -> dict[str, Any] | None:
    resource = progress.resources.get(entry.logical)
    after = properties_of(entry, progress.evaluator, progress.tags)
    metadata = metadata_of(entry, progress.evaluator)
    if resource is None or resource.instance is None:
        progress.fresh.add(entry.logical)
        return {
            "Action": "Add",
            "LogicalResourceId": entry.logical,
            "ResourceType": entry.type,
            "Scope": [],
            "Details": [],
            "AfterContext": _context(progress, after, metadata),
        }
    before = resource.instance.properties
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    new_metadata = metadata != resource.metadata
    if not names and not new_metadata:
        return None
    return _modification(progress, entry, resource, names, before, after, metadata)


def _modification(
    progress: _Progress,
    entry: Resource,
    resource: StackResource,
    names: list[str],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    metadata: Any,
) -> dict[str, Any]:
    kind = known_type(entry.type)
    details = [detail for name in names for detail in _details(progress, kind, entry, name, before, after)]
    replacement = _replacement(details)
    provider = provider_of(entry.type)
    if replacement == "False" and provider and provider.replaces(before, after):
        replacement = "True"
    (progress.changed if replacement == "False" else progress.fresh).add(entry.logical)
    scope = {"Tags" if name == kind.tags else "Properties" for name in names}
    if metadata != resource.metadata:
        scope.add("Metadata")
        target = {"Attribute": "Metadata", "RequiresRecreation": "Never"}
        details.append({"Target": target, "Evaluation": "Static", "ChangeSource": "DirectModification"})
    change = {
        "Action": "Modify",
        "LogicalResourceId": entry.logical,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": entry.type,
        "Replacement": replacement,
        "Scope": sorted(scope),
        "Details": details,
        "BeforeContext": _context(progress, before, resource.metadata),
        "AfterContext": _context(progress, after, metadata),
    }
    if replacement != "False":
        change["PolicyAction"] = f"ReplaceAnd{POLICY_WORDS[entry.replace_policy]}"
    return change


def _removal(progress: _Progress, resource: StackResource) -> dict[str, Any]:
    instance = resource.instance
    return {
        "Action": "Remove",
        "PolicyAction": POLICY_WORDS[resource.deletion_policy],
        "LogicalResourceId": resource.logical,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": resource.type,
        "Scope": [],
        "Details": [],
        "BeforeContext": _context(progress, instance.properties if instance else {}, resource.metadata),
    }


def _details(
    progress: _Progress,
    kind: ResourceType,
    entry: Resource,
    name: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    """Why a property changes, one entry a cause."""
    unknown = later(after.get(name))
    recreation = "Never"
    if name in kind.create_only:
        recreation = "Always"
    elif any(path.startswith(f"{name}/") for path in kind.create_only):
        recreation = "Conditionally"
    target: dict[str, Any] = {
        "Attribute": "Tags" if name == kind.tags else "Properties",
        "Name": name,
        "RequiresRecreation": recreation,
        "Path": f"/Properties/{name}",
    }
    if name in before:
        target["BeforeValue"] = _shown(progress, before[name])
    if name in after:
        target["AfterValue"] = _shown(progress, after[name])
    target["AttributeChangeType"] = "Modify" if name in before and name in after else _side(name, after)
    for source, cause in _causes(progress, entry, name):
        dynamic = unknown and source in ("ResourceReference", "ResourceAttribute")
        detail = {"Target": target, "Evaluation": "Dynamic" if dynamic else "Static", "ChangeSource": source}
        if cause:
            detail["CausingEntity"] = cause
        yield detail


def _side(name: str, after: Mapping[str, Any]) -> str:
    return "Add" if name in after else "Remove"


def _causes(progress: _Progress, entry: Resource, name: str) -> list[tuple[str, str]]:
    """The parameters and resources behind a change, or the template itself."""
    expression = entry.properties.get(name)
    previous = progress.previous.resources.get(entry.logical) if progress.previous else None
    used = progress.frame.references_of(expression)
    causes = [cause for reference in sorted(used) for cause in _cause(progress, reference)]
    if previous is None or previous.properties.get(name) != expression or not causes:
        causes.append(("DirectModification", ""))
    return causes


def _cause(progress: _Progress, reference: Reference) -> Iterator[tuple[str, str]]:
    if reference.kind == "condition":
        return
    if reference.name in progress.fresh | progress.changed:
        if reference.kind == "attribute":
            yield "ResourceAttribute", f"{reference.name}.{reference.attribute}"
        elif reference.name in progress.fresh:
            yield "ResourceReference", reference.name
    elif reference.name in progress.frame.values:
        old = progress.previous.values.get(reference.name) if progress.previous else None
        if old is None or old.text != progress.frame.values[reference.name].text:
            yield "ParameterReference", reference.name


def _replacement(details: list[dict[str, Any]]) -> str:
    """True when it is sure, Conditional when it depends on values only the operation will know."""
    words = "False"
    for detail in details:
        recreation = detail["Target"]["RequiresRecreation"]
        if recreation == "Always" and detail["Evaluation"] == "Static":
            return "True"
        if recreation != "Never":
            words = "Conditional"
    return words


def _context(progress: _Progress, properties: Mapping[str, Any], metadata: Any) -> str:
    context: dict[str, Any] = {"Properties": dict(properties)}
    if metadata is not None:
        context["Metadata"] = metadata
    return _masked(progress, json.dumps(context, separators=(",", ":"), sort_keys=True))


def _shown(progress: _Progress, value: Any) -> str:
    plain = json.dumps(value, separators=(",", ":")) if isinstance(value, (dict, list)) else text(value)
    return _masked(progress, plain)


def _masked(progress: _Progress, shown: str) -> str:
    """The text without the values of hidden parameters."""
    for value in sorted(progress.masked, key=len, reverse=True):
        shown = shown.replace(value, MASK)
    return shown


def _outputs_change(progress: _Progress, stack: Stack) -> bool:
    """Whether outputs come, go or (as far as is known) change."""
    after = []
    for name, entry in progress.frame.outputs.items():
        try:
            output = {"OutputKey": name, "OutputValue": text(progress.evaluator.value(entry["Value"]))}
            if entry.get("Description"):
                output["Description"] = str(entry["Description"])
            if "Export" in entry:
                output["ExportName"] = text(progress.evaluator.value(entry["Export"]["Name"]))
        except ServiceError:
            return True
        after.append(output)
    return after != stack.outputs
