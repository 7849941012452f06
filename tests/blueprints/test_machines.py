"""The state machines in the templates: well-formed, whole, and made only of what every engine of ours can run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from walking import EXAMPLES, templates

STATES = {"Task", "Choice", "Pass", "Wait", "Succeed", "Fail", "Parallel"}
INTRINSICS = {
    "Format",
    "StringToJson",
    "JsonToString",
    "Array",
    "ArrayGetItem",
    "ArrayLength",
    "StringSplit",
    "MathAdd",
    "JsonMerge",
    "Base64Encode",
    "Hash",
    "UUID",
}
MACHINES = {
    f"{example}/{name}": (resource["Properties"], pipeline)
    for example in EXAMPLES
    for pipeline in example.plan.pipelines
    for name, template in templates(example.rendering).items()
    if name == pipeline.template_file
    for resource in template["Resources"].values()
    if resource["Type"] == "AWS::StepFunctions::StateMachine"
}
WALK = pytest.mark.parametrize("machine", MACHINES, ids=list(MACHINES))


def targets(state: dict[str, Any]) -> Iterator[str]:
    for holder in [state, *state.get("Choices", []), *state.get("Catch", [])]:
        for key in ("Next", "Default"):
            if key in holder:
                yield holder[key]


@WALK
def test_every_state_is_reached_and_every_way_ends(machine: str) -> None:
    definition = MACHINES[machine][0]["Definition"]
    states = definition["States"]
    reached, waiting = set(), [definition["StartAt"]]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += targets(states[name])
    assert reached == set(states)
    for name, state in states.items():
        ends = state["Type"] in ("Succeed", "Fail") or state.get("End")
        assert ends or list(targets(state)), name


@WALK
def test_only_supported_features_are_used(machine: str) -> None:
    definition = MACHINES[machine][0]["Definition"]
    for name, state in definition["States"].items():
        assert state["Type"] in STATES, name
    text = json.dumps(definition)
    used = {part.partition("(")[0] for part in text.split("States.")[1:]}
    assert used - {name for name in used if name.startswith(("ALL", "Timeout", "TaskFailed"))} <= INTRINSICS
    assert '"QueryLanguage"' not in text


@WALK
def test_the_log_carries_no_payload(machine: str) -> None:
    logging = MACHINES[machine][0]["LoggingConfiguration"]
    assert logging["Level"] == "ALL"
    assert logging["IncludeExecutionData"] is False


@WALK
def test_the_input_has_every_member_the_machine_asks_for(machine: str) -> None:
    properties, pipeline = MACHINES[machine]
    definition = properties["Definition"]
    made = {
        state["ResultPath"].removeprefix("$.").partition(".")[0]
        for state in definition["States"].values()
        if state.get("ResultPath")
    } | {
        catch["ResultPath"].removeprefix("$.")
        for state in definition["States"].values()
        for catch in state.get("Catch", [])
    }
    asked = {
        path.partition(".")[0].partition("[")[0]
        for state in definition["States"].values()
        for value in _expressions({key: state[key] for key in ("Parameters", "Choices") if key in state})
        for path in _paths(value)
    }
    for stack in pipeline.stacks:
        assert asked - made <= set(stack.job_input or {}), machine


def _expressions(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if (key.endswith((".$", "Path")) or key == "Variable") and isinstance(value, str):
                yield value
            else:
                yield from _expressions(value)
    elif isinstance(node, list):
        for item in node:
            yield from _expressions(item)


def _paths(expression: str) -> Iterator[str]:
    for part in expression.replace("$$.", "").split("$.")[1:]:
        yield part.split(",")[0].split(")")[0].strip()
