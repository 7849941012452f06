"""Everything that can be said against a template before its first resource is made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from orchestrator.local.services.cloudformation.faults import capabilities_missing, invalid
from orchestrator.local.services.cloudformation.language.frame import Frame
from orchestrator.local.services.cloudformation.language.references import references
from orchestrator.local.services.cloudformation.language.template import Resource, Template
from orchestrator.local.services.cloudformation.providers import provider_of
from orchestrator.local.services.cloudformation.schema.check import shape_problems
from orchestrator.local.services.cloudformation.schema.table import resource_type

STACK_OUTPUTS = "Outputs."
AWS_TYPE = re.compile(r"AWS::[A-Za-z0-9]+::[A-Za-z0-9]+")
IAM_NAMES = {
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
}


def check(frame: Frame, capabilities: Iterable[str]) -> None:
    """Judge types, properties, attributes and capabilities.

    Raises ValidationError for resource types without a provider, properties the type does not have or the embedded
    AWS cannot honour, and attributes that do not exist; InsufficientCapabilitiesException as CloudFormation does.
    A resource whose condition does not hold is not made, so a type of AWS's that has no provider may stand there.
    """
    check_types({name: entry for name, entry in frame.resources.items() if name in frame.active or not _of_aws(entry)})
    for entry in frame.resources.values():
        _check_properties(entry)
    _check_attributes(frame)
    needed = needed_capabilities(frame.resources, frame.template)
    acknowledged = set(capabilities)
    if "CAPABILITY_NAMED_IAM" in acknowledged:
        acknowledged.add("CAPABILITY_IAM")
    missing = [capability for capability in needed if capability not in acknowledged]
    if missing:
        raise capabilities_missing(missing)


def check_types(resources: Mapping[str, Resource]) -> None:
    """Raise ValidationError naming every type that nothing here can make."""
    unknown = sorted({entry.type for entry in resources.values() if not _known(entry.type)})
    if unknown:
        raise invalid(
            f"Template format error: Unrecognized resource types: [{', '.join(unknown)}]."
            " The embedded AWS makes no resources of these types."
        )


def _of_aws(entry: Resource) -> bool:
    return AWS_TYPE.fullmatch(entry.type) is not None


def _known(type_name: str) -> bool:
    return provider_of(type_name) is not None and resource_type(type_name) is not None


def _check_properties(entry: Resource) -> None:
    kind, provider = resource_type(entry.type), provider_of(entry.type)
    if kind is None or provider is None:
        return
    problems = shape_problems(kind, entry.properties)
    for name in sorted(provider.refused() & entry.properties.keys()):
        problems.append(f"#: the embedded AWS does not support the property [{name}] of {entry.type}")
    problems.extend(f"#: {problem}" for problem in provider.problems(entry.properties))
    if problems:
        raise invalid(
            f"Properties validation failed for resource {entry.logical} with message:\n" + "\n".join(problems)
        )


def _check_attributes(frame: Frame) -> None:
    nodes = [entry.properties for entry in frame.resources.values()] + list(frame.outputs.values())
    for reference in {reference for node in nodes for reference in references(node)}:
        if reference.kind != "attribute" or not reference.attribute:
            continue
        entry = frame.resources[reference.name]
        kind = resource_type(entry.type)
        if entry.type == "AWS::CloudFormation::Stack" and reference.attribute.startswith(STACK_OUTPUTS):
            continue
        if kind is not None and reference.attribute not in kind.attributes:
            raise invalid(
                f"Template error: resource {reference.name} does not support attribute type {reference.attribute} in"
                " Fn::GetAtt"
            )


def needed_capabilities(resources: Mapping[str, Resource], template: Template) -> list[str]:
    """The capabilities a caller has to acknowledge for these resources."""
    needed = []
    iam = [entry for entry in resources.values() if entry.type.startswith("AWS::IAM::")]
    if any(IAM_NAMES.get(entry.type, "") in entry.properties for entry in iam):
        needed.append("CAPABILITY_NAMED_IAM")
    elif iam:
        needed.append("CAPABILITY_IAM")
    if template.extended:
        needed.append("CAPABILITY_AUTO_EXPAND")
    return needed
