"""The whole request, from a config to the stack: pure until the last room, and foreseen by the dry run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.blueprint import Catalog, load_catalog
from orchestrator.errors import ConfigInvalid
from orchestrator.flow import plan_config, prepare, provision_config
from tests.corridor.cloud import DEV, HUB, Cloud

EXAMPLE = Path(__file__).parent.parent.parent / "pipelines" / "breast-cancer" / "mlops-config.json"
STACK = "mlops-pipeline-breast-cancer-workload-codepipeline"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture
def body() -> Any:
    return json.loads(EXAMPLE.read_text())


def test_a_workload_is_provisioned_once_and_each_change_foreseen(catalog: Catalog, body: Any) -> None:
    cloud = Cloud()
    aws = cloud.aws()
    preview = plan_config(body, aws, aws.settings, catalog)
    assert preview.deployed.outcome == "created" and {stack.kind for stack in preview.changes.stacks} == {"added"}
    assert provision_config(body, aws, aws.settings, catalog).outcome == "created"
    cloud.settle()
    preview = plan_config(body, aws, aws.settings, catalog)
    assert preview.deployed.outcome == "unchanged" and preview.changes.nothing

    body["pipelines"][-1]["instance_type"]["dev"] = "ml.m5.xlarge"
    preview = plan_config(body, aws, aws.settings, catalog)
    assert preview.deployed.outcome == "updated" and not preview.deployed.frame_changes
    (changed,) = [stack for stack in preview.changes.stacks if stack.kind == "changed"]
    assert (changed.account, changed.parameters) == (DEV, {"InstanceType": ("ml.m5.large", "ml.m5.xlarge")})
    cloud.log.clear()
    assert provision_config(body, aws, aws.settings, catalog).outcome == "updated"
    assert cloud.calls() == ["cloudformation.describe_stacks", "s3.head_object", "s3.put_object"]


def test_another_stage_changes_the_pipeline_and_moves_the_bundle(catalog: Catalog, body: Any) -> None:
    cloud = Cloud()
    aws = cloud.aws()
    provision_config(body, aws, aws.settings, catalog)
    cloud.settle()
    body["stages"] = body["stages"][:2]
    preview = plan_config(body, aws, aws.settings, catalog)
    assert preview.deployed.frame_changes and preview.deployed.bundle and preview.changes.structure
    assert provision_config(body, aws, aws.settings, catalog).outcome == "updated"
    assert cloud.stacks[HUB, STACK]["StackStatus"] == "UPDATE_IN_PROGRESS"
    keys = [key for bucket, key in cloud.objects if bucket == "assets"]
    assert len(keys) == 2 and all(key.endswith("/template.zip") for key in keys)


def test_a_wrong_config_reaches_no_aws(catalog: Catalog, body: Any) -> None:
    cloud = Cloud()
    aws = cloud.aws()
    body["pipelines"][0]["instance_type"] = "large"
    body["pipelines"][1]["model"] = {"from": "nowhere"}
    body["stages"][0]["account"] = "12"
    for attempt in (provision_config, plan_config):
        with pytest.raises(ConfigInvalid) as caught:
            attempt(body, aws, aws.settings, catalog)
        assert len(caught.value.problems) >= 3
    assert cloud.log == []


def test_the_same_config_is_the_same_bytes(catalog: Catalog, body: Any) -> None:
    settings = Cloud().aws().settings
    first, second = prepare(body, settings, catalog), prepare(json.loads(json.dumps(body)), settings, catalog)
    assert first.bundle == second.bundle and first.rendering.pipeline_template == second.rendering.pipeline_template
