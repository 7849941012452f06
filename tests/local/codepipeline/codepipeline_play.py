"""The state machine of executions without a server: actions end when, and as, the test says."""

from __future__ import annotations

from itertools import count
from typing import Any

from orchestrator.local.services.codepipeline import commands, machine
from orchestrator.local.services.codepipeline.definition import normalize
from orchestrator.local.services.codepipeline.scene import Scene

TRIGGER = {"triggerType": "StartPipelineExecution", "triggerDetail": "somebody"}


def declared(name: str, *, order: int = 1, category: str = "Invoke", **more: Any) -> dict[str, Any]:
    type_id = {"category": category, "owner": "AWS", "provider": "Any", "version": "1"}
    return {"name": name, "runOrder": order, "actionTypeId": type_id, **more}


STAGES = [
    {"name": "Source", "actions": [declared("Take", category="Source", outputArtifacts=[{"name": "Bundle"}])]},
    {"name": "Build", "actions": [declared("One"), declared("Two"), declared("Three", order=2)]},
    {"name": "Deploy", "actions": [declared("Put", inputArtifacts=[{"name": "Bundle"}])]},
]


class Play:
    """A pipeline whose actions end when, and as, the test says."""

    def __init__(self, mode: str = "QUEUED", stages: list[dict[str, Any]] | None = None, **more: Any) -> None:
        self.ids = (f"id-{number}" for number in count(1))
        definition = {"roleArn": "role", "executionMode": mode, "artifactStore": {"location": "store"}, **more}
        definition = normalize({**definition, "pipelineType": "V2", "stages": stages or STAGES})
        pipeline = {"name": "p", "region": "us-east-1", "version": 1, "counter": 0}
        pipeline |= {"transitions": {}, "active": [], "stages": {}}
        self.scene = Scene(
            pipeline=pipeline,
            definitions={1: definition, 2: definition},
            executions={},
            actions={},
            now=1.0,
            new_id=lambda: next(self.ids),
            past=lambda identity: self.scene.executions.get(identity),  # noqa: PLW0108 - there is no scene yet
        )

    def start(self, name: str, **more: Any) -> dict[str, Any]:
        execution = commands.start(self.scene, name, TRIGGER, **more)
        machine.advance(self.scene)
        return execution

    def running(self, execution: str = "") -> list[str]:
        """The names of the actions in progress."""
        return sorted(
            action["action"]
            for action in self.scene.actions.values()
            if action["status"] == "InProgress" and execution in ("", action["execution"])
        )

    def end(self, name: str, status: str = "Succeeded", execution: str = "", **result: Any) -> None:
        action = next(
            action
            for action in self.scene.actions.values()
            if action["action"] == name and action["status"] == "InProgress" and execution in ("", action["execution"])
        )
        action.update(status=status, **result)
        machine.advance(self.scene)

    def walk(self, *names: str, execution: str = "") -> None:
        for name in names:
            self.end(name, execution=execution)

    def status(self, execution: str) -> str:
        return str(self.scene.executions[execution]["status"])

    def stages(self, execution: str) -> dict[str, str]:
        return {name: record["status"] for name, record in self.scene.executions[execution]["stages"].items()}

    def news(self, kind: str) -> list[str]:
        return [note.detail["state"] for note in self.scene.notes if f" {kind} " in note.kind]
