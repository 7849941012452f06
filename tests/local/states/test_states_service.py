"""State machines on the embedded AWS: the API, integrations through the gateway, jobs, events, logs, restarts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from states_drive import LIST, SDK, one
from states_rig import ACCOUNT, REGION, ROLE, Rig
from states_sagemaker import StandInSageMaker

from orchestrator.local.service import Call
from orchestrator.local.services.states.calls import EXECUTION_TAG
from orchestrator.local.store import Store
from tests.local.waiting import until

CALL = Call(ACCOUNT, REGION, ACCOUNT, "request", {})
TRAIN = {
    "Type": "Task",
    "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
    "Parameters": {
        "TrainingJobName.$": "$.name",
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingInputMode": "File", "TrainingImage": "image"},
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    },
}
WAIT = one({"Type": "Wait", "Seconds": 60})


def refused(code: str, operation: Callable[..., Any], **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        operation(**parameters)
    assert caught.value.response["Error"]["Code"] == code
    return str(caught.value.response["Error"]["Message"])


def test_the_life_of_a_state_machine(rig: Rig) -> None:
    sfn = rig.sfn
    arn = rig.create(one({"Type": "Succeed"}), tags=[{"key": "team", "value": "x"}])
    assert arn == f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:m"
    assert rig.create(one({"Type": "Succeed"})) == arn
    refused("StateMachineAlreadyExists", rig.create, machine=WAIT)
    assert [each["name"] for each in sfn.list_state_machines()["stateMachines"]] == ["m"]
    described = sfn.describe_state_machine(stateMachineArn=arn)
    assert json.loads(described["definition"]) == one({"Type": "Succeed"})
    assert (described["status"], described["type"], described["roleArn"]) == ("ACTIVE", "STANDARD", ROLE)
    sfn.tag_resource(resourceArn=arn, tags=[{"key": "stage", "value": "dev"}])
    sfn.untag_resource(resourceArn=arn, tagKeys=["team"])
    assert sfn.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "stage", "value": "dev"}]
    updated = sfn.update_state_machine(stateMachineArn=arn, definition=json.dumps(WAIT))
    assert updated["revisionId"] != described["revisionId"]
    sfn.delete_state_machine(stateMachineArn=arn)
    sfn.delete_state_machine(stateMachineArn=arn)
    refused("StateMachineDoesNotExist", sfn.describe_state_machine, stateMachineArn=arn)


def test_what_cannot_be_created(rig: Rig) -> None:
    good = {"name": "m", "definition": json.dumps(WAIT), "roleArn": ROLE}
    create = rig.sfn.create_state_machine
    assert "'Map' is not supported" in refused(
        "InvalidDefinition", create, **{**good, "definition": json.dumps(one({"Type": "Map"}))}
    )
    refused("StateMachineTypeNotSupported", create, **good, type="EXPRESS")
    refused("InvalidName", create, **{**good, "name": "a b"})
    refused("InvalidArn", create, **{**good, "roleArn": "nonsense"})
    refused("ValidationException", create, **good, publish=True)
    refused("InvalidLoggingConfiguration", create, **good, loggingConfiguration={"level": "ALL"})
    refused("UnsupportedOperation", rig.sfn.create_activity, name="a")
    assert rig.sfn.list_state_machines()["stateMachines"] == []
    found = rig.sfn.validate_state_machine_definition(definition='{"StartAt": "A"}')
    assert found["result"] == "FAIL"
    assert found["diagnostics"][0]["location"] == "/States"


def test_an_execution_name_is_used_once(rig: Rig) -> None:
    first = rig.begin(WAIT, {"a": 1})
    arn = rig.create(WAIT)
    start = rig.sfn.start_execution
    assert start(stateMachineArn=arn, name="e", input='{"a": 1}')["executionArn"] == first
    refused("ExecutionAlreadyExists", start, stateMachineArn=arn, name="e", input='{"a": 2}')
    refused("InvalidExecutionInput", start, stateMachineArn=arn, input="nonsense")
    rig.sfn.stop_execution(executionArn=first, error="Mine", cause="because")
    refused("ExecutionAlreadyExists", start, stateMachineArn=arn, name="e", input='{"a": 1}')
    stopped = rig.sfn.describe_execution(executionArn=first)
    assert (stopped["status"], stopped["error"], stopped["cause"]) == ("ABORTED", "Mine", "because")
    start(stateMachineArn=arn, name="later")
    assert [each["name"] for each in rig.sfn.list_executions(stateMachineArn=arn)["executions"]] == ["later", "e"]
    listed = rig.sfn.list_executions(stateMachineArn=arn, statusFilter="ABORTED")["executions"]
    assert [each["name"] for each in listed] == ["e"]
    history = rig.sfn.get_execution_history(executionArn=first, reverseOrder=True, maxResults=1)
    assert history["events"][0]["type"] == "ExecutionAborted"
    assert history["nextToken"]
    rig.sfn.delete_state_machine(stateMachineArn=arn)
    until(lambda: rig.sfn.list_state_machines()["stateMachines"] == [])
    refused("ExecutionDoesNotExist", rig.sfn.describe_execution, executionArn=first)


def test_a_running_execution_keeps_its_definition(rig: Rig) -> None:
    arn = rig.begin(one({"Type": "Wait", "Seconds": 1}), {"kept": True})
    machine = rig.create(one({"Type": "Wait", "Seconds": 1}))
    rig.sfn.update_state_machine(stateMachineArn=machine, definition=json.dumps(one({"Type": "Fail"})))
    assert rig.ended(arn)["status"] == "SUCCEEDED"
    of = rig.sfn.describe_state_machine_for_execution(executionArn=arn)
    assert json.loads(of["definition"]) == one({"Type": "Wait", "Seconds": 1})


def test_generic_calls_reach_other_services(rig: Rig) -> None:
    rig.client("s3").create_bucket(Bucket="bucket")
    machine = {
        "StartAt": "Put",
        "States": {
            "Put": {
                "Type": "Task",
                "Resource": SDK + "s3:putObject",
                "Parameters": {"Bucket": "bucket", "Key": "k.json", "Body": {"value.$": "$.v"}},
                "ResultPath": "$.put",
                "Next": "Get",
            },
            "Get": {
                "Type": "Task",
                "Resource": SDK + "s3:getObject",
                "Parameters": {"Bucket": "bucket", "Key": "k.json"},
                "ResultSelector": {"body.$": "States.StringToJson($.Body)", "at.$": "$.LastModified"},
                "Next": "Missing",
            },
            "Missing": {
                "Type": "Task",
                "Resource": SDK + "s3:getObject",
                "Parameters": {"Bucket": "bucket", "Key": "gone"},
                "Catch": [{"ErrorEquals": ["S3.NoSuchKeyException"], "ResultPath": "$.why", "Next": "Done"}],
                "End": True,
            },
            "Done": {"Type": "Succeed"},
        },
    }
    output = rig.run(machine, {"v": 42})
    assert output["body"] == {"value": 42}
    assert output["at"].endswith("Z")
    assert "Service: S3, Status Code: 404" in output["why"]["Cause"]


def test_messages_may_be_json(rig: Rig) -> None:
    queue = rig.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    topic = rig.client("sns").create_topic(Name="t")["TopicArn"]
    rig.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:q")
    publish = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sns:publish",
        "Parameters": {"TopicArn": topic, "Message": {"by.$": "$$.Execution.Name"}},
    }
    send = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage",
        "Parameters": {"QueueUrl": queue, "MessageBody": {"direct": True}},
        "End": True,
    }
    output = rig.run(one({**publish, "Next": "Send"}, Send=send))
    assert output["MessageId"]
    assert output["SdkHttpMetadata"]["HttpStatusCode"] == 200
    messages = rig.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    bodies = [json.loads(each["Body"]) for each in messages]
    assert {"direct": True} in bodies
    assert {"by": "e"} in [json.loads(each.get("Message", "{}")) for each in bodies]


def test_calls_are_made_as_the_role(rig: Rig) -> None:
    identity = rig.run(one({"Type": "Task", "Resource": SDK + "sts:getCallerIdentity", "Parameters": {}}))
    assert ":assumed-role/machine/" in identity["Arn"]


def test_parameters_the_api_does_not_take_are_a_runtime_error(rig: Rig) -> None:
    state = {**LIST, "Parameters": {"MaxResults.$": "$.many"}}
    ended = rig.ended(rig.begin(one(state), {"many": "ten"}))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
    assert "could not be used to start the Task" in ended["cause"]


def test_a_job_is_waited_for(rig: Rig) -> None:
    arn = rig.begin(one(TRAIN), {"name": "job-1"})
    until(lambda: "TaskSubmitted" in kinds(rig, arn))
    rig.sagemaker.end(CALL, "job-1", "Completed", ModelArtifacts={"S3ModelArtifacts": "s3://bucket/out/model.tar.gz"})
    output = json.loads(rig.ended(arn)["output"])
    assert output["ModelArtifacts"]["S3ModelArtifacts"] == "s3://bucket/out/model.tar.gz"
    assert isinstance(output["CreationTime"], int)
    assert output["Tags"] == {"MANAGED_BY_AWS": "STARTED_BY_STEP_FUNCTIONS", EXECUTION_TAG: arn}
    assert kinds(rig, arn) == [
        "ExecutionStarted", "TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded",
        "TaskStateExited", "ExecutionSucceeded",
    ]  # fmt: skip


def kinds(rig: Rig, arn: str) -> list[str]:
    return [event["type"] for event in rig.sfn.get_execution_history(executionArn=arn)["events"]]


def test_a_failed_job_fails_the_state_with_its_description(rig: Rig) -> None:
    arn = rig.begin(one(TRAIN), {"name": "job-1"})
    until(lambda: "TaskSubmitted" in kinds(rig, arn))
    rig.sagemaker.end(CALL, "job-1", "Failed", FailureReason="AlgorithmError: no luck")
    ended = rig.ended(arn)
    assert (ended["status"], ended["error"]) == ("FAILED", "States.TaskFailed")
    assert json.loads(ended["cause"])["FailureReason"] == "AlgorithmError: no luck"


def test_a_job_that_is_refused_fails_the_state(rig: Rig) -> None:
    StandInSageMaker.refuse = "ResourceLimitExceeded"
    assert rig.ended(rig.begin(one(TRAIN), {"name": "job-1"}))["error"] == "SageMaker.ResourceLimitExceededException"


@pytest.mark.parametrize("how", ["stop", "timeout", "branch", "delete"])
def test_a_job_nobody_waits_for_is_stopped(rig: Rig, how: str) -> None:
    machine = one({**TRAIN, "TimeoutSeconds": 1} if how == "timeout" else TRAIN)
    if how == "branch":
        fail = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1, "Next": "F"}, "F": {"Type": "Fail"}}}
        machine = {"StartAt": "P", "States": {"P": {"Type": "Parallel", "Branches": [machine, fail], "End": True}}}
    arn = rig.begin(machine, {"name": "job-1"})
    until(lambda: "TaskSubmitted" in kinds(rig, arn))
    if how == "stop":
        rig.sfn.stop_execution(executionArn=arn)
    if how == "delete":
        rig.sfn.delete_state_machine(stateMachineArn=rig.create(machine))
    until(lambda: StandInSageMaker.asked == ["create", "stop"])


def test_somebody_elses_job_of_that_name_is_left_alone(rig: Rig) -> None:
    parameters = {**TRAIN["Parameters"], "TrainingJobName": "job-1"}
    del parameters["TrainingJobName.$"]
    rig.client("sagemaker").create_training_job(**parameters)
    ended = rig.ended(rig.begin(one(TRAIN), {"name": "job-1"}))
    assert ended["error"] == "SageMaker.ResourceInUseException"
    assert "stop" not in StandInSageMaker.asked


def test_a_restart_goes_on_with_the_same_job(rig: Rig) -> None:
    arn = rig.begin(one(TRAIN), {"name": "job-1"})
    until(lambda: "TaskSubmitted" in kinds(rig, arn))
    rig.restart()
    rig.sagemaker.end(CALL, "job-1", "Completed")
    assert rig.ended(arn)["status"] == "SUCCEEDED"
    assert StandInSageMaker.asked == ["create"]


def test_a_job_started_by_a_dead_process_is_adopted(rig: Rig) -> None:
    """The process died between the request and the note that it was made."""
    arn = rig.begin(one(TRAIN), {"name": "job-1"})
    until(lambda: "TaskSubmitted" in kinds(rig, arn))
    rig.embedded.stop()
    store = Store(rig.home / "state.db")
    [(key, call)] = store.list("stepfunctions", "Call")
    del call["submitted"]
    store.put(key, call)
    store.close()
    rig.start()
    rig.sagemaker.end(CALL, "job-1", "Completed")
    assert rig.ended(arn)["status"] == "SUCCEEDED"
    assert StandInSageMaker.asked == ["create", "create"]


def test_changes_of_status_are_announced_in_order(rig: Rig) -> None:
    arn = rig.begin(one({"Type": "Pass", "Result": {"x": 1}}), {"in": 1})
    until(lambda: len(rig.events) == 2)
    assert {source for source, _ in rig.events} == {"aws.states"}
    running, succeeded = (detail for _, detail in rig.events)
    assert (running["status"], running["output"], running["stopDate"]) == ("RUNNING", None, None)
    assert (succeeded["status"], succeeded["output"]) == ("SUCCEEDED", '{"x":1}')
    assert succeeded["executionArn"] == arn
    assert succeeded["input"] == '{"in": 1}'


@pytest.mark.parametrize("data", [False, True])
def test_history_goes_to_the_log_group(rig: Rig, data: bool) -> None:
    logs = rig.client("logs")
    logs.create_log_group(logGroupName="/aws/vendedlogs/states/m")
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/vendedlogs/states/m:*"
    settings = {
        "level": "ALL",
        "includeExecutionData": data,
        "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": group}}],
    }
    arn = rig.create(one({"Type": "Pass"}), loggingConfiguration=settings)
    rig.sfn.start_execution(stateMachineArn=arn, name="e", input='{"secret": 1}')

    def lines() -> list[dict[str, Any]]:
        found = logs.filter_log_events(logGroupName="/aws/vendedlogs/states/m")["events"]
        return [json.loads(event["message"]) for event in found]

    until(lambda: len(lines()) == 4)
    assert [line["type"] for line in lines()][0::3] == ["ExecutionStarted", "ExecutionSucceeded"]
    assert ("secret" in json.dumps(lines())) is data


def test_a_long_history_is_paged(rig: Rig) -> None:
    count = {
        "Type": "Pass",
        "Parameters": {"n.$": "States.MathAdd($.n, 1)"},
        "Next": "More",
    }
    more = {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericLessThan": 60, "Next": "S"}], "Default": "T"}
    arn = rig.begin(one(count, More=more, T={"Type": "Succeed"}), {"n": 0})
    assert json.loads(rig.ended(arn)["output"]) == {"n": 60}
    pages = rig.sfn.get_paginator("get_execution_history").paginate(executionArn=arn, PaginationConfig={"PageSize": 70})
    ids = [event["id"] for page in pages for event in page["events"]]
    assert ids == list(range(1, 1 + 60 * 4 + 4))
