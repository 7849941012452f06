"""The operations of stack sets, carried out: one after another, and within each one account and region after another.

The stacks of a stack set are ordinary stacks of the target account, which AWS's own service makes there: no role of
the account is taken. A step is one transaction, so a stack is begun exactly once.
"""

from __future__ import annotations

import uuid
from typing import Any

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.cloudformation.api.reading import ReadingOperations
from orchestrator.local.services.cloudformation.api.stacks import check_updatable
from orchestrator.local.services.cloudformation.engine import start
from orchestrator.local.services.cloudformation.engine.frames import parsed
from orchestrator.local.services.cloudformation.engine.records import DELETED, Goal, Stack
from orchestrator.local.services.cloudformation.engine.stack_sets import (
    CANCELLED,
    DONE,
    FAILED,
    PENDING,
    RUNNING,
    STACK_SET_TASK,
    UNFINISHED,
    StackSets,
)
from orchestrator.local.services.cloudformation.language.parameters import declarations, merge, settle
from orchestrator.local.store import Document, Key
from orchestrator.local.world import World

POLL_SECONDS = 0.2
NEVER_LIVED = frozenset({"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"})
ARRIVED = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
NOT_RETRIED = "Cancelled since failure tolerance has exceeded"


class StackSetRuns(ReadingOperations):
    """The task of a stack set: brings its oldest unfinished operation forward."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.sets = StackSets(self.documents)

    def register_tasks(self) -> None:
        super().register_tasks()
        self.tasks.register(STACK_SET_TASK, self.advance_stack_set, is_work=True)

    def advance_stack_set(self, key: Key) -> float | None:
        """A delay while a stack is being made, None when every operation is over."""
        while True:
            stack_set = self.store.get(key)
            waiting = self.sets.operations(key.account, key.region, stack_set) if stack_set else []
            found = next(((place, each) for place, each in waiting if each["status"] in UNFINISHED), None)
            if stack_set is None or found is None:
                return None
            delay = self._advance(key, stack_set, *found)
            if delay is not None:
                return delay

    def _advance(self, key: Key, stack_set: Document, place: Key, operation: Document) -> float | None:
        results = operation["results"]
        result = next((each for each in results if each["status"] in (PENDING, RUNNING)), None)
        failed = sum(each["status"] == FAILED for each in results)
        tolerated = failed <= operation["preferences"].get("FailureToleranceCount", 0)
        operation["status"] = RUNNING
        if result is None:
            operation["status"], operation["ended"] = (DONE if tolerated else FAILED), self.world.now()
        elif result["status"] == PENDING and not tolerated:
            result["status"], result["reason"] = CANCELLED, NOT_RETRIED
        else:
            return self._go_on(key, stack_set, place, operation, result)
        self.store.put(place, operation)
        return None

    def _go_on(self, key: Key, stack_set: Document, place: Key, operation: Document, result: Document) -> float | None:
        """Begin the stack of a result, or look how far it is."""
        goal: Goal | None = None
        try:
            if result["status"] == PENDING and operation["action"] != "DELETE":
                goal = self._goal_in(operation["goal"], result["account"], result["region"])
            with self.documents.transaction():
                delay = self._one_step(key, stack_set, operation, result, goal)
                self.store.put(place, operation)
            return delay
        except ServiceError as error:  # the template, a value of it, or the state of the stack
            with self.documents.transaction():
                self._end(key, stack_set, operation, result, FAILED, error.message)
                self.store.put(place, operation)
            return None

    def _goal_in(self, wanted: Document, account: str, region: str) -> Goal:
        """What a stack is to be; parameters that SSM keeps are looked up in the target account."""
        body = self.documents.template(wanted["template"])
        declared = declarations(parsed(body).parameters)

        def fetch(names: list[str]) -> dict[str, str]:
            client = self.world.client("ssm", account, region)
            return {each["Name"]: each["Value"] for each in client.get_parameters(Names=names)["Parameters"]}

        goal = Goal(
            template=wanted["template"],
            description=parsed(body).description,
            tags=wanted["tags"],
            capabilities=wanted["capabilities"],
        )
        goal.set_values(settle(declared, merge(declared, wanted["parameters"], None), fetch))
        return goal

    def _one_step(
        self, key: Key, stack_set: Document, operation: Document, result: Document, goal: Goal | None
    ) -> float | None:
        instance = self._instance(key, stack_set, result)
        stack = (
            self.documents.find(result["account"], result["region"], instance["stack"]) if instance["stack"] else None
        )
        if stack is not None and stack.status.endswith("_IN_PROGRESS"):
            return POLL_SECONDS
        if operation["action"] == "DELETE":
            self._delete_step(key, stack_set, operation, result, stack)
        elif result["status"] == RUNNING:
            arrived = stack is not None and stack.status in ARRIVED
            reason = "" if arrived or stack is None else self.sets.reason(stack)
            self._end(key, stack_set, operation, result, DONE if arrived else FAILED, reason)
        elif goal is not None:
            self._begin(key, stack_set, operation, result, goal, stack)
        return None

    def _delete_step(
        self, key: Key, stack_set: Document, operation: Document, result: Document, stack: Stack | None
    ) -> None:
        place = self.sets.instance_key(key.account, key.region, stack_set, result["account"], result["region"])
        if stack is None or stack.status == DELETED or operation["retain"]:
            self.store.delete(place)
            result["status"] = DONE
        elif result["status"] == RUNNING:
            self._end(key, stack_set, operation, result, FAILED, self.sets.reason(stack))
        else:
            self._delete(stack, {})
            self._note(key, stack_set, operation, result, RUNNING)

    def _begin(
        self, key: Key, stack_set: Document, operation: Document, result: Document, goal: Goal, stack: Stack | None
    ) -> None:
        """Make or change the stack of a result. One that never lived goes first, and another is made in its place."""
        body = self.documents.template(goal.template)
        if stack is not None and stack.status in NEVER_LIVED:
            self._delete(stack, {})
            return
        if stack is None or stack.status == DELETED:
            call = Call(result["account"], result["region"], result["account"], "", {})
            made = self.new_stack(call, f"StackSet-{stack_set['name']}-{uuid.uuid4()}", goal, "CREATE_IN_PROGRESS")
            self.judged(made, goal, body, {}, None)
            start.create(self.documents, made, "ROLLBACK", "")
            self._note(key, stack_set, operation, result, RUNNING, stack=made.id)
            return
        check_updatable(stack, disable_rollback=False)
        planned = self.judged(stack, goal, body, self.documents.resources(stack), self.present_frame(stack))
        if planned is not None and planned.empty:
            self._end(key, stack_set, operation, result, DONE, "")
            return
        start.update(self.documents, stack, goal, "")
        self._note(key, stack_set, operation, result, RUNNING)

    # ---- what is written down ----

    def _instance(self, key: Key, stack_set: Document, result: Document) -> Document:
        place = self.sets.instance_key(key.account, key.region, stack_set, result["account"], result["region"])
        new = {"account": result["account"], "region": result["region"], "unit": result["unit"], "stack": ""}
        return self.store.get(place) or {
            **new,
            "status": "OUTDATED",
            "detailed": PENDING,
            "reason": "",
            "operation": "",
        }

    def _note(
        self, key: Key, stack_set: Document, operation: Document, result: Document, progress: str, **members: Any
    ) -> None:
        """Say how far a result is, and its instance too."""
        result["status"] = progress
        instance = self._instance(key, stack_set, result) | {"operation": operation["id"], "detailed": progress}
        place = self.sets.instance_key(key.account, key.region, stack_set, result["account"], result["region"])
        self.store.put(place, instance | members)

    def _end(
        self, key: Key, stack_set: Document, operation: Document, result: Document, status: str, reason: str
    ) -> None:
        deleting = operation["action"] == "DELETE"
        state = "CURRENT" if status == DONE else "INOPERABLE" if deleting else "OUTDATED"
        result["reason"] = reason
        self._note(key, stack_set, operation, result, status, status=state, reason=reason)
