"""Change sets: what they say beforehand, and that the operation then does just that."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloudformation_rig import Cloud, refusal

TOPIC = {"Type": "AWS::SNS::Topic"}


def changes(change_set: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Action and replacement of every resource."""
    found = (change["ResourceChange"] for change in change_set["Changes"])
    return {each["LogicalResourceId"]: (each["Action"], each.get("Replacement", "")) for each in found}


def details(change_set: dict[str, Any], logical: str) -> list[dict[str, Any]]:
    found = (change["ResourceChange"] for change in change_set["Changes"])
    return next(each["Details"] for each in found if each["LogicalResourceId"] == logical)


def test_creation_by_change_set(cloud: Cloud) -> None:
    name = cloud.name("made")
    change_set = cloud.change_set(name, {"Resources": {"T": TOPIC}}, ChangeSetType="CREATE", tags={"a": "b"})
    assert (change_set["Status"], change_set["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    assert changes(change_set) == {"T": ("Add", "")}
    stack = cloud.stack(name)
    assert stack["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert cloud.cf.describe_stack_resources(StackName=name)["StackResources"] == []
    cloud.cf.execute_change_set(ChangeSetName="look", StackName=name)
    stack = cloud.wait(stack["StackId"])
    assert (stack["StackStatus"], stack["Tags"]) == ("CREATE_COMPLETE", [{"Key": "a", "Value": "b"}])
    assert stack["ChangeSetId"] == change_set["ChangeSetId"]
    done = cloud.cf.describe_change_set(ChangeSetName=change_set["ChangeSetId"])
    assert done["ExecutionStatus"] == "EXECUTE_COMPLETE"
    with pytest.raises(ClientError) as caught:
        cloud.cf.execute_change_set(ChangeSetName=change_set["ChangeSetId"])
    assert refusal(caught.value)[0] == "InvalidChangeSetStatus"
    with pytest.raises(ClientError, match="already exists and cannot be created again with the changeSet"):
        cloud.change_set(name, {"Resources": {"T": TOPIC}}, ChangeSetType="CREATE")


def test_a_stack_in_review_can_be_deleted(cloud: Cloud) -> None:
    name = cloud.name("review")
    cloud.change_set(name, {"Resources": {"T": TOPIC}}, ChangeSetType="CREATE")
    with pytest.raises(ClientError, match="REVIEW_IN_PROGRESS state and can not be updated"):
        cloud.change_set(name, {"Resources": {"T": TOPIC}}, name="second")
    stack = cloud.stack(name)
    assert cloud.delete(stack)["StackStatus"] == "DELETE_COMPLETE"


def test_every_kind_of_change_is_told_and_then_happens(cloud: Cloud) -> None:
    old = {
        "Parameters": {"Label": {"Type": "String", "Default": "a"}},
        "Resources": {
            "Same": TOPIC,
            "InPlace": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "Label"}}},
            "Renamed": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": cloud.name("old")}},
            "Follows": {"Type": "AWS::SNS::TopicPolicy", "Properties": policy("Renamed")},
            "Gone": TOPIC,
        },
    }
    new = json.loads(json.dumps(old))
    new["Resources"]["Renamed"]["Properties"]["TopicName"] = cloud.name("new")
    del new["Resources"]["Gone"]
    new["Resources"]["New"] = TOPIC
    stack = cloud.create(old)
    change_set = cloud.change_set(stack["StackName"], new, parameters={"Label": "b"})
    assert changes(change_set) == {
        "InPlace": ("Modify", "False"),
        "Renamed": ("Modify", "True"),
        "Follows": ("Modify", "False"),
        "New": ("Add", ""),
        "Gone": ("Remove", ""),
    }
    (label,) = details(change_set, "InPlace")
    assert (label["ChangeSource"], label["CausingEntity"]) == ("ParameterReference", "Label")
    assert (label["Target"]["BeforeValue"], label["Target"]["AfterValue"]) == ("a", "b")
    (name,) = details(change_set, "Renamed")
    assert (name["ChangeSource"], name["Target"]["RequiresRecreation"]) == ("DirectModification", "Always")
    causes = {
        (each["ChangeSource"], each["CausingEntity"], each["Evaluation"]) for each in details(change_set, "Follows")
    }
    assert causes == {("ResourceReference", "Renamed", "Dynamic")}
    plain = cloud.cf.describe_change_set(ChangeSetName=change_set["ChangeSetId"])
    assert "BeforeValue" not in str(plain["Changes"])
    before = {logical: cloud.physical(stack, logical) for logical in old["Resources"]}
    cloud.cf.execute_change_set(ChangeSetName=change_set["ChangeSetId"])
    assert cloud.wait(stack["StackId"])["StackStatus"] == "UPDATE_COMPLETE"
    after = {logical: cloud.physical(stack, logical) for logical in new["Resources"]}
    assert {logical for logical in before.keys() & after.keys() if before[logical] != after[logical]} == {"Renamed"}


def policy(topic: str) -> dict[str, Any]:
    statement = {"Sid": "a", "Effect": "Allow", "Principal": "*", "Action": "sns:Publish", "Resource": {"Ref": topic}}
    return {"Topics": [{"Ref": topic}], "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}}


def test_nothing_to_change(cloud: Cloud) -> None:
    stack = cloud.create({"Resources": {"T": TOPIC}})
    change_set = cloud.change_set(stack["StackName"])
    assert (change_set["Status"], change_set["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert change_set["StatusReason"] == (
        "The submitted information didn't contain changes. Submit different information to create a change set."
    )
    with pytest.raises(ClientError) as caught:
        cloud.cf.execute_change_set(ChangeSetName=change_set["ChangeSetId"])
    assert refusal(caught.value)[0] == "InvalidChangeSetStatus"
    only_tags = cloud.change_set(stack["StackName"], name="tags", tags={"a": "b"})
    assert only_tags["Status"] == "CREATE_COMPLETE"
    assert [change["ResourceChange"]["Scope"] for change in only_tags["Changes"]] == [["Tags"]]


def test_values_that_can_never_be_fail_the_change_set(cloud: Cloud) -> None:
    stack = cloud.create({"Resources": {"T": TOPIC}})
    wrong = {"Resources": {"T": TOPIC, "Q": {"Type": "AWS::SQS::Queue", "Properties": {"DelaySeconds": "soon"}}}}
    change_set = cloud.change_set(stack["StackName"], wrong)
    assert change_set["Status"] == "FAILED"
    assert "expected type: Integer" in change_set["StatusReason"]
    missing = {"Resources": {"T": {**TOPIC, "Properties": {"DisplayName": {"Fn::ImportValue": "nobody"}}}}}
    change_set = cloud.change_set(stack["StackName"], missing, name="import")
    assert (change_set["Status"], change_set["StatusReason"]) == ("FAILED", "No export named nobody found.")


def test_names_of_change_sets(cloud: Cloud) -> None:
    stack = cloud.create({"Resources": {"T": TOPIC}})
    name, more = stack["StackName"], {"Resources": {"T": TOPIC, "U": TOPIC}}
    cloud.change_set(name, more, ClientToken="one")
    cloud.change_set(name, more, ClientToken="one")  # the same request again
    with pytest.raises(ClientError) as caught:
        cloud.change_set(name, more, ClientToken="two")
    assert refusal(caught.value)[0] == "AlreadyExistsException"
    cloud.change_set(name, more, name="other")
    assert [each["ChangeSetName"] for each in cloud.cf.list_change_sets(StackName=name)["Summaries"]] == [
        "look",
        "other",
    ]
    cloud.cf.delete_change_set(ChangeSetName="look", StackName=name)
    cloud.cf.delete_change_set(ChangeSetName="look", StackName=name)  # nothing happens
    with pytest.raises(ClientError) as caught:
        cloud.cf.describe_change_set(ChangeSetName="look", StackName=name)
    assert refusal(caught.value) == ("ChangeSetNotFound", "ChangeSet [look] does not exist")
    with pytest.raises(ClientError, match=r"Stack \[nobody\] does not exist"):
        cloud.change_set("nobody", more)
    for wrong in ("1a", "a_b"):
        with pytest.raises(ClientError):
            cloud.change_set(name, more, name=wrong)


def test_execution_forgets_the_others_and_takes_its_token_once(cloud: Cloud) -> None:
    stack = cloud.create({"Resources": {"T": TOPIC}})
    name = stack["StackName"]
    cloud.change_set(name, {"Resources": {"T": TOPIC, "U": TOPIC}})
    cloud.change_set(name, {"Resources": {"T": TOPIC, "V": TOPIC}}, name="other")
    for _ in range(2):
        cloud.cf.execute_change_set(ChangeSetName="look", StackName=name, ClientRequestToken="t")
    cloud.wait(stack["StackId"])
    assert sorted(cloud.resources(stack)) == ["T", "U"]
    assert cloud.cf.list_change_sets(StackName=name)["Summaries"] == []
    with pytest.raises(ClientError, match=r"ChangeSet \[other\] does not exist"):
        cloud.cf.execute_change_set(ChangeSetName="other", StackName=name)
    assert cloud.change_set(name, {"Resources": {"T": TOPIC}})["Status"] == "CREATE_COMPLETE"  # the name is free again


def test_a_failed_execution_is_rolled_back_and_said_so(cloud: Cloud) -> None:
    stack = cloud.create({"Resources": {"T": TOPIC}})
    bad = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "not a name!"}}
    change_set = cloud.change_set(stack["StackName"], {"Resources": {"T": TOPIC, "Bad": bad}})
    cloud.cf.execute_change_set(ChangeSetName=change_set["ChangeSetId"])
    assert cloud.wait(stack["StackId"])["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    done = cloud.cf.describe_change_set(ChangeSetName=change_set["ChangeSetId"])
    assert done["ExecutionStatus"] == "EXECUTE_FAILED"


def test_on_stack_failure_and_disable_rollback(cloud: Cloud) -> None:
    bad = {"Resources": {"Bad": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "not a name!"}}}}
    for choice, execution, status in (
        ({"OnStackFailure": "DELETE"}, {}, "DELETE_COMPLETE"),
        ({"OnStackFailure": "DO_NOTHING"}, {}, "CREATE_FAILED"),
        ({}, {"DisableRollback": True}, "CREATE_FAILED"),
        ({}, {}, "ROLLBACK_COMPLETE"),
    ):
        change_set = cloud.change_set(cloud.name("fails"), bad, ChangeSetType="CREATE", **choice)
        cloud.cf.execute_change_set(ChangeSetName=change_set["ChangeSetId"], **execution)
        assert cloud.wait(change_set["StackId"])["StackStatus"] == status


def test_the_template_of_a_change_set(cloud: Cloud) -> None:
    stack = cloud.create({"Resources": {"T": TOPIC}})
    change_set = cloud.change_set(stack["StackName"], {"Resources": {"T": TOPIC, "U": TOPIC}})
    shown = cloud.cf.get_template(ChangeSetName=change_set["ChangeSetId"])["TemplateBody"]
    assert sorted(shown["Resources"]) == ["T", "U"]
    assert sorted(cloud.cf.get_template(StackName=stack["StackId"])["TemplateBody"]["Resources"]) == ["T"]


def test_an_update_makes_change_sets_obsolete(cloud: Cloud) -> None:
    stack = cloud.create({"Resources": {"T": TOPIC}})
    change_set = cloud.change_set(stack["StackName"], {"Resources": {"T": TOPIC, "U": TOPIC}})
    cloud.update(stack, {"Resources": {"T": TOPIC, "V": TOPIC}})
    found = cloud.cf.describe_change_set(ChangeSetName=change_set["ChangeSetId"])
    assert found["ExecutionStatus"] == "OBSOLETE"
    with pytest.raises(ClientError, match="the stack has been updated since it was made"):
        cloud.cf.execute_change_set(ChangeSetName=change_set["ChangeSetId"])
