"""The CloudFormation action, with the real service behind it, in the account of its role."""

from __future__ import annotations

import json
from typing import Any

import pytest
from codepipeline_rig import Project, action, add_role, approval

DEV = "222222222222"


def setting(name: Any, value: Any) -> dict[str, Any]:
    return {"Type": "AWS::SSM::Parameter", "Properties": {"Name": name, "Type": "String", "Value": value}}


TEMPLATE = {
    "Parameters": {
        "Value": {"Type": "String", "AllowedPattern": "[a-z0-9]+"},
        "More": {"Type": "String", "Default": "x"},
    },
    "Resources": {"Setting": setting("setting", {"Ref": "Value"})},
    "Outputs": {"Name": {"Value": {"Ref": "Setting"}}, "More": {"Value": {"Ref": "More"}}},
}
TEMPLATE_THAT_FAILS = {**TEMPLATE, "Resources": {"Twice": setting("taken", "x"), **TEMPLATE["Resources"]}}


def deploy(name: str = "Deploy", mode: str = "CREATE_UPDATE", **more: Any) -> dict[str, Any]:
    configuration = {"ActionMode": mode, "StackName": "stack", **more.pop("configuration", {})}
    if mode != "CHANGE_SET_EXECUTE":
        configuration["RoleArn"] = f"arn:aws:iam::{DEV}:role/cloudformation"
    if mode not in ("CHANGE_SET_EXECUTE", "DELETE_ONLY"):
        configuration |= {"TemplatePath": "Bundle::template.json", "TemplateConfiguration": "Bundle::dev.json"}
        more["inputArtifacts"] = [{"name": "Bundle"}]
    if mode.startswith("CHANGE_SET"):
        configuration["ChangeSetName"] = "changes"
    role = f"arn:aws:iam::{DEV}:role/pipeline-action"
    return action("Deploy", "CloudFormation", name, configuration=configuration, roleArn=role, namespace=name, **more)


class Stacks:
    """The stacks of the dev account, and a pipeline that deploys there."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.client = project.aws.client("cloudformation", "dev")
        self.ssm = project.aws.client("ssm", "dev")
        add_role(project.aws, "pipeline-action", "dev", AWS="arn:aws:iam::111111111111:root")
        add_role(project.aws, "cloudformation", "dev", Service="cloudformation.amazonaws.com")

    def bundle(self, value: Any = "one", template: Any = TEMPLATE, **files: Any) -> None:
        parameters = {"Parameters": {"Value": value}, "Tags": {"team": "x"}}
        self.project.upload(template__json=template, dev__json=parameters, **files)

    def run(self, *actions: dict[str, Any], **stage: Any) -> str:
        """Run the actions one after another in a stage, in a new pipeline."""
        for order, each in enumerate(actions, 1):
            each["runOrder"] = order
        return self.project.create({"name": "Deploy", "actions": list(actions), **stage})

    def again(self) -> str:
        identity = self.project.start()
        self.project.over(identity)
        return identity

    def stack(self) -> Any:
        return self.client.describe_stacks(StackName="stack")["Stacks"][0]

    def value(self) -> str:
        return str(self.ssm.get_parameter(Name="setting")["Parameter"]["Value"])

    def begun(self) -> list[str]:
        """What was begun on the stack, oldest first."""
        events = self.client.describe_stack_events(StackName="stack")["StackEvents"]
        return [
            event["ResourceStatus"]
            for event in reversed(events)
            if event["PhysicalResourceId"] == event["StackId"] and event["ResourceStatus"].endswith("_IN_PROGRESS")
        ]


@pytest.fixture
def stacks(project: Project) -> Stacks:
    return Stacks(project)


def test_create_then_update_then_nothing_to_do(stacks: Stacks) -> None:
    stacks.bundle("one")
    identity = stacks.run(deploy())
    stacks.project.succeed(identity)
    assert (stacks.value(), stacks.stack()["Tags"]) == ("one", [{"Key": "team", "Value": "x"}])
    (done,) = stacks.project.actions(identity, "Deploy")
    assert done["output"]["outputVariables"] == {"Name": "setting", "More": "x"}
    assert done["output"]["executionResult"]["externalExecutionId"] == stacks.stack()["StackId"]
    stacks.bundle("two")
    stacks.again()
    assert stacks.value() == "two"
    before = stacks.begun()
    unchanged = stacks.again()
    assert stacks.project.execution(unchanged)["status"] == "Succeeded"
    assert stacks.begun() == before
    assert stacks.project.latest("Deploy", "Deploy")["summary"] == "Stack stack has no changes."


def test_a_failed_create_says_which_resource_and_why(stacks: Stacks) -> None:
    stacks.ssm.put_parameter(Name="taken", Type="String", Value="x")
    stacks.bundle("one", TEMPLATE_THAT_FAILS)
    identity = stacks.run(deploy())
    assert stacks.project.over(identity) == "Failed"
    message = stacks.project.error(identity, "Deploy")["message"]
    assert "ROLLBACK_COMPLETE" in message
    assert "[Twice (AWS::SSM::Parameter): " in message
    assert stacks.stack()["StackStatus"] == "ROLLBACK_COMPLETE"
    stacks.bundle("one")
    assert stacks.project.error(stacks.again(), "Deploy")["message"].startswith("UpdateStack: ")


def test_replace_on_failure_makes_a_failed_stack_anew(stacks: Stacks) -> None:
    stacks.ssm.put_parameter(Name="taken", Type="String", Value="x")
    stacks.bundle("one", TEMPLATE_THAT_FAILS)
    identity = stacks.run(deploy(mode="REPLACE_ON_FAILURE"))
    assert stacks.project.over(identity) == "Failed"
    old = stacks.stack()["StackId"]
    stacks.bundle("two")
    assert stacks.project.execution(stacks.again())["status"] == "Succeeded"
    assert (stacks.value(), stacks.stack()["StackStatus"]) == ("two", "CREATE_COMPLETE")
    assert stacks.stack()["StackId"] != old
    stacks.bundle("three")
    stacks.again()
    assert (stacks.value(), stacks.stack()["StackStatus"]) == ("three", "UPDATE_COMPLETE")


def test_delete_only(stacks: Stacks) -> None:
    stacks.bundle("one")
    identity = stacks.run(deploy("Make"), deploy("Remove", "DELETE_ONLY"), deploy("Again", "DELETE_ONLY"))
    stacks.project.succeed(identity)
    assert stacks.client.list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"] == []
    assert stacks.project.latest("Deploy", "Again")["summary"] == "Stack stack did not exist."


def test_a_change_set_is_made_looked_at_and_executed(stacks: Stacks) -> None:
    stacks.bundle("one")
    prepare, execute = deploy("Prepare", "CHANGE_SET_REPLACE"), deploy("Execute", "CHANGE_SET_EXECUTE")
    stages = [
        {"name": "Review", "actions": [prepare]},
        approval(),
        {"name": "Deploy", "actions": [execute]},
    ]
    identity = stacks.project.create(*stages)
    token = stacks.project.token()
    change_set = stacks.client.describe_change_set(StackName="stack", ChangeSetName="changes")
    assert [change["ResourceChange"]["Action"] for change in change_set["Changes"]] == ["Add"]
    assert stacks.stack()["StackStatus"] == "REVIEW_IN_PROGRESS"
    stacks.project.answer("Approved", token)
    stacks.project.succeed(identity)
    assert (stacks.value(), stacks.stack()["StackStatus"]) == ("one", "CREATE_COMPLETE")
    (executed,) = stacks.project.actions(identity, "Execute")
    assert executed["output"]["outputVariables"]["Name"] == "setting"
    for value, status in (("one", "CREATE_COMPLETE"), ("two", "UPDATE_COMPLETE")):  # an empty change set, and another
        stacks.bundle(value)
        again = stacks.project.start()
        stacks.project.approve()
        stacks.project.succeed(again)
        assert (stacks.value(), stacks.stack()["StackStatus"]) == (value, status)


def test_a_change_set_of_the_same_name_is_replaced(stacks: Stacks) -> None:
    stacks.bundle("one")
    identity = stacks.run(deploy("Prepare", "CHANGE_SET_REPLACE"))
    stacks.project.over(identity)
    first = stacks.client.describe_change_set(StackName="stack", ChangeSetName="changes")["ChangeSetId"]
    stacks.bundle("two")
    assert stacks.project.execution(stacks.again())["status"] == "Succeeded"
    second = stacks.client.describe_change_set(StackName="stack", ChangeSetName="changes")
    assert second["ChangeSetId"] != first
    assert second["Parameters"][0] == {"ParameterKey": "Value", "ParameterValue": "two"}


def test_without_a_change_set_there_is_nothing_to_execute(stacks: Stacks) -> None:
    stacks.bundle("one")
    identity = stacks.run(deploy("Execute", "CHANGE_SET_EXECUTE"))
    assert stacks.project.over(identity) == "Failed"
    assert stacks.project.error(identity, "Execute")["message"] == "ChangeSet [changes] does not exist"


def test_overrides_and_the_output_artifact(stacks: Stacks) -> None:
    stacks.bundle("one", values__json={"from": "file"})
    overrides = {
        "Value": {"Fn::GetParam": ["Bundle", "values.json", "from"]},
        "More": {"Fn::GetArtifactAtt": ["Bundle", "BucketName"]},
    }
    configuration = {"ParameterOverrides": json.dumps(overrides), "OutputFileName": "out.json"}
    first = deploy("First", configuration=configuration, outputArtifacts=[{"name": "Outputs"}])
    overrides = {"Value": {"Fn::GetParam": ["Outputs", "out.json", "Name"]}, "More": "#{First.More}"}
    configuration = {"StackName": "second", "ParameterOverrides": json.dumps(overrides)}
    second = deploy("Second", configuration=configuration)
    second["inputArtifacts"] = [{"name": "Bundle"}, {"name": "Outputs"}]
    identity = stacks.run(first, second)
    assert stacks.project.over(identity) == "Failed"  # the second stack wants the same setting
    assert (stacks.value(), stacks.stack()["Parameters"][1]["ParameterValue"]) == ("file", "artifacts")
    stack = stacks.client.describe_stacks(StackName="second")["Stacks"][0]
    values = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
    assert values == {"Value": "setting", "More": "artifacts"}


@pytest.mark.parametrize("files, overrides, message", [
    ({"dev__json": "{"}, "", "Bundle::dev.json is not valid JSON"),
    ({"dev__json": []}, "", "Bundle::dev.json must be a JSON object."),
    ({"dev__json": {"Parameter": {}}}, "", "Bundle::dev.json has the unknown member(s) Parameter."),
    ({"dev__json": {"Parameters": {"Value": ["a"]}}}, "", "The value of Value must be a string, not ['a']."),
    ({"dev__json": {"Parameters": {"Value": "A!"}}}, "", "CreateStack: "),
    ({"dev__json": {"Parameters": {"Value": "a", "Strange": "b"}}}, "", "Strange"),
    ({}, "nonsense", "ParameterOverrides is not valid JSON"),
    ({}, '{"More": {"Fn::GetParam": ["Bundle", "dev.json", "none"]}}', "Bundle::dev.json has no member 'none'."),
    ({}, '{"More": {"Fn::GetArtifactAtt": ["Bundle", "Size"]}}', "BucketName, ObjectKey, URL, but no 'Size'."),
    ({}, '{"More": {"Fn::GetArtifactAtt": ["Other", "URL"]}}', "'Other' is not an input artifact"),
])  # fmt: skip
def test_bad_input_fails_the_action(stacks: Stacks, files: dict[str, Any], overrides: str, message: str) -> None:
    stacks.project.upload(**{"template__json": TEMPLATE, "dev__json": {"Parameters": {"Value": "one"}}, **files})
    configuration = {"ParameterOverrides": overrides} if overrides else {}
    identity = stacks.run(deploy(configuration=configuration))
    assert stacks.project.over(identity) == "Failed"
    assert message in stacks.project.error(identity, "Deploy")["message"]


def test_a_long_template_goes_through_s3(stacks: Stacks) -> None:
    stacks.bundle("one", {**TEMPLATE, "Metadata": {"Long": "x" * 60_000}})
    stacks.project.succeed(stacks.run(deploy()))
    assert stacks.value() == "one"


def test_a_failed_stage_is_rolled_back_to_what_was_there(stacks: Stacks) -> None:
    stacks.bundle("one")
    prepare, execute = deploy("Prepare", "CHANGE_SET_REPLACE"), deploy("Execute", "CHANGE_SET_EXECUTE")
    second = deploy("Other", configuration={"StackName": "other"})
    identity = stacks.run(prepare, execute, second, onFailure={"result": "ROLLBACK"})
    assert stacks.project.over(identity) == "Failed"
    assert stacks.project.executions()[0]["pipelineExecutionId"] == identity  # no earlier success: no rollback
    stacks.client.delete_stack(StackName="other")
    good = {**TEMPLATE, "Resources": {"Setting": setting({"Fn::Sub": "${AWS::StackName}-setting"}, {"Ref": "Value"})}}
    stacks.bundle("one", good)
    succeeded = stacks.again()
    assert stacks.project.execution(succeeded)["status"] == "Succeeded"
    bad = json.loads(json.dumps(good))
    bad["Resources"]["Wait"] = {**setting("taken", "x"), "Condition": "IsOther"}
    bad["Conditions"] = {"IsOther": {"Fn::Equals": [{"Ref": "AWS::StackName"}, "other"]}}
    stacks.ssm.put_parameter(Name="taken", Type="String", Value="x")
    stacks.bundle("two", bad)
    failed = stacks.again()
    assert stacks.project.execution(failed)["status"] == "Failed"
    (rollback, *_) = stacks.project.executions()
    assert (rollback["executionType"], rollback["trigger"]["triggerType"]) == ("ROLLBACK", "AutomatedRollback")
    assert rollback["rollbackMetadata"]["rollbackTargetPipelineExecutionId"] == succeeded
    stacks.project.succeed(rollback["pipelineExecutionId"])
    assert stacks.ssm.get_parameter(Name="stack-setting")["Parameter"]["Value"] == "one"
    manual = stacks.project.codepipeline.rollback_stage(
        pipelineName="p", stageName="Deploy", targetPipelineExecutionId=succeeded
    )["pipelineExecutionId"]
    stacks.project.succeed(manual)
    assert stacks.project.execution(manual)["trigger"]["triggerType"] == "ManualRollback"


def test_an_operation_is_begun_once_in_spite_of_restarts(stacks: Stacks) -> None:
    stacks.bundle("one")
    identity = stacks.run(deploy("Prepare", "CHANGE_SET_REPLACE"), deploy("Execute", "CHANGE_SET_EXECUTE"), deploy())
    for _ in range(3):
        stacks.project.aws.restart()
    stacks.project.succeed(identity)
    assert stacks.begun() == ["REVIEW_IN_PROGRESS", "CREATE_IN_PROGRESS"]
