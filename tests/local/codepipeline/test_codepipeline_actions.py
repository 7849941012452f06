"""Every action provider but CloudFormation, with the real services behind it."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from textwrap import dedent
from typing import Any

import pytest
from botocore.exceptions import ClientError
from codepipeline_rig import ACCOUNT, REGION, Project, action, add_role, approval, source

from orchestrator.local.store import Key
from tests.local.waiting import until

WORKER = """
    import json, os, boto3

    def handler(event, context):
        job = event["CodePipeline.job"]
        wish = json.loads(job["data"]["actionConfiguration"]["configuration"]["UserParameters"])
        assert job["data"]["artifactCredentials"]["sessionToken"]
        codepipeline = boto3.client("codepipeline")
        if "fail" in wish:
            details = {"type": "JobFailed", "message": wish["fail"]}
            return codepipeline.put_job_failure_result(jobId=job["id"], failureDetails=details)
        turns = int(job["data"].get("continuationToken", 0))
        if turns < wish.get("turns", 0):
            return codepipeline.put_job_success_result(jobId=job["id"], continuationToken=str(turns + 1))
        detail = codepipeline.get_job_details(jobId=job["id"])["jobDetails"]["data"]["pipelineContext"]
        said = {"Said": wish["say"], "Turns": str(turns), "Stage": detail["stage"]["name"]}
        codepipeline.put_job_success_result(jobId=job["id"], outputVariables=said)
"""


def add_function(project: Project) -> None:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr("app.py", dedent(WORKER))
    client = project.aws.client("lambda")
    role = add_role(project.aws, "function", Service="lambda.amazonaws.com")
    code = {"ZipFile": buffer.getvalue()}
    client.create_function(FunctionName="worker", Runtime="python3.11", Handler="app.handler", Role=role, Code=code)
    until(lambda: client.get_function(FunctionName="worker")["Configuration"]["State"] == "Active")


def add_machine(project: Project, **states: Any) -> str:
    definition = json.dumps({"StartAt": next(iter(states)), "States": states})
    role = add_role(project.aws, "machine", Service="states.amazonaws.com")
    machine = project.aws.client("stepfunctions").create_state_machine(name="m", definition=definition, roleArn=role)
    return str(machine["stateMachineArn"])


def work(**wish: Any) -> dict[str, Any]:
    configuration = {"FunctionName": "worker", "UserParameters": json.dumps(wish)}
    return action("Invoke", "Lambda", "Work", configuration=configuration, namespace="work")


def test_a_function_reports_variables_and_is_continued(project: Project) -> None:
    add_function(project)
    project.upload(a="b")
    identity = project.create(
        {"name": "Invoke", "actions": [work(say="#{source.ObjectKey}", turns=1)]},
        approval(CustomData="#{work.Said} in #{work.Turns}, #{work.Stage}"),
    )
    project.approve()
    project.succeed(identity)
    (done,) = project.actions(identity, "Work")
    assert done["output"]["outputVariables"] == {"Said": "bundle.zip", "Turns": "1", "Stage": "Invoke"}
    (asked,) = project.actions(identity, "Approve")
    assert asked["input"]["resolvedConfiguration"]["CustomData"] == "bundle.zip in 1, Invoke"


def test_a_function_reports_a_failure(project: Project) -> None:
    add_function(project)
    project.upload(a="b")
    identity = project.create({"name": "Invoke", "actions": [work(fail="no luck")]})
    assert project.over(identity) == "Failed"
    assert project.error(identity, "Work") == {"code": "JobFailed", "message": "no luck"}


def test_a_job_is_answered_once(project: Project) -> None:
    project.upload(a="b")
    project.aws.client("lambda")  # there is no function: the job fails, and its result comes too late
    identity = project.create({"name": "Invoke", "actions": [work(say="x")]})
    assert project.over(identity) == "Failed"
    assert "ResourceNotFoundException" in project.error(identity, "Work")["message"]
    ((key, _),) = project.aws.world.store.list("codepipeline", "Job")
    with pytest.raises(ClientError, match="InvalidJobStateException"):
        project.codepipeline.put_job_success_result(jobId=key.name)


def run(machine: str, **configuration: str) -> dict[str, Any]:
    more: dict[str, Any] = {"inputArtifacts": [{"name": "Bundle"}]} if "InputType" in configuration else {}
    configuration = {"StateMachineArn": machine, **configuration}
    return action("Invoke", "StepFunctions", "Run", configuration=configuration, namespace="run", **more)


@pytest.mark.parametrize("configuration, expected, name", [
    ({}, {}, "{id}"),
    ({"Input": '{"v": "#{source.VersionId}"}', "ExecutionNamePrefix": "job"}, {"v": "{version}"}, "job-{id}"),
    ({"InputType": "FilePath", "Input": "in.json"}, {"from": "file"}, "{id}"),
])  # fmt: skip
def test_a_state_machine_runs_with_its_input(
    project: Project, configuration: dict[str, str], expected: dict[str, str], name: str
) -> None:
    version = project.upload(in__json={"from": "file"})
    machine = add_machine(project, Done={"Type": "Pass", "End": True})
    identity = project.create({"name": "Run", "actions": [run(machine, **configuration)]})
    project.succeed(identity)
    (done,) = project.actions(identity, "Run")
    variables = done["output"]["outputVariables"]
    assert variables["StateMachineArn"] == machine
    assert done["output"]["executionResult"]["externalExecutionId"] == variables["ExecutionArn"]
    ran = project.aws.client("stepfunctions").describe_execution(executionArn=variables["ExecutionArn"])
    assert json.loads(ran["input"]) == {key: value.replace("{version}", version) for key, value in expected.items()}
    assert ran["name"] == name.format(id=done["actionExecutionId"])


def test_a_failed_state_machine_fails_the_action(project: Project) -> None:
    project.upload(a="b")
    machine = add_machine(project, No={"Type": "Fail", "Error": "Bad", "Cause": "because"})
    identity = project.create({"name": "Run", "actions": [run(machine)]})
    assert project.over(identity) == "Failed"
    error = project.error(identity, "Run")
    assert (error["code"], error["message"].endswith("ended as FAILED.")) == ("JobFailed", True)
    execution = project.latest("Run", "Run")["externalExecutionId"]
    assert execution in error["message"]


def test_a_running_state_machine_is_abandoned_but_goes_on(project: Project) -> None:
    project.upload(a="b")
    machine = add_machine(project, Long={"Type": "Wait", "Seconds": 600, "End": True})
    identity = project.create({"name": "Run", "actions": [run(machine)]})
    execution = until(lambda: project.latest("Run", "Run").get("externalExecutionId"))
    stop = {"pipelineName": "p", "pipelineExecutionId": identity}
    project.codepipeline.stop_pipeline_execution(**stop)
    assert project.execution(identity)["status"] == "Stopping"
    project.codepipeline.stop_pipeline_execution(**stop, abandon=True)
    assert project.over(identity) == "Stopped"
    machines = project.aws.client("stepfunctions")
    assert machines.describe_execution(executionArn=execution)["status"] == "RUNNING"
    machines.stop_execution(executionArn=execution)


@pytest.mark.parametrize("files, message", [
    ({"a": "b"}, "File 'in.json' does not exist in input artifact 'Bundle'."),
    ({"in__json": "no json"}, "InvalidExecutionInput"),
])  # fmt: skip
def test_input_that_is_no_input_fails_the_action(project: Project, files: dict[str, Any], message: str) -> None:
    project.upload(**files)
    machine = add_machine(project, Done={"Type": "Pass", "End": True})
    identity = project.create({"name": "Run", "actions": [run(machine, Input="in.json", InputType="FilePath")]})
    assert project.over(identity) == "Failed"
    assert message in project.error(identity, "Run")["message"]


def test_the_approvers_get_the_message_that_aws_sends(project: Project) -> None:
    sns, sqs = project.aws.client("sns"), project.aws.client("sqs")
    topic = sns.create_topic(Name="approvals")["TopicArn"]
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:q")
    project.upload(a="b")
    stage = approval(NotificationArn=topic, CustomData="look", ExternalEntityLink="https://example.com")
    stage["actions"][0]["timeoutInMinutes"] = 60
    project.create(stage)
    token = project.token()
    (message,) = until(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    notice = json.loads(message["Body"])
    assert notice["Subject"] == "APPROVAL NEEDED: AWS CodePipeline p for action Approve"
    text = json.loads(notice["Message"])
    approval_text = text.pop("approval")
    console = f"https://console.aws.amazon.com/codepipeline/home?region={REGION}#/view/p"
    assert text == {"region": REGION, "consoleLink": console}
    assert approval_text.pop("expires").endswith("Z")
    assert approval_text == {
        "pipelineName": "p", "stageName": "Ask", "actionName": "Approve", "token": token, "customData": "look",
        "externalEntityLink": "https://example.com", "approvalReviewLink": f"{console}/Ask/Approve/approve/{token}",
    }  # fmt: skip


def test_roles_must_be_there_and_trust(project: Project) -> None:
    hub = f"arn:aws:iam::{ACCOUNT}:root"
    declaration = project.declare(approval())
    declaration["roleArn"] = add_role(project.aws, "other", Service="lambda.amazonaws.com")
    with pytest.raises(
        ClientError, match=r"InvalidStructureException.*the role .*role/other does not trust codepipeline"
    ):
        project.codepipeline.create_pipeline(pipeline=declaration)
    project.upload(a="b")
    add_role(project.aws, "trusting", "dev", AWS=hub)
    add_role(project.aws, "wary", "dev", AWS="arn:aws:iam::999999999999:root")
    for role, status in (("trusting", "Succeeded"), ("wary", "Failed"), ("absent", "Failed")):
        stage = approval(role)
        stage["actions"][0] |= {"name": role, "actionTypeId": action("Approval", "Manual", "x")["actionTypeId"]}
        stage["actions"][0]["roleArn"] = f"arn:aws:iam::222222222222:role/{role}"
        identity = project.create(stage)
        if status == "Succeeded":
            token = project.token(role, role)
            answer = {"status": "Approved", "summary": ""}
            project.codepipeline.put_approval_result(
                pipelineName="p", stageName=role, actionName=role, token=token, result=answer
            )
        assert project.over(identity) == status
        if status == "Failed":
            error = project.error(identity, role)
            assert (error["code"], role in error["message"]) == ("PermissionError", True)
        project.codepipeline.delete_pipeline(name="p")


def test_an_approval_times_out(project: Project) -> None:
    project.upload(a="b")
    identity = project.create(approval())
    project.token()
    ((key, document),) = [
        (key, document)
        for key, document in project.aws.world.store.list("codepipeline", "ActionExecution")
        if document["action"] == "Approve"
    ]
    project.aws.world.store.patch(key, started=document["started"] - 8 * 86400)
    project.aws.world.tasks.schedule("codepipeline.action", key)
    assert project.over(identity) == "Failed"
    assert project.error(identity, "Approve")["message"] == "The action timed out after 10080 minutes."


def test_a_source_must_be_there_and_versioned(project: Project) -> None:
    first = project.create(approval())
    assert project.over(first) == "Failed"
    assert "NoSuchKey" in project.error(first, "Take")["message"]
    project.version("Suspended")
    project.upload(a="b")
    second = project.start()
    assert project.over(second) == "Failed"
    assert project.error(second, "Take")["message"] == "The S3 bucket source is not versioned."


def test_a_polled_source_starts_the_pipeline(project: Project) -> None:
    project.upload(a="1")
    first = project.create(source(PollForSourceChanges="true"), approval())
    project.approve()
    project.over(first)
    version = project.upload(a="2")
    second = until(lambda: len(found := project.executions()) == 2 and found[0]["pipelineExecutionId"])
    project.token()
    detail = project.execution(second)
    assert detail["trigger"]["triggerType"] == "PollForSourceChanges"
    assert detail["artifactRevisions"][0]["revisionId"] == version
    key = Key(ACCOUNT, REGION, "codepipeline", "Pipeline", "p")
    assert project.aws.world.store.get(key)["polled"] == {"Take": version}


def test_state_changes_are_told_to_eventbridge(project: Project) -> None:
    events, sqs = project.aws.client("events"), project.aws.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    events.put_rule(Name="r", EventPattern='{"source": ["aws.codepipeline"]}')
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"}])
    version = project.upload(a="b")
    identity = project.create(approval())
    project.approve()
    project.over(identity)
    seen: list[Any] = []

    def enough() -> bool:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            seen.append(json.loads(message["Body"]))
        return len(seen) == 10

    until(enough)
    details = [(each["detail-type"].split()[1], each["detail"]) for each in seen]
    assert sorted((kind, detail.get("stage", ""), detail["state"]) for kind, detail in details) == [
        *[("Action", stage, state) for stage in ("Ask", "Source") for state in ("STARTED", "SUCCEEDED")],
        *[("Pipeline", "", state) for state in ("STARTED", "SUCCEEDED")],
        *[("Stage", stage, state) for stage in ("Ask", "Source") for state in ("STARTED", "SUCCEEDED")],
    ]
    assert seen[0]["resources"] == [f"arn:aws:codepipeline:{REGION}:{ACCOUNT}:p"]
    detail = next(each for _, each in details if each.get("action") == "Take" and each["state"] == "SUCCEEDED")
    assert (detail["pipeline"], detail["execution-id"], detail["version"]) == ("p", identity, 1)
    assert detail["type"] == {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"}
    assert detail["execution-result"]["external-execution-id"] == version
    assert detail["output-artifacts"][0]["name"] == "Bundle"
    assert not project.aws.world.store.list("codepipeline", "News")


def test_a_rule_starts_a_pipeline(project: Project) -> None:
    project.upload(a="b")
    identity = project.create(approval())
    project.approve()
    project.over(identity)
    events = project.aws.client("events")
    rule = events.put_rule(Name="r", EventPattern='{"source": ["shop"]}')["RuleArn"]
    pipeline = f"arn:aws:codepipeline:{REGION}:{ACCOUNT}:p"
    role = add_role(project.aws, "events", Service="events.amazonaws.com")
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": pipeline, "RoleArn": role}])
    events.put_events(Entries=[{"Source": "shop", "DetailType": "sold", "Detail": "{}"}])
    until(lambda: len(project.executions()) == 2)
    assert project.executions()[0]["trigger"] == {"triggerType": "CloudWatchEvent", "triggerDetail": rule}
