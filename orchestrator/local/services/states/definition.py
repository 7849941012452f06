"""Reads a state machine's definition and says everything that is wrong with it.

What the Amazon States Language offers and the embedded AWS does not run (Map, JSONata, callbacks, ...) is
refused here by name, before a state machine exists.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator.local.services.states.fields import FIELDS, ONE_OF, REQUIRED, query_language, text, whole_number
from orchestrator.local.services.states.integrations import UnknownResource, missing_fields, resolve, unknown_fields

LONGEST_STATE_NAME = 80
LARGEST_DEFINITION_BYTES = 1_048_576
SCHEMA = "SCHEMA_VALIDATION_FAILED"
TRANSITION = "MISSING_TRANSITION_TARGET"
DUPLICATE = "DUPLICATE_STATE_NAME"
NO_JSON = "INVALID_JSON_DESCRIPTION"

TOP_FIELDS = {
    "Comment": text,
    "Version": text,
    "QueryLanguage": query_language,
    "TimeoutSeconds": whole_number(1),
    "StartAt": text,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; ``location`` is a path as AWS writes it (``/States/Train/Next``)."""

    code: str
    message: str
    location: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" at {self.location}" if self.location else "")


def check(definition: str) -> list[Problem]:
    """Everything wrong with a definition; an empty list when it can be run."""
    if len(definition.encode()) > LARGEST_DEFINITION_BYTES:
        return [Problem(SCHEMA, f"The definition is larger than {LARGEST_DEFINITION_BYTES} bytes")]
    try:
        machine = json.loads(definition)
    except ValueError as problem:
        return [Problem(NO_JSON, str(problem))]
    if not isinstance(machine, dict):
        return [Problem(SCHEMA, "Expected value of type Object")]
    problems = list(_scope(machine, "", TOP_FIELDS))
    seen: set[str] = set()
    for name, place in _names(machine, ""):
        if name in seen:
            problems.append(Problem(DUPLICATE, f"The state name '{name}' is used more than once", place))
        seen.add(name)
    return problems


def _scope(machine: dict[str, Any], place: str, known: dict[str, Any]) -> Iterator[Problem]:
    """The top of a definition or a branch of a Parallel state."""
    for name, value in machine.items():
        if name in known:
            yield from (Problem(SCHEMA, message, at) for at, message in known[name](value, f"{place}/{name}"))
        elif name != "States":
            yield Problem(SCHEMA, f"Field '{name}' is not supported by the embedded AWS", f"{place}/{name}")
    states = machine.get("States")
    if not isinstance(states, dict) or not states:
        yield Problem(SCHEMA, "The field 'States' must be a non-empty object", f"{place}/States")
        return
    for name, state in states.items():
        yield from _state(name, state, f"{place}/States/{name}")
    yield from _transitions(machine, states, place)


def _state(name: str, state: Any, place: str) -> Iterator[Problem]:
    if len(name) > LONGEST_STATE_NAME:
        yield Problem(SCHEMA, f"A state name has at most {LONGEST_STATE_NAME} characters", place)
    kind = state.get("Type") if isinstance(state, dict) else None
    if not isinstance(kind, str):
        yield Problem(SCHEMA, "A state is an object with the field 'Type'", place)
        return
    if kind not in FIELDS:
        reason = f"The state type '{kind}' is not supported by the embedded AWS, which runs {', '.join(sorted(FIELDS))}"
        yield Problem(SCHEMA, reason, f"{place}/Type")
        return
    for field, value in state.items():
        if field in FIELDS[kind]:
            found = FIELDS[kind][field](value, f"{place}/{field}")
            yield from (Problem(SCHEMA, message, at) for at, message in found)
        else:
            reason = f"Field '{field}' is not supported by the embedded AWS in a {kind} state"
            yield Problem(SCHEMA, reason, f"{place}/{field}")
    for field in REQUIRED.get(kind, ()):
        if field not in state:
            yield Problem(SCHEMA, f"The field '{field}' is required but was missing", place)
    yield from _exclusive(kind, state, place)
    if kind == "Task" and isinstance(state.get("Resource"), str):
        yield from _resource(state, place)
    if kind == "Parallel" and "Branches" in state:
        yield from _branches(state["Branches"], f"{place}/Branches")


def _exclusive(kind: str, state: dict[str, Any], place: str) -> Iterator[Problem]:
    for group in ONE_OF.get(kind, ()):
        given = [field for field in group if field in state]
        if len(given) > 1 or (kind == "Wait" and not given):
            yield Problem(SCHEMA, f"A {kind} state has one of {', '.join(group)}", place)
    if "Next" in FIELDS[kind]:
        if "Next" in state and "End" in state:
            yield Problem(SCHEMA, "A state has either 'Next' or 'End', not both", place)
        if "Next" not in state and state.get("End") is not True:
            yield Problem(SCHEMA, "A state needs 'Next' or 'End': true", place)


def _branches(branches: Any, place: str) -> Iterator[Problem]:
    if not isinstance(branches, list) or not branches:
        yield Problem(SCHEMA, "Expected a non-empty array", place)
        return
    for number, branch in enumerate(branches):
        if isinstance(branch, dict):
            yield from _scope(branch, f"{place}[{number}]", {"Comment": text, "StartAt": text})
        else:
            yield Problem(SCHEMA, "Expected value of type Object", f"{place}[{number}]")


def _resource(state: dict[str, Any], place: str) -> Iterator[Problem]:
    try:
        integration = resolve(state["Resource"])
    except UnknownResource as problem:
        yield Problem(SCHEMA, str(problem), f"{place}/Resource")
        return
    template = state.get("Parameters")
    if integration.resource_type == "lambda" and isinstance(template, dict):
        template = {name: value for name, value in template.items() if name != "Payload"}  # any JSON
    if isinstance(template, dict):
        for field in unknown_fields(integration.model.input_shape, template):
            reason = f"The field '{field}' is not supported by Step Functions"
            yield Problem(SCHEMA, reason, f"{place}/Parameters")
        for field in missing_fields(integration.model.input_shape, template):
            reason = f"The field '{field}' is required but was missing"
            yield Problem(SCHEMA, reason, f"{place}/Parameters")


def _transitions(machine: dict[str, Any], states: dict[str, Any], place: str) -> Iterator[Problem]:
    start = machine.get("StartAt")
    if start not in states:
        yield Problem(TRANSITION, f"Missing 'StartAt' target: {start}", f"{place}/StartAt")
    reached = {start}
    for name, state in states.items():
        for field, target in _targets(state) if isinstance(state, dict) else ():
            reached.add(target)
            if target not in states:
                yield Problem(TRANSITION, f"Missing '{field}' target: {target}", f"{place}/States/{name}/{field}")
    for name in states:
        if name not in reached:
            yield Problem(TRANSITION, f'State "{name}" is not reachable.', f"{place}/States/{name}")


def _targets(state: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for field in ("Next", "Default"):
        if isinstance(state.get(field), str):
            yield field, state[field]
    for field in ("Choices", "Catch"):
        rules = state.get(field)
        for number, rule in enumerate(rules if isinstance(rules, list) else ()):
            if isinstance(rule, dict) and isinstance(rule.get("Next"), str):
                yield f"{field}[{number}]/Next", rule["Next"]


def _names(machine: dict[str, Any], place: str) -> Iterator[tuple[str, str]]:
    states = machine.get("States")
    for name, state in states.items() if isinstance(states, dict) else ():
        yield name, f"{place}/States/{name}"
        branches = state.get("Branches") if isinstance(state, dict) else None
        for number, branch in enumerate(branches if isinstance(branches, list) else ()):
            if isinstance(branch, dict):
                yield from _names(branch, f"{place}/States/{name}/Branches[{number}]")
