"""Looking at stacks, their events, resources, templates and exports."""

from __future__ import annotations

import json
from typing import Any

from orchestrator.local.service import Call
from orchestrator.local.services.cloudformation.api.change_sets import ChangeSetOperations, parameters_of
from orchestrator.local.services.cloudformation.api.shared import PAGE, Parameters, offset, only, paged, token_at
from orchestrator.local.services.cloudformation.engine.frames import parsed
from orchestrator.local.services.cloudformation.engine.records import Goal, Stack, StackResource
from orchestrator.local.services.cloudformation.engine.validate import check_types, needed_capabilities
from orchestrator.local.services.cloudformation.faults import invalid, stack_missing
from orchestrator.local.services.cloudformation.language.frame import check_static
from orchestrator.local.services.cloudformation.language.parameters import MASK, declarations
from orchestrator.local.services.cloudformation.language.template import LANGUAGE_EXTENSIONS, Resource, Template
from orchestrator.local.services.cloudformation.schema.table import resource_type

CAPABILITIES_REASON = "The following resource(s) require capabilities: [{}]"


class ReadingOperations(ChangeSetOperations):
    """The operations that change nothing."""

    def DescribeStacks(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """One stack (by its id also when it is deleted), or all that are not deleted."""
        name = parameters.get("StackName")
        if name:
            return {"Stacks": [_described(self.documents.get(call.account, call.region, name))]}
        live = [stack for stack in self.documents.stacks(call.account, call.region) if stack.live]
        return paged("Stacks", [_described(stack) for stack in reversed(live)], parameters)

    def ListStacks(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Short forms of all stacks, deleted ones too, newest first."""
        wanted = parameters.get("StackStatusFilter")
        stacks = [
            _summarized(stack)
            for stack in reversed(self.documents.stacks(call.account, call.region))
            if not wanted or stack.status in wanted
        ]
        return paged("StackSummaries", stacks, parameters)

    def DescribeStackEvents(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """What happened to a stack, newest first; pages stay where they are while more is happening."""
        events = self.documents.events(self._named(call, parameters))
        happened_since = len(events) - offset(parameters.get("NextToken"), len(events))
        shown = events[happened_since : happened_since + PAGE]
        older = len(events) - happened_since - len(shown)
        return {"StackEvents": shown, **({"NextToken": token_at(older)} if older else {})}

    def DescribeStackResource(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """One resource of a stack."""
        stack, logical = self._named(call, parameters), parameters["LogicalResourceId"]
        resource = self.documents.resource(stack, logical)
        if resource is None or not resource.status:
            raise invalid(f"Resource {logical} does not exist for stack {stack.name}")
        detail = {**_resource(resource, "LastUpdatedTimestamp"), "StackId": stack.id, "StackName": stack.name}
        if resource.metadata is not None:
            detail["Metadata"] = json.dumps(resource.metadata)
        return {"StackResourceDetail": detail}

    def DescribeStackResources(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """The resources of a stack, or of the stack that a physical resource belongs to."""
        physical, logical = parameters.get("PhysicalResourceId"), parameters.get("LogicalResourceId")
        if physical and not parameters.get("StackName"):
            stack = self._owner(call, physical)
        elif parameters.get("StackName"):
            stack = self._named(call, parameters)
        else:
            raise invalid("Either stackName or physicalResourceId must be specified")
        common = {"StackId": stack.id, "StackName": stack.name}
        found = [
            {**common, **_resource(resource, "Timestamp")}
            for resource in self.documents.resources(stack).values()
            if logical in (None, resource.logical) and resource.status
        ]
        return {"StackResources": found}

    def _owner(self, call: Call, physical_id: str) -> Stack:
        for stack in self.documents.stacks(call.account, call.region):
            if any(resource.physical_id == physical_id for resource in self.documents.resources(stack).values()):
                return stack
        raise invalid(f"Stack for {physical_id} does not exist")

    def ListStackResources(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """The resources of a stack, a page at a time."""
        stack = self._named(call, parameters)
        resources = [each for each in self.documents.resources(stack).values() if each.status]
        found = [_resource(resource, "LastUpdatedTimestamp") for resource in resources]
        return paged("StackResourceSummaries", found, parameters)

    def GetTemplate(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """The text of a stack's template, or of a change set's."""
        if parameters.get("ChangeSetName"):
            goal = Goal(**self._change_set(call, parameters)["goal"])
        elif parameters.get("StackName"):
            goal = self._named(call, parameters).goal
        else:
            raise invalid("Either StackName or ChangeSetName must be specified.")
        return {"TemplateBody": self.documents.template(goal.template), "StagesAvailable": ["Original", "Processed"]}

    def GetTemplateSummary(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """What a template declares and needs."""
        only(parameters, "TemplateBody", "TemplateURL", "StackName")
        if parameters.get("StackName"):
            body = self.documents.template(self._named(call, parameters).goal.template)
        else:
            body = self.template_text(call, parameters)
        template = parsed(body)
        resources = check_static(template)
        summary = {
            **_declared(template, resources),
            "Parameters": [_parameter_declaration(template, name) for name in template.parameters],
            "ResourceTypes": [entry.type for entry in resources.values()],
            "Version": "2010-09-09",
            "ResourceIdentifierSummaries": _identifiers(resources),
        }
        if template.metadata is not None:
            summary["Metadata"] = json.dumps(template.metadata)
        return summary

    def ValidateTemplate(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Check a template's structure, names and types; as on AWS, not its resource properties."""
        template = parsed(self.template_text(call, parameters))
        resources = check_static(template)
        check_types(resources)
        shown = []
        for declaration in declarations(template.parameters).values():
            entry: dict[str, Any] = {"ParameterKey": declaration.name, "NoEcho": declaration.hidden}
            if declaration.default is not None:
                entry["DefaultValue"] = declaration.default
            if declaration.description:
                entry["Description"] = declaration.description
            shown.append(entry)
        return {**_declared(template, resources), "Parameters": shown}

    def ListExports(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Every export of the account and region, by name."""
        exports = self.documents.exports(call.account, call.region)
        found = [
            {"ExportingStackId": stack, "Name": name, "Value": value}
            for name, (value, stack) in sorted(exports.items())
        ]
        return paged("Exports", found, parameters)

    def ListImports(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """The stacks that import an export."""
        name = parameters["ExportName"]
        users = self.documents.importers(call.account, call.region, name)
        if not users:
            raise invalid(f"Export '{name}' is not imported by any stack.")
        return paged("Imports", users, parameters)

    def _named(self, call: Call, parameters: Parameters) -> Stack:
        stack = self.documents.find(call.account, call.region, parameters["StackName"])
        if stack is None:
            raise stack_missing(parameters["StackName"])
        return stack


def _declared(template: Template, resources: dict[str, Resource]) -> dict[str, Any]:
    declared: dict[str, Any] = {}
    if template.description:
        declared["Description"] = template.description
    needed = needed_capabilities(resources, template)
    if needed:
        declared["Capabilities"] = needed
        types = sorted({entry.type for entry in resources.values() if entry.type.startswith("AWS::IAM::")})
        declared["CapabilitiesReason"] = CAPABILITIES_REASON.format(", ".join(types))
    if template.extended:
        declared["DeclaredTransforms"] = [LANGUAGE_EXTENSIONS]
    return declared


def _parameter_declaration(template: Template, name: str) -> dict[str, Any]:
    declaration = declarations(template.parameters)[name]
    entry: dict[str, Any] = {
        "ParameterKey": name,
        "ParameterType": declaration.type,
        "NoEcho": declaration.hidden,
        "ParameterConstraints": {},
    }
    if declaration.default is not None:
        entry["DefaultValue"] = MASK if declaration.hidden else declaration.default
    if declaration.description:
        entry["Description"] = declaration.description
    allowed = declaration.constraints.get("AllowedValues")
    if allowed is not None:
        entry["ParameterConstraints"] = {"AllowedValues": [str(choice) for choice in allowed]}
    return entry


def _identifiers(resources: dict[str, Resource]) -> list[dict[str, Any]]:
    by_type: dict[str, list[str]] = {}
    for entry in resources.values():
        by_type.setdefault(entry.type, []).append(entry.logical)
    return [
        {"ResourceType": name, "LogicalResourceIds": logical, "ResourceIdentifiers": list(kind.identifier)}
        for name, logical in by_type.items()
        if (kind := resource_type(name)) is not None
    ]


def _described(stack: Stack) -> dict[str, Any]:
    described: dict[str, Any] = {
        **_common(stack),
        "Parameters": parameters_of(stack.goal),
        "RollbackConfiguration": {},
        "DisableRollback": stack.disable_rollback,
        "NotificationARNs": stack.goal.notifications,
        "Capabilities": stack.goal.capabilities,
        "Outputs": stack.outputs,
        "Tags": stack.goal.tags,
        "EnableTerminationProtection": stack.protected,
    }
    if stack.goal.description:
        described["Description"] = stack.goal.description
    if stack.goal.role:
        described["RoleARN"] = stack.goal.role
    if stack.timeout_minutes:
        described["TimeoutInMinutes"] = stack.timeout_minutes
    if stack.change_set:
        described["ChangeSetId"] = stack.change_set
    return described


def _common(stack: Stack) -> dict[str, Any]:
    common: dict[str, Any] = {
        "StackId": stack.id,
        "StackName": stack.name,
        "CreationTime": stack.created,
        "StackStatus": stack.status,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }
    for member, value in (
        ("StackStatusReason", stack.reason),
        ("LastUpdatedTime", stack.updated),
        ("DeletionTime", stack.deleted),
        ("ParentId", stack.parent),
        ("RootId", stack.root),
    ):
        if value:
            common[member] = value
    return common


def _summarized(stack: Stack) -> dict[str, Any]:
    summary = _common(stack)
    if stack.goal.description:
        summary["TemplateDescription"] = stack.goal.description
    return summary


def _resource(resource: StackResource, time_member: str) -> dict[str, Any]:
    shown = {
        "LogicalResourceId": resource.logical,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": resource.type,
        "ResourceStatus": resource.status,
        time_member: resource.updated,
        "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
    }
    if resource.reason:
        shown["ResourceStatusReason"] = resource.reason
    return shown
