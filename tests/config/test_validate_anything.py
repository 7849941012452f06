"""Whatever JSON is sent: a workload comes out, or problems with paths; never another error."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.blueprint import Catalog, default_root, load_catalog
from orchestrator.errors import BadRequest
from orchestrator.model import Workload
from orchestrator.validate import examine

FORGE = {
    "name": "forge",
    "pipeline_type": "forge",
    "ore": {"main": {"place": "a", "weight": 2}},
    "rounds": 3,
    "hot": True,
}
BOOTH = {"name": "booth", "pipeline_type": "booth", "count": {"dev": 1, "default": 2}, "blade": {"from": "forge"}}
STAGES = [
    {"name": "dev", "account": "1" * 12},
    {"name": "prod", "account": "2" * 12, "region": "us-east-1", "approval": True},
]
SMALL = [
    {"version": 2, "model_name": "sword", "stages": STAGES, "tags": {"a": "b"}, "pipelines": [FORGE, BOOTH]},
    {"pipeline_type": "forge", "model_name": "sword", "ore": {"main": {"place": "a"}}, "framework": "pca"},
    {"pipeline_type": "old_forge", "model_name": "sword", "ore_place": "a", "purty": "3", "marks": '["ab"]'},
    {"pipeline_type": "old_booth", "model_name": "sword", "size": {"dev": "1", "prod": "2"}, "spot": "A"},
]
REAL = [json.loads(path.read_text()) for path in sorted((default_root() / "blueprints").glob("*/examples/*.json"))]

ODD = [
    "",
    " ",
    "${x}",
    "{{resolve:ssm:x}}",
    "\x00",
    "\ud800",
    "from",
    "default",
    "x" * 3000,
    "🚀",
    "true",
    "1e999",
    "a.b",
]
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(ODD)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
keys = st.sampled_from(["pipelines", "stages", "tags", "name", "count", "ore", "blade", "from", "default", "framework"])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inside for place in places(item, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn, originals: list[Any]) -> Any:
    """A valid config in which a few values are replaced, removed, added, or moved to another key."""
    body = copy.deepcopy(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        *outer, last = draw(st.sampled_from([place for place in places(body) if place] or [("x",)]))
        holder = body
        for step in outer:
            holder = holder[step]
        match draw(st.sampled_from(["replace", "remove", "add", "rename"])):
            case "replace":
                holder[last] = draw(anything)
            case "remove":
                del holder[last]
            case "add" if isinstance(holder, dict):
                holder[draw(keys | st.text(max_size=8))] = draw(anything)
            case "rename" if isinstance(holder, dict):
                holder[f"{last}{draw(st.text(max_size=2))}"] = holder.pop(last)
    return body


def outcome(body: Any, catalog: Catalog, deployment: Any) -> Workload | BadRequest:
    """What comes of a body; any error that is not the user's passes through and fails the test."""
    before = copy.deepcopy(body)
    try:
        result: Workload | BadRequest = examine(body, catalog, deployment)[0]
    except BadRequest as refusal:
        result = refusal
        json.dumps(refusal.as_dict(), ensure_ascii=False).encode("utf-8")
        assert all(problem.path.startswith("$") for problem in getattr(refusal, "problems", ()))
    assert repr(body) == repr(before)
    return result


@pytest.fixture(scope="module")
def deployment(deployed: Any) -> Any:
    return deployed(blueprint_bucket="blueprints", stack_sets_call_as="SELF")


quick = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@quick
@given(body=anything)
def test_any_json(body: Any, catalog: Catalog, deployment: Any) -> None:
    outcome(body, catalog, deployment)


@quick
@given(body=mutated(SMALL))
def test_almost_valid_configs(body: Any, catalog: Catalog, deployment: Any) -> None:
    outcome(body, catalog, deployment)


@quick
@given(body=mutated(REAL))
def test_almost_valid_configs_of_the_real_kinds(body: Any, deployment: Any) -> None:
    outcome(body, load_catalog(), deployment)


@pytest.mark.parametrize("body", [*SMALL], ids=["workload", "forge", "old_forge", "old_booth"])
def test_the_originals_are_valid(body: Any, catalog: Catalog, deployment: Any) -> None:
    assert isinstance(outcome(body, catalog, deployment), Workload)


@pytest.mark.parametrize(
    "path", sorted((default_root() / "blueprints").glob("*/examples/*.json")), ids=lambda p: p.stem
)
def test_the_examples_of_the_real_kinds_are_valid(path: Path, deployment: Any) -> None:
    assert isinstance(outcome(json.loads(path.read_text()), load_catalog(), deployment), Workload)
