"""Change sets: what an operation would do, shown before it is done."""

from __future__ import annotations

import re
import uuid
from dataclasses import asdict
from typing import Any

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.cloudformation.api.shared import PAGE, Parameters, check_name, only, page, paged
from orchestrator.local.services.cloudformation.api.stacks import GOAL, ON_FAILURE, StackOperations, check_updatable
from orchestrator.local.services.cloudformation.engine import start
from orchestrator.local.services.cloudformation.engine.frames import copy_goal
from orchestrator.local.services.cloudformation.engine.machine import change_set_key
from orchestrator.local.services.cloudformation.engine.plan import Plan, plan
from orchestrator.local.services.cloudformation.engine.records import REVIEW, Goal, Stack
from orchestrator.local.services.cloudformation.engine.run import exports_of
from orchestrator.local.services.cloudformation.engine.validate import check
from orchestrator.local.services.cloudformation.faults import (
    ResourceFailed,
    change_set_exists,
    change_set_missing,
    change_set_status,
    invalid,
)
from orchestrator.local.services.cloudformation.language.names import partition
from orchestrator.local.services.cloudformation.language.parameters import MASK
from orchestrator.local.store import Document, Key

CHANGE_SET_TASK = "cloudformation.change-set"
CHANGE_SET_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
NOTHING_CHANGES = (
    "The submitted information didn't contain changes. Submit different information to create a change set."
)
VALUES_OF_TARGETS = ("BeforeValue", "AfterValue")
CONTEXTS = ("BeforeContext", "AfterContext")


class ChangeSetOperations(StackOperations):
    """The operations on change sets. A change set is computed by its own task after the request has been answered."""

    def register_tasks(self) -> None:
        super().register_tasks()
        self.tasks.register(CHANGE_SET_TASK, self.compute_change_set)

    def CreateChangeSet(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Begin to compute a change set; of type CREATE it makes the stack, in review."""
        only(
            parameters,
            *GOAL,
            "StackName",
            "UsePreviousTemplate",
            "ChangeSetName",
            "ClientToken",
            "Description",
            "ChangeSetType",
            "OnStackFailure",
        )
        name, kind = parameters["ChangeSetName"], parameters.get("ChangeSetType", "UPDATE")
        if not CHANGE_SET_NAME.fullmatch(name):
            raise invalid(
                f"1 validation error detected: Value '{name}' at 'changeSetName' failed to satisfy constraint: Member"
                " must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
            )
        if kind not in ("CREATE", "UPDATE"):
            raise invalid(f"The embedded AWS does not support change sets of type {kind}.")
        if parameters.get("OnStackFailure", "ROLLBACK") not in ON_FAILURE:
            raise invalid(f"OnStackFailure must be one of {', '.join(ON_FAILURE)}")
        stack = self._stack_for(call, parameters["StackName"], kind, name)
        repeated = self._repeated_change_set(stack, name, parameters.get("ClientToken", ""))
        if repeated:
            return repeated
        goal, body = self.goal(call, parameters, stack.goal if stack.goal.template else None)
        resources = self.documents.resources(stack)
        self.judged(stack, goal, body, resources, self.present_frame(stack))
        return self._write_change_set(stack, goal, parameters, kind)

    def _stack_for(self, call: Call, name: str, kind: str, change_set: str) -> Stack:
        stack = self.documents.find(call.account, call.region, name)
        if stack is not None and not stack.live:
            stack = None
        if kind == "UPDATE":
            if stack is None:
                raise invalid(f"Stack [{name}] does not exist")
            check_updatable(stack, disable_rollback=True)
            return stack
        if stack is not None:
            if stack.status != REVIEW:
                raise invalid(
                    f"Stack [{name}] already exists and cannot be created again with the changeSet [{change_set}]."
                )
            return stack
        check_name(name)
        return self.new_stack(call, name, Goal(), REVIEW)

    def _repeated_change_set(self, stack: Stack, name: str, token: str) -> dict[str, Any] | None:
        """The answer to the same request made before; raises AlreadyExistsException for another one of the name."""
        existing = self._find_by_name(stack, name)
        if existing is None or existing["execution"].startswith("EXECUTE_"):
            return None
        if token and existing["token"] == token:
            return {"Id": existing["id"], "StackId": existing["stack"]}
        raise change_set_exists(name)

    def _write_change_set(self, stack: Stack, goal: Goal, parameters: Parameters, kind: str) -> dict[str, Any]:
        name = parameters["ChangeSetName"]
        place = f"{stack.region}:{stack.account}:changeSet/{name}/{uuid.uuid4()}"
        change_set: Document = {
            "id": f"arn:{partition(stack.region)}:cloudformation:{place}",
            "name": name,
            "stack": stack.id,
            "stack_name": stack.name,
            "kind": kind,
            "goal": asdict(goal),
            "description": parameters.get("Description", ""),
            "token": parameters.get("ClientToken", ""),
            "on_failure": parameters.get("OnStackFailure", ""),
            "created": self.world.now(),
            "status": "CREATE_PENDING",
            "reason": "",
            "execution": "UNAVAILABLE",
            "execution_token": "",
            "changes": [],
        }
        key = change_set_key(change_set["id"])
        with self.documents.transaction():
            if self.documents.load(self.documents.stack_key(stack)) is None:
                self.documents.set_status(stack, REVIEW, start.USER_INITIATED)
            self.store.put(key, change_set)
            self.tasks.schedule(CHANGE_SET_TASK, key)
        return {"Id": change_set["id"], "StackId": stack.id}

    def compute_change_set(self, key: Key) -> None:
        """Compare the stack with what the change set wants, and write the outcome."""
        with self.documents.transaction():
            change_set = self.store.get(key)
            if change_set is None or change_set["status"] != "CREATE_PENDING":
                return
            stack = self.documents.get(key.account, key.region, change_set["stack"])
            try:
                planned = self._planned(stack, Goal(**change_set["goal"]))
            except (ServiceError, ResourceFailed) as error:
                self.store.patch(key, status="FAILED", reason=error.message)
                return
            if planned.empty:
                self.store.patch(key, status="FAILED", reason=NOTHING_CHANGES)
                return
            self.store.patch(key, status="CREATE_COMPLETE", execution="AVAILABLE", changes=planned.changes)

    def _planned(self, stack: Stack, goal: Goal) -> Plan:
        frame = self.frames.of(stack, goal, self.documents.template(goal.template))
        check(frame, goal.capabilities)
        exports = exports_of(self.documents, stack)
        for name in frame.imports():
            if exports.get(name) is None:
                raise invalid(f"No export named {name} found.")
        resources = self.documents.resources(stack)
        return plan(stack, frame, goal.tags, resources, exports, self.present_frame(stack))

    def DescribeChangeSet(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """A change set with its changes, a page at a time."""
        change_set = self._change_set(call, parameters)
        with_values = bool(parameters.get("IncludePropertyValues"))
        changes = [_shown(change, with_values) for change in change_set["changes"]]
        shown, following = page(changes, parameters.get("NextToken"), PAGE)
        goal = Goal(**change_set["goal"])
        answer = {
            **self._summary(change_set),
            "Parameters": parameters_of(goal),
            "NotificationARNs": goal.notifications,
            "Capabilities": goal.capabilities,
            "Tags": goal.tags,
            "Changes": shown,
        }
        if following:
            answer["NextToken"] = following
        if change_set["on_failure"]:
            answer["OnStackFailure"] = change_set["on_failure"]
        return answer

    @staticmethod
    def _summary(change_set: Document) -> dict[str, Any]:
        summary = {
            "ChangeSetName": change_set["name"],
            "ChangeSetId": change_set["id"],
            "StackId": change_set["stack"],
            "StackName": change_set["stack_name"],
            "CreationTime": change_set["created"],
            "ExecutionStatus": change_set["execution"],
            "Status": change_set["status"],
            "IncludeNestedStacks": False,
        }
        for member, name in (("StatusReason", "reason"), ("Description", "description")):
            if change_set[name]:
                summary[member] = change_set[name]
        return summary

    def ListChangeSets(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """The change sets of a stack that have not been executed."""
        stack = self.documents.get(call.account, call.region, parameters["StackName"])
        found = [each for each in self._change_sets(stack) if not each["execution"].startswith("EXECUTE_")]
        return paged("Summaries", [self._summary(change_set) for change_set in found], parameters)

    def ExecuteChangeSet(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Begin what a change set says; the stack's other change sets are forgotten, being out of date."""
        token = parameters.get("ClientRequestToken", "")
        with self.documents.transaction():
            change_set = self._change_set(call, parameters)
            if token and change_set["execution_token"] == token:
                return {}
            if change_set["execution"] == "OBSOLETE":
                raise change_set_status(
                    f"ChangeSet [{change_set['id']}] cannot be executed: the stack has been updated since it was made"
                )
            if change_set["execution"] != "AVAILABLE":
                raise change_set_status(
                    f"ChangeSet [{change_set['id']}] cannot be executed in its current status of"
                    f" [{change_set['status']}]"
                )
            stack = self.documents.get(call.account, call.region, change_set["stack"])
            self._execute(stack, change_set, parameters, token)
        return {}

    def _execute(self, stack: Stack, change_set: Document, parameters: Parameters, token: str) -> None:
        disable, on_failure = parameters.get("DisableRollback"), change_set["on_failure"]
        if disable is not None and on_failure:
            raise invalid("Only one of DisableRollback or OnStackFailure may be specified.")
        keep_only_old = bool(parameters.get("RetainExceptOnCreate"))
        key = change_set_key(change_set["id"])
        goal = copy_goal(Goal(**change_set["goal"]))
        if change_set["kind"] == "CREATE":
            if stack.status != REVIEW:
                raise invalid(f"Stack:{stack.id} is in {stack.status} state and can not be created.")
            stack.goal, stack.change_set = goal, change_set["id"]
            chosen = on_failure or ("DO_NOTHING" if disable else "ROLLBACK")
            start.create(self.documents, stack, chosen, token, keep_only_old=keep_only_old)
        else:
            disabled = bool(disable) or on_failure == "DO_NOTHING"
            check_updatable(stack, disabled)
            stack.change_set = change_set["id"]
            start.update(self.documents, stack, goal, token, disable_rollback=disabled, keep_only_old=keep_only_old)
        self.store.patch(key, execution="EXECUTE_IN_PROGRESS", execution_token=token)
        self.drop_change_sets(stack, keep=change_set["id"])

    def DeleteChangeSet(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Forget a change set; nothing happens when the stack has none of the name."""
        with self.documents.transaction():
            try:
                change_set = self._change_set(call, parameters)
            except ServiceError as error:
                if error.code == "ChangeSetNotFound":
                    return {}
                raise
            if change_set["execution"] == "EXECUTE_IN_PROGRESS":
                raise change_set_status(
                    f"ChangeSet [{change_set['id']}] cannot be deleted in its current status of"
                    f" [{change_set['execution']}]"
                )
            self.store.delete(change_set_key(change_set["id"]))
        return {}

    # Looking up

    def _change_sets(self, stack: Stack) -> list[Document]:
        found = self.store.list(self.name, "ChangeSet", stack.account, stack.region)
        return [document for _, document in found if document["stack"] == stack.id]

    def _find_by_name(self, stack: Stack, name: str) -> Document | None:
        """The latest of the name: an executed one is still shown until there is another."""
        return next((each for each in reversed(self._change_sets(stack)) if each["name"] == name), None)

    def governing(self, arn: str) -> str:
        """A change set is made, looked at and executed with permissions on its stack."""
        change_set = self.store.get(change_set_key(arn)) if ":changeSet/" in arn else None
        return str(change_set["stack"]) if change_set else arn

    def _change_set(self, call: Call, parameters: Parameters) -> Document:
        name, stack_name = parameters["ChangeSetName"], parameters.get("StackName")
        change_set: Document | None = None
        if name.startswith("arn:"):
            key = change_set_key(name)
            if (key.account, key.region) == (call.account, call.region):
                change_set = self.store.get(key)
        elif stack_name:
            stack = self.documents.find(call.account, call.region, stack_name)
            if stack is None:
                raise invalid(f"Stack [{stack_name}] does not exist")
            change_set = self._find_by_name(stack, name)
        else:
            raise invalid("StackName must be specified if ChangeSetName is not specified as an ARN.")
        if change_set is None:
            raise change_set_missing(name)
        return change_set


def parameters_of(goal: Goal) -> list[dict[str, str]]:
    """Parameters as they are shown: hidden ones masked, SSM ones with what they named."""
    shown = []
    for value in goal.values.values():
        entry = {"ParameterKey": value.name, "ParameterValue": MASK if value.hidden else value.given}
        if value.resolved is not None:
            entry["ResolvedValue"] = MASK if value.hidden else value.resolved
        shown.append(entry)
    return shown


def _shown(change: dict[str, Any], with_values: bool) -> dict[str, Any]:
    """A change with or without the values behind it."""
    if with_values:
        return change
    resource = {name: value for name, value in change["ResourceChange"].items() if name not in CONTEXTS}
    resource["Details"] = [
        {**detail, "Target": {name: part for name, part in detail["Target"].items() if name not in VALUES_OF_TARGETS}}
        for detail in resource["Details"]
    ]
    return {**change, "ResourceChange": resource}
