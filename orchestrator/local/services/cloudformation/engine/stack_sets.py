"""What is remembered of stack sets: the set, its operations in the order they were asked for, its instances.

They live in the management account of the organization, whoever made them. A document of each:

- the set: ``id`` (name:uuid), ``name``, ``description``, ``goal``, ``managed``, ``token`` of the request that made it,
  ``administrator``; a goal is ``template`` (digest), ``parameters``, ``capabilities``, ``tags``;
- an operation: ``id``, ``action``, ``status``, ``goal`` as it was when it was asked for, ``preferences``, ``targets``
  as they were asked for, ``retain``, and ``results``, one for each account and region;
- an instance: ``account``, ``region``, ``unit``, ``stack`` (id), ``status``, ``detailed``, ``reason``, ``operation``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.local.services.cloudformation.engine.documents import SERVICE, Documents
from orchestrator.local.services.cloudformation.engine.records import Stack
from orchestrator.local.store import Document, Key

PENDING, RUNNING, DONE, FAILED, CANCELLED = "PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"
UNFINISHED = frozenset({"QUEUED", RUNNING})
STACK_SET_TASK = "cloudformation.stack-set"


def set_key(owner: str, region: str, name: str) -> Key:
    """Where a stack set lives; ``name`` may be its id."""
    return Key(owner, region, SERVICE, "StackSet", name.partition(":")[0])


class StackSets:
    """Reads and writes the documents of stack sets."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._store = documents.store

    def find(self, owner: str, region: str, name: str) -> Document | None:
        """The stack set of a name or an id."""
        found = self._store.get(set_key(owner, region, name))
        return found if found and (":" not in name or found["id"] == name) else None

    def operations(self, owner: str, region: str, stack_set: Document) -> list[tuple[Key, Document]]:
        """The operations of a stack set, oldest first."""
        return self._store.list(SERVICE, "StackSetOperation", owner, region, f"{stack_set['id']}/")

    def operation_key(self, owner: str, region: str, stack_set: Document, operation: str) -> Key:
        """Where an operation lives."""
        return Key(owner, region, SERVICE, "StackSetOperation", f"{stack_set['id']}/{operation}")

    def instances(self, owner: str, region: str, stack_set: Document) -> list[tuple[Key, Document]]:
        """The instances of a stack set, oldest first."""
        return self._store.list(SERVICE, "StackInstance", owner, region, f"{stack_set['id']}/")

    def instance_key(self, owner: str, region: str, stack_set: Document, account: str, place: str) -> Key:
        """Where the instance for an account and a region (``place``) lives."""
        return Key(owner, region, SERVICE, "StackInstance", f"{stack_set['id']}/{account}/{place}")

    def queue(self, owner: str, region: str, stack_set: Document, operation: Document) -> None:
        """Write an operation, and have it done after those before it."""
        with self._documents.transaction():
            self._store.put(self.operation_key(owner, region, stack_set, operation["id"]), operation)
            self._documents.world.tasks.schedule(STACK_SET_TASK, set_key(owner, region, stack_set["name"]))

    def forget(self, owner: str, region: str, stack_set: Document) -> None:
        """Take a stack set and its operations away."""
        with self._documents.transaction():
            for key, _ in self.operations(owner, region, stack_set):
                self._store.delete(key)
            self._store.delete(set_key(owner, region, stack_set["name"]))

    def reason(self, stack: Stack) -> str:
        """Why the last operation on a stack failed: the resource that failed first, as StackSets words it."""
        first: Mapping[str, Any] | None = None
        for event in self._documents.events(stack):
            own = event["PhysicalResourceId"] == stack.id
            if own and event["ResourceStatus"] in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"):
                break
            if event["ResourceStatus"].endswith("_FAILED") and not own:
                first = event
        if first is None:
            return stack.reason or f"Stack {stack.id} is {stack.status}"
        told = (
            ("ResourceLogicalId", first["LogicalResourceId"]),
            ("ResourceType", first["ResourceType"]),
            ("ResourceStatusReason", first.get("ResourceStatusReason", "")),
        )
        return ", ".join(f"{name}:{value}" for name, value in told)


def results_for(targets: Iterable[tuple[str, str, str]]) -> list[Document]:
    """A result to be for each account, region and unit."""
    return [
        {"account": account, "region": region, "unit": unit, "status": PENDING, "reason": ""}
        for account, region, unit in targets
    ]
