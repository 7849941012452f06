"""cfn-lint, in this process, over everything that is rendered: no errors, no warnings, no exceptions."""

from __future__ import annotations

import json

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs
from walking import EXAMPLES, FRAME_STAGES, REGION, frame_of, templates

# Examples often share a template: each different one is linted once.
DIFFERENT = {
    json.dumps(template, sort_keys=True): f"{example}/{name}"
    for example in EXAMPLES
    for name, template in templates(example.rendering).items()
}


def findings(template: str) -> list[str]:
    return [str(match) for match in lint(template, config=ManualArgs(regions=[REGION]))]


@pytest.mark.parametrize("text", DIFFERENT, ids=DIFFERENT.get)
def test_a_template_passes_cfn_lint(text: str) -> None:
    assert findings(text) == []


@pytest.mark.parametrize("name", FRAME_STAGES)
def test_the_frame_passes_cfn_lint(name: str) -> None:
    assert findings(frame_of(FRAME_STAGES[name])) == []
