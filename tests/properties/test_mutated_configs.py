"""Configs that went wrong on their way: other types, unknown keys, hostile texts, huge values, wrong encodings.

Whatever comes, the answer is never a 5xx, and what is refused has not written to AWS. 500 mutations;
``MLOPS_MUTATIONS=5000`` for the nightly run (``make nightly``).
"""

from __future__ import annotations

import copy
import json
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from orchestrator.blueprint import load_catalog
from orchestrator.handler import Orchestrator
from tests.blueprints.walking import EXAMPLES
from tests.corridor.cloud import Cloud

MUTATIONS = int(os.environ.get("MLOPS_MUTATIONS", "500"))
READS = ("describe_", "get_", "head_", "list_")
HOSTILE = [
    "*",
    "",
    "\x00",
    "\ud800",
    "${AWS::AccountId}",
    "{{resolve:secretsmanager:x}}",
    "$(reboot)",
    "../../../etc/passwd",
    "x\n  Evil: {Type: AWS::IAM::User}",
    "\u202eexe",
    "a" * 5000,
    "𐍈" * 300,
    "'; DROP TABLE",
    "{% raw %}",
    "arn:aws:iam::*:role/*",
]
HUGE: list[Any] = [10**400, -(10**30), 1e308, 2**63, ["x"] * 2000, {str(n): n for n in range(1200)}]
values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(HOSTILE)
    | st.sampled_from(HUGE).map(copy.deepcopy)
    | st.lists(st.sampled_from(HOSTILE), max_size=3)
    | st.dictionaries(st.sampled_from(HOSTILE), st.integers(), max_size=3)
)
BODIES = [example.body for example in EXAMPLES]
CATALOG = load_catalog()


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, item in inside for place in places(item, (*path, key)))]


def nested(depth: int) -> Any:
    node: Any = "x"
    for _ in range(depth):
        node = {"a": [node]}
    return node


@st.composite
def texts(draw: st.DrawFn) -> str:
    """The body of a request: an example with one to four mutations, written as JSON, sometimes broken as a text too."""
    body = copy.deepcopy(draw(st.sampled_from(BODIES)))
    for _ in range(draw(st.integers(1, 4))):
        *outer, last = draw(st.sampled_from([place for place in places(body) if place] or [("x",)]))
        holder = body
        for step in outer:
            holder = holder[step]
        match draw(st.sampled_from(["replace", "replace", "remove", "unknown", "retype", "deep"])):
            case "replace":
                holder[last] = draw(values)
            case "remove":
                del holder[last]
            case "unknown" if isinstance(holder, dict):
                holder[draw(st.sampled_from(HOSTILE) | st.text(max_size=12))] = draw(values)
            case "retype":
                holder[last] = [holder[last]] if draw(st.booleans()) else {"value": holder[last]}
            case "deep":
                holder[last] = nested(draw(st.sampled_from([3, 40, 90])))
    text = json.dumps(body, ensure_ascii=draw(st.booleans()))
    match draw(st.sampled_from(["whole"] * 12 + ["cut", "bom", "twice", "latin", "deep"])):
        case "cut":
            return text[: draw(st.integers(0, len(text)))]
        case "bom":
            return "\ufeff" + text
        case "twice":
            return json.dumps(text)
        case "deep":
            levels = draw(st.sampled_from([50, 500, 50_000]))
            return '{"a": [' * levels + text + "]}" * levels
        case "latin":
            return text.encode("utf-8", "replace").decode("latin-1")
    return text


@dataclass
class Counted:
    """How the requests ended."""

    answers: Counter[int] = field(default_factory=Counter)


@pytest.fixture(scope="module")
def counted() -> Counted:
    return Counted()


@settings(
    max_examples=MUTATIONS,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
@given(text=texts(), path=st.sampled_from(["/provisionpipeline"] * 4 + ["/plan", "/pipelinestatus"]))
def test_what_went_wrong_is_the_callers_fault_and_changes_nothing(text: str, path: str, counted: Counted) -> None:
    cloud = Cloud()
    aws = cloud.aws()
    event = {"httpMethod": "POST", "path": path, "body": text}
    answer = Orchestrator(aws.settings, aws, CATALOG).handle(event, "request")
    assert answer is not None
    status = answer["statusCode"]
    counted.answers[status] += 1
    assert status < 500, (answer["body"], text)
    answer["body"].encode("utf-8")
    if status != 200 or path == "/plan":
        written = [name for name in cloud.calls() if not name.partition(".")[2].startswith(READS)]
        assert written == [], (status, text)


def test_most_were_refused_and_some_survived(counted: Counted) -> None:
    if not counted.answers:
        pytest.skip("runs after the mutations")
    assert counted.answers[400] > sum(counted.answers.values()) / 2
    assert counted.answers[200] > 0, "mutations that never leave a valid config try nothing"
