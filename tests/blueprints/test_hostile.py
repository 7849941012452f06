"""No text of a user changes the structure of what is rendered, is evaluated, or reaches a shell of AWS."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from walking import CATALOG, EXAMPLES, SETTINGS, Example

from orchestrator.errors import BadRequest, OrchestratorError
from orchestrator.model import Workload
from orchestrator.plan import plan
from orchestrator.render import render
from orchestrator.validate import examine

HOSTILE = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "x\n  Evil: {Type: 'AWS::IAM::User'}",
            'a"}, Resources: {',
            "!Ref AWS::AccountId",
            "{{ 7*7 }}",
            "{% for x in y %}",
            "${AWS::AccountId}",
            "{{resolve:secretsmanager:prod:SecretString:pw}}",
            "#{training.ModelDataUrl}",
            "$.Request",
            "States.Format('{}', $)",
            "*",
            "&a b",
            "- x",
            "yes",
            "null",
            "5e-324",
            "0x1F",
            "2001-01-01",
            "# c",
            "a: b",
            "'",
            '"',
            "\\",
            "\u2028",
            "\x85",
            "\ue0000\ue000",
            "\U0001f600",
            "\x00",
            "<<",
            "~",
            "=",
            "../../etc/passwd",
            "$(reboot)",
            "`reboot`",
        ]
    ),
)


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every text in a config."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from leaves(value, (*path, index))
    elif isinstance(node, str):
        yield path


def put(node: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(node)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


def shape(node: Any) -> Any:
    """The structure of a document: its keys and the types of its values."""
    if isinstance(node, dict):
        return {key: shape(value) for key, value in node.items()}
    if isinstance(node, list):
        return [shape(value) for value in node]
    return type(node).__name__


def kept_kind(path: tuple[Any, ...], text: str, config: Any) -> str:
    """A slash at the end of model data means a folder, which is another structure: it stays as it was."""
    if path[-1] not in ("model_data", "model", "model_artifact_location"):
        return text
    old = config
    for key in path:
        old = old[key]
    return f"{text}/" if old.endswith("/") else f"{text.rstrip('/')}.gz"


def structure(workload: Workload) -> dict[str, Any]:
    rendering = render(plan(workload, SETTINGS, CATALOG), CATALOG, SETTINGS)
    templates = {name: shape(json.loads(data)) for name, data in rendering.files.items() if name.endswith(".yaml")}
    return {**templates, "frame": shape(json.loads(rendering.pipeline_template))}


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_hostile_texts_change_no_structure(example: Example) -> None:
    """Past validation, straight into plan and render: the last line of defence holds by itself."""
    workload, _ = examine(example.body, CATALOG, SETTINGS)
    index = len(workload.pipelines) - 1
    spec = workload.pipelines[index]
    honest = structure(workload)
    # What decides the structure is left alone: choices between a few words, and the image that must be looked up.
    chosen = {
        "compression",
        "approval",
        "engine",
        "problem_type",
        "framework",
        "framework_version",
        "py_version",
        "image",
        "inference_image",
    }
    places = [path for path in leaves(dict(spec.config)) if path[0] not in chosen]

    @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(places), HOSTILE)
    def attack(path: tuple[Any, ...], text: str) -> None:
        attacked = replace(spec, config=put(dict(spec.config), path, kept_kind(path, text, spec.config)))
        try:
            found = structure(replace(workload, pipelines=(*workload.pipelines[:index], attacked)))
        except OrchestratorError:
            return
        assert found == honest

    attack()


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_hostile_configs_are_refused_or_harmless(example: Example) -> None:
    """Through the front door: the config as written, every text of it."""
    honest = {name: shape(json.loads(data)) for name, data in example.rendering.files.items() if name.endswith(".yaml")}
    # A flag of the old form is a text as well, and chooses the structure.
    places = [
        path
        for path in leaves(example.body)
        if path[-1] not in ("pipeline_type", "use_spot_instances", "engine", "problem_type")
    ]

    @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(places), HOSTILE)
    def attack(path: tuple[Any, ...], text: str) -> None:
        try:
            text = kept_kind(path, text, example.body)
            workload, _ = examine(put(example.body, path, text), CATALOG, SETTINGS)
            rendering = render(plan(workload, SETTINGS, CATALOG), CATALOG, SETTINGS)
        except BadRequest:
            return
        for name, data in rendering.files.items():
            if name in honest:
                assert shape(json.loads(data)) == honest[name]
            if name.endswith((".yaml", "params.json")):
                assert b"{{resolve:" not in data

    attack()
