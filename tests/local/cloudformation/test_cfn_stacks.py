"""How stacks come and change: created, updated, rolled back, with the events and reasons people look for."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from cloudformation_rig import Cloud, exists, outputs, refusal

BROKEN_TOPIC = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "not a name!"}}

TOPIC = {"Type": "AWS::SNS::Topic"}


def queue(name: str = "", **properties: object) -> dict[str, object]:
    return {"Type": "AWS::SQS::Queue", "Properties": {**({"QueueName": name} if name else {}), **properties}}


def test_creation_in_order_with_events_and_outputs(cloud: Cloud) -> None:
    stack = cloud.create(
        """
Description: two things
Parameters: {Label: {Type: String}}
Resources:
  Second: {Type: AWS::SQS::Queue, Properties: {Tags: [{Key: topic, Value: !GetAtt First.TopicName}]}}
  First: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Ref Label}}
Outputs:
  Arn: {Description: of the queue, Value: !GetAtt Second.Arn}
  Topic: {Value: !Ref First, Export: {Name: !Sub "${AWS::StackName}-topic"}}
""",
        parameters={"Label": "hello"},
        tags={"team": "x"},
    )
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert (stack["Description"], stack["Tags"]) == ("two things", [{"Key": "team", "Value": "x"}])
    assert stack["Parameters"] == [{"ParameterKey": "Label", "ParameterValue": "hello"}]
    name = stack["StackName"]
    assert cloud.history(stack) == [
        f"{name} CREATE_IN_PROGRESS",
        "First CREATE_IN_PROGRESS",
        "First CREATE_IN_PROGRESS",
        "First CREATE_COMPLETE",
        "Second CREATE_IN_PROGRESS",
        "Second CREATE_IN_PROGRESS",
        "Second CREATE_COMPLETE",
        f"{name} CREATE_COMPLETE",
    ]
    assert cloud.reason(stack, name, "CREATE_IN_PROGRESS") == "User Initiated"
    assert cloud.physical(stack, "First").startswith(f"arn:aws:sns:us-east-1:111111111111:{name}-First-")
    assert outputs(stack)["Topic"] == cloud.physical(stack, "First")
    export = {"ExportingStackId": stack["StackId"], "Name": f"{name}-topic", "Value": outputs(stack)["Topic"]}
    assert export in cloud.cf.list_exports()["Exports"]
    tags = cloud.client("sqs").list_queue_tags(QueueUrl=cloud.physical(stack, "Second"))["Tags"]
    assert tags == {"topic": outputs(stack)["Topic"].rpartition(":")[2], "team": "x"}


def test_what_does_not_depend_on_each_other_is_made_side_by_side(cloud: Cloud) -> None:
    stack = cloud.create({"Resources": {f"T{number}": TOPIC for number in range(5)}})
    begun = [line for line in cloud.history(stack) if line.startswith("T")][:5]
    assert sorted(begun) == [f"T{number} CREATE_IN_PROGRESS" for number in range(5)]


def test_a_failed_creation_is_rolled_back(cloud: Cloud) -> None:
    template = {"Resources": {"Good": queue("kept-for-a-moment"), "Bad": {**BROKEN_TOPIC, "DependsOn": "Good"}}}
    stack = cloud.create(template)
    name = stack["StackName"]
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert cloud.resources(stack) == {"Good": "DELETE_COMPLETE", "Bad": "DELETE_COMPLETE"}
    assert "Topic names must be made up of" in cloud.reason(stack, "Bad", "CREATE_FAILED")
    expected = "The following resource(s) failed to create: [Bad]. Rollback requested by user."
    assert cloud.reason(stack, name, "ROLLBACK_IN_PROGRESS") == expected
    assert not exists(cloud.client("sqs").get_queue_url, QueueName="kept-for-a-moment")
    with pytest.raises(ClientError) as caught:
        cloud.update(stack, template)
    assert "is in ROLLBACK_COMPLETE state and can not be updated" in refusal(caught.value)[1]
    assert cloud.delete(stack)["StackStatus"] == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("choice", "status", "left"),
    [
        ({"OnFailure": "DO_NOTHING"}, "CREATE_FAILED", True),
        ({"DisableRollback": True}, "CREATE_FAILED", True),
        ({"OnFailure": "DELETE"}, "DELETE_COMPLETE", False),
        ({"OnFailure": "ROLLBACK"}, "ROLLBACK_COMPLETE", False),
    ],
)
def test_what_happens_after_a_failed_creation_can_be_chosen(
    cloud: Cloud, choice: dict[str, object], status: str, left: bool
) -> None:
    name = cloud.name("choice")
    template = {"Resources": {"Good": queue(name), "Bad": {**BROKEN_TOPIC, "DependsOn": "Good"}}}
    stack = cloud.create(template, name, **choice)
    assert stack["StackStatus"] == status
    assert exists(cloud.client("sqs").get_queue_url, QueueName=name) == left
    if status == "CREATE_FAILED":
        cloud.cf.rollback_stack(StackName=name)
        assert cloud.wait(stack["StackId"])["StackStatus"] == "ROLLBACK_COMPLETE"
        assert not exists(cloud.client("sqs").get_queue_url, QueueName=name)


def test_a_creation_that_failed_can_go_on_with_another_template(cloud: Cloud) -> None:
    template = {"Resources": {"Good": queue(), "Bad": {**BROKEN_TOPIC, "DependsOn": "Good"}}}
    stack = cloud.create(template, DisableRollback=True)
    better = {"Resources": {"Good": queue(), "Bad": TOPIC}}
    with pytest.raises(ClientError) as caught:
        cloud.update(stack, better)
    assert "please use the disable-rollback parameter" in refusal(caught.value)[1]
    assert cloud.update(stack, better, DisableRollback=True)["StackStatus"] == "UPDATE_COMPLETE"
    assert cloud.resources(stack) == {"Good": "CREATE_COMPLETE", "Bad": "CREATE_COMPLETE"}


def test_a_name_that_is_taken_fails_and_is_not_touched(cloud: Cloud) -> None:
    name = cloud.name("mine")
    url = cloud.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    stack = cloud.create({"Resources": {"Queue": queue(name)}})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert f"with identifier '{name}' already exists" in cloud.reason(stack, "Queue", "CREATE_FAILED")
    assert "HandlerErrorCode: AlreadyExists" in cloud.reason(stack, "Queue", "CREATE_FAILED")
    assert cloud.client("sqs").get_queue_url(QueueName=name)["QueueUrl"] == url


def test_update_in_place_replacement_addition_and_removal(cloud: Cloud) -> None:
    first, second = cloud.name("q"), cloud.name("q")
    stack = cloud.create({"Resources": {"Same": TOPIC, "Queue": queue(first, DelaySeconds=1), "Gone": TOPIC}})
    same, gone = cloud.physical(stack, "Same"), cloud.physical(stack, "Gone")

    in_place = cloud.update(stack, {"Resources": {"Same": TOPIC, "Queue": queue(first, DelaySeconds=2), "Gone": TOPIC}})
    assert in_place["StackStatus"] == "UPDATE_COMPLETE"
    assert cloud.history(stack)[-4:] == [
        "Queue UPDATE_IN_PROGRESS",
        "Queue UPDATE_COMPLETE",
        f"{stack['StackName']} UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        f"{stack['StackName']} UPDATE_COMPLETE",
    ]

    before = len(cloud.events(stack))
    cloud.update(stack, {"Resources": {"Same": TOPIC, "Queue": queue(second, DelaySeconds=2), "New": TOPIC}})
    history = cloud.history(stack)[before:]
    cleanup = history.index(f"{stack['StackName']} UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    assert "New CREATE_COMPLETE" in history[:cleanup] and "Queue UPDATE_COMPLETE" in history[:cleanup]
    assert {"Queue DELETE_COMPLETE", "Gone DELETE_COMPLETE"} <= set(history[cleanup:])
    assert cloud.physical(stack, "Queue").endswith(second)
    assert cloud.physical(stack, "Same") == same
    assert cloud.resources(stack) == {"Same": "CREATE_COMPLETE", "Queue": "UPDATE_COMPLETE", "New": "CREATE_COMPLETE"}
    assert not exists(cloud.client("sqs").get_queue_url, QueueName=first)
    assert not exists(cloud.client("sns").get_topic_attributes, TopicArn=gone)
    assert "requires the creation of a new physical resource" in str(
        [event.get("ResourceStatusReason") for event in cloud.events(stack)]
    )


def test_an_update_that_changes_nothing_is_refused(cloud: Cloud) -> None:
    template = """
Description: {0}
Parameters: {{Unused: {{Type: String, Default: a}}}}
Conditions: {{C: !Equals [a, b]}}
Resources: {{T: {{Type: AWS::SNS::Topic, Properties: {{DisplayName: x}}}}}}
"""
    stack = cloud.create(template.format("one"))
    for attempt in (
        {"template": template.format("one")},
        {"template": template.format("another description")},
        {"template": None, "parameters": {"Unused": "b"}},
        {"template": json.dumps({"Resources": {"T": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "x"}}}})},
    ):
        with pytest.raises(ClientError) as caught:
            cloud.update(stack, **attempt)
        assert refusal(caught.value) == ("ValidationError", "No updates are to be performed.")
    assert cloud.stack(stack["StackId"])["StackStatus"] == "CREATE_COMPLETE"
    assert cloud.update(stack, tags={"a": "b"})["StackStatus"] == "UPDATE_COMPLETE"
    output = {"Resources": {"T": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "x"}}}}
    output["Outputs"] = {"O": {"Value": "new"}}  # type: ignore[dict-item]
    assert outputs(cloud.update(stack, output)) == {"O": "new"}


def test_a_failed_update_brings_everything_back(cloud: Cloud) -> None:
    first, second = cloud.name("q"), cloud.name("q")
    old = {
        "Resources": {"Topic": {**TOPIC, "Properties": {"DisplayName": "old"}}, "Queue": queue(first), "Gone": TOPIC},
        "Outputs": {"Name": {"Value": {"Fn::GetAtt": ["Queue", "QueueName"]}}},
    }
    stack = cloud.create(old)
    topic, gone = cloud.physical(stack, "Topic"), cloud.physical(stack, "Gone")
    new = {
        "Resources": {
            "Topic": {**TOPIC, "Properties": {"DisplayName": "new"}},
            "Queue": queue(second),
            "New": TOPIC,
            "Bad": {**BROKEN_TOPIC, "DependsOn": ["Topic", "Queue", "New"]},
        }
    }
    failed = cloud.update(stack, new)
    assert failed["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert outputs(failed) == {"Name": first}
    name = stack["StackName"]
    expected = "The following resource(s) failed to create: [Bad]."
    assert cloud.reason(stack, name, "UPDATE_ROLLBACK_IN_PROGRESS") == expected
    history = cloud.history(stack)
    assert history.index(f"{name} UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS") > history.index("Bad CREATE_FAILED")
    attributes = cloud.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]
    assert attributes["DisplayName"] == "old"
    assert cloud.physical(stack, "Queue").endswith(first)
    assert not exists(cloud.client("sqs").get_queue_url, QueueName=second)
    assert exists(cloud.client("sns").get_topic_attributes, TopicArn=gone)
    assert sorted(cloud.resources(stack)) == ["Gone", "Queue", "Topic"]
    # The same wrong template again fails again, and a right one goes through.
    assert cloud.update(stack, new)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert (
        cloud.update(stack, {"Resources": {"Topic": TOPIC, "Queue": queue(second)}})["StackStatus"] == "UPDATE_COMPLETE"
    )


def test_an_update_that_failed_can_be_left_as_it_is_and_rolled_back_later(cloud: Cloud) -> None:
    stack = cloud.create({"Resources": {"Topic": {**TOPIC, "Properties": {"DisplayName": "old"}}}})
    new = {
        "Resources": {
            "Topic": {**TOPIC, "Properties": {"DisplayName": "new"}},
            "Bad": {**BROKEN_TOPIC, "DependsOn": "Topic"},
        }
    }
    assert cloud.update(stack, new, DisableRollback=True)["StackStatus"] == "UPDATE_FAILED"
    topic = cloud.physical(stack, "Topic")
    assert cloud.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]["DisplayName"] == "new"
    cloud.cf.rollback_stack(StackName=stack["StackId"])
    assert cloud.wait(stack["StackId"])["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert cloud.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]["DisplayName"] == "old"


def test_a_custom_name_cannot_be_replaced_by_itself(cloud: Cloud) -> None:
    name = cloud.name("fixed")
    stack = cloud.create({"Resources": {"Queue": queue(f"{name}.fifo", FifoQueue=True)}})
    same = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"{name}.fifo"}}}}
    assert cloud.update(stack, same)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    reason = cloud.reason(stack, "Queue", "UPDATE_FAILED")
    assert f"a custom-named resource requires replacing. Rename {name}.fifo" in reason


def test_the_type_of_a_resource_cannot_change(cloud: Cloud) -> None:
    stack = cloud.create({"Resources": {"Thing": TOPIC}})
    with pytest.raises(ClientError) as caught:
        cloud.update(stack, {"Resources": {"Thing": queue()}})
    assert "Update of resource type is not permitted" in refusal(caught.value)[1]


def test_a_rollback_that_fails_can_be_continued(cloud: Cloud) -> None:
    name = cloud.name("lost")
    stack = cloud.create({"Resources": {"Queue": queue(name, DelaySeconds=1), "Bad": TOPIC}})
    new = {"Resources": {"Queue": queue(name, DelaySeconds=2), "Bad": {**BROKEN_TOPIC, "DependsOn": "Queue"}}}
    assert cloud.update(stack, new, DisableRollback=True)["StackStatus"] == "UPDATE_FAILED"
    url = cloud.physical(stack, "Queue")
    cloud.client("sqs").delete_queue(QueueUrl=url)  # somebody else takes it away, so it cannot be brought back
    cloud.cf.rollback_stack(StackName=stack["StackId"])
    assert cloud.wait(stack["StackId"])["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    with pytest.raises(ClientError) as caught:
        cloud.cf.continue_update_rollback(StackName=stack["StackId"], ResourcesToSkip=["Bad"])
    assert "cannot be skipped" in refusal(caught.value)[1]
    cloud.cf.continue_update_rollback(StackName=stack["StackId"], ResourcesToSkip=["Queue"])
    assert cloud.wait(stack["StackId"])["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


def test_an_update_can_be_cancelled(cloud: Cloud) -> None:
    stack = cloud.create({"Resources": {"T0": TOPIC}})
    chain = {"T0": TOPIC} | {f"T{n}": {**TOPIC, "DependsOn": f"T{n - 1}"} for n in range(1, 30)}
    cloud.cf.update_stack(StackName=stack["StackId"], TemplateBody=json.dumps({"Resources": chain}))
    cloud.cf.cancel_update_stack(StackName=stack["StackId"])
    assert cloud.wait(stack["StackId"])["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert cloud.resources(stack) == {"T0": "CREATE_COMPLETE"}
    with pytest.raises(ClientError, match="CancelUpdateStack cannot be called from current stack status"):
        cloud.cf.cancel_update_stack(StackName=stack["StackId"])


def test_the_same_token_asks_for_the_same_thing(cloud: Cloud) -> None:
    name = cloud.name("token")
    request = {"StackName": name, "TemplateBody": json.dumps({"Resources": {"T": TOPIC}}), "ClientRequestToken": "t1"}
    first, again = cloud.cf.create_stack(**request), cloud.cf.create_stack(**request)
    assert first["StackId"] == again["StackId"]
    cloud.wait(first["StackId"])
    assert cloud.cf.create_stack(**request)["StackId"] == first["StackId"]
    with pytest.raises(ClientError) as caught:
        cloud.cf.create_stack(**{**request, "ClientRequestToken": "t2"})
    assert refusal(caught.value)[0] == "AlreadyExistsException"
    update = {**request, "TemplateBody": json.dumps({"Resources": {"T": TOPIC, "U": TOPIC}})}
    with pytest.raises(ClientError) as caught:
        cloud.cf.update_stack(**update)
    assert refusal(caught.value)[0] == "TokenAlreadyExistsException"
    update["ClientRequestToken"] = "t3"
    cloud.cf.update_stack(**update)
    cloud.wait(name)
    assert cloud.cf.update_stack(**update)["StackId"] == first["StackId"]
    assert cloud.stack(name)["StackStatus"] == "UPDATE_COMPLETE"
    assert {event.get("ClientRequestToken") for event in cloud.events(name)} == {"t1", "t3"}


def role(policy: dict[str, object]) -> dict[str, object]:
    trust = {"Version": "2012-10-17", "Statement": []}
    properties = {"AssumeRolePolicyDocument": trust, "Policies": [{"PolicyName": "p", "PolicyDocument": policy}]}
    return {"Type": "AWS::IAM::Role", "Properties": properties}


GOOD_POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


def test_what_was_half_made_is_finished_by_the_next_update(cloud: Cloud) -> None:
    iam = ["CAPABILITY_IAM"]
    bad = {"Resources": {"Role": role({"Version": "2012-10-17", "Statement": [{"Effect": "Perhaps"}]})}}
    stack = cloud.create(bad, DisableRollback=True, Capabilities=iam)
    name = cloud.physical(stack, "Role")
    assert (stack["StackStatus"], exists(cloud.client("iam").get_role, RoleName=name)) == ("CREATE_FAILED", True)
    stack = cloud.update(stack, bad, DisableRollback=True, Capabilities=iam)  # it is tried again, and fails again
    assert stack["StackStatus"] == "UPDATE_FAILED"
    stack = cloud.update(stack, {"Resources": {"Role": role(GOOD_POLICY)}}, DisableRollback=True, Capabilities=iam)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", cloud.failures(stack)
    assert cloud.client("iam").list_role_policies(RoleName=name)["PolicyNames"] == ["p"]
    assert cloud.delete(stack)["StackStatus"] == "DELETE_COMPLETE"


def test_a_name_that_is_only_one_within_its_owner_can_be_replaced(cloud: Cloud) -> None:
    def template(owner: str) -> dict[str, object]:
        rest = {"PolicyName": "same", "RoleName": {"Ref": owner}, "PolicyDocument": GOOD_POLICY}
        roles = {"First": role(GOOD_POLICY), "Second": role(GOOD_POLICY)}
        return {"Resources": {**roles, "More": {"Type": "AWS::IAM::RolePolicy", "Properties": rest}}}

    stack = cloud.create(template("First"), Capabilities=["CAPABILITY_IAM"])
    stack = cloud.update(stack, template("Second"), Capabilities=["CAPABILITY_IAM"])
    assert stack["StackStatus"] == "UPDATE_COMPLETE", cloud.failures(stack)
    iam = cloud.client("iam")
    for owner, names in (("First", ["p"]), ("Second", ["p", "same"])):
        found = iam.list_role_policies(RoleName=cloud.physical(stack, owner))["PolicyNames"]
        assert sorted(found) == names
