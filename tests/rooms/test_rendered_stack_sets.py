"""With stack sets CodePipeline deploys stacks in the hub that hold them; values and templates travel as parameters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.admission import admit
from orchestrator.blueprint import Catalog
from orchestrator.model import Plan, Rendering
from orchestrator.plan import plan
from orchestrator.render import render
from orchestrator.settings import Settings
from orchestrator.summary import summary
from orchestrator.validate import validate
from tests.blueprints.walking import CATALOG, EXAMPLES, SETTINGS, THREE_STAGES, Example

HUB, UNIT = "111111111111", "ou-ab12-34cdefgh"
PROJECT = "mlops-pipeline-churn-workload"
Spread = Callable[..., tuple[Plan, Rendering]]


@pytest.fixture
def spread(flow_config: dict[str, Any], settings: Settings, catalog: Catalog) -> Spread:
    """Plan and rendering of the whole flow by stack sets, with changes of the endpoint and of the stages."""
    able = replace(settings, blueprint_bucket="blueprints", stack_sets_call_as="DELEGATED_ADMIN")

    def made(unit: str = UNIT, **endpoint: Any) -> tuple[Plan, Rendering]:
        stages = [
            {"name": each.name, "account": each.account, "approval": each.approval, "organizational_unit": unit}
            for each in settings.stages
        ]
        config = {**flow_config, "deployment": "stackset", "stages": stages}
        config["pipelines"] = [*config["pipelines"][:-1], {**config["pipelines"][-1], **endpoint}]
        decided = plan(validate(config, catalog, able), able, catalog)
        return decided, render(decided, catalog, able)

    return made


def file(rendering: Rendering, name: str) -> Any:
    return json.loads(rendering.files[name])


def actions(rendering: Rendering) -> dict[str, dict[str, Any]]:
    pipeline = json.loads(rendering.pipeline_template)["Resources"]["Pipeline"]["Properties"]
    return {f"{stage['Name']}/{each['Name']}": each for stage in pipeline["Stages"] for each in stage["Actions"]}


def test_only_pipelines_of_the_stages_go_by_stack_sets(spread: Spread) -> None:
    decided, rendering = spread()
    training, registry, endpoint = decided.pipelines
    assert (training.stack_set_file, registry.stack_set_file) == ("", "")
    assert endpoint.stack_set_file == "endpoint/stack_set.yaml"
    assert [stack.stack_set for stack in endpoint.stacks] == [stack.stack_name for stack in endpoint.stacks]
    assert {"endpoint/template.yaml", "endpoint/stack_set.yaml"} <= rendering.files.keys()
    assert summary(decided)["deployment"] == "stackset"


def test_the_template_lies_under_its_own_content(spread: Spread) -> None:
    _, rendering = spread()
    ((key, data),) = rendering.templates.items()
    assert key == f"blueprints/{PROJECT}/{hashlib.sha256(data).hexdigest()}.json"
    assert json.loads(data) == file(rendering, "endpoint/template.yaml")
    url = f"https://blueprints.s3.us-east-1.amazonaws.com/{key}"
    assert file(rendering, "endpoint/dev.json")["Parameters"]["StackSetTemplateUrl"] == url


def test_one_stack_set_goes_to_exactly_one_account(spread: Spread) -> None:
    _, rendering = spread()
    template = file(rendering, "endpoint/stack_set.yaml")
    properties = template["Resources"]["StackSet"]["Properties"]
    assert properties["StackInstancesGroup"] == [
        {
            "DeploymentTargets": {
                "OrganizationalUnitIds": [{"Ref": "StackSetUnit"}],
                "Accounts": [{"Ref": "StackSetAccount"}],
                "AccountFilterType": "INTERSECTION",
            },
            "Regions": [{"Ref": "StackSetRegion"}],
        }
    ]
    assert properties["AutoDeployment"] == {"Enabled": False}
    assert properties["OperationPreferences"]["FailureToleranceCount"] == 0
    prod = file(rendering, "endpoint/prod.json")["Parameters"]
    own = {key.removeprefix("StackSet"): value for key, value in prod.items() if key.startswith("StackSet")}
    assert own.pop("TemplateUrl")
    assert own == {
        "Name": f"{PROJECT}-endpoint-prod",
        "Unit": UNIT,
        "Account": "444444444444",
        "Region": "us-east-1",
        "CallAs": "DELEGATED_ADMIN",
    }


def test_every_parameter_is_handed_on(spread: Spread) -> None:
    vpc = {"subnets": ["subnet-0123456789abcdef0"], "security_group_ids": ["sg-0123456789abcdef0"]}
    _, rendering = spread(vpc=vpc)
    inner = file(rendering, "endpoint/template.yaml")["Parameters"]
    outer = file(rendering, "endpoint/stack_set.yaml")
    assert inner.items() <= outer["Parameters"].items()
    handed = outer["Resources"]["StackSet"]["Properties"]["Parameters"]
    assert {each["ParameterKey"] for each in handed} == inner.keys()
    values = {each["ParameterKey"]: each["ParameterValue"] for each in handed}
    assert values["InstanceType"] == {"Ref": "InstanceType"}
    assert values["Subnets"] == {"Fn::Join": [",", {"Ref": "Subnets"}]}, "a stack set takes texts only"


def test_what_is_rendered_is_valid(spread: Spread) -> None:
    _, rendering = spread()
    admit(rendering)
    from cfnlint.api import lint

    found = lint(rendering.files["endpoint/stack_set.yaml"].decode(), regions=["us-east-1"])
    assert [str(match) for match in found] == []


def test_the_pipeline_deploys_in_the_hub_and_looks_in_the_stage(spread: Spread) -> None:
    _, rendering = spread()
    done = actions(rendering)
    for name in ("Review-prod/Changes-endpoint", "Deploy-prod/Prepare-endpoint"):
        assert done[name]["RoleArn"] == f"arn:aws:iam::{HUB}:role/mlops-pipeline-action"
        assert done[name]["Configuration"]["RoleArn"] == f"arn:aws:iam::{HUB}:role/mlops-cloudformation"
        assert done[name]["Configuration"]["TemplatePath"] == "Bundle::endpoint/stack_set.yaml"
        assert "registry.ModelPackageArn" in done[name]["Configuration"]["ParameterOverrides"]
    assert done["Deploy-prod/Execute-endpoint"]["RoleArn"] == f"arn:aws:iam::{HUB}:role/mlops-pipeline-action"
    asked = json.loads(done["Deploy-prod/Verify-endpoint"]["Configuration"]["UserParameters"])
    assert (asked["account"], asked["stack_set"]) == ("444444444444", f"{PROJECT}-endpoint-prod")
    assert "not the changes inside" in done["Review-prod/Approve-prod"]["Configuration"]["CustomData"]


def test_a_unit_is_a_value_and_does_not_shape_the_pipeline(spread: Spread) -> None:
    one, _ = spread()
    other, rendering = spread(unit="r-ab12")
    assert one.bundle_key == other.bundle_key
    assert file(rendering, "endpoint/dev.json")["Parameters"]["StackSetUnit"] == "r-ab12"


def test_names_leave_room_for_what_stack_sets_add(
    flow_config: dict[str, Any], settings: Settings, catalog: Catalog
) -> None:
    able = replace(settings, blueprint_bucket="b", stack_sets_call_as="SELF")
    stages = [{"name": "production", "account": "444444444444", "organizational_unit": UNIT}]
    long = {"name": "endpoint-for-all-of-the-us", "instance_type": "ml.m5.large"}
    pipelines = [*flow_config["pipelines"][:-1], {**flow_config["pipelines"][-1], **long}]
    config = {**flow_config, "model_name": "m" * 63, "deployment": "stackset", "stages": stages, "pipelines": pipelines}
    decided = plan(validate(config, catalog, able), able, catalog)
    (stack,) = decided.pipelines[-1].stacks
    assert len(f"StackSet-{stack.stack_set}-{'0' * 36}") <= 128


def test_the_group_of_models_lets_in_who_makes_the_stacks(spread: Spread) -> None:
    _, rendering = spread()
    policy = file(rendering, "registry/hub.input.json")["GroupPolicy"]
    assert "role/stacksets-exec-*" in policy


WORKLOADS = [example for example in EXAMPLES if example.body.get("version") == 2]


@pytest.mark.parametrize("example", WORKLOADS, ids=str)
def test_every_kind_of_the_stages_goes_by_stack_sets(example: Example) -> None:
    names = {each["name"] for each in example.body.get("stages", [])} or {each.name for each in THREE_STAGES}
    stages = [
        {"name": name, "account": f"{number + 2}" * 12, "organizational_unit": UNIT}
        for number, name in enumerate(sorted(names))
    ]
    pipelines = [  # an alarm starts no pipeline of another account
        {key: value for key, value in each.items() if key != "retraining"} for each in example.body["pipelines"]
    ]
    body = {**example.body, "deployment": "stackset", "stages": stages, "pipelines": pipelines}
    decided = plan(validate(body, CATALOG, SETTINGS), SETTINGS, CATALOG)
    rendering = render(decided, CATALOG, SETTINGS)
    admit(rendering)
    for pipeline in decided.pipelines:
        assert bool(pipeline.stack_set_file) == (pipeline.scope == "stage")
        if pipeline.scope == "stage":
            outer = file(rendering, pipeline.stack_set_file)
            assert file(rendering, pipeline.template_file)["Parameters"].items() <= outer["Parameters"].items()
            for stack in pipeline.stacks:
                told = file(rendering, stack.parameters_file)["Parameters"]
                assert told.keys() <= outer["Parameters"].keys()
