"""What is remembered of a stack: its own record, one for each resource, and the operation under way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from orchestrator.local.services.cloudformation.language.parameters import Value
from orchestrator.local.store import Document

IN_PROGRESS = "_IN_PROGRESS"
LIVE_AFTER_FAILURE = frozenset({"CREATE_FAILED", "UPDATE_FAILED"})
UPDATABLE = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}) | LIVE_AFTER_FAILURE
DELETED = "DELETE_COMPLETE"
REVIEW = "REVIEW_IN_PROGRESS"


@dataclass(slots=True)
class Goal:
    """What a stack is to be: a template with parameters, tags and the rest that a caller may give.

    ``template`` is the digest of its text; texts are kept beside the stacks.
    """

    template: str = ""
    description: str = ""
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    tags: list[dict[str, str]] = field(default_factory=list)
    notifications: list[str] = field(default_factory=list)
    capabilities: list[str] = field(default_factory=list)
    role: str = ""

    @property
    def values(self) -> dict[str, Value]:
        """The parameters as values."""
        return {name: Value(**members) for name, members in self.parameters.items()}

    def set_values(self, values: Mapping[str, Value]) -> None:
        """Remember the parameters."""
        self.parameters = {name: asdict(value) for name, value in values.items()}


@dataclass(slots=True)
class Operation:
    """What is being done to a stack now.

    ``phase`` is forward, undo, cleanup or remove; ``failed`` the logical ids that failed in it; ``reason`` why the
    operation as a whole turned round (a timeout, a cancellation, an output); ``skip`` the resources that a
    continued rollback leaves alone, ``retain`` those that a deletion leaves.
    """

    id: str
    kind: str
    phase: str
    token: str = ""
    failed: list[str] = field(default_factory=list)
    reason: str = ""
    deadline: float = 0.0
    on_failure: str = "ROLLBACK"
    skip: list[str] = field(default_factory=list)
    retain: list[str] = field(default_factory=list)
    keep_only_old: bool = False
    force: bool = False

    @property
    def turn(self) -> str:
        """This operation in this phase."""
        return f"{self.id}/{self.phase}"

    def stopping(self) -> bool:
        """Whether the phase has failed and begins nothing new."""
        return bool(self.failed or self.reason)


@dataclass(slots=True)
class Stack:
    """One stack. ``goal`` is what it is being brought to, ``stable`` what it last was."""

    id: str
    name: str
    account: str
    region: str
    status: str
    created: float
    goal: Goal
    stable: Goal | None = None
    reason: str = ""
    updated: float = 0.0
    deleted: float = 0.0
    outputs: list[dict[str, str]] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)
    disable_rollback: bool = False
    protected: bool = False
    timeout_minutes: int = 0
    tokens: dict[str, str] = field(default_factory=dict)
    parent: str = ""
    root: str = ""
    change_set: str = ""
    operation: Operation | None = None

    @property
    def path(self) -> str:
        """The stack's name and the unique part of its id: the end of its ARN, and its name in the store."""
        return self.id.partition(":stack/")[2]

    @property
    def live(self) -> bool:
        """Whether the stack still has its name."""
        return self.status != DELETED


@dataclass(slots=True)
class Instance:
    """One physical resource: what it was made with and what it answered; ``token`` tells it from all others."""

    physical_id: str
    properties: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    depends: list[str] = field(default_factory=list)
    token: str = ""


@dataclass(slots=True)
class Leftover:
    """A physical resource that has been replaced and waits to be removed (or kept, by its policy)."""

    instance: Instance
    policy: str = "Delete"


@dataclass(slots=True)
class Work:
    """What is being done to a resource, written before each effect.

    ``action`` is create, replace, update, delete or discard; ``stage`` the step within it (see ``effects``);
    ``turn`` the operation and phase it belongs to; ``made`` the physical resource being made or removed;
    ``tries`` how often the present stage was begun, ``refusals`` how often the service was too busy for it.
    """

    action: str
    stage: str
    turn: str
    token: str
    properties: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    given_name: bool = False
    depends: list[str] = field(default_factory=list)
    made: Instance | None = None
    noted: list[str] = field(default_factory=list)
    tries: int = 0
    refusals: int = 0
    since: float = 0.0


@dataclass(slots=True)
class StackResource:
    """One logical resource of a stack.

    ``instance`` is the physical resource in force; ``stable`` the one before this operation (``touched`` says
    whether the operation did anything to the resource); ``settled`` names the turn that last brought it to where
    it should be; ``born`` the operation that created it, until that succeeds; ``removing`` whether the present
    phase takes it away.
    """

    logical: str
    type: str
    status: str = ""
    reason: str = ""
    updated: float = 0.0
    instance: Instance | None = None
    stable: Instance | None = None
    touched: bool = False
    settled: str = ""
    born: str = ""
    names_used: int = 0
    removing: bool = False
    deletion_policy: str = "Delete"
    replace_policy: str = "Delete"
    metadata: Any = None
    leftovers: list[Leftover] = field(default_factory=list)
    work: Work | None = None

    @property
    def physical_id(self) -> str:
        """The physical id to show: of the resource in force or, failing that, of the one being made."""
        if self.instance:
            return self.instance.physical_id
        return self.work.made.physical_id if self.work and self.work.made else ""


def stack_from(document: Document) -> Stack:
    """Read a stack's record."""
    members = dict(document)
    members["goal"] = Goal(**members["goal"])
    members["stable"] = Goal(**members["stable"]) if members["stable"] else None
    members["operation"] = Operation(**members["operation"]) if members["operation"] else None
    return Stack(**members)


def resource_from(document: Document) -> StackResource:
    """Read a resource's record."""
    members = dict(document)
    for name in ("instance", "stable"):
        members[name] = Instance(**members[name]) if members[name] else None
    members["leftovers"] = [Leftover(Instance(**each["instance"]), each["policy"]) for each in members["leftovers"]]
    work = members["work"]
    if work:
        members["work"] = Work(**{**work, "made": Instance(**work["made"]) if work["made"] else None})
    return StackResource(**members)
