"""Patterns are read as JSON Schema means them, in every part of a config."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from orchestrator.blueprint import load_catalog
from orchestrator.patterns import compiled
from orchestrator.schema import published


@pytest.mark.parametrize(
    "pattern, texts, others",
    [
        ("^[0-9]{3}$", ["123"], ["123\n", "1234", "x123"]),
        ("^a$|^b$", ["a", "b"], ["a\n", "b\n"]),
        ("^(?:a$|b)", ["a", "b\n"], ["a\n"]),
        (r"^[$]\$$", ["$$"], ["$$\n", "$"]),
        (r"^[\]$]$", ["]", "$"], ["$\n"]),
    ],
)
def test_a_dollar_sign_is_the_end(pattern: str, texts: list[str], others: list[str]) -> None:
    assert all(compiled(pattern).search(text) for text in texts)
    assert not any(compiled(pattern).search(text) for text in others)


def all_patterns(value: Any) -> set[str]:
    """Every pattern in the published schema."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = {value["pattern"]} if isinstance(value, dict) and isinstance(value.get("pattern"), str) else set()
    return own.union(*(all_patterns(each) for each in inside))


PATTERNS = sorted(all_patterns(published(load_catalog())))


@given(st.sampled_from(PATTERNS).flatmap(lambda one: st.tuples(st.just(one), st.from_regex(one))))
@examples(max_examples=300, deadline=None, derandomize=True)
def test_for_every_text_of_one_line_it_is_python_s_meaning(drawn: tuple[str, str]) -> None:
    pattern, text = drawn
    if not text.endswith("\n"):
        assert bool(compiled(pattern).search(text)) == bool(re.search(pattern, text))
    elif pattern.endswith("$") and "|" not in pattern and "\\n" not in pattern:
        assert not compiled(pattern).search(text)


def test_a_line_feed_at_the_end_is_refused_in_the_form_and_in_a_kind(told: Callable[..., dict[str, str]]) -> None:
    forge = {"name": "forge", "pipeline_type": "forge", "ore": {"main": {"place": "mine/ore.csv\n"}}}
    stages = [{"name": "dev", "account": "222222222222\n"}]
    found = told({"version": 2, "model_name": "sword\n", "stages": stages, "pipelines": [forge]})
    assert set(found) == {"$.model_name", "$.stages[0].account", "$.pipelines[0].ore.main.place"}
