"""Walks the catalog: every blueprint, every example, and what each example becomes in a fixed deployment.

Run it to write the golden renderings anew after a change that is meant: ``python tests/blueprints/walking.py``.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator.blueprint import Blueprint, Catalog, load_catalog
from orchestrator.model import Plan, Rendering, Stage
from orchestrator.plan import plan
from orchestrator.render import render
from orchestrator.settings import Settings
from orchestrator.validate import examine

ROOT = Path(__file__).parent.parent.parent
FRAMES = Path(__file__).parent / "frames"
ACCOUNT, REGION = "111111111111", "us-east-1"
ONE_STAGE = (Stage("prod", ACCOUNT, REGION),)
THREE_STAGES = (
    Stage("dev", "222222222222", REGION),
    Stage("staging", "333333333333", REGION, approval=True),
    Stage("prod", "444444444444", REGION, approval=True),
)
SETTINGS = Settings(
    account=ACCOUNT,
    region=REGION,
    assets_bucket=f"mlops-assets-{ACCOUNT}-{REGION}",
    artifact_bucket=f"mlops-artifacts-{ACCOUNT}-{REGION}",
    artifact_key_arn=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
    notifications_topic_arn=f"arn:aws:sns:{REGION}:{ACCOUNT}:mlops-notifications",
    function_arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:mlops-orchestrator",
    cloudformation_role_arn=f"arn:aws:iam::{ACCOUNT}:role/mlops-orchestrator-cloudformation",
    stages=THREE_STAGES,
    blueprint_bucket=f"mlops-blueprints-{ACCOUNT}-{REGION}",
    stack_sets_call_as="DELEGATED_ADMIN",
)
CATALOG: Catalog = load_catalog(ROOT)


@dataclass(frozen=True)
class Example:
    """One example of a blueprint."""

    blueprint: Blueprint
    name: str

    def __str__(self) -> str:
        return f"{self.blueprint.kind}/{self.name}"

    @property
    def body(self) -> Any:
        return json.loads((self.blueprint.folder / "examples" / f"{self.name}.json").read_text())

    @property
    def expected(self) -> Path:
        return self.blueprint.folder / "expected" / self.name

    @property
    def plan(self) -> Plan:
        return _planned(self)

    @property
    def rendering(self) -> Rendering:
        return _rendered(self)


EXAMPLES = [
    Example(blueprint, file.stem)
    for blueprint in CATALOG
    for file in sorted((blueprint.folder / "examples").glob("*.json"))
]


@cache
def _planned(example: Example) -> Plan:
    workload, warnings = examine(example.body, CATALOG, SETTINGS)
    assert not [warning for warning in warnings if "deprecated" not in str(warning).lower()], warnings
    return plan(workload, SETTINGS, CATALOG)


@cache
def _rendered(example: Example) -> Rendering:
    return render(example.plan, CATALOG, SETTINGS)


def templates(rendering: Rendering) -> dict[str, Any]:
    """The templates among the files of a rendering."""
    return {name: json.loads(data) for name, data in rendering.files.items() if name.endswith(".yaml")}


def golden_files(example: Example) -> dict[str, bytes]:
    """The files of the bundle that are kept beside the example; the config itself is the example."""
    return {name: data for name, data in example.rendering.files.items() if name != "mlops-config.json"}


def frame_of(stages: tuple[Stage, ...]) -> str:
    """The CodePipeline of the whole flow, training to endpoint, in these stages, for people to read."""
    example = next(each for each in EXAMPLES if str(each) == "model_registration/three_stages")
    body = {**example.body, "stages": [{"name": s.name, "account": s.account, "approval": s.approval} for s in stages]}
    endpoint = {key: value for key, value in body["pipelines"][-1].items() if key != "data_capture"}
    body["pipelines"][-1] = {**endpoint, "instance_type": "ml.m5.large"}
    workload, _ = examine(body, CATALOG, SETTINGS)
    rendering = render(plan(workload, SETTINGS, CATALOG), CATALOG, SETTINGS)
    return json.dumps(json.loads(rendering.pipeline_template), indent=1, sort_keys=True) + "\n"


FRAME_STAGES = {"one_account": ONE_STAGE, "three_stages": THREE_STAGES}


def _write_golden() -> None:
    for example in EXAMPLES:
        shutil.rmtree(example.expected, ignore_errors=True)
        for name, data in golden_files(example).items():
            file = example.expected / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        print(example)
    for name, stages in FRAME_STAGES.items():
        (FRAMES / f"{name}.json").write_text(frame_of(stages))
        print("frame", name)


if __name__ == "__main__":
    _write_golden()
