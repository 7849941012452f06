"""One look at a stack under way: its record, its resources, and what the phases need to decide and to begin."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from orchestrator.local.services.cloudformation.engine.documents import Documents
from orchestrator.local.services.cloudformation.engine.effects import RESOURCE_TASK
from orchestrator.local.services.cloudformation.engine.frames import Frames
from orchestrator.local.services.cloudformation.engine.records import Goal, Operation, Stack, StackResource, Work
from orchestrator.local.services.cloudformation.engine.values import Exports
from orchestrator.local.services.cloudformation.language.frame import Frame


def exports_of(documents: Documents, stack: Stack) -> Exports:
    """The exports that a stack can see."""
    return Exports(lambda: documents.exports(stack.account, stack.region))


@dataclass
class Run:
    """Made anew for each step of a stack, inside one transaction."""

    documents: Documents
    frames: Frames
    stack: Stack
    operation: Operation
    resources: dict[str, StackResource] = field(default_factory=dict)
    exports: Exports = field(init=False)

    def __post_init__(self) -> None:
        self.exports = exports_of(self.documents, self.stack)

    @property
    def working(self) -> list[StackResource]:
        """The resources that something is being done to."""
        return [resource for resource in self.resources.values() if resource.work]

    def frame(self, goal: Goal | None = None) -> Frame:
        """The frame of the stack's goal, or of another."""
        goal = goal or self.stack.goal
        return self.frames.of(self.stack, goal, self.documents.template(goal.template))

    def save(self) -> None:
        """Write the stack."""
        self.documents.save(self.stack)

    def status(self, status: str, reason: str = "") -> None:
        """Give the stack a status."""
        self.documents.set_status(self.stack, status, reason)

    def turn_to(self, phase: str) -> None:
        """Begin another phase; what failed in the last one is its own affair."""
        self.operation.phase = phase
        self.operation.failed = []
        self.operation.reason = ""
        self.save()

    def begin(self, resource: StackResource, work: Work, status: str, reason: str = "") -> None:
        """Write what is to be done to a resource, and have it done."""
        resource.work = work
        work.since = self.documents.world.now()
        self.resources[resource.logical] = resource
        physical_id = work.made.physical_id if work.made else resource.physical_id
        if work.action == "discard":
            self.documents.save_resource(self.stack, resource)
            self.documents.note_resource(self.stack, resource, status, reason, physical_id)
        else:
            self.documents.set_resource_status(self.stack, resource, status, reason, physical_id)
        key = self.documents.resource_key(self.stack, resource.logical)
        self.documents.world.tasks.schedule(RESOURCE_TASK, key)

    def work(self, action: str, stage: str) -> Work:
        """A piece of work of this phase."""
        return Work(action=action, stage=stage, turn=self.operation.turn, token=uuid.uuid4().hex)
