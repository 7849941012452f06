"""Stack sets stand between the hub and the stages: their templates come first, their stacks are followed, all goes."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.errors import AwsFailed, Conflict
from orchestrator.execute import JobFailed, run_job
from orchestrator.flow import delete_project
from orchestrator.model import Rendering
from orchestrator.provision import deployed, provision
from orchestrator.runs import followed, in_stages, targets
from tests.corridor.cloud import DEV, HUB, REGION, Cloud, job_event, refusing
from tests.corridor.test_provision import STACK, bundle, plan
from tests.corridor.test_remove import no_wait

PROJECT = "mlops-pipeline-m-workload"
OUTER = f"{PROJECT}-endpoint-dev"
INNER = f"StackSet-{OUTER}-0f1e2d3c"
TEMPLATE = f"blueprints/{PROJECT}/abc.json"
ABLE = {"blueprint_bucket": "blueprints", "stack_sets_call_as": "DELEGATED_ADMIN"}


def action(name: str, **configuration: str) -> dict[str, Any]:
    return {
        "name": name,
        "actionTypeId": {"category": "Deploy", "owner": "AWS", "provider": "CloudFormation", "version": "1"},
        "configuration": {"StackName": OUTER, **configuration},
        "roleArn": f"arn:aws:iam::{HUB}:role/mlops-pipeline-action",
    }


STAGE = {
    "name": "Deploy-dev",
    "actions": [action("Prepare", TemplatePath="Bundle::endpoint/stack_set.yaml"), action("Execute")],
}


def instance(stack: str = INNER) -> dict[str, Any]:
    arn = f"arn:aws:cloudformation:{REGION}:{DEV}:stack/{stack}/1"
    return {"Account": DEV, "Region": REGION, **({"StackId": arn} if stack else {})}


@pytest.fixture
def cloud() -> Cloud:
    """A project with one stage, whose stack set made its stack there."""
    made = Cloud()
    made.put_stack(f"{PROJECT}-codepipeline", "CREATE_COMPLETE")
    made.put_stack(OUTER, "CREATE_COMPLETE")
    made.put_stack(INNER, "CREATE_COMPLETE", DEV)
    made.objects["blueprints", TEMPLATE] = {"Body": b"{}", "ETag": '"1"'}
    made.objects["blueprints", "blueprints/another/abc.json"] = {"Body": b"{}", "ETag": '"1"'}
    made.answers["codepipeline.get_pipeline"] = {"pipeline": {"name": PROJECT, "roleArn": "r", "stages": [STAGE]}}
    made.answers["codepipeline.list_pipeline_executions"] = {"pipelineExecutionSummaries": []}
    made.answers["cloudformation.list_stack_instances"] = {"Summaries": [instance()]}
    return made


# ---- in ----


def test_templates_are_written_before_the_bundle() -> None:
    cloud = Cloud()
    rendering = Rendering({}, "{}", {TEMPLATE: b"{}"})
    provision(plan(deployment="stackset"), rendering, bundle(), cloud.aws(**ABLE))
    assert cloud.calls() == [
        "cloudformation.describe_stacks", "s3.put_object", "s3.put_object", "cloudformation.create_stack",
    ]  # fmt: skip
    written = [entry["Bucket"] for _, name, entry in cloud.log if name == "s3.put_object"]
    assert written == ["blueprints", "assets"]
    cloud.settle()
    cloud.log.clear()
    provision(plan(deployment="stackset"), rendering, bundle(), cloud.aws(**ABLE))
    assert "s3.put_object" not in cloud.calls()
    newer = Rendering({}, "{}", {TEMPLATE.replace("abc", "def"): b"{1}"})
    provision(plan(deployment="stackset"), newer, bundle("two"), cloud.aws(**ABLE))
    written = [entry["Bucket"] for _, name, entry in cloud.log if name == "s3.put_object"]
    assert written == ["blueprints", "assets"]


@pytest.mark.parametrize(("before", "after"), [("change_set", "stackset"), ("stackset", "change_set")])
def test_the_way_of_deployment_does_not_change_in_place(before: Any, after: Any) -> None:
    cloud = Cloud()
    provision(plan(deployment=before), Rendering({}, "{}"), bundle(), cloud.aws(**ABLE))
    cloud.settle()
    cloud.log.clear()
    for look in (provision, deployed):
        with pytest.raises(Conflict, match=f"deployed by {before}, and cannot change over to {after}"):
            look(plan(deployment=after), Rendering({}, "{}"), bundle("two"), cloud.aws(**ABLE))
    assert set(cloud.calls()) == {"cloudformation.describe_stacks"}
    assert cloud.stacks[HUB, STACK]["StackStatus"] == "CREATE_COMPLETE"


# ---- out ----


def test_a_stack_set_is_followed_to_its_stack(cloud: Cloud) -> None:
    aws = cloud.aws(**ABLE)
    (place,) = targets(aws, PROJECT)
    assert (place.account, place.stack, place.stack_set) == (HUB, OUTER, OUTER)
    (inner,) = followed(aws, in_stages((place,)))
    assert (inner.account, inner.stack, inner.name) == (DEV, INNER, OUTER)
    (asked,) = [entry for _, name, entry in cloud.log if name == "cloudformation.list_stack_instances"]
    assert asked == {"StackSetName": OUTER, "CallAs": "DELEGATED_ADMIN"}


@pytest.mark.parametrize("answer", [{"Summaries": []}, {"Summaries": [instance("")]}, None])
def test_what_is_not_there_yet_is_left_out(cloud: Cloud, answer: Any) -> None:
    found = answer or refusing("StackSetNotFoundException", status=404)
    cloud.answers["cloudformation.list_stack_instances"] = found
    aws = cloud.aws(**ABLE)
    assert followed(aws, targets(aws, PROJECT)) == ()


def test_what_may_not_be_read_is_told(cloud: Cloud) -> None:
    cloud.answers["cloudformation.list_stack_instances"] = refusing("AccessDenied", status=403)
    aws = cloud.aws(**ABLE)
    with pytest.raises(AwsFailed):
        followed(aws, targets(aws, PROJECT))


def verifying(cloud: Cloud) -> Any:
    event = job_event("j", {"do": "verify", "account": DEV, "region": REGION, "stack": OUTER, "stack_set": OUTER})
    cloud.answers["codepipeline.put_job_success_result"] = {}
    cloud.answers["codepipeline.put_job_failure_result"] = {}
    return run_job(event, cloud.aws(**ABLE))


def test_the_truth_is_looked_up_in_the_stage(cloud: Cloud) -> None:
    endpoint = {"ResourceType": "AWS::SageMaker::Endpoint", "PhysicalResourceId": "e", "LogicalResourceId": "Endpoint"}
    cloud.stacks[DEV, INNER]["Resources"] = [{**endpoint, "ResourceStatus": "CREATE_COMPLETE"}]
    cloud.answers["sagemaker.describe_endpoint"] = {"EndpointStatus": "Failed", "EndpointConfigName": "c"}
    outcome = verifying(cloud)
    assert isinstance(outcome, JobFailed)
    assert "Endpoint e is Failed" in outcome.message


def test_an_account_outside_the_unit_is_told(cloud: Cloud) -> None:
    cloud.answers["cloudformation.list_stack_instances"] = {"Summaries": []}
    outcome = verifying(cloud)
    assert isinstance(outcome, JobFailed)
    assert f"holds no stack in account {DEV}" in outcome.message


def test_a_removed_project_leaves_no_templates(cloud: Cloud) -> None:
    removed = list(delete_project(PROJECT, cloud.aws(**ABLE), confirmed=True, wait=no_wait))
    assert [(one.what, one.account, one.outcome) for one in removed] == [
        ("stack", HUB, "removed"), ("pipeline", HUB, "removed"), ("template", HUB, "removed"),
    ]  # fmt: skip
    assert list(cloud.objects) == [("blueprints", "blueprints/another/abc.json")]
    assert "sts.assume_role" not in cloud.calls(), "the stack set reaches the stage by itself"
