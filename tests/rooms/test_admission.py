"""What AWS's validator says of our renderings, and what becomes of one that it refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import flow
from orchestrator.admission import admit, errors
from orchestrator.blueprint import load_catalog
from orchestrator.errors import BlueprintBroken
from orchestrator.model import Rendering
from tests.blueprints.walking import EXAMPLES, ROOT, Example
from tests.corridor.cloud import Cloud

CONFIG = {
    "pipeline_type": "model_training",
    "model_name": "m",
    "framework": "xgboost",
    "framework_version": "1.7-1",
    "instance_type": "ml.m5.large",
    "channels": {"train": {"location": "data/train.csv", "content_type": "text/csv"}},
    "hyperparameters": {"num_round": 1},
}


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_every_example_is_admitted(example: Example) -> None:
    admit(example.rendering)


def test_every_error_of_every_template_is_told() -> None:
    broken = {
        "Resources": {"A": {"Type": "AWS::SNS::Topic", "Properties": {"TopicNam": "x", "KmsMasterKeyId": {"Ref": "B"}}}}
    }
    good = Rendering({"a/template.yaml": b"{}", "a/prod.json": b"not looked at"}, json.dumps(broken))
    with pytest.raises(BlueprintBroken) as refusal:
        admit(replace(good, files={**good.files, "b/template.yaml": b"{nonsense"}))
    told = refusal.value.message
    assert "TopicNam" in told and "the CodePipeline: A" in told and "b/template.yaml" in told
    assert refusal.value.status == 500 and "nothing was created" in told


def test_warnings_refuse_nothing() -> None:
    template = {"Parameters": {"Unused": {"Type": "String"}}, "Resources": {"T": {"Type": "AWS::SNS::Topic"}}}
    assert errors(json.dumps(template).encode()) == []


def test_a_broken_blueprint_provisions_nothing(tmp_path: Path) -> None:
    for name in ("blueprints", "templates"):
        shutil.copytree(ROOT / name, tmp_path / name)
    workload = tmp_path / "blueprints/model_training/workload.yaml.j2"
    workload.write_text(workload.read_text().replace("LoggingConfiguration:", "Logging:"))
    cloud = Cloud()
    aws = cloud.aws()
    with pytest.raises(BlueprintBroken, match="Logging"):
        flow.provision_config(CONFIG, aws, aws.settings, load_catalog(tmp_path))
    assert cloud.log == []
    flow.provision_config(CONFIG, aws, aws.settings, load_catalog(ROOT))
    assert cloud.calls("cloudformation.create_stack")
