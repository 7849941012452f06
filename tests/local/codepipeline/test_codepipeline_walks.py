"""Random walks through the state machine: whatever happens, no stage is shared and no execution is forgotten."""

from __future__ import annotations

import json
from typing import Any

import pytest
from codepipeline_play import Play, declared
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.local.service import ServiceError
from orchestrator.local.services.codepipeline import commands, machine
from orchestrator.local.services.codepipeline.scene import Scene

CHECK = {
    "name": "EvenOnly",
    "ruleTypeId": {"category": "Rule", "owner": "AWS", "provider": "VariableCheck", "version": "1"},
    "configuration": {"Variable": "#{variables.number}", "Value": ".*[02468]", "Operator": "MATCHES"},
}
STAGES = [
    {"name": "Source", "actions": [declared("Take", category="Source", outputArtifacts=[{"name": "Bundle"}])]},
    {
        "name": "Build",
        "beforeEntry": {"conditions": [{"result": "SKIP", "rules": [CHECK]}]},
        "onFailure": {"result": "RETRY"},
        "actions": [declared("One"), declared("Two", category="Approval"), declared("Three", order=2)],
    },
    {"name": "Deploy", "onFailure": {"result": "ROLLBACK"}, "actions": [declared("Put", order=2), declared("Do")]},
]
MOVES = st.lists(
    st.tuples(
        st.sampled_from(
            ["start", "end", "end", "end", "fail", "stop", "abandon", "retry", "roll back", "gate", "update"]
        ),
        st.integers(0, 9),
    ),
    max_size=40,
)


def move(play: Play, what: str, number: int) -> None:
    scene = play.scene
    running = [action for action in scene.actions.values() if action["status"] == "InProgress"]
    executions = list(scene.executions.values())
    one: dict[str, Any] = executions[number % len(executions)] if executions else {"id": "none"}
    stage = ("Source", "Build", "Deploy")[number % 3]
    if what == "start":
        trigger = {"triggerType": "t", "triggerDetail": ""}
        commands.start(scene, f"e{len(executions)}", trigger, [{"name": "number", "value": str(number)}])
    elif what in ("end", "fail") and running:
        running[number % len(running)]["status"] = "Succeeded" if what == "end" else "Failed"
    elif what in ("stop", "abandon") and executions:
        commands.stop(scene, one, abandon=what == "abandon", reason="")
    elif what == "retry" and executions:
        commands.retry(scene, one, stage, ("FAILED_ACTIONS", "ALL_ACTIONS")[number % 2])
    elif what == "roll back" and executions:
        commands.roll_back(scene, f"e{len(executions)}", stage, one, "")
    elif what == "gate":
        opened = f"{stage}/Inbound" in scene.pipeline["transitions"]
        commands.open_transition(scene, stage, "Inbound") if opened else commands.close_transition(
            scene, stage, "Inbound", "", ""
        )
    elif what == "update":
        scene.pipeline["version"] += 1


def check(scene: Scene) -> None:
    active = scene.active()
    assert [each["id"] for each in active] == sorted(scene.pipeline["active"], key=lambda name: order(scene, name))
    inside = [each for each in active if each["entered"]]
    for execution in inside:
        busy = [action for action in scene.current_actions(execution) if action["status"] == "InProgress"]
        assert busy, f"{execution['id']} is in a stage with nothing to wait for"
    for execution in (each for each in active if not each["entered"]):
        held = scene.pipeline["stages"].get(execution["stage"], {}).get("holder")
        assert held or not machine.is_open(scene, execution["stage"]), f"{execution['id']} waits for nothing"
    if scene.mode != "PARALLEL":
        stages = [each["stage"] for each in inside]
        assert len(stages) == len(set(stages)), "two executions in one stage"
        for execution in inside:
            assert scene.place(execution["stage"])["holder"] == execution["id"]
    over = [each for each in scene.executions.values() if each not in active]
    for execution in over:
        assert not [
            action
            for action in scene.actions.values()
            if action["execution"] == execution["id"] and action["status"] == "InProgress"
        ], f"{execution['id']} is over, but not its actions"
    json.dumps([scene.pipeline, scene.executions, scene.actions])


def order(scene: Scene, name: str) -> int:
    return int(scene.executions[name]["order"])


@pytest.mark.parametrize("mode", ["QUEUED", "SUPERSEDED", "PARALLEL"])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(moves=MOVES)
def test_no_walk_breaks_the_rules(mode: str, moves: list[tuple[str, int]]) -> None:
    stages = [
        {key: value for key, value in stage.items() if mode != "PARALLEL" or key != "onFailure"} for stage in STAGES
    ]
    play = Play(mode, stages=stages, variables=[{"name": "number"}])
    definition = play.scene.definitions[1]
    play.scene.definitions = dict.fromkeys(range(1, 50), definition)
    for what, number in moves:
        before = json.dumps([play.scene.executions, play.scene.actions])
        try:
            move(play, what, number)
        except ServiceError:
            assert json.dumps([play.scene.executions, play.scene.actions]) == before
        machine.advance(play.scene)
        check(play.scene)
    for _ in range(100):  # let everything end well
        play.scene.pipeline["transitions"] = {}
        for action in play.scene.actions.values():
            if action["status"] == "InProgress":
                action["status"] = "Succeeded"
        machine.advance(play.scene)
    assert play.scene.active() == []
