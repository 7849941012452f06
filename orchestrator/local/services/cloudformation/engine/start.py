"""The beginning of each operation: written down with its first event and its task, in one transaction."""

from __future__ import annotations

import uuid

from orchestrator.local.services.cloudformation.engine import removal
from orchestrator.local.services.cloudformation.engine.documents import Documents
from orchestrator.local.services.cloudformation.engine.effects import STACK_TASK
from orchestrator.local.services.cloudformation.engine.frames import copy_goal
from orchestrator.local.services.cloudformation.engine.records import DELETED, Goal, Operation, Stack

TOKENS_KEPT = 100
USER_INITIATED = "User Initiated"


def _operation(stack: Stack, kind: str, phase: str, token: str) -> Operation:
    operation = Operation(id=str(uuid.uuid4()), kind=kind, phase=phase, token=token)
    stack.operation = operation
    if token:
        stack.tokens = dict([*stack.tokens.items(), (token, kind)][-TOKENS_KEPT:])
    return operation


def _go(documents: Documents, stack: Stack) -> None:
    documents.world.tasks.schedule(STACK_TASK, documents.stack_key(stack))


def create(
    documents: Documents, stack: Stack, on_failure: str, token: str, *, keep_only_old: bool = False
) -> Operation:
    """Begin to create a stack whose goal is set."""
    with documents.transaction():
        operation = _operation(stack, "create", "forward", token)
        operation.on_failure, operation.keep_only_old = on_failure, keep_only_old
        stack.disable_rollback = on_failure == "DO_NOTHING"
        if stack.timeout_minutes:
            operation.deadline = documents.world.now() + 60.0 * stack.timeout_minutes
        documents.set_status(stack, "CREATE_IN_PROGRESS", USER_INITIATED)
        _go(documents, stack)
    return operation


def update(
    documents: Documents,
    stack: Stack,
    goal: Goal,
    token: str,
    *,
    disable_rollback: bool = False,
    keep_only_old: bool = False,
) -> Operation:
    """Begin to bring a stack to another goal; what it was is kept until that has succeeded."""
    with documents.transaction():
        if stack.status != "CREATE_FAILED" and stack.stable is None:
            stack.stable = copy_goal(stack.goal)
        stack.goal = goal
        operation = _operation(stack, "update", "forward", token)
        operation.on_failure = "DO_NOTHING" if disable_rollback else "ROLLBACK"
        operation.keep_only_old = keep_only_old
        stack.disable_rollback = disable_rollback
        documents.set_status(stack, "UPDATE_IN_PROGRESS", USER_INITIATED)
        _go(documents, stack)
    return operation


def delete(documents: Documents, stack: Stack, token: str, retain: list[str], *, force: bool = False) -> Operation:
    """Begin to delete a stack; what is being made at this moment is finished first."""
    with documents.transaction():
        operation = _operation(stack, "delete", "remove", token)
        operation.retain, operation.force = retain, force
        _begin_phase(documents, stack, "DELETE_IN_PROGRESS", USER_INITIATED)
    return operation


def roll_back_creation(documents: Documents, stack: Stack, token: str, *, keep_only_old: bool) -> Operation:
    """Begin to remove what a failed creation left."""
    with documents.transaction():
        operation = _operation(stack, "rollback", "remove", token)
        operation.keep_only_old = keep_only_old
        _begin_phase(documents, stack, "ROLLBACK_IN_PROGRESS", USER_INITIATED)
    return operation


def _begin_phase(documents: Documents, stack: Stack, status: str, reason: str) -> None:
    documents.set_status(stack, status, reason)
    removal.mark_stack(documents, stack)
    _go(documents, stack)


def roll_back_update(documents: Documents, stack: Stack, token: str, skip: list[str]) -> Operation:
    """Begin (or go on) to bring a stack back to what it was before a failed update."""
    with documents.transaction():
        operation = _operation(stack, "update", "undo", token)
        operation.skip = skip
        if stack.stable:
            stack.goal = copy_goal(stack.stable)
        documents.set_status(stack, "UPDATE_ROLLBACK_IN_PROGRESS", USER_INITIATED)
        _go(documents, stack)
    return operation


def vanish(documents: Documents, stack: Stack) -> None:
    """Delete a stack that never had resources."""
    with documents.transaction():
        documents.set_status(stack, DELETED, USER_INITIATED)
