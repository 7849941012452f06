"""CloudFormation: stack sets within stacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from orchestrator.local.services.cloudformation.faults import ResourceFailed
from orchestrator.local.services.cloudformation.providers.contract import (
    Naming,
    Provider,
    Request,
    absent,
    found,
    picked,
    tag_list,
)

CONTENT = ("Description", "Parameters", "Capabilities", "ManagedExecution", "TemplateBody", "TemplateURL")
ALREADY_BEGUN = "OperationIdAlreadyExistsException"
OTHER_TARGETS = (
    "The embedded AWS does not support targets of a stack set other than named accounts of units (INTERSECTION)"
)
Group = Mapping[str, Any]


class StackSet(Provider):
    """AWS::CloudFormation::StackSet. An update first takes groups away, then changes the stacks, then adds groups.

    Its operations on accounts carry ids of the attempt, so that one that was begun is found again.
    """

    type = "AWS::CloudFormation::StackSet"
    service = "cloudformation"
    naming = Naming("StackSetName", 128)
    supported = frozenset(
        {*CONTENT, "AutoDeployment", "CallAs", "OperationPreferences", "PermissionModel", "StackInstancesGroup"}
        | {"StackSetName", "Tags"}
    )

    def problems(self, properties: Mapping[str, Any]) -> Iterable[str]:
        if properties.get("PermissionModel") == "SELF_MANAGED":
            yield "The embedded AWS does not support stack sets with self-managed permissions"
        automatic = properties.get("AutoDeployment")
        if isinstance(automatic, Mapping) and automatic.get("Enabled") is True:
            yield "The embedded AWS does not support automatic deployment of stack sets"
        if _unsupported(properties):
            yield OTHER_TARGETS

    # ---- requests ----

    @staticmethod
    def _content(request: Request) -> dict[str, Any]:
        tags = tag_list(request.properties.get("Tags"))
        return {**picked(request.properties, *CONTENT, "PermissionModel", "AutoDeployment"), "Tags": tags}

    @staticmethod
    def _as(request: Request) -> dict[str, Any]:
        properties = request.properties or request.before
        return picked(properties, "CallAs")

    def _preferences(self, request: Request) -> dict[str, Any]:
        return {**self._as(request), **picked(request.properties or request.before, "OperationPreferences")}

    def find(self, request: Request) -> str | None:
        client = self.api(request)
        answer = found(lambda: client.describe_stack_set(StackSetName=request.name, **self._as(request)))
        return str(answer["StackSet"]["StackSetId"]) if answer else None

    def make(self, request: Request) -> str:
        """The token makes a repeated call answer the same stack set."""
        answer = self.api(request).create_stack_set(
            StackSetName=request.name, ClientRequestToken=request.token, **self._as(request), **self._content(request)
        )
        return str(answer["StackSetId"])

    def settle(self, request: Request) -> None:
        _check(request)
        for name, group in _numbered("create", request, _groups(request.properties)):
            self._to(request, "create_stack_instances", name, group)

    def update(self, request: Request) -> None:
        _check(request)
        for name, group in _numbered("delete", request, self._left(request)):
            self._to(request, "delete_stack_instances", name, group, RetainStacks=False)
        if self._changes(request):
            self._begin(
                request,
                "update_stack_set",
                f"update-{request.token}",
                **self._content(request),
            )
        for name, group in _numbered("create", request, self._joined(request)):
            self._to(request, "create_stack_instances", name, group)

    def _to(self, request: Request, operation: str, name: str, group: Group, **extra: Any) -> None:
        targets = {"DeploymentTargets": group["DeploymentTargets"], "Regions": group["Regions"]}
        self._begin(request, operation, name, **targets, **extra)

    def _begin(self, request: Request, operation: str, name: str, **wanted: Any) -> None:
        try:
            getattr(self.api(request), operation)(
                StackSetName=request.physical_id or request.name,
                OperationId=name,
                **self._preferences(request),
                **wanted,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != ALREADY_BEGUN:
                raise

    # ---- what changes ----

    @staticmethod
    def _changes(request: Request) -> bool:
        return request.changed(*CONTENT, "Tags")

    @staticmethod
    def _left(request: Request) -> list[Group]:
        after = _groups(request.properties)
        return [group for group in _groups(request.before) if group not in after]

    @staticmethod
    def _joined(request: Request) -> list[Group]:
        before = _groups(request.before)
        return [group for group in _groups(request.properties) if group not in before]

    def _begun(self, request: Request) -> Iterator[str]:
        """The ids of the operations that this attempt began."""
        if not request.before:
            yield from (name for name, _ in _numbered("create", request, _groups(request.properties)))
            return
        yield from (name for name, _ in _numbered("delete", request, self._left(request)))
        if self._changes(request):
            yield f"update-{request.token}"
        yield from (name for name, _ in _numbered("create", request, self._joined(request)))

    # ---- how far it is ----

    def ready(self, request: Request) -> bool:
        return all(self._over(request, name) for name in self._begun(request))

    def _over(self, request: Request, name: str) -> bool:
        """Whether an operation has succeeded; raises ResourceFailed with its reasons when it has failed."""
        which = {"StackSetName": request.physical_id, "OperationId": name, **self._as(request)}
        status = self.api(request).describe_stack_set_operation(**which)["StackSetOperation"]["Status"]
        if status == "SUCCEEDED":
            return True
        if status not in ("FAILED", "STOPPED"):
            return False
        results = self.api(request).list_stack_set_operation_results(**which)["Summaries"]
        reasons = "; ".join(result["StatusReason"] for result in results if result.get("StatusReason"))
        raise ResourceFailed(
            f"Operation [{name}] was unexpectedly stopped or failed. status reason(s): [{reasons}]", "InternalFailure"
        )

    def attributes(self, request: Request) -> dict[str, Any]:
        return {"StackSetId": request.physical_id}

    # ---- removal ----

    def delete(self, request: Request) -> None:
        for name, group in _numbered("remove", request, _groups(request.before or request.properties)):
            try:
                self._to(request, "delete_stack_instances", name, group, RetainStacks=False)
            except ClientError as error:
                if not absent(error):
                    raise

    def gone(self, request: Request) -> bool:
        groups = _groups(request.before or request.properties)
        over = all(self._over(request, name) for name, _ in _numbered("remove", request, groups))
        if over:
            self.api(request).delete_stack_set(StackSetName=request.physical_id, **self._as(request))
        return over


def _groups(properties: Mapping[str, Any]) -> list[Group]:
    """One group for each account and region, so that an update tells who comes and who goes."""
    return [
        {
            "DeploymentTargets": {
                "OrganizationalUnitIds": group["DeploymentTargets"]["OrganizationalUnitIds"],
                "AccountFilterType": "INTERSECTION",
                "Accounts": [account],
            },
            "Regions": [region],
        }
        for group in properties.get("StackInstancesGroup", [])
        for account in group["DeploymentTargets"].get("Accounts", [])
        for region in group["Regions"]
    ]


def _check(request: Request) -> None:
    if _unsupported(request.properties):
        raise ResourceFailed(OTHER_TARGETS, "InvalidRequest")


def _unsupported(properties: Mapping[str, Any]) -> bool:
    """Whether a group reaches others than named accounts of units, as far as that is written out."""
    groups = properties.get("StackInstancesGroup", [])
    targets = [each.get("DeploymentTargets", {}) for each in groups if isinstance(each, Mapping)]
    return any(
        isinstance(each, Mapping) and (each.get("AccountFilterType") != "INTERSECTION" or "Accounts" not in each)
        for each in targets
        if not isinstance(each.get("AccountFilterType"), Mapping)
    )


def _numbered(verb: str, request: Request, groups: list[Group]) -> list[tuple[str, Group]]:
    """Each group with the id of the operation on it."""
    return [(f"{verb}-{number}-{request.token}", group) for number, group in enumerate(groups)]


PROVIDERS = (StackSet(),)
