"""CloudFormation: stacks within stacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from orchestrator.local.services.cloudformation.faults import NotYet, ResourceFailed
from orchestrator.local.services.cloudformation.providers.contract import (
    Naming,
    Provider,
    Request,
    found,
    tag_list,
)

NO_UPDATES = "No updates are to be performed."
DELETED = "DELETE_COMPLETE"


class Stack(Provider):
    """AWS::CloudFormation::Stack. An update of the parent always reaches it: its template may have changed."""

    type = "AWS::CloudFormation::Stack"
    service = "cloudformation"
    naming = Naming("", 128)
    updates_always = True

    def make(self, request: Request) -> str:
        """The token makes a repeated call answer the same stack."""
        properties = request.properties
        extra: dict[str, Any] = {}
        if "TimeoutInMinutes" in properties:
            extra["TimeoutInMinutes"] = properties["TimeoutInMinutes"]
        answer = self.api(request).create_stack(StackName=request.name, **self._wanted(request), **extra)
        return str(answer["StackId"])

    @staticmethod
    def _wanted(request: Request) -> dict[str, Any]:
        properties = request.properties
        parameters: Mapping[str, Any] = properties.get("Parameters", {})
        wanted = {
            "TemplateURL": properties["TemplateURL"],
            "Parameters": [{"ParameterKey": key, "ParameterValue": str(value)} for key, value in parameters.items()],
            "Tags": tag_list(properties.get("Tags")),
            "Capabilities": list(request.capabilities),
            "NotificationARNs": properties.get("NotificationARNs", []),
            "ClientRequestToken": request.token,
        }
        return {**wanted, "RoleARN": request.role} if request.role else wanted

    def update(self, request: Request) -> None:
        try:
            self.api(request).update_stack(StackName=request.physical_id, **self._wanted(request))
        except ClientError as error:
            if NO_UPDATES not in error.response["Error"]["Message"]:
                raise

    def _describe(self, request: Request) -> Any:
        return self.api(request).describe_stacks(StackName=request.physical_id)["Stacks"][0]

    def ready(self, request: Request) -> bool:
        stack = self._describe(request)
        status = stack["StackStatus"]
        if status.endswith("_IN_PROGRESS"):
            return False
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return True
        if request.before and status == "UPDATE_ROLLBACK_COMPLETE" and not self._turned_back(request):
            return True
        verb = "updated" if request.before else "created"
        raise ResourceFailed(
            f"Embedded stack {request.physical_id} was not successfully {verb}: {self._reason(request, stack)}",
            "NotStabilized",
        )

    def _turned_back(self, request: Request) -> bool:
        """Whether this very update was rolled back, rather than an earlier one."""
        events = self.api(request).describe_stack_events(StackName=request.physical_id)["StackEvents"]
        return any(event.get("ClientRequestToken") == request.token for event in events)

    def _reason(self, request: Request, stack: Mapping[str, Any]) -> str:
        """Why the stack turned round: the reason of the status in which it did."""
        events = self.api(request).describe_stack_events(StackName=request.physical_id)["StackEvents"]
        for event in events:
            rolled_back = event["ResourceStatus"] in ("ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS")
            if event["PhysicalResourceId"] == request.physical_id and rolled_back:
                return str(event.get("ResourceStatusReason", ""))
        return str(stack.get("StackStatusReason", stack["StackStatus"]))

    def attributes(self, request: Request) -> dict[str, Any]:
        outputs = self._describe(request).get("Outputs", [])
        return {f"Outputs.{output['OutputKey']}": output["OutputValue"] for output in outputs}

    def delete(self, request: Request) -> None:
        stack = found(lambda: self._describe(request))
        status = stack["StackStatus"] if stack else DELETED
        if status.endswith("_IN_PROGRESS") and status not in ("CREATE_IN_PROGRESS", "DELETE_IN_PROGRESS"):
            raise NotYet
        if status != DELETED:
            self.api(request).delete_stack(StackName=request.physical_id)

    def gone(self, request: Request) -> bool:
        stack = self._describe(request)
        if stack["StackStatus"] == "DELETE_FAILED":
            raise ResourceFailed(f"Embedded stack {request.physical_id} was not deleted: {stack['StackStatusReason']}")
        return bool(stack["StackStatus"] == DELETED)


PROVIDERS = (Stack(),)
