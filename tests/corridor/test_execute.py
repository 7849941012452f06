"""Jobs are always answered, with the reason a person needs; orders act on what really waits or runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator import execute
from orchestrator.errors import AwsFailed, BadRequest, Conflict, NotFound
from tests.corridor.cloud import DEV, HUB, NOW, REGION, Cloud, job_event, refusing

PROJECT = "mlops-pipeline-m-workload"
EXECUTION = f"arn:aws:states:{REGION}:{HUB}:execution:{PROJECT}-training:run-1"
PACKAGE = f"arn:aws:sagemaker:{REGION}:{HUB}:model-package/m/1"


@pytest.fixture
def cloud() -> Cloud:
    made = Cloud()
    made.answers["codepipeline.put_job_success_result"] = {}
    made.answers["codepipeline.put_job_failure_result"] = {}
    return made


def told(cloud: Cloud) -> tuple[str, dict[str, Any]]:
    """The last answer given to CodePipeline."""
    name, parameters = [(name, parameters) for _, name, parameters in cloud.log if "put_job" in name][-1]
    return name.rpartition(".")[2], parameters


def failure_of(cloud: Cloud) -> str:
    name, parameters = told(cloud)
    assert name == "put_job_failure_result" and parameters["failureDetails"]["type"] == "JobFailed"
    return str(parameters["failureDetails"]["message"])


# ---- jobs ----


def described(status: str = "SUCCEEDED", output: Any = None) -> dict[str, Any]:
    base = {"executionArn": EXECUTION, "stateMachineArn": EXECUTION, "status": status, "startDate": NOW}
    return base if output is None else {**base, "output": json.dumps(output)}


def test_results_become_variables(cloud: Cloud) -> None:
    output = {"ModelDataUrl": "s3://b/k", "Metrics": {"b": 1, "a": 2}, "Count": 3, "None": None}
    cloud.answers["stepfunctions.describe_execution"] = described(output=output)
    execute.run_job(job_event("1", {"do": "results", "execution": EXECUTION}), cloud.aws())
    name, answer = told(cloud)
    assert name == "put_job_success_result" and answer["jobId"] == "1"
    assert answer["outputVariables"] == {"ModelDataUrl": "s3://b/k", "Metrics": '{"a":2,"b":1}', "Count": "3"}


@pytest.mark.parametrize(
    "answer, words",
    [
        (described("FAILED"), "is FAILED; it has no results"),
        (described(output=[1]), "returned no object"),
        (refusing("ExecutionDoesNotExist", "gone"), "ExecutionDoesNotExist: gone"),
    ],
)
def test_no_results_fail_the_action(cloud: Cloud, answer: Any, words: str) -> None:
    cloud.answers["stepfunctions.describe_execution"] = answer
    execute.run_job(job_event("1", {"do": "results", "execution": EXECUTION}), cloud.aws())
    assert words in failure_of(cloud)


def test_a_job_delivered_twice_is_answered_once(cloud: Cloud) -> None:
    cloud.answers["stepfunctions.describe_execution"] = described(output={"A": "1"})
    cloud.answers["codepipeline.put_job_success_result"] = refusing("InvalidJobStateException")
    execute.run_job(job_event("1", {"do": "results", "execution": EXECUTION}), cloud.aws())
    cloud.answers["codepipeline.put_job_success_result"] = refusing("InternalError", status=500)
    with pytest.raises(AwsFailed):
        execute.run_job(job_event("1", {"do": "results", "execution": EXECUTION}), cloud.aws())


def test_an_accepted_package_is_approved_where_it_lives(cloud: Cloud) -> None:
    cloud.answers["sagemaker.update_model_package"] = {"ModelPackageArn": PACKAGE}
    job = {"do": "accept", "what": "approve_model_package", "results": {"ModelPackageArn": PACKAGE}}
    execute.run_job(job_event("1", job), cloud.aws())
    account, _, request = next(entry for entry in cloud.log if entry[1] == "sagemaker.update_model_package")
    assert account == HUB
    assert request["ModelApprovalStatus"] == "Approved" and request["ApprovalDescription"]
    assert told(cloud)[0] == "put_job_success_result"


@pytest.mark.parametrize(
    "job, words",
    [
        ({"do": "dance"}, "does not know the job 'dance'"),
        ({"do": "accept", "what": "everything", "results": {}}, "does not know how to accept 'everything'"),
        ({"do": "accept", "what": "approve_model_package", "results": {}}, "needs 'ModelPackageArn'"),
        ({"do": "verify", "account": DEV}, "needs 'region'"),
        ({"no": "do"}, "no UserParameters of ours"),
        ({"do": "results", "execution": "nonsense"}, "'nonsense' is not an ARN"),
    ],
)
def test_a_job_that_makes_no_sense_is_answered_too(cloud: Cloud, job: dict[str, Any], words: str) -> None:
    execute.run_job(job_event("1", job), cloud.aws())
    assert words in failure_of(cloud)


def test_a_job_without_parameters_is_answered(cloud: Cloud) -> None:
    event = {"CodePipeline.job": {"id": "1", "data": {"actionConfiguration": {"configuration": {}}}}}
    execute.run_job(event, cloud.aws())
    assert "UserParameters" in failure_of(cloud)


def test_an_unsettled_endpoint_is_looked_at_again(cloud: Cloud) -> None:
    resource = {"ResourceType": "AWS::SageMaker::Endpoint", "PhysicalResourceId": "arn:x:endpoint/e"}
    held = {**resource, "ResourceStatus": "UPDATE_COMPLETE", "LogicalResourceId": "E", "Timestamp": NOW}
    cloud.put_stack("s", "UPDATE_COMPLETE", DEV, Resources=[held])
    cloud.answers["sagemaker.describe_endpoint"] = {"EndpointStatus": "SystemUpdating", "EndpointConfigName": "c"}
    execute.run_job(job_event("1", {"do": "verify", "account": DEV, "region": REGION, "stack": "s"}), cloud.aws())
    name, answer = told(cloud)
    assert name == "put_job_success_result" and answer["continuationToken"]


# ---- orders ----


def waiting_state(*names: str) -> dict[str, Any]:
    """A GetPipelineState answer in which these approvals wait."""

    def stage(name: str) -> dict[str, Any]:
        latest = {"status": "InProgress", "token": f"token-{name}", "lastStatusChange": NOW}
        action = {"actionName": f"Approve-{name}", "latestExecution": latest}
        going = {"actionName": "Other", "latestExecution": {"status": "InProgress"}}
        run = {"pipelineExecutionId": "run-1", "status": "InProgress"}
        return {"stageName": f"Review-{name}", "actionStates": [going, action], "latestExecution": run}

    return {"pipelineName": PROJECT, "stageStates": [{"stageName": "Source", "actionStates": []}, *map(stage, names)]}


@pytest.mark.parametrize("word", ["", "prod", "Approve-prod", "Review-prod"])
def test_approve_finds_the_token(cloud: Cloud, word: str) -> None:
    cloud.answers["codepipeline.get_pipeline_state"] = waiting_state("prod")
    cloud.answers["codepipeline.put_approval_result"] = {"approvedAt": NOW}
    assert execute.approve(cloud.aws(), PROJECT, word, "looks good").name == "prod"
    request = cloud.log[-1][2]
    assert (request["token"], request["stageName"]) == ("token-prod", "Review-prod")
    assert request["result"] == {"summary": "looks good", "status": "Approved"}


def test_reject_needs_a_reason(cloud: Cloud) -> None:
    cloud.answers["codepipeline.get_pipeline_state"] = waiting_state("prod")
    cloud.answers["codepipeline.put_approval_result"] = {}
    with pytest.raises(BadRequest, match="reason"):
        execute.reject(cloud.aws(), PROJECT, "prod", "  ")
    execute.reject(cloud.aws(), PROJECT, "prod", "too slow")
    assert cloud.log[-1][2]["result"] == {"summary": "too slow", "status": "Rejected"}


@pytest.mark.parametrize(
    "state, word, message",
    [
        (waiting_state(), "", "Nothing"),
        (waiting_state("prod"), "dev", "called dev"),
        (waiting_state("dev", "prod"), "", "Several"),
    ],
)
def test_an_approval_that_is_not_clear_is_a_conflict(cloud: Cloud, state: Any, word: str, message: str) -> None:
    cloud.answers["codepipeline.get_pipeline_state"] = state
    with pytest.raises(Conflict, match=message):
        execute.approve(cloud.aws(), PROJECT, word)


def test_someone_else_was_faster(cloud: Cloud) -> None:
    cloud.answers["codepipeline.get_pipeline_state"] = waiting_state("prod")
    cloud.answers["codepipeline.put_approval_result"] = refusing("ApprovalAlreadyCompletedException")
    with pytest.raises(Conflict, match="someone else"):
        execute.approve(cloud.aws(), PROJECT, "prod")


def test_an_unknown_project_is_not_found(cloud: Cloud) -> None:
    cloud.answers["codepipeline.get_pipeline_state"] = refusing("PipelineNotFoundException")
    for order in (execute.approve, execute.start, execute.retry):
        with pytest.raises(NotFound, match="There is no pipeline"):
            order(cloud.aws(), PROJECT)


def action(name: str, provider: str, status: str, external: str = "") -> dict[str, Any]:
    return {
        "pipelineExecutionId": "run-1",
        "actionExecutionId": name,
        "stageName": "training",
        "actionName": name,
        "status": status,
        "input": {"actionTypeId": {"category": "Invoke", "owner": "AWS", "provider": provider, "version": "1"}},
        "output": {"executionResult": {"externalExecutionId": external}},
    }


def test_stop_stops_the_runs_and_their_state_machines(cloud: Cloud) -> None:
    elsewhere = f"arn:aws:states:{REGION}:{DEV}:execution:m:run-2"
    summaries = [
        {"pipelineExecutionId": one, "status": s} for one, s in (("run-1", "InProgress"), ("run-0", "Succeeded"))
    ]
    cloud.answers["codepipeline.list_pipeline_executions"] = {"pipelineExecutionSummaries": summaries}
    cloud.answers["codepipeline.stop_pipeline_execution"] = {"pipelineExecutionId": "run-1"}
    cloud.answers["stepfunctions.stop_execution"] = {"stopDate": NOW}
    cloud.answers["codepipeline.list_action_executions"] = {
        "actionExecutionDetails": [
            action("Run-here", "StepFunctions", "InProgress", EXECUTION),
            action("Run-there", "StepFunctions", "Abandoned", elsewhere),
            action("Run-done", "StepFunctions", "Succeeded", "arn:aws:states:r:1:execution:m:old"),
            action("Deploy", "CloudFormation", "InProgress", "arn:aws:cloudformation:r:1:stack/s/1"),
        ]
    }
    stopped = execute.stop(cloud.aws(), PROJECT, "wrong data")
    assert [run.id for run in stopped] == ["run-1"]
    assert [
        (account, entry["executionArn"]) for account, name, entry in cloud.log if name.endswith("stop_execution")
    ] == [
        (DEV, elsewhere),
        (HUB, EXECUTION),
    ]
    request = next(entry for _, name, entry in cloud.log if name.endswith("stop_pipeline_execution"))
    assert request["abandon"] and request["reason"] == "wrong data"
    roles = [entry["RoleArn"] for _, name, entry in cloud.log if name == "sts.assume_role"]
    assert roles == [f"arn:aws:iam::{DEV}:role/mlops-pipeline-action"]


def test_stopping_what_ended_meanwhile_is_fine(cloud: Cloud) -> None:
    cloud.answers["codepipeline.list_action_executions"] = {
        "actionExecutionDetails": [action("Run", "StepFunctions", "InProgress", EXECUTION)]
    }
    cloud.answers["stepfunctions.stop_execution"] = refusing("ExecutionDoesNotExist")
    assert execute.stop_jobs(cloud.aws(), PROJECT, "run-1") == ()


def test_stop_with_nothing_running_is_a_conflict(cloud: Cloud) -> None:
    cloud.answers["codepipeline.list_pipeline_executions"] = {"pipelineExecutionSummaries": []}
    with pytest.raises(Conflict, match="No run"):
        execute.stop(cloud.aws(), PROJECT)


def test_retry_retries_the_failed_stage(cloud: Cloud) -> None:
    latest = {"pipelineExecutionId": "run-1", "status": "Failed"}
    cloud.answers["codepipeline.get_pipeline_state"] = {
        "stageStates": [{"stageName": "Source"}, {"stageName": "training", "latestExecution": latest}]
    }
    cloud.answers["codepipeline.retry_stage_execution"] = {"pipelineExecutionId": "run-1"}
    assert execute.retry(cloud.aws(), PROJECT) == "run-1"
    assert cloud.log[-1][2]["stageName"] == "training" and cloud.log[-1][2]["retryMode"] == "FAILED_ACTIONS"
    cloud.answers["codepipeline.get_pipeline_state"] = {"stageStates": [{"stageName": "Source"}]}
    with pytest.raises(Conflict, match="No stage"):
        execute.retry(cloud.aws(), PROJECT)


def test_start_answers_the_run(cloud: Cloud) -> None:
    cloud.answers["codepipeline.get_pipeline_state"] = waiting_state()
    cloud.answers["codepipeline.start_pipeline_execution"] = {"pipelineExecutionId": "run-9"}
    assert execute.start(cloud.aws(), PROJECT) == "run-9"
