"""The files of a bundle and the CodePipeline of a project."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.blueprint import Catalog
from orchestrator.errors import BlueprintBroken, ConfigInvalid
from orchestrator.model import Rendering
from orchestrator.plan import plan
from orchestrator.render import render
from orchestrator.settings import Settings
from orchestrator.validate import validate

Render = Callable[[Any], Rendering]


def stages(rendering: Rendering) -> dict[str, dict[str, Any]]:
    pipeline = json.loads(rendering.pipeline_template)["Resources"]["Pipeline"]["Properties"]
    return {stage["Name"]: stage for stage in pipeline["Stages"]}


def actions(rendering: Rendering, stage: str) -> dict[str, dict[str, Any]]:
    return {action["Name"]: action for action in stages(rendering)[stage]["Actions"]}


def test_the_files_of_a_workload(flow_config: Any, rendered: Render) -> None:
    rendering = rendered(flow_config)
    assert list(rendering.files) == [
        "endpoint/dev.json",
        "endpoint/prod.json",
        "endpoint/staging.json",
        "endpoint/template.yaml",
        "mlops-config.json",
        "plan.json",
        "registry/hub.input.json",
        "registry/hub.json",
        "registry/template.yaml",
        "training/hub.input.json",
        "training/hub.json",
        "training/template.yaml",
    ]
    assert json.loads(rendering.files["endpoint/dev.json"])["Tags"] == {"team": "x"}
    assert json.loads(rendering.files["mlops-config.json"]) == flow_config
    assert json.loads(rendering.files["plan.json"])["project"] == "mlops-pipeline-churn-workload"


def test_the_files_of_one_pipeline(rendered: Render) -> None:
    body = {
        "pipeline_type": "byom_realtime_builtin",
        "model_name": "churn",
        "model_framework": "xgboost",
        "model_framework_version": "1.7-1",
        "model_artifact_location": "models/m.tar.gz",
        "inference_instance": "ml.m5.large",
        "data_capture_location": "captures/churn",
    }
    assert set(rendered(body).files) == {
        "byom_realtime_inference_pipeline.yaml",
        "dev_template_params.json",
        "staging_template_params.json",
        "prod_template_params.json",
        "plan.json",
        "mlops-config.json",
    }


def test_the_stages_of_three_accounts(flow_config: Any, rendered: Render) -> None:
    assert list(stages(rendered(flow_config))) == [
        "Source",
        "training",
        "registry",
        "Review-registry",
        "Deploy-dev",
        "Review-staging",
        "Deploy-staging",
        "Review-prod",
        "Deploy-prod",
    ]


def test_only_deployments_roll_back(flow_config: Any, rendered: Render) -> None:
    for name, stage in stages(rendered(flow_config)).items():
        assert stage.get("OnFailure") == ({"Result": "ROLLBACK"} if name.startswith("Deploy-") else None)


def test_a_hub_pipeline_deploys_runs_and_is_reviewed(flow_config: Any, rendered: Render) -> None:
    found = actions(rendered(flow_config), "registry")
    assert [(name, action["RunOrder"]) for name, action in found.items()] == [
        ("Deploy-registry", 1),
        ("Run-registry", 2),
        ("Results-registry", 3),
    ]
    overrides = json.loads(found["Deploy-registry"]["Configuration"]["ParameterOverrides"])
    assert overrides["ModelDataUrl"] == "#{training.ModelDataUrl}"
    assert len(found["Deploy-registry"]["Configuration"]["ParameterOverrides"]) < 1000
    assert found["Run-registry"]["Namespace"] == "registry_run"
    assert found["Run-registry"]["Configuration"]["Input"] == "registry/hub.input.json"
    assert json.loads(found["Results-registry"]["Configuration"]["UserParameters"]) == {
        "do": "results",
        "execution": "#{registry_run.ExecutionArn}",
    }


def test_a_version_is_reviewed_unless_it_is_approved_already(flow_config: Any, rendered: Render) -> None:
    rendering = rendered(flow_config)
    found = actions(rendering, "Review-registry")
    assert [(name, action["RunOrder"]) for name, action in found.items()] == [
        ("Approve-registry", 1),
        ("Accept-registry", 2),
    ]
    (condition,) = stages(rendering)["Review-registry"]["BeforeEntry"]["Conditions"]
    assert condition["Result"] == "SKIP"
    (rule,) = condition["Rules"]
    assert rule["RuleTypeId"] == {"Category": "Rule", "Owner": "AWS", "Provider": "VariableCheck", "Version": "1"}
    # The stage is entered while the rule holds: any status but Approved, Rejected among them, is reviewed.
    wanted = {"Variable": "#{registry.ApprovalStatus}", "Value": "Approved", "Operator": "NE"}
    assert rule["Configuration"] == wanted
    assert "#{registry.ModelPackageArn}" in found["Approve-registry"]["Configuration"]["CustomData"]
    accept = json.loads(found["Accept-registry"]["Configuration"]["UserParameters"])
    assert accept["what"] == "approve_model_package"
    assert accept["results"]["ModelPackageArn"] == "#{registry.ModelPackageArn}"


def test_an_automatic_approval_asks_nobody(flow_config: Any, rendered: Render) -> None:
    flow_config["pipelines"][1]["approval"] = "automatic"
    rendering = rendered(flow_config)
    assert list(actions(rendering, "registry")) == ["Deploy-registry", "Run-registry", "Results-registry"]
    assert "Review-registry" not in stages(rendering)


def test_a_stage_is_reviewed_then_deployed_then_verified(flow_config: Any, rendered: Render) -> None:
    rendering = rendered(flow_config)
    review = actions(rendering, "Review-prod")
    assert [(name, action["RunOrder"]) for name, action in review.items()] == [
        ("Changes-endpoint", 1),
        ("Approve-prod", 2),
    ]
    assert review["Changes-endpoint"]["Configuration"]["ChangeSetName"] == "mlops-review"
    link = review["Approve-prod"]["Configuration"]["ExternalEntityLink"]
    assert "stackId=mlops-pipeline-churn-workload-endpoint-prod&changeSetId=mlops-review" in link
    deploy = actions(rendering, "Deploy-prod")
    assert [(name, action["RunOrder"]) for name, action in deploy.items()] == [
        ("Prepare-endpoint", 1),
        ("Execute-endpoint", 2),
        ("Verify-endpoint", 3),
    ]
    prepare = deploy["Prepare-endpoint"]
    assert prepare["RoleArn"] == "arn:aws:iam::444444444444:role/mlops-pipeline-action"
    assert prepare["Configuration"]["RoleArn"] == "arn:aws:iam::444444444444:role/mlops-cloudformation"
    assert prepare["Configuration"]["TemplatePath"] == "Bundle::endpoint/template.yaml"
    assert prepare["Configuration"]["TemplateConfiguration"] == "Bundle::endpoint/prod.json"
    assert json.loads(deploy["Verify-endpoint"]["Configuration"]["UserParameters"]) == {
        "do": "verify",
        "account": "444444444444",
        "region": "us-east-1",
        "stack": "mlops-pipeline-churn-workload-endpoint-prod",
    }


def test_several_pipelines_of_a_stage_go_one_after_the_other(flow_config: Any, rendered: Render) -> None:
    flow_config["pipelines"].append({**flow_config["pipelines"][2], "name": "second"})
    rendering = rendered(flow_config)
    orders = {name: action["RunOrder"] for name, action in actions(rendering, "Deploy-dev").items()}
    assert orders == {
        "Prepare-endpoint": 1,
        "Execute-endpoint": 2,
        "Verify-endpoint": 3,
        "Prepare-second": 4,
        "Execute-second": 5,
        "Verify-second": 6,
    }
    assert [action["RunOrder"] for action in actions(rendering, "Review-prod").values()] == [1, 1, 2]


def test_the_pipeline_role_may_act_only_where_the_pipeline_goes(flow_config: Any, rendered: Render) -> None:
    template = json.loads(rendered(flow_config).pipeline_template)
    statements = template["Resources"]["PipelinePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    by_name = {statement["Sid"]: statement for statement in statements}
    accounts = ["111111111111", "222222222222", "333333333333", "444444444444"]
    assert by_name["ActInTheStages"]["Resource"] == [
        f"arn:aws:iam::{account}:role/mlops-pipeline-action" for account in accounts
    ]
    assert by_name["StartJobs"]["Resource"] == [
        f"arn:aws:states:us-east-1:111111111111:stateMachine:mlops-pipeline-churn-workload-{name}"
        for name in ("registry", "training")
    ]
    assert by_name["KeepArtifacts"]["Resource"]["Fn::Join"][1][-1] == "/mlops-pipeline-churn*"


def test_a_training_alone_has_no_stages(flow_config: Any, rendered: Render) -> None:
    flow_config["pipelines"] = flow_config["pipelines"][:1]
    assert list(stages(rendered(flow_config))) == ["Source", "training"]


def test_rendering_twice_gives_the_same(flow_config: Any, rendered: Render) -> None:
    shuffled = json.loads(json.dumps(dict(reversed(flow_config.items()))))
    assert rendered(flow_config) == rendered(shuffled)


def test_a_value_that_the_template_does_not_take_is_refused(
    flow_config: Any, settings: Settings, catalog: Catalog
) -> None:
    decided = plan(validate(flow_config, catalog, settings), settings, catalog)
    served = decided.pipelines[2]
    wrong = replace(
        served.stacks[0], parameters={**served.stacks[0].parameters, "InstanceType": "big", "InstanceCount": "0"}
    )
    broken = replace(decided, pipelines=(*decided.pipelines[:2], replace(served, stacks=(wrong, *served.stacks[1:]))))
    with pytest.raises(ConfigInvalid) as refused:
        render(broken, catalog, settings)
    assert [problem.path for problem in refused.value.problems] == ["$.pipelines[2]"] * 2
    text = " ".join(problem.message for problem in refused.value.problems)
    assert "InstanceType of endpoint in dev" in text
    assert "InstanceCount of endpoint in dev must be between 1 and 1000" in text


@pytest.mark.parametrize("change", [{"Strange": "1"}, {"EndpointName": None}])
def test_a_template_and_its_parameters_must_agree(
    change: dict[str, Any], flow_config: Any, settings: Settings, catalog: Catalog
) -> None:
    decided = plan(validate(flow_config, catalog, settings), settings, catalog)
    served = decided.pipelines[2]
    parameters = {key: value for key, value in {**served.stacks[0].parameters, **change}.items() if value is not None}
    wrong = replace(served, stacks=(replace(served.stacks[0], parameters=parameters), *served.stacks[1:]))
    with pytest.raises(BlueprintBroken, match=next(iter(change))):
        render(replace(decided, pipelines=(*decided.pipelines[:2], wrong)), catalog, settings)
