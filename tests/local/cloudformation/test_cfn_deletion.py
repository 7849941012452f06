"""How stacks go: what is removed, what stays, and what holds them."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from cloudformation_rig import Cloud, exists, refusal

BROKEN_TOPIC = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "not a name!"}}

TOPIC = {"Type": "AWS::SNS::Topic"}


def queue(name: str = "", **properties: object) -> dict[str, object]:
    return {"Type": "AWS::SQS::Queue", "Properties": {**({"QueueName": name} if name else {}), **properties}}


def test_deletion_policies(cloud: Cloud) -> None:
    first, second = cloud.name("keep"), cloud.name("keep")
    kept = {**queue(first), "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    stack = cloud.create({"Resources": {"Kept": kept, "Gone": TOPIC}})
    cloud.update(stack, {"Resources": {"Kept": {**kept, **queue(second)}, "Gone": TOPIC}})
    assert "Kept DELETE_SKIPPED" in cloud.history(stack)
    sqs = cloud.client("sqs")
    assert exists(sqs.get_queue_url, QueueName=first) and exists(sqs.get_queue_url, QueueName=second)
    assert cloud.delete(stack)["StackStatus"] == "DELETE_COMPLETE"
    assert cloud.resources(stack) == {"Kept": "DELETE_SKIPPED", "Gone": "DELETE_COMPLETE"}
    assert exists(sqs.get_queue_url, QueueName=second)


@pytest.mark.parametrize(("policy", "left"), [("Retain", True), ("RetainExceptOnCreate", False), ("Delete", False)])
def test_deletion_policies_when_a_creation_is_rolled_back(cloud: Cloud, policy: str, left: bool) -> None:
    name = cloud.name("policy")
    good = {**queue(name), "DeletionPolicy": policy}
    stack = cloud.create({"Resources": {"Good": good, "Bad": {**BROKEN_TOPIC, "DependsOn": "Good"}}})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert exists(cloud.client("sqs").get_queue_url, QueueName=name) == left


def test_a_bucket_with_objects_cannot_be_deleted(cloud: Cloud) -> None:
    stack = cloud.create({"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}, "Topic": TOPIC}})
    bucket, s3 = cloud.physical(stack, "Bucket"), cloud.client("s3")
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    failed = cloud.delete(stack)
    assert failed["StackStatus"] == "DELETE_FAILED"
    assert failed["StackStatusReason"] == "The following resource(s) failed to delete: [Bucket]."
    assert "not empty" in cloud.reason(stack, "Bucket", "DELETE_FAILED")
    assert cloud.resources(stack) == {"Bucket": "DELETE_FAILED", "Topic": "DELETE_COMPLETE"}
    s3.delete_object(Bucket=bucket, Key="a")
    assert cloud.delete(stack)["StackStatus"] == "DELETE_COMPLETE"


@pytest.mark.parametrize("request_", [{"RetainResources": ["Bucket"]}, {"DeletionMode": "FORCE_DELETE_STACK"}])
def test_what_cannot_be_deleted_can_be_left_behind(cloud: Cloud, request_: dict[str, object]) -> None:
    stack = cloud.create({"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}}})
    bucket = cloud.physical(stack, "Bucket")
    cloud.client("s3").put_object(Bucket=bucket, Key="a", Body=b"x")
    with pytest.raises(ClientError, match="only when the stack is in the DELETE_FAILED state"):
        cloud.delete(stack, **request_)
    assert cloud.delete(stack)["StackStatus"] == "DELETE_FAILED"
    assert cloud.delete(stack, **request_)["StackStatus"] == "DELETE_COMPLETE"
    assert exists(cloud.client("s3").head_bucket, Bucket=bucket)


def test_dependents_are_deleted_first(cloud: Cloud) -> None:
    stack = cloud.create(
        {"Resources": {"A": TOPIC, "B": {**TOPIC, "DependsOn": "A"}, "C": {**TOPIC, "DependsOn": "B"}}}
    )
    cloud.delete(stack)
    deleted = [line.split()[0] for line in cloud.history(stack) if line.endswith(" DELETE_COMPLETE")]
    assert deleted == ["C", "B", "A", stack["StackName"]]


def test_termination_protection(cloud: Cloud) -> None:
    stack = cloud.create({"Resources": {"T": TOPIC}}, EnableTerminationProtection=True)
    assert stack["EnableTerminationProtection"]
    with pytest.raises(ClientError) as caught:
        cloud.delete(stack)
    assert refusal(caught.value)[1] == (
        f"Stack [{stack['StackName']}] cannot be deleted while TerminationProtection is enabled"
    )
    cloud.cf.update_termination_protection(StackName=stack["StackId"], EnableTerminationProtection=False)
    assert cloud.delete(stack)["StackStatus"] == "DELETE_COMPLETE"


def test_exports_are_held_by_those_who_import_them(cloud: Cloud) -> None:
    export = cloud.name("export")
    exporting = {
        "Resources": {"T": TOPIC},
        "Outputs": {"O": {"Value": "one", "Export": {"Name": export}}},
    }
    importing = {
        "Resources": {"T": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::ImportValue": export}}}}
    }
    too_early = cloud.create(importing)
    assert too_early["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = cloud.reason(too_early, too_early["StackName"], "ROLLBACK_IN_PROGRESS")
    assert reason == f"No export named {export} found. Rollback requested by user."

    exporter, importer = cloud.create(exporting), cloud.create(importing)
    assert importer["StackStatus"] == "CREATE_COMPLETE"
    assert cloud.cf.list_imports(ExportName=export)["Imports"] == [importer["StackName"]]
    second = cloud.create(exporting)
    assert f"Export with name {export} is already exported" in str(cloud.events(second))

    changed = json.loads(json.dumps(exporting).replace('"one"', '"two"'))
    assert cloud.update(exporter, changed)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert f"Export {export} cannot be updated as it is in use by" in str(cloud.events(exporter))
    failed = cloud.delete(exporter)
    assert failed["StackStatus"] == "DELETE_FAILED"
    assert f"Cannot delete export {export} as it is in use by {importer['StackName']}" in failed["StackStatusReason"]

    cloud.delete(importer)
    with pytest.raises(ClientError, match="is not imported by any stack"):
        cloud.cf.list_imports(ExportName=export)
    assert cloud.delete(exporter)["StackStatus"] == "DELETE_COMPLETE"


def test_a_creation_can_be_cut_short_by_deletion(cloud: Cloud) -> None:
    chain = {"T0": TOPIC} | {f"T{n}": {**TOPIC, "DependsOn": f"T{n - 1}"} for n in range(1, 30)}
    stack_id = cloud.cf.create_stack(StackName=cloud.name(), TemplateBody=json.dumps({"Resources": chain}))["StackId"]
    cloud.cf.delete_stack(StackName=stack_id)
    stack = cloud.wait(stack_id)
    assert stack["StackStatus"] == "DELETE_COMPLETE"
    made = [line for line in cloud.history(stack_id) if line.endswith("CREATE_COMPLETE")]
    assert len(made) < 30
    left = cloud.client("sns").list_topics()["Topics"]
    assert not [topic for topic in left if stack["StackName"] in topic["TopicArn"]]


def test_names_can_be_used_again_and_deleted_stacks_are_remembered_by_id(cloud: Cloud) -> None:
    first = cloud.create({"Resources": {"T": TOPIC}})
    name = first["StackName"]
    with pytest.raises(ClientError) as caught:
        cloud.create({"Resources": {"T": TOPIC}}, name)
    assert refusal(caught.value) == ("AlreadyExistsException", f"Stack [{name}] already exists")
    cloud.delete(first)
    with pytest.raises(ClientError) as caught:
        cloud.cf.describe_stacks(StackName=name)
    assert refusal(caught.value) == ("ValidationError", f"Stack with id {name} does not exist")
    second = cloud.create({"Resources": {"T": TOPIC}}, name)
    assert second["StackId"] != first["StackId"]
    assert cloud.stack(first["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    assert cloud.stack(name)["StackId"] == second["StackId"]
    assert cloud.cf.delete_stack(StackName="never-was")["ResponseMetadata"]["HTTPStatusCode"] == 200
