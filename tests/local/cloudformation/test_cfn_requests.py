"""What is refused before anything is made, and how templates, roles, parameters and notices travel."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloudformation_rig import HUB, Cloud, exists, outputs, refusal

TOPIC = {"Type": "AWS::SNS::Topic"}
ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}},
}


def with_resource(resource: dict[str, Any]) -> dict[str, Any]:
    return {"Resources": {"Fine": TOPIC, "Wrong": resource}}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (with_resource({"Type": "AWS::Foo::Bar"}), "Unrecognized resource types: [AWS::Foo::Bar]"),
        (with_resource({"Type": "Custom::Thing"}), "Unrecognized resource types: [Custom::Thing]"),
        (with_resource({"Type": "AWS::CloudFormation::WaitConditionHandle"}), "WaitConditionHandle]"),
        (with_resource({"Type": "AWS::CloudFormation::CustomResource"}), "CustomResource]"),
        (
            with_resource({"Type": "AWS::SNS::Topic", "Properties": {"Name": "x"}}),
            "Properties validation failed for resource Wrong with message:\n#: extraneous key [Name] is not permitted",
        ),
        (
            with_resource({"Type": "AWS::S3::Bucket", "Properties": {"WebsiteConfiguration": {}}}),
            "the embedded AWS does not support the property [WebsiteConfiguration] of AWS::S3::Bucket",
        ),
        (
            with_resource({"Type": "AWS::SNS::Subscription", "Properties": {"Protocol": "sqs"}}),
            "#: required key [TopicArn] not found",
        ),
        (
            with_resource({"Type": "AWS::Events::Rule", "Properties": {"Name": "x"}}),
            "one of [EventPattern,ScheduleExpression] is required",
        ),
        (
            with_resource({"Type": "AWS::SageMaker::App", "Properties": {}}),
            "the embedded AWS cannot make a AWS::SageMaker::App: it has no CreateApp",
        ),
        (
            {"Resources": {"T": TOPIC}, "Outputs": {"O": {"Value": {"Fn::GetAtt": ["T", "Color"]}}}},
            "Template error: resource T does not support attribute type Color in Fn::GetAtt",
        ),
        (with_resource({"Type": "AWS::SNS::Topic", "DependsOn": "Nobody"}), "[Nobody]"),
        ({"Resources": {"A": {**TOPIC, "DependsOn": "B"}, "B": {**TOPIC, "DependsOn": "A"}}}, "Circular dependency"),
        ({"Resources": {"T": TOPIC}, "Parameters": {"P": {"Type": "String"}}}, "Parameters: [P] must have values"),
        ("Resources: [", "YAML not well-formed"),
        ("x" * 51201, "Member must have length less than or equal to 51200"),
    ],
)
def test_a_wrong_template_is_refused_and_nothing_is_made(cloud: Cloud, template: Any, message: str) -> None:
    name = cloud.name("wrong")
    with pytest.raises(ClientError) as caught:
        cloud.create(template, name)
    assert refusal(caught.value)[0] == "ValidationError"
    assert message in refusal(caught.value)[1]
    assert not exists(cloud.cf.describe_stacks, StackName=name)
    with pytest.raises(ClientError) as caught:
        cloud.change_set(name, template, ChangeSetType="CREATE")
    assert message in refusal(caught.value)[1]
    assert not exists(cloud.cf.describe_stacks, StackName=name)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"StackPolicyBody": "{}"}, "does not support the parameter StackPolicyBody"),
        ({"ResourceTypes": ["AWS::*"]}, "does not support the parameter ResourceTypes"),
        ({"OnFailure": "DELETE", "DisableRollback": True}, "Only one of DisableRollback or OnFailure"),
        ({"tags": {"aws:x": "y"}}, "aws: prefixed tag key names are not allowed"),
        ({"parameters": {"Unknown": "x"}}, "Parameters: [Unknown] do not exist in the template"),
        ({"RoleARN": "arn:aws:iam::111111111111:role/nobody"}, "is invalid or cannot be assumed"),
        ({"RoleARN": "arn:aws:iam::222222222222:role/other"}, "Cross-account pass role is not allowed"),
    ],
)
def test_a_wrong_request_is_refused(cloud: Cloud, request_: dict[str, Any], message: str) -> None:
    name = cloud.name("wrong")
    with pytest.raises(ClientError) as caught:
        cloud.create({"Resources": {"T": TOPIC}}, name, **request_)
    assert message in refusal(caught.value)[1]
    assert not exists(cloud.cf.describe_stacks, StackName=name)


def test_a_stack_name_must_be_one(cloud: Cloud) -> None:
    for name in ("1abc", "a_b", "a" * 129):
        with pytest.raises(ClientError):
            cloud.create({"Resources": {"T": TOPIC}}, name)


@pytest.mark.parametrize(
    ("resource", "given", "needed"),
    [
        (ROLE, [], "CAPABILITY_IAM"),
        (ROLE, ["CAPABILITY_IAM"], ""),
        (ROLE, ["CAPABILITY_NAMED_IAM"], ""),
        ({**ROLE, "Properties": {**ROLE["Properties"], "RoleName": "cap"}}, ["CAPABILITY_IAM"], "CAPABILITY_NAMED_IAM"),
        ({**ROLE, "Properties": {**ROLE["Properties"], "RoleName": "cap"}}, ["CAPABILITY_NAMED_IAM"], ""),
    ],
)
def test_capabilities(cloud: Cloud, resource: dict[str, Any], given: list[str], needed: str) -> None:
    template = {"Resources": {"R": resource}}
    if not needed:
        stack = cloud.create(template, Capabilities=given)
        assert (stack["StackStatus"], stack["Capabilities"]) == ("CREATE_COMPLETE", given)
        cloud.delete(stack)
        return
    with pytest.raises(ClientError) as caught:
        cloud.create(template, Capabilities=given)
    assert refusal(caught.value) == ("InsufficientCapabilitiesException", f"Requires capabilities : [{needed}]")


def test_language_extensions_have_to_be_acknowledged(cloud: Cloud) -> None:
    template = {"Transform": "AWS::LanguageExtensions", "Resources": {"T": TOPIC}}
    with pytest.raises(ClientError, match=r"Requires capabilities : \[CAPABILITY_AUTO_EXPAND\]"):
        cloud.create(template)
    assert cloud.create(template, Capabilities=["CAPABILITY_AUTO_EXPAND"])["StackStatus"] == "CREATE_COMPLETE"


def test_templates_from_s3_in_every_spelling_of_the_url(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="templates.of.ours")
    s3.put_object(Bucket="templates.of.ours", Key="a folder/t.json", Body=json.dumps({"Resources": {"T": TOPIC}}))
    for url in (
        "https://templates.of.ours.s3.us-east-1.amazonaws.com/a%20folder/t.json",
        "https://templates.of.ours.s3.amazonaws.com/a%20folder/t.json",
        "https://s3.amazonaws.com/templates.of.ours/a%20folder/t.json",
        "https://s3.us-east-1.amazonaws.com/templates.of.ours/a%20folder/t.json",
        f"{cloud.world.endpoint}/templates.of.ours/a%20folder/t.json",
        "s3://templates.of.ours/a folder/t.json",
    ):
        answer = cloud.cf.validate_template(TemplateURL=url)
        assert answer["Parameters"] == [], url
    with pytest.raises(ClientError, match="S3 error: The specified key does not exist"):
        cloud.cf.validate_template(TemplateURL="https://s3.amazonaws.com/templates.of.ours/nothing")
    with pytest.raises(ClientError, match="TemplateURL must be a supported URL"):
        cloud.cf.validate_template(TemplateURL="https://example.com/x/y")
    s3.put_object(Bucket="templates.of.ours", Key="large", Body=b" " * 1_000_001)
    with pytest.raises(ClientError, match="Template may not exceed 1000000 bytes in size"):
        cloud.cf.validate_template(TemplateURL="https://s3.amazonaws.com/templates.of.ours/large")


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_role_is_used_for_everything_and_kept(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    arn = iam.create_role(RoleName="deployer", AssumeRolePolicyDocument=trust("cloudformation.amazonaws.com"))["Role"][
        "Arn"
    ]
    other = iam.create_role(RoleName="stranger", AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))["Role"]["Arn"]
    with pytest.raises(ClientError, match=r"does not trust cloudformation\.amazonaws\.com"):
        cloud.create({"Resources": {"T": TOPIC}}, RoleARN=other)
    stack = cloud.create({"Resources": {"T": TOPIC}}, RoleARN=arn)
    assert (stack["StackStatus"], stack["RoleARN"]) == ("CREATE_COMPLETE", arn)
    assert cloud.update(stack, {"Resources": {"T": TOPIC, "U": TOPIC}})["RoleARN"] == arn
    with pytest.raises(ClientError, match="is invalid or cannot be assumed"):
        cloud.delete(stack, RoleARN=f"arn:aws:iam::{HUB}:role/nobody")
    assert cloud.delete(stack, RoleARN=arn)["StackStatus"] == "DELETE_COMPLETE"
    bad = {"Resources": {"Bad": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "not a name!"}}}}
    stack = cloud.create(bad, DisableRollback=True)
    cloud.cf.rollback_stack(StackName=stack["StackId"], RoleARN=arn)
    assert cloud.wait(stack["StackId"])["StackStatus"] == "ROLLBACK_COMPLETE"


def test_hidden_parameters_are_masked(cloud: Cloud) -> None:
    template = {
        "Parameters": {"Secret": {"Type": "String", "NoEcho": True, "Default": "hush"}},
        "Resources": {"T": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "Secret"}}}},
    }
    stack = cloud.create(template, parameters={"Secret": "pssst"})
    assert stack["Parameters"] == [{"ParameterKey": "Secret", "ParameterValue": "****"}]
    assert "pssst" not in str(cloud.events(stack))
    told = str(cloud.change_set(stack["StackName"], parameters={"Secret": "whisper"}))
    assert "****" in told and "pssst" not in told and "whisper" not in told
    topic = cloud.client("sns").get_topic_attributes(TopicArn=cloud.physical(stack, "T"))
    assert topic["Attributes"]["DisplayName"] == "pssst"
    summary = cloud.cf.get_template_summary(StackName=stack["StackId"])
    assert summary["Parameters"][0]["DefaultValue"] == "****"


PLAIN = "{{resolve:ssm:/app/plain:1}}"
VAULT = "{{resolve:secretsmanager:vault:SecretString:key}}"


def test_ssm_parameters_and_dynamic_references(cloud: Cloud) -> None:
    ssm = cloud.client("ssm")
    ssm.put_parameter(Name="/app/label", Type="String", Value="first")
    ssm.put_parameter(Name="/app/plain", Type="String", Value="plain")
    cloud.client("secretsmanager").create_secret(Name="vault", SecretString=json.dumps({"key": "secret value"}))
    template = {
        "Parameters": {"Label": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/app/label"}},
        "Resources": {
            "P": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {
                    "Type": "String",
                    "Value": {"Fn::Sub": f"${{Label}}|{PLAIN}|{VAULT}"},
                },
            }
        },
    }
    stack = cloud.create(template)
    value = ssm.get_parameter(Name=cloud.physical(stack, "P"))["Parameter"]["Value"]
    assert value == "first|plain|secret value"
    assert stack["Parameters"] == [{"ParameterKey": "Label", "ParameterValue": "/app/label", "ResolvedValue": "first"}]
    ssm.put_parameter(Name="/app/label", Type="String", Value="second", Overwrite=True)
    cloud.update(stack)
    value = ssm.get_parameter(Name=cloud.physical(stack, "P"))["Parameter"]["Value"]
    assert value == "second|plain|secret value"
    template["Resources"]["P"]["Properties"]["Value"] = "{{resolve:ssm:/nobody}}"
    assert cloud.create(template)["StackStatus"] == "ROLLBACK_COMPLETE"


def test_values_that_are_not_allowed_fail_their_resource(cloud: Cloud) -> None:
    template = {
        "Parameters": {"Delay": {"Type": "String"}},
        "Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"DelaySeconds": {"Ref": "Delay"}}}},
    }
    assert cloud.create(template, parameters={"Delay": "5"})["StackStatus"] == "CREATE_COMPLETE"
    stack = cloud.create(template, parameters={"Delay": "soon"})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "#/DelaySeconds: expected type: Integer, found: String" in cloud.reason(stack, "Q", "CREATE_FAILED")


def test_notices_reach_topics_and_event_bridge(cloud: Cloud) -> None:
    sns, sqs, events = (cloud.client(service) for service in ("sns", "sqs", "events"))
    topic = sns.create_topic(Name="stack-news")["TopicArn"]
    url = sqs.create_queue(QueueName="stack-news")["QueueUrl"]
    queue = f"arn:aws:sqs:us-east-1:{HUB}:stack-news"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
    other = sqs.create_queue(QueueName="stack-events")["QueueUrl"]
    events.put_rule(Name="stacks", EventPattern=json.dumps({"source": ["aws.cloudformation"]}))
    events.put_targets(Rule="stacks", Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:us-east-1:{HUB}:stack-events"}])
    stack = cloud.create({"Resources": {"T": TOPIC}}, NotificationARNs=[topic])
    news = received(sqs, url, 5)
    assert any("ResourceStatus='CREATE_COMPLETE'" in each and "LogicalResourceId='T'" in each for each in news)
    details = [json.loads(each) for each in received(sqs, other, 2)]
    assert [each["detail"]["status-details"]["status"] for each in details] == ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"]
    assert details[0]["detail-type"] == "CloudFormation Stack Status Change"
    assert details[0]["resources"] == [stack["StackId"]] == [details[0]["detail"]["stack-id"]]
    events.remove_targets(Rule="stacks", Ids=["q"])


def received(sqs: Any, url: str, count: int) -> list[str]:
    """Messages of a queue, once there are that many."""
    bodies: list[str] = []
    deadline = time.monotonic() + 20
    while len(bodies) < count and time.monotonic() < deadline:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            bodies.append(message["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        time.sleep(0.02)
    return bodies


def test_lists_come_in_pages_newest_first(cloud: Cloud) -> None:
    names = [f"T{number:03}" for number in range(120)]
    stack = cloud.create(
        {"Resources": {name: {"Type": "AWS::IAM::Policy", "Properties": POLICY} for name in names}},
        Capabilities=["CAPABILITY_IAM"],
        OnFailure="DO_NOTHING",
    )
    first = cloud.cf.list_stack_resources(StackName=stack["StackId"])
    assert len(first["StackResourceSummaries"]) == 100
    rest = cloud.cf.list_stack_resources(StackName=stack["StackId"], NextToken=first["NextToken"])
    assert len(rest["StackResourceSummaries"]) == 20 and "NextToken" not in rest
    assert len(cloud.events(stack)) > 200
    newest = cloud.cf.describe_stack_events(StackName=stack["StackId"])["StackEvents"][0]
    assert newest["ResourceStatus"] == stack["StackStatus"]
    listed = cloud.cf.list_stacks(StackStatusFilter=[stack["StackStatus"]])["StackSummaries"]
    assert listed[0]["StackId"] == stack["StackId"]
    with pytest.raises(ClientError, match="NextToken is not valid"):
        cloud.cf.list_stack_resources(StackName=stack["StackId"], NextToken="!!!")


POLICY = {"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement": []}, "Groups": ["everybody"]}


@pytest.fixture(autouse=True, scope="module")
def everybody(cloud: Cloud) -> None:
    cloud.client("iam").create_group(GroupName="everybody")


def test_looking_at_resources_and_templates(cloud: Cloud) -> None:
    text = "Resources:\n  T: {Type: AWS::SNS::Topic, Metadata: {note: !Ref AWS::Region}}\n"
    stack = cloud.create(text)
    assert cloud.cf.get_template(StackName=stack["StackId"])["TemplateBody"] == text
    physical = cloud.physical(stack, "T")
    found = cloud.cf.describe_stack_resources(PhysicalResourceId=physical)["StackResources"]
    assert [each["StackId"] for each in found] == [stack["StackId"]]
    detail = cloud.cf.describe_stack_resource(StackName=stack["StackId"], LogicalResourceId="T")["StackResourceDetail"]
    assert json.loads(detail["Metadata"]) == {"note": "us-east-1"}
    with pytest.raises(ClientError, match="Resource U does not exist for stack"):
        cloud.cf.describe_stack_resource(StackName=stack["StackId"], LogicalResourceId="U")
    with pytest.raises(ClientError, match="Stack with id nobody does not exist"):
        cloud.cf.describe_stack_events(StackName="nobody")
    summary = cloud.cf.get_template_summary(TemplateBody=text)
    assert summary["ResourceTypes"] == ["AWS::SNS::Topic"]


def test_accounts_do_not_see_each_other(cloud: Cloud) -> None:
    dev = Cloud(cloud.home, cloud._embedded, account="222222222222")
    name = cloud.name("same")
    first, second = cloud.create({"Resources": {"T": TOPIC}}, name), dev.create({"Resources": {"T": TOPIC}}, name)
    assert ":111111111111:" in cloud.physical(first, "T") and ":222222222222:" in dev.physical(second, "T")
    with pytest.raises(ClientError):
        cloud.stack(second["StackId"])


CHILD = {
    "Parameters": {"Label": {"Type": "String"}},
    "Resources": {"Inner": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "Label"}}}},
    "Outputs": {"Name": {"Value": {"Fn::GetAtt": ["Inner", "TopicName"]}}},
}


def parent(url: str, label: str = "x") -> dict[str, Any]:
    child = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url, "Parameters": {"Label": label}}}
    return {"Resources": {"Child": child}, "Outputs": {"Name": {"Value": {"Fn::GetAtt": ["Child", "Outputs.Name"]}}}}


def test_stacks_in_stacks(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="children")
    s3.put_object(Bucket="children", Key="child", Body=json.dumps(CHILD))
    url, broken_url = (f"https://children.s3.amazonaws.com/{key}" for key in ("child", "broken"))
    stack = cloud.create(parent(url))
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    child = cloud.stack(cloud.physical(stack, "Child"))
    assert (child["ParentId"], child["RootId"]) == (stack["StackId"], stack["StackId"])
    assert outputs(stack)["Name"] == outputs(child)["Name"]
    assert cloud.update(stack, parent(url, "y"))["StackStatus"] == "UPDATE_COMPLETE"
    assert cloud.update(stack, parent(url, "y"))["StackStatus"] == "UPDATE_COMPLETE"  # the child is always asked
    broken = json.loads(json.dumps(CHILD))
    broken["Resources"]["Bad"] = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "not a name!"}}
    s3.put_object(Bucket="children", Key="broken", Body=json.dumps(broken))
    assert cloud.update(stack, parent(broken_url))["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    reason = cloud.reason(stack, "Child", "UPDATE_FAILED")
    assert "was not successfully updated: The following resource(s) failed to create: [Bad]" in reason
    assert cloud.delete(stack)["StackStatus"] == "DELETE_COMPLETE"
    assert cloud.stack(child["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    failed = cloud.create(parent(broken_url))
    assert failed["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "was not successfully created" in cloud.reason(failed, "Child", "CREATE_FAILED")


def test_validation_without_values(cloud: Cloud) -> None:
    text = """
Parameters: {P: {Type: String, NoEcho: true, Description: x, Default: y}}
Conditions: {C: !Equals [!Ref P, y]}
Resources: {R: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {}, RoleName: !If [C, a, b]}}}
"""
    answer = cloud.cf.validate_template(TemplateBody=text)
    assert answer["Parameters"] == [{"ParameterKey": "P", "DefaultValue": "y", "NoEcho": True, "Description": "x"}]
    assert answer["Capabilities"] == ["CAPABILITY_NAMED_IAM"]
    for wrong, message in (
        (text.replace("!Ref P", "!Ref Q"), r"Unresolved dependencies \[Q\]"),
        (text.replace("[C, a", "[D, a"), "Unresolved condition dependency D"),
        (text.replace("AWS::IAM::Role", "AWS::IAM::Rolle"), r"Unrecognized resource types: \[AWS::IAM::Rolle\]"),
    ):
        with pytest.raises(ClientError, match=message):
            cloud.cf.validate_template(TemplateBody=wrong)
