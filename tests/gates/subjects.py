"""What the gates look at: the launch templates, and everything that every example is rendered to, in one account and in
several."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import BadRequest
from orchestrator.plan import plan
from orchestrator.render import render
from orchestrator.validate import examine
from tests.blueprints.walking import CATALOG, EXAMPLES, ONE_STAGE, SETTINGS, THREE_STAGES, templates
from tests.corridor.launch import LAUNCH, template

Template = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """A template with a name that is also a file name."""

    name: str
    template: Template

    @property
    def text(self) -> str:
        """The template as JSON, sorted: the same template is the same text."""
        return json.dumps(self.template, indent=1, sort_keys=True)

    def write(self, folder: Path) -> Path:
        """The template as a file in the folder."""
        path = folder / f"{self.name}.json"
        path.write_text(self.text)
        return path


def subjects() -> list[Subject]:
    """Every different template, under the first name that it has."""
    found: dict[str, Subject] = {}
    for subject in [*_launched(), *_rendered()]:
        found.setdefault(subject.text, subject)
    return list(found.values())


def _launched() -> Iterator[Subject]:
    for file in sorted(LAUNCH.iterdir()):
        yield Subject(f"launch-{file.name.partition('.')[0]}", template(file.name))


def _rendered() -> Iterator[Subject]:
    for accounts, stages in (("multi", THREE_STAGES), ("single", ONE_STAGE)):
        settings = replace(SETTINGS, stages=stages)
        for example in EXAMPLES:
            try:
                workload = examine(example.body, CATALOG, settings)[0]
            except BadRequest:
                continue  # an example that names the stages of several accounts
            rendering = render(plan(workload, settings, CATALOG), CATALOG, settings)
            begin = f"{example.blueprint.kind}-{example.name}-{accounts}"
            for name, rendered in templates(rendering).items():
                yield Subject(f"{begin}-{name.rpartition('.')[0].replace('/', '-')}", rendered)
            yield Subject(f"{begin}-pipeline", json.loads(rendering.pipeline_template))
