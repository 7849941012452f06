"""The documents of one pipeline that a decision looks at and changes, and the events that tell of the changes.

A scene is plain data: the state machine (``machine``, ``commands``) works on it alone, so it can be tested with
values in and values out, and ``engine`` writes the whole outcome in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from orchestrator.local.store import Document

IN_PROGRESS = "InProgress"
SUCCEEDED = "Succeeded"
FAILED = "Failed"
STOPPING = "Stopping"
STOPPED = "Stopped"
CANCELLED = "Cancelled"
SUPERSEDED = "Superseded"
ABANDONED = "Abandoned"
SKIPPED = "Skipped"

STANDARD = "STANDARD"
ROLLBACK = "ROLLBACK"

STATES = {CANCELLED: "CANCELED"}
"""Status -> state in events, where it is not simply in capitals."""


@dataclass(frozen=True, slots=True)
class Note:
    """A state change that EventBridge is to be told of."""

    execution: str
    kind: str
    detail: Document


@dataclass(slots=True)
class Scene:
    """One pipeline, its executions that are not over, and their action executions of the present stage.

    ``definitions`` holds the declaration of every version an execution runs under; ``past`` loads an execution
    that is over; ``new_id`` makes ids.
    """

    pipeline: Document
    definitions: Mapping[int, Document]
    executions: dict[str, Document]
    actions: dict[str, Document]
    now: float
    new_id: Callable[[], str]
    past: Callable[[str], Document | None]
    notes: list[Note] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return str(self.pipeline["name"])

    @property
    def definition(self) -> Document:
        """The present declaration."""
        return self.definitions[self.pipeline["version"]]

    @property
    def mode(self) -> str:
        """QUEUED, SUPERSEDED or PARALLEL."""
        return str(self.definition["executionMode"])

    def active(self) -> list[Document]:
        """The executions that are not over, in the order in which they were started."""
        return sorted(
            (each for each in self.executions.values() if each["status"] in (IN_PROGRESS, STOPPING)),
            key=lambda each: each["order"],
        )

    def stage(self, execution: Document, name: str = "") -> Document:
        """The declaration of a stage (by default the present one) under the version the execution runs under."""
        stages: list[Document] = self.definitions[execution["version"]]["stages"]
        return next(stage for stage in stages if stage["name"] == (name or execution["stage"]))

    def place(self, stage: str) -> Document:
        """What the pipeline knows of a stage: who holds it, who was last in it, its last success and actions."""
        place: Document = self.pipeline["stages"].setdefault(
            stage, {"holder": None, "latest": None, "succeeded": None, "actions": {}}
        )
        return place

    def current_actions(self, execution: Document) -> list[Document]:
        """The action executions of the present attempt at the present stage."""
        record = execution["stages"].get(execution["stage"])
        return [self.actions[identity] for identity in record["actions"].values()] if record else []

    def note_pipeline(self, execution: Document, state: str = "") -> None:
        """Tell that the execution has a new state (by default its status)."""
        detail = {"execution-trigger": _hyphened(execution["trigger"])}
        self._note("Pipeline", execution, state or execution["status"], detail)

    def note_stage(self, execution: Document, state: str, stage: str = "") -> None:
        """Tell of a stage's new state."""
        self._note("Stage", execution, state, {"stage": stage or execution["stage"]})

    def note_action(self, execution: Document, action: Document, state: str) -> None:
        """Tell of an action's new state, with its artifacts and its result."""
        declaration = action["declaration"]
        detail = {
            "stage": action["stage"],
            "action": action["action"],
            "action-execution-id": action["id"],
            "region": action["region"],
            "type": declaration["actionTypeId"],
            "input-artifacts": _artifacts(action["inputs"]),
            "output-artifacts": _artifacts(action["outputs"]) if action["status"] == SUCCEEDED else [],
        }
        result = {
            "external-execution-id": action.get("external") or action["memory"].get("external"),
            "external-execution-summary": action.get("error", {}).get("message") or action.get("summary"),
            "error-code": action.get("error", {}).get("code"),
        }
        if any(result.values()):
            detail["execution-result"] = {name: value for name, value in result.items() if value}
        self._note("Action", execution, state, detail)

    def _note(self, what: str, execution: Document, state: str, more: Document) -> None:
        detail = {
            "pipeline": self.name,
            "execution-id": execution["id"],
            "start-time": datetime.fromtimestamp(execution["started"], UTC).isoformat(timespec="milliseconds"),
            "state": STATES.get(state, state.upper()),
            "version": execution["version"],
            "pipeline-execution-attempt": execution["attempt"],
            **more,
        }
        detail["start-time"] = detail["start-time"].replace("+00:00", "Z")
        self.notes.append(Note(execution["id"], f"CodePipeline {what} Execution State Change", detail))


def _hyphened(trigger: Mapping[str, str]) -> dict[str, Any]:
    return {"trigger-type": trigger["triggerType"], "trigger-detail": trigger["triggerDetail"]}


def _artifacts(locations: Mapping[str, Document]) -> list[Document]:
    return [
        {"name": name, "s3location": {"bucket": location["bucket"], "key": location["key"]}}
        for name, location in locations.items()
    ]
