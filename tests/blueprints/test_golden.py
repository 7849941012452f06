"""What every example becomes is written down beside it; a change of it is meant, or it is a mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from walking import EXAMPLES, FRAME_STAGES, FRAMES, ROOT, SETTINGS, Example, frame_of, golden_files

from orchestrator.blueprint import load_catalog
from orchestrator.package import package
from orchestrator.plan import plan
from orchestrator.render import render
from orchestrator.templating import canonical
from orchestrator.validate import examine

ANEW = "run `python tests/blueprints/walking.py` when the change is meant, and look at the difference"


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_becomes_what_is_written_down(example: Example) -> None:
    written = {
        path.relative_to(example.expected).as_posix(): path.read_bytes()
        for path in sorted(example.expected.rglob("*"))
        if path.is_file()
    }
    rendered = golden_files(example)
    assert sorted(written) == sorted(rendered), ANEW
    for name, data in rendered.items():
        assert written[name] == data, f"{name}: {ANEW}"


@pytest.mark.parametrize("name", FRAME_STAGES)
def test_the_frame_is_what_is_written_down(name: str) -> None:
    assert (FRAMES / f"{name}.json").read_text() == frame_of(FRAME_STAGES[name]), ANEW


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_the_same_config_gives_the_same_bytes(example: Example) -> None:
    workload, _ = examine(example.body, load_catalog(ROOT), SETTINGS)
    again = plan(workload, SETTINGS, load_catalog(ROOT))
    assert again == example.plan
    rendering = render(again, load_catalog(ROOT), SETTINGS)
    assert package(rendering) == package(example.rendering)
    assert rendering.pipeline_template == example.rendering.pipeline_template


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_files_are_canonical(example: Example) -> None:
    for name, data in example.rendering.files.items():
        assert data == (canonical(json.loads(data), indent=1) + "\n").encode(), name
        assert not Path(name).is_absolute()
        assert ".." not in name
