"""An embedded AWS for the stack tests: make stacks, wait for them, and read what happened."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from orchestrator.local.embedded import EmbeddedAws
from orchestrator.local.world import World

PATIENCE_SECONDS = 60.0
REGION = "us-east-1"
HUB = "111111111111"
NAMES = itertools.count(1)


class Cloud:
    """One embedded AWS, seen from one account."""

    def __init__(self, home: Path, embedded: EmbeddedAws | None = None, account: str = HUB) -> None:
        self.home = home
        self.account = account
        if embedded is None:
            embedded = EmbeddedAws(home)
            embedded.start()
        self._embedded = embedded
        self.cf = self.client("cloudformation")

    @property
    def world(self) -> World:
        return self._embedded.world

    def client(self, service: str, role: str = "") -> Any:
        return self.world.client(service, self.account, REGION, role)

    def restart(self) -> None:
        port = int(self._embedded.endpoint.rpartition(":")[2])
        self._embedded.stop()
        self._embedded = EmbeddedAws(self.home, port)
        self._embedded.start()
        self.cf = self.client("cloudformation")

    def stop(self) -> None:
        self._embedded.stop()

    @staticmethod
    def name(prefix: str = "stack") -> str:
        """A stack name nobody else has."""
        return f"{prefix}-{next(NAMES)}"

    # Stacks

    def create(self, template: Any, name: str = "", **request: Any) -> dict[str, Any]:
        """Create a stack and wait until it is at rest."""
        answer = self.cf.create_stack(StackName=name or self.name(), **body(template), **shaped(request))
        return self.wait(answer["StackId"])

    def update(self, stack: dict[str, Any], template: Any = None, **request: Any) -> dict[str, Any]:
        """Update a stack (with its own template when none is given) and wait."""
        source = {"UsePreviousTemplate": True} if template is None else body(template)
        self.cf.update_stack(StackName=stack["StackId"], **source, **shaped(request))
        return self.wait(stack["StackId"])

    def delete(self, stack: dict[str, Any], **request: Any) -> dict[str, Any]:
        """Delete a stack and wait."""
        self.cf.delete_stack(StackName=stack["StackId"], **request)
        return self.wait(stack["StackId"])

    def stack(self, stack_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cf.describe_stacks(StackName=stack_id)["Stacks"][0]
        return found

    def wait(self, stack_id: str, *until: str) -> dict[str, Any]:
        """The stack, once it is at rest or in one of the statuses."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            stack = self.stack(stack_id)
            status = stack["StackStatus"]
            if status in until or (not until and not status.endswith("_IN_PROGRESS")):
                return stack
            time.sleep(0.02)
        raise AssertionError(f"{stack_id} is still {self.stack(stack_id)['StackStatus']}: {self.history(stack_id)}")

    def history(self, stack: Any) -> list[str]:
        """``logical status`` of every event, oldest first."""
        return [f"{event['LogicalResourceId']} {event['ResourceStatus']}" for event in self.events(stack)]

    def events(self, stack: Any) -> list[dict[str, Any]]:
        """Every event, oldest first."""
        stack_id = stack if isinstance(stack, str) else stack["StackId"]
        pages = self.cf.get_paginator("describe_stack_events").paginate(StackName=stack_id)
        return list(reversed([event for page in pages for event in page["StackEvents"]]))

    def reason(self, stack: Any, logical: str, status: str) -> str:
        """The reason of the last event of a resource in a status."""
        for event in reversed(self.events(stack)):
            if (event["LogicalResourceId"], event["ResourceStatus"]) == (logical, status):
                return str(event.get("ResourceStatusReason", ""))
        raise AssertionError(f"{logical} was never {status}: {self.history(stack)}")

    def failures(self, stack: Any) -> list[str]:
        """What went wrong, for the message of an assertion."""
        return [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
            for event in self.events(stack)
            if event["ResourceStatus"].endswith("_FAILED")
        ]

    def physical(self, stack: Any, logical: str) -> str:
        """The physical id of a resource."""
        stack_id = stack if isinstance(stack, str) else stack["StackId"]
        answer = self.cf.describe_stack_resource(StackName=stack_id, LogicalResourceId=logical)
        return str(answer["StackResourceDetail"]["PhysicalResourceId"])

    def resources(self, stack: dict[str, Any]) -> dict[str, str]:
        """The status of every resource."""
        answer = self.cf.describe_stack_resources(StackName=stack["StackId"])
        return {each["LogicalResourceId"]: each["ResourceStatus"] for each in answer["StackResources"]}

    def change_set(self, stack_name: str, template: Any = None, name: str = "look", **request: Any) -> dict[str, Any]:
        """Create a change set and wait until it is computed."""
        source = {"UsePreviousTemplate": True} if template is None else body(template)
        made = self.cf.create_change_set(StackName=stack_name, ChangeSetName=name, **source, **shaped(request))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.cf.describe_change_set(ChangeSetName=made["Id"], IncludePropertyValues=True)
            if found["Status"] in ("CREATE_COMPLETE", "FAILED"):
                return found
            time.sleep(0.02)
        raise AssertionError("the change set was never computed")


def body(template: Any) -> dict[str, str]:
    """The template as a request parameter: its text, or where it lies."""
    if isinstance(template, str) and template.startswith("https://"):
        return {"TemplateURL": template}
    return {"TemplateBody": template if isinstance(template, str) else json.dumps(template)}


def shaped(request: dict[str, Any]) -> dict[str, Any]:
    """``parameters`` and ``tags`` given as maps, as the API wants them."""
    parameters, tags = request.pop("parameters", None), request.pop("tags", None)
    if parameters is not None:
        entries = parameters.items()
        request["Parameters"] = [{"ParameterKey": key, "ParameterValue": str(value)} for key, value in entries]
    if tags is not None:
        request["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    return request


def outputs(stack: dict[str, Any]) -> dict[str, str]:
    """The stack's outputs as a map."""
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def refusal(error: ClientError) -> tuple[str, str]:
    """Code and message of an API error."""
    return error.response["Error"]["Code"], error.response["Error"]["Message"]


def exists(call: Any, **parameters: Any) -> bool:
    """Whether the API finds the thing."""
    try:
        call(**parameters)
    except ClientError:
        return False
    return True
