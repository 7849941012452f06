"""Stack sets with service-managed permissions: made, changed, rolled out to accounts of the organization, looked at.

Refused by name: self-managed permissions, automatic deployment, targets other than named accounts of units
(``INTERSECTION``), overrides of parameters, drift, imports. One account is served after another, whatever a request
allows at once.
Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStackSet.html
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.cloudformation.api.shared import Parameters, check_tags, only, paged
from orchestrator.local.services.cloudformation.api.stack_set_runs import StackSetRuns
from orchestrator.local.services.cloudformation.engine.frames import parsed
from orchestrator.local.services.cloudformation.engine.organization import (
    PRINCIPAL,
    accounts_of,
    administered,
    management_account,
    trusted,
)
from orchestrator.local.services.cloudformation.engine.stack_sets import UNFINISHED, results_for, set_key
from orchestrator.local.services.cloudformation.engine.validate import check_types
from orchestrator.local.services.cloudformation.faults import invalid, unsupported
from orchestrator.local.services.cloudformation.language.frame import check_static
from orchestrator.local.services.cloudformation.language.names import partition
from orchestrator.local.services.cloudformation.language.parameters import Value, declarations, merge
from orchestrator.local.store import Document, Key

NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
CONTENT = ("TemplateBody", "TemplateURL", "Parameters", "Capabilities", "Tags", "Description", "ManagedExecution")
RULES = ("PermissionModel", "AutoDeployment", "CallAs")
PREFERENCES = frozenset({"FailureToleranceCount", "MaxConcurrentCount", "RegionConcurrencyType"})


class StackSetOperations(StackSetRuns):
    """The operations on stack sets."""

    # ---- the organization ----

    def ActivateOrganizationsAccess(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Let the organization trust the service; for its management account."""
        only(parameters)
        management = administered(self.world, call.account, call.region, "SELF")
        self.world.client("organizations", management, call.region).enable_aws_service_access(
            ServicePrincipal=PRINCIPAL
        )
        return {}

    def DescribeOrganizationsAccess(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Whether the organization trusts the service."""
        management = administered(self.world, call.account, call.region, parameters.get("CallAs") or "SELF")
        return {"Status": "ENABLED" if trusted(self.world, management, call.region) else "DISABLED"}

    # ---- the sets ----

    def CreateStackSet(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Make a stack set without stacks; the same ClientRequestToken again answers the same one."""
        only(parameters, *CONTENT, *RULES, "StackSetName", "ClientRequestToken")
        name, token = parameters["StackSetName"], parameters.get("ClientRequestToken", "")
        if not NAME.fullmatch(name):
            raise invalid(f"Value '{name}' at 'stackSetName' failed to satisfy constraint: {NAME.pattern}")
        if parameters.get("PermissionModel") != "SERVICE_MANAGED":
            raise unsupported("stack sets with self-managed permissions")
        _check_rules(parameters)
        owner = self._home(call, parameters)
        made = self._content(call, parameters, None) | {
            "id": f"{name}:{uuid.uuid4()}",
            "name": name,
            "token": token,
            "administrator": call.account,
        }
        with self.documents.transaction():
            standing = self.sets.find(owner, call.region, name)
            if standing and not (token and standing["token"] == token):
                raise ServiceError("NameAlreadyExistsException", f"StackSet {name} already exists", 409)
            if not standing:
                self.store.put(set_key(owner, call.region, name), made)
        return {"StackSetId": standing["id"] if standing else made["id"]}

    def UpdateStackSet(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Begin to bring a stack set and all its stacks to another template or other values."""
        only(parameters, *CONTENT, *RULES, "StackSetName", "UsePreviousTemplate", "OperationPreferences", "OperationId")
        _check_rules(parameters)
        owner, stack_set = self._standing(call, parameters)
        content = self._content(call, parameters, stack_set)
        with self.documents.transaction():
            key = set_key(owner, call.region, stack_set["name"])
            self.store.patch(key, **content)
            stack_set |= content
            instances = [each for _, each in self.sets.instances(owner, call.region, stack_set)]
            targets = [(each["account"], each["region"], each["unit"]) for each in instances]
            return self._begun(owner, call, parameters, stack_set, "UPDATE", targets)

    def DeleteStackSet(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Take a stack set away that has no stacks any more; nothing happens when there is none."""
        only(parameters, "StackSetName", "CallAs")
        owner = self._home(call, parameters)
        with self.documents.transaction():
            stack_set = self.sets.find(owner, call.region, parameters["StackSetName"])
            if stack_set is None:
                return {}
            if self.sets.instances(owner, call.region, stack_set):
                raise ServiceError("StackSetNotEmptyException", "StackSet is not empty", 409)
            operations = self.sets.operations(owner, call.region, stack_set)
            if any(each["status"] in UNFINISHED for _, each in operations):
                raise ServiceError("OperationInProgressException", "Another Operation is in progress", 409)
            self.sets.forget(owner, call.region, stack_set)
        return {}

    # ---- their stacks ----

    def CreateStackInstances(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Begin to make stacks in the named accounts, as far as the named units hold them."""
        return self._to_accounts(call, parameters, "CREATE")

    def DeleteStackInstances(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Begin to take the stacks of the named accounts away (or, with RetainStacks, to forget them)."""
        return self._to_accounts(call, parameters, "DELETE")

    def _to_accounts(self, call: Call, parameters: Parameters, action: str) -> dict[str, Any]:
        allowed = ("StackSetName", "DeploymentTargets", "Regions", "OperationPreferences", "OperationId", "CallAs")
        only(parameters, *allowed, *(("RetainStacks",) if action == "DELETE" else ()))
        owner, stack_set = self._standing(call, parameters)
        asked = parameters.get("DeploymentTargets") or {}
        if asked.get("AccountFilterType") != "INTERSECTION" or asked.get("AccountsUrl") or not asked.get("Accounts"):
            raise unsupported("targets of a stack set other than named accounts of units (INTERSECTION)")
        if set(parameters["Regions"]) != {call.region}:
            raise unsupported("stack sets over regions other than their own")
        if action == "CREATE":
            holders = {
                account: unit
                for unit in reversed(asked["OrganizationalUnitIds"])
                for account in accounts_of(self.world, owner, call.region, unit)
            }
        else:
            instances = self.sets.instances(owner, call.region, stack_set)
            holders = {
                each["account"]: each["unit"] for _, each in instances if each["unit"] in asked["OrganizationalUnitIds"]
            }
        targets = [(each, call.region, holders[each]) for each in asked["Accounts"] if each in holders]
        with self.documents.transaction():
            return self._begun(owner, call, parameters, stack_set, action, targets)

    def _begun(
        self,
        owner: str,
        call: Call,
        parameters: Parameters,
        stack_set: Document,
        action: str,
        targets: list[tuple[str, str, str]],
    ) -> dict[str, Any]:
        preferences = parameters.get("OperationPreferences") or {}
        for name, value in preferences.items():
            if name not in PREFERENCES or (name == "RegionConcurrencyType" and value != "SEQUENTIAL"):
                raise unsupported(f"{name} {value} in OperationPreferences")
        name = parameters.get("OperationId") or str(uuid.uuid4())
        if self.store.get(self.sets.operation_key(owner, call.region, stack_set, name)):
            raise ServiceError("OperationIdAlreadyExistsException", f"Operation {name} already exists", 409)
        operation = {
            "id": name,
            "action": action,
            "status": "QUEUED",
            "created": self.world.now(),
            "ended": 0.0,
            "goal": stack_set["goal"],
            "preferences": preferences,
            "targets": parameters.get("DeploymentTargets") or {},
            "retain": bool(parameters.get("RetainStacks")),
            "results": results_for(targets),
        }
        self.sets.queue(owner, call.region, stack_set, operation)
        return {"OperationId": name}

    # ---- looking ----

    def DescribeStackSet(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """A stack set with its template."""
        owner, stack_set = self._standing(call, parameters)
        goal = stack_set["goal"]
        instances = self.sets.instances(owner, call.region, stack_set)
        arn = f"arn:{partition(call.region)}:cloudformation:{call.region}:{owner}:stackset/{stack_set['id']}"
        described = {
            "StackSetName": stack_set["name"],
            "StackSetId": stack_set["id"],
            "StackSetARN": arn,
            "Description": stack_set["description"],
            "Status": "ACTIVE",
            "TemplateBody": self.documents.template(goal["template"]),
            "Parameters": goal["parameters"],
            "Capabilities": goal["capabilities"],
            "Tags": goal["tags"],
            "PermissionModel": "SERVICE_MANAGED",
            "AutoDeployment": {"Enabled": False},
            "ManagedExecution": {"Active": stack_set["managed"]},
            "OrganizationalUnitIds": sorted({each["unit"] for _, each in instances}),
        }
        return {"StackSet": described}

    def DescribeStackInstance(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """What a stack set has in one account and region."""
        owner, stack_set = self._standing(call, parameters)
        account, region = parameters["StackInstanceAccount"], parameters["StackInstanceRegion"]
        found = self.store.get(self.sets.instance_key(owner, call.region, stack_set, account, region))
        if found is None:
            raise ServiceError("StackInstanceNotFoundException", f"No stack instance in {account}, {region}", 404)
        return {"StackInstance": {**_instance(stack_set, found), "ParameterOverrides": []}}

    def ListStackInstances(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """What a stack set has, account by account."""
        only(
            parameters, "StackSetName", "StackInstanceAccount", "StackInstanceRegion", "NextToken", "MaxResults",
            "CallAs",
        )  # fmt: skip
        owner, stack_set = self._standing(call, parameters)
        account, region = parameters.get("StackInstanceAccount"), parameters.get("StackInstanceRegion")
        found = [
            _instance(stack_set, each)
            for _, each in self.sets.instances(owner, call.region, stack_set)
            if account in (None, each["account"]) and region in (None, each["region"])
        ]
        return paged("Summaries", found, parameters, int(parameters.get("MaxResults") or 100))

    def DescribeStackSetOperation(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """One operation on a stack set."""
        _, stack_set, operation = self._operation(call, parameters)
        return {
            "StackSetOperation": {
                **_operation(operation),
                "StackSetId": stack_set["id"],
                "OperationPreferences": operation["preferences"],
                "DeploymentTargets": operation["targets"],
                "RetainStacks": operation["retain"],
            }
        }

    def ListStackSetOperations(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """The operations on a stack set, newest first."""
        owner, stack_set = self._standing(call, parameters)
        found = [_operation(each) for _, each in reversed(self.sets.operations(owner, call.region, stack_set))]
        return paged("Summaries", found, parameters, int(parameters.get("MaxResults") or 100))

    def ListStackSetOperationResults(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """How an operation went, account by account."""
        only(parameters, "StackSetName", "OperationId", "NextToken", "MaxResults", "CallAs")
        _, _, operation = self._operation(call, parameters)
        found = [
            {
                "Account": each["account"],
                "Region": each["region"],
                "Status": each["status"],
                "OrganizationalUnitId": each["unit"],
                **({"StatusReason": each["reason"]} if each["reason"] else {}),
            }
            for each in operation["results"]
        ]
        return paged("Summaries", found, parameters, int(parameters.get("MaxResults") or 100))

    # ---- what requests say ----

    def _home(self, call: Call, parameters: Parameters) -> str:
        return management_account(self.world, call.account, call.region, parameters.get("CallAs") or "SELF")

    def _standing(self, call: Call, parameters: Parameters) -> tuple[str, Document]:
        """The account a stack set lives in, and the set. Raises StackSetNotFoundException."""
        owner = self._home(call, parameters)
        found = self.sets.find(owner, call.region, parameters["StackSetName"])
        if found is None:
            name = parameters["StackSetName"]
            raise ServiceError("StackSetNotFoundException", f"StackSet {name} not found", 404)
        return owner, found

    def _operation(self, call: Call, parameters: Parameters) -> tuple[str, Document, Document]:
        owner, stack_set = self._standing(call, parameters)
        key: Key = self.sets.operation_key(owner, call.region, stack_set, parameters["OperationId"])
        found = self.store.get(key)
        if found is None:
            raise ServiceError("OperationNotFoundException", f"Operation {parameters['OperationId']} not found", 404)
        return owner, stack_set, found

    def _content(self, call: Call, parameters: Parameters, before: Document | None) -> Document:
        """What a request wants of a stack set; members that an update leaves out stay as they were."""
        old = before["goal"] if before else {}
        body = self.template_text(call, parameters, self.documents.template(old["template"]) if old else "")
        template = parsed(body)
        check_types(check_static(template))
        declared = declarations(template.parameters)
        given = parameters.get("Parameters") or []
        previous = {each["ParameterKey"]: Value(each["ParameterKey"], each["ParameterValue"])
                    for each in old.get("parameters", [])}  # fmt: skip
        named = {entry["ParameterKey"] for entry in given}
        values = {name: value for name, value in merge(declared, given, previous).items() if name in named}
        tags = old.get("tags", []) if parameters.get("Tags") is None else parameters["Tags"]
        check_tags(tags)
        goal = {
            "template": self.documents.keep_template(body),
            "parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()],
            "capabilities": parameters.get("Capabilities") or [],
            "tags": tags,
        }
        described = before["description"] if before else ""
        return {
            "goal": goal,
            "description": parameters.get("Description") or described,
            "managed": bool((parameters.get("ManagedExecution") or {}).get("Active")),
        }


def _check_rules(parameters: Parameters) -> None:
    if parameters.get("PermissionModel", "SERVICE_MANAGED") != "SERVICE_MANAGED":
        raise unsupported("stack sets with self-managed permissions")
    if (parameters.get("AutoDeployment") or {}).get("Enabled"):
        raise unsupported("automatic deployment of stack sets")


def _instance(stack_set: Document, instance: Document) -> dict[str, Any]:
    shown = {
        "StackSetId": stack_set["id"],
        "Account": instance["account"],
        "Region": instance["region"],
        "OrganizationalUnitId": instance["unit"],
        "Status": instance["status"],
        "StackInstanceStatus": {"DetailedStatus": instance["detailed"]},
        "DriftStatus": "NOT_CHECKED",
    }
    told = (("StackId", "stack"), ("StatusReason", "reason"), ("LastOperationId", "operation"))
    return shown | {name: instance[member] for name, member in told if instance[member]}


def _operation(operation: Document) -> dict[str, Any]:
    failed = sum(each["status"] == "FAILED" for each in operation["results"])
    shown = {
        "OperationId": operation["id"],
        "Action": operation["action"],
        "Status": operation["status"],
        "CreationTimestamp": operation["created"],
        "StatusDetails": {"FailedStackInstancesCount": failed},
    }
    return shown | ({"EndTimestamp": operation["ended"]} if operation["ended"] else {})
