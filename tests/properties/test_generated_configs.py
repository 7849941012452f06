"""Configs drawn from the schema of every pipeline type, through the whole corridor: what is rendered passes cfn-lint,
every parameter satisfies the template's own constraints, the same config gives the same bytes.

30 configs a type; ``MLOPS_PROPERTY_EXAMPLES=300`` for the nightly run (``make nightly``).
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs
from hypothesis import HealthCheck, Phase, given, settings

from orchestrator.errors import BadRequest
from orchestrator.model import Rendering
from orchestrator.package import package
from orchestrator.plan import plan
from orchestrator.render import render
from orchestrator.validate import examine
from tests.blueprints.walking import CATALOG, ONE_STAGE, REGION, SETTINGS, THREE_STAGES
from tests.properties.drawing import Walked, starts, walks

EXAMPLES = int(os.environ.get("MLOPS_PROPERTY_EXAMPLES", "30"))
TYPES = [(blueprint, kind) for blueprint in CATALOG for kind in blueprint.types]
DEPLOYMENTS = {
    f"{place}{registry}": replace(SETTINGS, stages=stages, use_model_registry=bool(registry))
    for place, stages in (("single", ONE_STAGE), ("multi", THREE_STAGES))
    for registry in ("", "_registry")
}
LINTED: set[str] = set()
"""Templates that have been linted; values travel as parameters, so many configs share one."""


def faults(rendering: Rendering) -> list[str]:
    """What is wrong with a rendering: findings of cfn-lint, parameters outside the constraints."""
    documents = {name: json.loads(data) for name, data in rendering.files.items() if name.endswith((".yaml", ".json"))}
    templates = {name: each for name, each in documents.items() if "AWSTemplateFormatVersion" in each}
    values = {
        name: each["Parameters"] for name, each in documents.items() if name not in templates and "Parameters" in each
    }
    found = [each for template in templates.values() for each in lint_once(template)]
    assert values, "a rendering has parameters"
    for name, given_values in values.items():
        (template,) = (each for file, each in templates.items() if folder(file) == folder(name))
        found += [f"{name}: {each}" for each in outside(template["Parameters"], given_values)]
    return found + lint_once(json.loads(rendering.pipeline_template))


def folder(name: str) -> str:
    return name.rpartition("/")[0]


def lint_once(template: Any) -> list[str]:
    text = json.dumps(template, sort_keys=True)
    if text in LINTED:
        return []
    LINTED.add(text)
    return [str(match) for match in lint(text, config=ManualArgs(regions=[REGION]))]


def outside(declared: dict[str, Any], given: dict[str, str]) -> list[str]:
    """The parameters whose values CloudFormation would refuse."""
    found = [f"{name} is not declared" for name in given if name not in declared]
    for name, rule in declared.items():
        if name not in given and "Default" not in rule:
            found.append(f"{name} has no value")
        text = given.get(name)
        if text is None:
            continue
        parts = text.split(",") if rule["Type"].startswith(("List", "CommaDelimited")) else [text]
        if "AllowedValues" in rule and not set(parts) <= set(map(str, rule["AllowedValues"])):
            found.append(f"{name}={text!r} is none of the allowed values")
        if "AllowedPattern" in rule and not all(re.fullmatch(rule["AllowedPattern"], part) for part in parts):
            found.append(f"{name}={text!r} does not match {rule['AllowedPattern']}")
        if not float(rule.get("MinValue", "-inf")) <= (float(text) if rule["Type"] == "Number" else 0):
            found.append(f"{name}={text} is too small")
        if len(text) > rule.get("MaxLength", 4096) or len(text) < rule.get("MinLength", 0):
            found.append(f"{name} has a length of {len(text)}")
    return found


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
@pytest.mark.parametrize(("blueprint", "kind"), TYPES, ids=[kind for _, kind in TYPES])
def test_what_a_valid_config_becomes_is_valid(blueprint: Any, kind: str, deployment: str) -> None:
    configured = DEPLOYMENTS[deployment]
    beginnings = [body for body in starts(blueprint, kind) if _accepted(body, configured)]
    if not beginnings:
        pytest.skip("no example of this type stands alone in this deployment")
    seen: set[str] = set()

    @settings(
        max_examples=-(-EXAMPLES // len(DEPLOYMENTS)),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(walked=walks(kind, beginnings, configured))
    def run(walked: Walked) -> None:
        seen.add(json.dumps(walked.body, sort_keys=True))
        made = plan(walked.workload, configured, CATALOG)
        rendering = render(made, CATALOG, configured)
        assert faults(rendering) == [], walked.body
        again = render(plan(walked.workload, configured, CATALOG), CATALOG, configured)
        assert package(again).digest == package(rendering).digest

    run()
    assert len(seen) > 1, "the walks never left their beginnings"


def test_a_wrong_parameter_is_seen() -> None:
    declared = {
        "Key": {"Type": "String", "AllowedPattern": "^a+$"},
        "Count": {"Type": "Number", "MinValue": 1},
        "Kind": {"Type": "String", "AllowedValues": ["x"], "Default": "x"},
    }
    assert outside(declared, {"Key": "aa", "Count": "1"}) == []
    assert len(outside(declared, {"Key": "b", "Count": "0", "Kind": "y", "Other": "z"})) == 4
    assert outside(declared, {"Key": "a"}) == ["Count has no value"]


def _accepted(body: dict[str, Any], configured: Any) -> bool:
    try:
        examine(body, CATALOG, configured)
    except BadRequest:
        return False
    return True


@pytest.mark.parametrize(("blueprint", "kind"), TYPES, ids=[kind for _, kind in TYPES])
def test_every_type_has_a_beginning(blueprint: Any, kind: str) -> None:
    assert any(_accepted(body, each) for body in starts(blueprint, kind) for each in DEPLOYMENTS.values()), (
        "give the blueprint an example of this type that refers to no other pipeline"
    )
