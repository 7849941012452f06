"""Creating, updating, deleting and rolling back stacks."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from orchestrator.local.service import Call
from orchestrator.local.services.cloudformation.api.shared import Parameters, Shared, check_name, only
from orchestrator.local.services.cloudformation.engine import removal, start
from orchestrator.local.services.cloudformation.engine.effects import STACK_TASK
from orchestrator.local.services.cloudformation.engine.plan import Plan, plan
from orchestrator.local.services.cloudformation.engine.records import (
    DELETED,
    LIVE_AFTER_FAILURE,
    REVIEW,
    UPDATABLE,
    Goal,
    Stack,
    StackResource,
)
from orchestrator.local.services.cloudformation.engine.run import exports_of
from orchestrator.local.services.cloudformation.engine.validate import check
from orchestrator.local.services.cloudformation.faults import ResourceFailed, invalid, stack_exists, token_used
from orchestrator.local.services.cloudformation.language.frame import Frame
from orchestrator.local.services.cloudformation.language.names import partition

TEMPLATE = ("TemplateBody", "TemplateURL")
GOAL = (*TEMPLATE, "Parameters", "Capabilities", "RoleARN", "NotificationARNs", "Tags")
ON_FAILURE = ("DO_NOTHING", "ROLLBACK", "DELETE")


class StackOperations(Shared):
    """The operations that change stacks. Each writes down what it begins and returns at once."""

    def CreateStack(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Begin to create a stack; the same ClientRequestToken again answers the same stack."""
        only(
            parameters,
            *GOAL,
            "StackName",
            "DisableRollback",
            "OnFailure",
            "TimeoutInMinutes",
            "ClientRequestToken",
            "EnableTerminationProtection",
            "RetainExceptOnCreate",
        )
        name, token = parameters["StackName"], parameters.get("ClientRequestToken", "")
        check_name(name)
        existing = self.documents.find(call.account, call.region, name)
        if existing:
            return self._repeated(existing, token)
        goal, body = self.goal(call, parameters, None)
        stack = self.new_stack(call, name, goal, "CREATE_IN_PROGRESS")
        stack.protected = bool(parameters.get("EnableTerminationProtection"))
        stack.timeout_minutes = int(parameters.get("TimeoutInMinutes") or 0)
        self.judged(stack, goal, body, {}, None)
        with self.documents.transaction():
            existing = self.documents.find(call.account, call.region, name)
            if existing:
                return self._repeated(existing, token)
            operation = start.create(
                self.documents,
                stack,
                _on_failure(parameters),
                token,
                keep_only_old=bool(parameters.get("RetainExceptOnCreate")),
            )
        return {"StackId": stack.id, "OperationId": operation.id}

    @staticmethod
    def _repeated(existing: Stack, token: str) -> dict[str, Any]:
        if token and existing.tokens.get(token) == "create":
            return {"StackId": existing.id}
        raise stack_exists(existing.name)

    def new_stack(self, call: Call, name: str, goal: Goal, status: str) -> Stack:
        """A stack that is not written down yet."""
        path = f"{call.region}:{call.account}:stack/{name}/{uuid.uuid4()}"
        return Stack(
            id=f"arn:{partition(call.region)}:cloudformation:{path}",
            name=name,
            account=call.account,
            region=call.region,
            status=status,
            created=self.world.now(),
            goal=goal,
        )

    def judged(
        self, stack: Stack, goal: Goal, body: str, resources: Mapping[str, StackResource], previous: Frame | None
    ) -> Plan | None:
        """Check a goal as far as that is possible beforehand, and say what it would change.

        Raises ServiceError for everything that is wrong with the template; None when some value is not allowed,
        which only the resource itself will say.
        """
        frame = self.frames.of(stack, goal, body)
        check(frame, goal.capabilities)
        _check_types_stay(frame, resources)
        exports = exports_of(self.documents, stack)
        try:
            return plan(stack, frame, goal.tags, resources, exports, previous)
        except ResourceFailed:
            return None

    def UpdateStack(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Begin to update a stack; refused with "No updates are to be performed." when nothing would change."""
        only(
            parameters,
            *GOAL,
            "StackName",
            "UsePreviousTemplate",
            "DisableRollback",
            "ClientRequestToken",
            "RetainExceptOnCreate",
        )
        stack = self.documents.find(call.account, call.region, parameters["StackName"])
        if stack is None or not stack.live:
            raise invalid(f"Stack [{parameters['StackName']}] does not exist")
        token = parameters.get("ClientRequestToken", "")
        if token in stack.tokens:
            return _seen(stack, token, "update")
        disable = bool(parameters.get("DisableRollback"))
        check_updatable(stack, disable)
        goal, body = self.goal(call, parameters, stack.goal)
        resources = self.documents.resources(stack)
        planned = self.judged(stack, goal, body, resources, self.present_frame(stack))
        if planned is not None and planned.empty and stack.status not in LIVE_AFTER_FAILURE:
            raise invalid("No updates are to be performed.")
        with self.documents.transaction():
            stack = self.documents.get(call.account, call.region, stack.id)
            check_updatable(stack, disable)
            stack.change_set = ""
            self._outdate_change_sets(stack)
            operation = start.update(
                self.documents,
                stack,
                goal,
                token,
                disable_rollback=disable,
                keep_only_old=bool(parameters.get("RetainExceptOnCreate")),
            )
        return {"StackId": stack.id, "OperationId": operation.id}

    def present_frame(self, stack: Stack) -> Frame | None:
        """The frame of what the stack is now; None before its first creation."""
        if not stack.goal.template:
            return None
        return self.frames.of(stack, stack.goal, self.documents.template(stack.goal.template))

    def DeleteStack(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Begin to delete a stack; nothing happens when there is none."""
        only(parameters, "StackName", "RetainResources", "RoleARN", "ClientRequestToken", "DeletionMode")
        self._check_role_of(call, parameters)
        with self.documents.transaction():
            stack = self.documents.find(call.account, call.region, parameters["StackName"])
            if stack is None or stack.status in (DELETED, "DELETE_IN_PROGRESS"):
                return {}
            if stack.protected:
                raise invalid(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
            if stack.status.endswith("_IN_PROGRESS") and stack.status not in (REVIEW, "CREATE_IN_PROGRESS"):
                raise invalid(f"Stack [{stack.id}] cannot be deleted while in status {stack.status}")
            self._delete(stack, parameters)
        return {}

    def _check_role_of(self, call: Call, parameters: Parameters) -> None:
        """Outside any transaction, because the roles are another service's."""
        if parameters.get("RoleARN"):
            self.check_role(call, parameters["RoleARN"])

    def _delete(self, stack: Stack, parameters: Parameters) -> None:
        retain = parameters.get("RetainResources") or []
        force = parameters.get("DeletionMode") == "FORCE_DELETE_STACK"
        if (retain or force) and stack.status != "DELETE_FAILED":
            raise invalid(
                f"Invalid operation on stack [{stack.id}]. RetainResources and FORCE_DELETE_STACK can be used only when"
                " the stack is in the DELETE_FAILED state."
            )
        stack.goal.role = parameters.get("RoleARN") or stack.goal.role
        if stack.status == REVIEW:
            self.drop_change_sets(stack)
            start.vanish(self.documents, stack)
            return
        blocked = removal.blocked_by_importers(self.documents, stack)
        if blocked:
            self.documents.set_status(stack, "DELETE_IN_PROGRESS", start.USER_INITIATED)
            self.documents.set_status(stack, "DELETE_FAILED", blocked)
            return
        start.delete(self.documents, stack, parameters.get("ClientRequestToken", ""), retain, force=force)

    def _outdate_change_sets(self, stack: Stack) -> None:
        """What was planned before an update no longer says what would happen."""
        for key, change_set in self.store.list(self.name, "ChangeSet", stack.account, stack.region):
            if change_set["stack"] == stack.id and change_set["execution"] == "AVAILABLE":
                self.store.patch(key, execution="OBSOLETE")

    def drop_change_sets(self, stack: Stack, keep: str = "") -> None:
        """Forget the change sets of a stack, but for one."""
        for key, change_set in self.store.list(self.name, "ChangeSet", stack.account, stack.region):
            if change_set["stack"] == stack.id and change_set["id"] != keep:
                self.store.delete(key)

    def UpdateTerminationProtection(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Protect a stack from deletion, or not."""
        with self.documents.transaction():
            stack = self.documents.get(call.account, call.region, parameters["StackName"])
            if not stack.live:
                raise invalid(f"Stack [{stack.id}] is in DELETE_COMPLETE state and can not be updated.")
            stack.protected = bool(parameters["EnableTerminationProtection"])
            self.documents.save(stack)
        return {"StackId": stack.id}

    def CancelUpdateStack(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Turn a running update back."""
        with self.documents.transaction():
            stack = self.documents.get(call.account, call.region, parameters["StackName"])
            if stack.status != "UPDATE_IN_PROGRESS" or stack.operation is None or stack.stable is None:
                raise invalid("CancelUpdateStack cannot be called from current stack status")
            stack.operation.reason = start.USER_INITIATED
            stack.operation.on_failure = "ROLLBACK"
            self.documents.save(stack)
            self.tasks.schedule(STACK_TASK, self.documents.stack_key(stack))
        return {}

    def RollbackStack(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Take back a creation or an update that failed and was left as it was."""
        only(parameters, "StackName", "RoleARN", "ClientRequestToken", "RetainExceptOnCreate")
        self._check_role_of(call, parameters)
        with self.documents.transaction():
            stack = self._for_rollback(call, parameters)
            token = parameters.get("ClientRequestToken", "")
            if stack.status == "CREATE_FAILED" or (stack.status == "UPDATE_FAILED" and stack.stable is None):
                keep = bool(parameters.get("RetainExceptOnCreate"))
                operation = start.roll_back_creation(self.documents, stack, token, keep_only_old=keep)
            elif stack.status == "UPDATE_FAILED":
                operation = start.roll_back_update(self.documents, stack, token, [])
            else:
                raise invalid(f"Stack [{stack.name}] is in {stack.status} state and can not be rolled back.")
        return {"StackId": stack.id, "OperationId": operation.id}

    def ContinueUpdateRollback(self, call: Call, parameters: Parameters) -> dict[str, Any]:
        """Go on with a rollback that failed, leaving alone the resources to skip."""
        only(parameters, "StackName", "RoleARN", "ResourcesToSkip", "ClientRequestToken")
        self._check_role_of(call, parameters)
        with self.documents.transaction():
            stack = self._for_rollback(call, parameters)
            if stack.status != "UPDATE_ROLLBACK_FAILED":
                raise invalid(f"Stack [{stack.name}] is in {stack.status} state and can not continue its rollback.")
            skip = parameters.get("ResourcesToSkip") or []
            resources = self.documents.resources(stack)
            for logical in skip:
                if logical not in resources or resources[logical].status != "UPDATE_FAILED":
                    raise invalid(f"Resource [{logical}] cannot be skipped: it is not in UPDATE_FAILED state")
            start.roll_back_update(self.documents, stack, parameters.get("ClientRequestToken", ""), skip)
        return {}

    def _for_rollback(self, call: Call, parameters: Parameters) -> Stack:
        stack = self.documents.get(call.account, call.region, parameters["StackName"])
        stack.goal.role = parameters.get("RoleARN") or stack.goal.role
        return stack


def _on_failure(parameters: Parameters) -> str:
    chosen = parameters.get("OnFailure")
    if chosen and parameters.get("DisableRollback") is not None:
        raise invalid("Only one of DisableRollback or OnFailure may be specified.")
    if chosen and chosen not in ON_FAILURE:
        raise invalid(f"OnFailure must be one of {', '.join(ON_FAILURE)}")
    return str(chosen or ("DO_NOTHING" if parameters.get("DisableRollback") else "ROLLBACK"))


def _seen(stack: Stack, token: str, kind: str) -> dict[str, Any]:
    """The answer to a request that has been made before."""
    if stack.tokens[token] != kind:
        raise token_used(token)
    return {"StackId": stack.id}


def check_updatable(stack: Stack, disable_rollback: bool) -> None:
    """Raise ValidationError when the stack is not in a state in which it can be updated."""
    if stack.status not in UPDATABLE:
        raise invalid(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
    if stack.status in LIVE_AFTER_FAILURE and not disable_rollback:
        raise invalid(
            f"This stack is currently in a non-terminal [{stack.status}] state. To update the stack from this state,"
            " please use the disable-rollback parameter with update-stack API. To rollback to the last known good"
            " state, use the rollback-stack API"
        )


def _check_types_stay(frame: Frame, resources: Mapping[str, StackResource]) -> None:
    changed = [
        logical
        for logical, entry in frame.resources.items()
        if logical in resources and resources[logical].instance and resources[logical].type != entry.type
    ]
    if changed:
        raise invalid(
            "Update of resource type is not permitted. The new template modifies resource type of the following"
            f" resources: [{', '.join(sorted(changed))}]"
        )
