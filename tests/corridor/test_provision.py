"""Provisioning can be repeated, interrupted and raced, and does each thing once."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import pytest

from orchestrator.errors import AwsFailed, Conflict
from orchestrator.model import Bundle, Plan, Receipt, Rendering, Stage
from orchestrator.provision import deployed, provision
from tests.corridor.cloud import HUB, REGION, Cloud, refusing

STACK = "mlops-pipeline-m-workload-codepipeline"
KEY = "mlops_provisioned_pipelines/mlops-pipeline-m-workload/abc/template.zip"


def plan(**changes: Any) -> Plan:
    made = Plan(
        project="mlops-pipeline-m-workload",
        model_name="M",
        stages=(Stage("prod", HUB, REGION),),
        pipelines=(),
        pipeline_stack=STACK,
        bundle_key=KEY,
        pipeline_parameters={"BundleKey": KEY},
        tags={"team": "x"},
    )
    return dataclasses.replace(made, **changes)


def bundle(text: str = "one") -> Bundle:
    return Bundle(hashlib.sha256(text.encode()).hexdigest(), text.encode())


def go(cloud: Cloud, text: str = "one", template: str = "{}", **changes: Any) -> Receipt:
    return provision(plan(**changes), Rendering({}, template), bundle(text), cloud.aws())


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def provisioned(cloud: Cloud) -> Cloud:
    """A project that came up well; the log is empty again."""
    go(cloud)
    cloud.settle()
    cloud.log.clear()
    return cloud


def test_first_writes_the_bundle_then_makes_the_stack(cloud: Cloud) -> None:
    receipt = go(cloud)
    assert receipt.outcome == "created" and receipt.message == "success: stack creation started"
    assert cloud.calls() == ["cloudformation.describe_stacks", "s3.put_object", "cloudformation.create_stack"]
    assert cloud.objects["assets", KEY]["Metadata"] == {"bundle-digest": bundle().digest}
    request = cloud.log[-1][2]
    assert request["RoleARN"].endswith("role/mlops-orchestrator-cloudformation")
    assert request["Parameters"] == [{"ParameterKey": "BundleKey", "ParameterValue": KEY}]
    tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
    assert (
        tags["mlops:project"] == "mlops-pipeline-m-workload" and tags["mlops:model-name"] == "M" and tags["team"] == "x"
    )
    assert receipt.pipeline_id == cloud.stacks[HUB, STACK]["StackId"]


def test_unchanged_writes_nothing_in_two_calls(provisioned: Cloud) -> None:
    receipt = go(provisioned)
    assert receipt.outcome == "unchanged" and "already provisioned" in receipt.message
    assert provisioned.calls() == ["cloudformation.describe_stacks", "s3.head_object"]


def test_the_same_request_twice_at_once_provisions_once(cloud: Cloud) -> None:
    cloud.before["s3.put_object"] = lambda: go(cloud)  # another request passes by, whole, at the worst moment
    receipt = go(cloud)
    assert receipt.outcome == "unchanged"
    assert len(cloud.stacks) == 1
    assert len(cloud.calls("cloudformation.create_stack")) == 2
    assert cloud.objects["assets", KEY]["Body"] == b"one"


def test_a_changed_bundle_is_written_and_nothing_else(provisioned: Cloud) -> None:
    receipt = go(provisioned, "two")
    assert receipt.outcome == "updated"
    assert receipt.message == f"Pipeline {STACK} is already provisioned. Updating template parameters."
    assert provisioned.calls() == ["cloudformation.describe_stacks", "s3.head_object", "s3.put_object"]


@pytest.mark.parametrize(
    "change", [{"template": '{"a": 1}'}, {"pipeline_parameters": {"BundleKey": "k"}}, {"tags": {}}]
)
def test_a_changed_frame_updates_the_stack(provisioned: Cloud, change: dict[str, Any]) -> None:
    receipt = go(provisioned, **change)
    assert receipt.outcome == "updated"
    assert provisioned.calls() == ["cloudformation.describe_stacks", "s3.head_object", "cloudformation.update_stack"]
    provisioned.settle()
    assert go(provisioned, **change).outcome == "unchanged"


def test_both_changed_stays_within_four_calls(provisioned: Cloud) -> None:
    assert go(provisioned, "two", '{"a": 1}').outcome == "updated"
    assert len(provisioned.calls()) == 4


def test_a_crash_after_the_bundle_is_repaired(cloud: Cloud) -> None:
    cloud.answers["cloudformation.create_stack"] = refusing("InternalFailure", status=500)
    with pytest.raises(AwsFailed) as caught:
        go(cloud)
    assert caught.value.code == "InternalFailure" and caught.value.status == 500
    del cloud.answers["cloudformation.create_stack"]
    assert go(cloud).outcome == "created"
    assert go(cloud).outcome == "unchanged"  # while it is being created


def test_what_an_earlier_attempt_left_is_replaced(cloud: Cloud) -> None:
    cloud.s3_put_object("assets", KEY, b"old", HUB, Metadata={"bundle-digest": "old"})
    assert go(cloud).outcome == "created"
    assert cloud.objects["assets", KEY]["Body"] == b"one"


def test_a_crash_between_bundle_and_frame_is_repaired(provisioned: Cloud) -> None:
    provisioned.answers["cloudformation.update_stack"] = refusing("Throttling")
    with pytest.raises(AwsFailed):
        go(provisioned, "two", '{"a": 1}')
    del provisioned.answers["cloudformation.update_stack"]
    provisioned.log.clear()
    assert go(provisioned, "two", '{"a": 1}').outcome == "updated"
    assert provisioned.calls("s3.put_object") == []


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED"])
def test_a_stack_that_never_lived_is_made_again(cloud: Cloud, status: str) -> None:
    dead = cloud.put_stack(STACK, status)["StackId"]
    assert go(cloud).outcome == "created"
    assert [log[2]["StackName"] for log in cloud.log if log[1].endswith("delete_stack")] == [dead]


def test_a_stack_that_cannot_be_removed_is_a_conflict(cloud: Cloud) -> None:
    cloud.put_stack(STACK, "ROLLBACK_COMPLETE")
    cloud.answers["cloudformation.delete_stack"] = lambda **_: cloud.put_stack(STACK, "DELETE_FAILED") and {}
    with pytest.raises(Conflict, match="failed to be created"):
        go(cloud)


@pytest.mark.parametrize(
    "status",
    ["ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED", "REVIEW_IN_PROGRESS"],
)
def test_a_stack_that_turns_back_is_a_conflict(provisioned: Cloud, status: str) -> None:
    provisioned.stacks[HUB, STACK]["StackStatus"] = status
    with pytest.raises(Conflict, match=status) as caught:
        go(provisioned)
    assert caught.value.hint
    assert provisioned.calls("s3.put_object", "cloudformation.update_stack") == []


@pytest.mark.parametrize("status", ["CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"])
def test_while_the_stack_changes_only_the_same_request_is_answered(provisioned: Cloud, status: str) -> None:
    provisioned.stacks[HUB, STACK]["StackStatus"] = status
    assert go(provisioned).outcome == "unchanged"
    with pytest.raises(Conflict, match=status):
        go(provisioned, "two")
    assert provisioned.objects["assets", KEY]["Body"] == b"one"


def test_after_a_rollback_cloudformation_says_what_differs(provisioned: Cloud) -> None:
    provisioned.stacks[HUB, STACK]["StackStatus"] = "UPDATE_ROLLBACK_COMPLETE"
    text = "No updates are to be performed."
    provisioned.answers["cloudformation.update_stack"] = refusing("ValidationError", text)
    assert go(provisioned).outcome == "unchanged"
    del provisioned.answers["cloudformation.update_stack"]
    assert go(provisioned).outcome == "updated"


def test_another_update_at_the_same_time_is_a_conflict(provisioned: Cloud) -> None:
    provisioned.before["cloudformation.update_stack"] = lambda: go(provisioned, template='{"other": 1}')
    with pytest.raises(Conflict, match="UPDATE_IN_PROGRESS"):
        go(provisioned, template='{"mine": 1}')


def test_the_same_update_twice_at_once_updates_once(provisioned: Cloud) -> None:
    provisioned.before["cloudformation.update_stack"] = lambda: go(provisioned, template='{"a": 1}')
    assert go(provisioned, template='{"a": 1}').outcome == "unchanged"


def test_the_same_bundle_twice_at_once_is_written_once(provisioned: Cloud) -> None:
    provisioned.before["s3.put_object"] = lambda: go(provisioned, "two")
    etag_before = provisioned.objects["assets", KEY]["ETag"]
    assert go(provisioned, "two").outcome == "unchanged"
    assert provisioned.objects["assets", KEY]["ETag"] != etag_before


def test_another_bundle_at_the_same_time_is_a_conflict(provisioned: Cloud) -> None:
    provisioned.before["s3.put_object"] = lambda: go(provisioned, "three")
    with pytest.raises(Conflict, match="at the same time"):
        go(provisioned, "two")
    assert provisioned.objects["assets", KEY]["Body"] == b"three"


def test_a_large_frame_goes_through_s3(cloud: Cloud) -> None:
    template = '{"x": "' + "é" * 30_000 + '"}'
    assert go(cloud, template=template).outcome == "created"
    assert len(cloud.calls()) == 4
    request = cloud.log[-1][2]
    assert "TemplateBody" not in request
    key = request["TemplateURL"].removeprefix("https://assets.s3.us-east-1.amazonaws.com/")
    assert cloud.objects["assets", key]["Body"].decode() == template


def test_the_dry_run_says_what_would_happen(cloud: Cloud) -> None:
    def preview(text: str, template: str = "{}") -> Any:
        return deployed(plan(), Rendering({}, template), bundle(text), cloud.aws())

    assert preview("one").outcome == "created"
    go(cloud)
    cloud.settle()
    assert preview("one").outcome == "unchanged"
    changed = preview("two")
    assert (changed.outcome, changed.bundle, changed.frame_changes) == ("updated", b"one", False)
    assert preview("one", '{"a": 1}').frame_changes
