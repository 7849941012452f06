"""A template's sections as values, checked for shape; nothing is evaluated here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.local.services.cloudformation.faults import invalid, unsupported
from orchestrator.local.services.cloudformation.language.source import read

LANGUAGE_EXTENSIONS = "AWS::LanguageExtensions"
SECTIONS = frozenset(
    {
        "AWSTemplateFormatVersion",
        "Conditions",
        "Description",
        "Mappings",
        "Metadata",
        "Outputs",
        "Parameters",
        "Resources",
        "Rules",
        "Transform",
    }
)
UNSUPPORTED_SECTIONS = frozenset({"Hooks", "Globals"})
RESOURCE_ATTRIBUTES = frozenset(
    {"Condition", "DeletionPolicy", "DependsOn", "Metadata", "Properties", "Type", "UpdateReplacePolicy"}
)
UNSUPPORTED_RESOURCE_ATTRIBUTES = frozenset({"CreationPolicy", "UpdatePolicy"})
OUTPUT_ATTRIBUTES = frozenset({"Description", "Value", "Export", "Condition"})
DELETION_POLICIES = frozenset({"Delete", "Retain", "RetainExceptOnCreate", "Snapshot"})
REPLACE_POLICIES = frozenset({"Delete", "Retain", "Snapshot"})
LIMITS = {"Resources": 500, "Parameters": 200, "Outputs": 200, "Mappings": 200}
LOGICAL_ID = re.compile(r"[A-Za-z0-9]{1,255}")
FOR_EACH = "Fn::ForEach::"


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource as written; ``properties`` and ``metadata`` are not evaluated."""

    logical: str
    type: str
    properties: Mapping[str, Any]
    depends_on: tuple[str, ...] = ()
    condition: str = ""
    deletion_policy: str = "Delete"
    replace_policy: str = "Delete"
    metadata: Any = None


@dataclass(frozen=True, slots=True)
class Template:
    """A template's sections. ``extended`` says whether the language extensions transform is on."""

    body: str
    description: str = ""
    extended: bool = False
    metadata: Any = None
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    mappings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)


def parse(body: str) -> Template:
    """Read a template and check its sections.

    Resources and outputs stay plain data: loops in them need parameter values first; ``resource`` and
    ``check_output`` judge each one once the loops are unrolled. Raises ValidationError for unknown sections,
    transforms other than AWS::LanguageExtensions, sections that are not mappings, and counts over AWS's quotas.
    """
    document = read(body)
    _check_sections(document)
    extended = _extended(document.get("Transform"))
    if not document.get("Resources") or not isinstance(document["Resources"], dict):
        raise invalid("Template format error: At least one Resources member must be defined.")
    template = Template(
        body=body,
        description=_description(document),
        extended=extended,
        metadata=document.get("Metadata"),
        **{name.lower(): _section(document, name) for name in _MAPPED_SECTIONS},
    )
    _check_mappings(template.mappings)
    _check_rules(template.rules)
    return template


_MAPPED_SECTIONS = ("Parameters", "Rules", "Mappings", "Conditions", "Resources", "Outputs")


def _check_sections(document: Mapping[str, Any]) -> None:
    for name in UNSUPPORTED_SECTIONS & document.keys():
        raise unsupported(f"the template section {name}")
    unknown = sorted(document.keys() - SECTIONS)
    if unknown:
        raise invalid(f"Invalid template property or properties [{', '.join(unknown)}]")
    version = document.get("AWSTemplateFormatVersion", "2010-09-09")
    if version != "2010-09-09":
        raise invalid(f"Template format error: Unsupported template format version {version}")


def _extended(transform: Any) -> bool:
    names = transform if isinstance(transform, list) else [transform] if transform else []
    for name in names:
        if name != LANGUAGE_EXTENSIONS:
            shown = name.get("Name", name) if isinstance(name, dict) else name
            raise unsupported(f"the transform {shown}")
    return bool(names)


def _description(document: Mapping[str, Any]) -> str:
    description = document.get("Description") or ""
    if not isinstance(description, str):
        raise invalid("Template format error: Description must be a string.")
    if len(description.encode()) > 1024:
        raise invalid("Template format error: 'Description' length is greater than 1024.")
    return description


def _section(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = document.get(name)
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise invalid(f"Template format error: {name} must be an object.")
    if len(section) > LIMITS.get(name, len(section)):
        raise invalid(
            f"Template format error: Number of {name.lower()}, {len(section)}, is greater than maximum allowed,"
            f" {LIMITS[name]}"
        )
    loops = name in ("Resources", "Outputs", "Conditions")
    for logical, entry in section.items():
        if loops and logical.startswith(FOR_EACH):
            continue
        if not LOGICAL_ID.fullmatch(logical):
            raise invalid(f"Template format error: {name[:-1]} name {logical} is non alphanumeric.")
        if not isinstance(entry, dict):
            raise invalid(f"Template format error: [/{name}/{logical}] must be an object.")
    return section


def _check_mappings(mappings: Mapping[str, Any]) -> None:
    for name, mapping in mappings.items():
        for key, attributes in mapping.items():
            if not isinstance(attributes, dict):
                raise invalid(f"Template format error: Every Mappings attribute must be a String or a List. {name}")
            for value in attributes.values():
                if isinstance(value, dict):
                    raise invalid(
                        f"Template format error: Every Mappings attribute must be a String or a List. {name}/{key}"
                    )


def _check_rules(rules: Mapping[str, Mapping[str, Any]]) -> None:
    for name, rule in rules.items():
        if rule.keys() - {"RuleCondition", "Assertions"} or not isinstance(rule.get("Assertions"), list):
            raise invalid(f"Template format error: Rule {name} must have Assertions and may have a RuleCondition.")
        for assertion in rule["Assertions"]:
            if not isinstance(assertion, dict) or "Assert" not in assertion:
                raise invalid(f"Template format error: Every assertion of rule {name} must have an Assert member.")


def resource(logical: str, entry: Any) -> Resource:
    """One entry of the Resources section.

    Raises ValidationError when it has no type, an attribute CloudFormation does not know, or a policy that is not
    one.
    """
    where = f"[/Resources/{logical}]"
    if not isinstance(entry, dict):
        raise invalid(f"Template format error: {where} resource definition is malformed")
    if not LOGICAL_ID.fullmatch(logical):
        raise invalid(f"Template format error: Resource name {logical} is non alphanumeric.")
    if not isinstance(entry.get("Type"), str):
        raise invalid(f"Template format error: {where} Every Resources object must contain a Type member.")
    for name in UNSUPPORTED_RESOURCE_ATTRIBUTES & entry.keys():
        raise unsupported(f"the resource attribute {name} ({where})")
    for name in sorted(entry.keys() - RESOURCE_ATTRIBUTES):
        raise invalid(f"Validation error: Invalid template resource property '{name}'")
    properties = entry.get("Properties") or {}
    if not isinstance(properties, dict):
        raise invalid(f"Template format error: {where} Properties must be an object.")
    return Resource(
        logical=logical,
        type=entry["Type"],
        properties=properties,
        depends_on=_depends_on(logical, entry.get("DependsOn")),
        condition=_condition_name(where, entry),
        deletion_policy=_policy(logical, "DeletionPolicy", entry, DELETION_POLICIES),
        replace_policy=_policy(logical, "UpdateReplacePolicy", entry, REPLACE_POLICIES),
        metadata=entry.get("Metadata"),
    )


def _depends_on(logical: str, value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise invalid(f"Template format error: DependsOn must be a string or list of strings. ({logical})")
    return tuple(names)


def _condition_name(where: str, entry: Mapping[str, Any]) -> str:
    condition = entry.get("Condition", "")
    if not isinstance(condition, str):
        raise invalid(f"Template format error: {where} Condition must be the name of a condition.")
    return condition


def _policy(logical: str, name: str, entry: Mapping[str, Any], allowed: frozenset[str]) -> str:
    policy = entry.get(name, "Delete")
    if policy not in allowed:
        raise invalid(f"Template error: Unrecognized {name} {policy} for resource {logical}")
    if policy == "Snapshot":
        raise invalid(f"Template error: resource type {entry['Type']} does not support {name} Snapshot")
    return str(policy)


def check_output(name: str, entry: Any) -> None:
    """Raise ValidationError when an entry of the Outputs section has no value or an unknown member."""
    if not isinstance(entry, dict) or "Value" not in entry:
        raise invalid(f"Template format error: Every Outputs member must contain a Value object. ({name})")
    if not LOGICAL_ID.fullmatch(name):
        raise invalid(f"Template format error: Output name {name} is non alphanumeric.")
    unknown = sorted(entry.keys() - OUTPUT_ATTRIBUTES)
    if unknown:
        raise invalid(f"Template format error: Output {name} has unknown members [{', '.join(unknown)}].")
    export = entry.get("Export")
    if export is not None and (not isinstance(export, dict) or set(export) != {"Name"}):
        raise invalid(f"Template format error: Output {name} is malformed. Export must be an object with a Name.")
    if not isinstance(entry.get("Condition", ""), str):
        raise invalid(f"Template format error: Output {name} is malformed. Condition must be a string.")
