"""What a state reads and writes: InputPath, Parameters, ResultSelector, ResultPath, OutputPath."""

from __future__ import annotations

from typing import Any

from orchestrator.local.services.states import intrinsics
from orchestrator.local.services.states.errors import DATA_LIMIT, PARAMETER_PATH, RESULT_PATH, RUNTIME, StateFailure
from orchestrator.local.services.states.intrinsics import Documents
from orchestrator.local.services.states.paths import PathNotFound, assign, parse, select

State = dict[str, Any]
LARGEST_DATA_BYTES = 262_144


def value(expression: str, documents: Documents) -> Any:
    """The value of a path or an intrinsic function; a path that leads nowhere raises PathNotFound."""
    if expression.startswith("$"):
        path = parse(expression)
        return select(path, documents[path.root])
    return intrinsics.evaluate(intrinsics.compile(expression), documents)


def lookup(state: State, field: str, documents: Documents) -> Any:
    """The value of a ``...Path`` field of the state; a path that leads nowhere is States.Runtime."""
    try:
        return value(state[field], documents)
    except PathNotFound:
        raise StateFailure(
            RUNTIME,
            f"The JSONPath '{state[field]}' specified for the field '{field}' could not be found in the input"
            f" '{intrinsics.to_json(documents['$'])}'",
        ) from None


def text(state: State, name: str, documents: Documents) -> str:
    """A string given as it is (``Error``) or by a path or function (``ErrorPath``); empty when neither is there."""
    if f"{name}Path" not in state:
        return str(state.get(name, ""))
    found = lookup(state, f"{name}Path", documents)
    if not isinstance(found, str):
        raise StateFailure(RUNTIME, f"{name}Path must yield a string, not {intrinsics.to_json(found)}")
    return found


def filtered(state: State, field: str, documents: Documents) -> Any:
    """Apply InputPath or OutputPath: absent is the whole document, null an empty object."""
    if field not in state:
        return documents["$"]
    return {} if state[field] is None else lookup(state, field, documents)


def render(template: Any, documents: Documents) -> Any:
    """A payload template with every ``name.$`` member replaced by what its expression yields."""
    if isinstance(template, list):
        return [render(item, documents) for item in template]
    if not isinstance(template, dict):
        return template
    result = {}
    for name, item in template.items():
        if not name.endswith(".$"):
            result[name] = render(item, documents)
            continue
        try:
            result[name.removesuffix(".$")] = value(item, documents)
        except PathNotFound:
            raise StateFailure(
                PARAMETER_PATH,
                f"The JSONPath '{item}' specified for the field '{name}' could not be found in the input"
                f" '{intrinsics.to_json(documents['$'])}'",
            ) from None
    return result


def parameters(state: State, documents: Documents) -> Any:
    """What the state works on: its input after InputPath and Parameters."""
    data = filtered(state, "InputPath", documents)
    return render(state["Parameters"], {**documents, "$": data}) if "Parameters" in state else data


def output(state: State, result: Any, documents: Documents) -> Any:
    """The state's output from its result: ResultSelector, ResultPath on the raw input, OutputPath."""
    if "ResultSelector" in state:
        result = render(state["ResultSelector"], {**documents, "$": result})
    combined = place(state, result, documents["$"])
    return within_limit(filtered(state, "OutputPath", {**documents, "$": combined}))


def place(rule: State, result: Any, raw: Any) -> Any:
    """Apply ResultPath (of a state or of a Catch): absent replaces the input, null keeps it."""
    target = rule.get("ResultPath", "$")
    if target is None:
        return raw
    try:
        return assign(parse(target), raw, result)
    except PathNotFound:
        raise StateFailure(
            RESULT_PATH, f"Unable to apply ReferencePath {target} to input {intrinsics.to_json(raw)}"
        ) from None


def within_limit(data: Any) -> Any:
    """The data itself; raises States.DataLimitExceeded when it is more than a state may pass on (256 KiB)."""
    if len(intrinsics.to_json(data).encode()) > LARGEST_DATA_BYTES:
        raise StateFailure(DATA_LIMIT, f"The data passed on is larger than {LARGEST_DATA_BYTES} bytes.")
    return data
