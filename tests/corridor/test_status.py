"""Status tells the truth in one vocabulary, and digs the reason of a failure out of where AWS hides it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.errors import Conflict, NotFound
from orchestrator.status import NOT_YET, find, old_pipeline_state, project_status, projects
from tests.corridor.cloud import DEV, HUB, NOW, PROD, REGION, Cloud, refusing

PROJECT = "mlops-pipeline-m-workload"
DIGEST = "d" * 64
TAGS = [{"Key": "mlops:project", "Value": PROJECT}, {"Key": "mlops:model-name", "Value": "M"}]


def deploy(stage: str, name: str, account: str) -> dict[str, Any]:
    """A pipeline stage with one CloudFormation action."""
    return {
        "name": stage,
        "actions": [
            {
                "name": name,
                "actionTypeId": {"category": "Deploy", "owner": "AWS", "provider": "CloudFormation", "version": "1"},
                "configuration": {"StackName": f"{PROJECT}-endpoint-{account}"},
                "roleArn": f"arn:aws:iam::{account}:role/mlops-pipeline-action",
            }
        ],
    }


STAGES = [
    deploy("Deploy-dev", "Execute-endpoint", DEV),
    deploy("Review-prod", "Changes-endpoint", PROD),
    deploy("Deploy-prod", "Execute-endpoint", PROD),
]


@pytest.fixture
def cloud() -> Cloud:
    """A project whose latest run succeeded; nothing is deployed yet."""
    made = Cloud()
    made.put_stack(f"{PROJECT}-codepipeline", "CREATE_COMPLETE", Tags=TAGS)
    made.put_stack("someone-elses", "CREATE_COMPLETE", Tags=[{"Key": "team", "Value": "x"}])
    made.answers["codepipeline.get_pipeline"] = {"pipeline": {"name": PROJECT, "roleArn": "r", "stages": STAGES}}
    made.answers["codepipeline.get_pipeline_state"] = state("Succeeded")
    runs(made, ("run-1", "Succeeded"))
    actions(made)
    return made


def state(status: str, *waiting: str) -> dict[str, Any]:
    latest = {"pipelineExecutionId": "run-1", "status": status}
    stages: list[dict[str, Any]] = [{"stageName": "Source", "latestExecution": latest, "actionStates": []}]
    for name in waiting:
        token = {"status": "InProgress", "token": "t", "lastStatusChange": NOW}
        approval = {"actionName": f"Approve-{name}", "latestExecution": token}
        stages.append({"stageName": f"Review-{name}", "latestExecution": latest, "actionStates": [approval]})
    return {"pipelineName": PROJECT, "stageStates": stages}


def runs(cloud: Cloud, *found: tuple[str, str], rollback: bool = False) -> None:
    summaries: list[dict[str, Any]] = [
        {"pipelineExecutionId": one, "status": status, "startTime": NOW, "trigger": {"triggerType": "CloudWatchEvent"}}
        for one, status in found
    ]
    if rollback:
        summaries[0]["rollbackMetadata"] = {"rollbackTargetPipelineExecutionId": "run-0"}
    cloud.answers["codepipeline.list_pipeline_executions"] = {"pipelineExecutionSummaries": summaries}


def actions(cloud: Cloud, *failed: dict[str, Any]) -> None:
    """The latest run's actions, newest first as the service lists them."""
    source = action("Source", "Source", "S3", "Succeeded", configuration={"S3Bucket": "assets", "S3ObjectKey": "k"})
    cloud.objects["assets", "k"] = {"Body": b"", "ETag": '"1"', "Metadata": {"bundle-digest": DIGEST}}
    cloud.answers["codepipeline.list_action_executions"] = {"actionExecutionDetails": [*failed, source]}


def action(
    stage: str, name: str, provider: str, status: str, external: str = "", message: str = "", **given: Any
) -> dict[str, Any]:
    error = {"errorDetails": {"code": "JobFailed", "message": message}} if message else {}
    kind = {"category": "Deploy", "owner": "AWS", "provider": provider, "version": "1"}
    variables = given.pop("variables", {})
    configuration = given.pop("configuration", {})
    return {
        "pipelineExecutionId": "run-1",
        "actionExecutionId": name,
        "stageName": stage,
        "actionName": name,
        "status": status,
        "input": {"actionTypeId": kind, "resolvedConfiguration": configuration},
        "output": {"executionResult": {"externalExecutionId": external, **error}, "outputVariables": variables},
    }


# ---- states ----


@pytest.mark.parametrize(
    "status, word",
    [("Succeeded", "succeeded"), ("InProgress", "running"), ("Stopping", "stopping"), ("Stopped", "stopped"),
     ("Failed", "failed"), ("Cancelled", "cancelled")],
)  # fmt: skip
def test_each_state_has_its_word(cloud: Cloud, status: str, word: str) -> None:
    runs(cloud, ("run-1", status))
    found = project_status(cloud.aws(), PROJECT)
    assert (found.state, found.model_name, found.bundle_digest) == (word, "M", DIGEST)
    assert projects(cloud.aws())[0].state == word
    assert json.dumps(found.as_dict())


def test_a_project_that_never_ran_is_idle(cloud: Cloud) -> None:
    runs(cloud)
    assert project_status(cloud.aws(), PROJECT).state == "idle"


def test_before_the_pipeline_there_is_only_its_stack(cloud: Cloud) -> None:
    cloud.answers["codepipeline.list_pipeline_executions"] = refusing("PipelineNotFoundException")
    cloud.stacks[HUB, f"{PROJECT}-codepipeline"]["StackStatus"] = "CREATE_IN_PROGRESS"
    assert project_status(cloud.aws(), PROJECT).state == "provisioning"


def test_a_pipeline_stack_that_failed_says_why(cloud: Cloud) -> None:
    cloud.answers["codepipeline.list_pipeline_executions"] = refusing("PipelineNotFoundException")
    stack = cloud.stacks[HUB, f"{PROJECT}-codepipeline"]
    stack["StackStatus"] = "ROLLBACK_COMPLETE"
    cloud.answers["cloudformation.describe_stack_events"] = {"StackEvents": events(stack["StackId"])}
    found = project_status(cloud.aws(), PROJECT)
    assert found.state == "broken" and found.failure
    assert "Endpoint (AWS::SageMaker::Endpoint)" in found.failure.reason and "no capacity" in found.failure.reason


def test_an_unknown_project_is_not_found(cloud: Cloud) -> None:
    with pytest.raises(NotFound, match="There is no project nothing"):
        project_status(cloud.aws(), "nothing")


def test_people_may_say_the_model(cloud: Cloud) -> None:
    assert find(cloud.aws(), PROJECT) == find(cloud.aws(), "m") == PROJECT
    with pytest.raises(NotFound, match="no project x") as caught:
        find(cloud.aws(), "x")
    assert PROJECT in caught.value.hint
    other = [{"Key": "mlops:project", "Value": "other"}, {"Key": "mlops:model-name", "Value": "M"}]
    cloud.put_stack("other-codepipeline", "CREATE_COMPLETE", Tags=other)
    with pytest.raises(Conflict, match="several"):
        find(cloud.aws(), "M")


def test_what_an_earlier_run_did_is_not_told_as_this_ones(cloud: Cloud) -> None:
    runs(cloud, ("run-2", "InProgress"), ("run-1", "Succeeded"))

    def stage(name: str, run: str) -> dict[str, Any]:
        done = [{"actionName": one, "latestExecution": {"status": "Succeeded"}} for one in ("A", "B")]
        return {"stageName": name, "latestExecution": {"pipelineExecutionId": run}, "actionStates": done}

    cloud.answers["codepipeline.get_pipeline_state"] = {
        "stageStates": [stage("now", "run-2"), stage("before", "run-1")]
    }
    actions(cloud, action("now", "A", "Lambda", "Succeeded"))
    now, before = project_status(cloud.aws(), PROJECT).stages
    assert [one.state for one in now.actions] == ["Succeeded", "NotStarted"]
    assert [one.state for one in before.actions] == ["Succeeded", "Succeeded"]


# ---- approvals ----


def test_a_stage_that_waits_shows_what_would_change(cloud: Cloud) -> None:
    runs(cloud, ("run-1", "InProgress"))
    cloud.answers["codepipeline.get_pipeline_state"] = state("InProgress", "prod")
    stack = f"{PROJECT}-endpoint-{PROD}"
    actions(
        cloud,
        action("Review-prod", "Approve-prod", "Manual", "InProgress",
               configuration={"CustomData": "Deploy to prod?", "ExternalEntityLink": "https://console"}),
        action("Review-prod", "Changes-endpoint", "CloudFormation", "Succeeded", configuration={"StackName": stack}),
    )  # fmt: skip
    change = {"Action": "Modify", "LogicalResourceId": "Endpoint", "ResourceType": "AWS::SageMaker::Endpoint"}
    cloud.answers["cloudformation.describe_change_set"] = {
        "Changes": [{"Type": "Resource", "ResourceChange": {**change, "Replacement": "False"}}]
    }
    found = project_status(cloud.aws(), PROJECT)
    assert found.state == "waiting"
    (approval,) = found.approvals
    assert (approval.name, approval.message, approval.link) == ("prod", "Deploy to prod?", "https://console")
    assert approval.changes[0] == {
        "stack": stack, "action": "Modify", "resource": "Endpoint", "type": "AWS::SageMaker::Endpoint",
        "replacement": "False",
    }  # fmt: skip
    account, _, request = next(entry for entry in cloud.log if entry[1].endswith("describe_change_set"))
    assert (account, request["ChangeSetName"]) == (PROD, "mlops-review")


def test_a_review_of_a_model_shows_its_results(cloud: Cloud) -> None:
    runs(cloud, ("run-1", "InProgress"))
    cloud.answers["codepipeline.get_pipeline_state"] = state("InProgress", "registry")
    results = {"ModelPackageArn": "arn"}
    actions(
        cloud,
        action("Review-registry", "Approve-registry", "Manual", "InProgress"),
        action("registry", "Results-registry", "Lambda", "Succeeded", variables=results),
    )
    assert project_status(cloud.aws(), PROJECT).approvals[0].results == results


# ---- reasons ----

EXECUTION = f"arn:aws:states:{REGION}:{HUB}:execution:m:1"


def execution(cause: Any, error: str = "States.TaskFailed") -> dict[str, Any]:
    text = cause if isinstance(cause, str) else json.dumps(cause)
    base = {"executionArn": EXECUTION, "stateMachineArn": "arn:aws:states:m", "status": "FAILED", "startDate": NOW}
    return {**base, "error": error, "cause": text}


@pytest.mark.parametrize(
    "cause, words",
    [
        ({"TrainingJobName": "j", "TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: exit 1"},
         "Job j failed: AlgorithmError: exit 1"),
        ({"TransformJobName": "j", "TransformJobStatus": "Stopped"}, "Job j failed: the job ended Stopped"),
        ({"errorMessage": "boom", "errorType": "ValueError"}, "States.TaskFailed: boom"),
        ("no such bucket", "States.TaskFailed: no such bucket"),
        ("[1]", "[1]"),
    ],
)  # fmt: skip
def test_a_failed_job_says_why(cloud: Cloud, cause: Any, words: str) -> None:
    runs(cloud, ("run-1", "Failed"))
    cloud.answers["stepfunctions.describe_execution"] = execution(cause)
    actions(cloud, action("training", "Run-training", "StepFunctions", "Failed", EXECUTION, "State machine failed."))
    failure = project_status(cloud.aws(), PROJECT).failure
    assert failure and failure.where == "training/Run-training" and words in failure.reason


def events(stack_id: str) -> list[dict[str, Any]]:
    """A stack's events, newest first: an operation that failed, and an older failure that is over."""

    def event(number: int, logical: str, status: str, reason: str = "", physical: str = "x") -> dict[str, Any]:
        kind = "AWS::CloudFormation::Stack" if physical == stack_id else f"AWS::SageMaker::{logical}"
        base = {"StackId": stack_id, "EventId": str(number), "StackName": "s", "Timestamp": NOW, "ResourceType": kind}
        told = {"ResourceStatusReason": reason} if reason else {}
        return {**base, "LogicalResourceId": logical, "PhysicalResourceId": physical, "ResourceStatus": status, **told}

    return [
        event(7, "s", "UPDATE_ROLLBACK_COMPLETE", physical=stack_id),
        event(6, "s", "UPDATE_ROLLBACK_IN_PROGRESS", "The following resource(s) failed", stack_id),
        event(5, "Model", "CREATE_FAILED", "Resource creation cancelled"),
        event(4, "Endpoint", "UPDATE_FAILED", "no capacity"),
        event(3, "s", "UPDATE_IN_PROGRESS", "User Initiated", stack_id),
        event(2, "Old", "CREATE_FAILED", "long ago"),
    ]


def test_a_failed_stack_names_the_first_resource_that_failed(cloud: Cloud) -> None:
    runs(cloud, ("run-1", "Failed"))
    stack = f"{PROJECT}-endpoint-{DEV}"
    cloud.answers["cloudformation.describe_stack_events"] = {"StackEvents": events("arn:stack")}
    actions(
        cloud, action("Deploy-dev", "Execute-endpoint", "CloudFormation", "Failed", configuration={"StackName": stack})
    )
    failure = project_status(cloud.aws(), PROJECT).failure
    assert failure and failure.reason == f"Endpoint (AWS::SageMaker::Endpoint) in {stack}: no capacity"
    account = next(account for account, name, _ in cloud.log if name.endswith("describe_stack_events"))
    assert account == DEV


@pytest.mark.parametrize(
    "provider, message, words",
    [("Lambda", "Endpoint e is Failed", "Endpoint e is Failed"), ("Manual", "too slow", "Rejected: too slow"),
     ("Manual", "Rejected: too slow", "Rejected: too slow"),
     ("S3", "", "gives no reason")],
)  # fmt: skip
def test_other_actions_give_their_own_reason(cloud: Cloud, provider: str, message: str, words: str) -> None:
    runs(cloud, ("run-1", "Failed"))
    actions(cloud, action("Deploy-dev", "A", provider, "Failed", message=message))
    failure = project_status(cloud.aws(), PROJECT).failure
    assert failure and words in failure.reason


def test_what_cannot_be_read_leaves_what_codepipeline_says(cloud: Cloud) -> None:
    runs(cloud, ("run-1", "Failed"))
    cloud.answers["stepfunctions.describe_execution"] = refusing("AccessDeniedException", "not yours")
    actions(cloud, action("training", "Run", "StepFunctions", "Failed", EXECUTION, "State machine failed."))
    failure = project_status(cloud.aws(), PROJECT).failure
    assert failure and failure.reason == "State machine failed." and "not yours" in failure.hint


def test_a_rollback_tells_why_the_run_before_it_failed(cloud: Cloud) -> None:
    runs(cloud, ("run-2", "Succeeded"), ("run-1", "Failed"), rollback=True)
    actions(cloud, action("Deploy-dev", "Verify", "Lambda", "Failed", message="went back"))
    found = project_status(cloud.aws(), PROJECT)
    assert found.state == "rolled back" and found.failure and found.failure.reason == "went back"


def test_a_stopped_run_says_who_stopped_it(cloud: Cloud) -> None:
    runs(cloud, ("run-1", "Stopped"))
    summaries = cloud.answers["codepipeline.list_pipeline_executions"]["pipelineExecutionSummaries"]
    summaries[0]["stopTrigger"] = {"reason": "wrong data"}
    failure = project_status(cloud.aws(), PROJECT).failure
    assert failure and failure.reason == "wrong data"


# ---- endpoints ----


def test_endpoints_of_all_stages(cloud: Cloud) -> None:
    for account in (DEV, PROD):
        held = {"ResourceType": "AWS::SageMaker::Endpoint", "PhysicalResourceId": f"arn:x:endpoint/e-{account}"}
        kept = {**held, "LogicalResourceId": "E", "ResourceStatus": "CREATE_COMPLETE", "Timestamp": NOW}
        cloud.put_stack(f"{PROJECT}-endpoint-{account}", "CREATE_COMPLETE", account, Resources=[kept])
    variant = {"VariantName": "v", "CurrentInstanceCount": 2}
    cloud.answers["sagemaker.describe_endpoint"] = lambda account, EndpointName: (
        {"EndpointStatus": "InService", "EndpointConfigName": "c", "ProductionVariants": [variant]}
        if account == DEV
        else refusing("ValidationException")()
    )
    config = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large"}
    cloud.answers["sagemaker.describe_endpoint_config"] = {"ProductionVariants": [config]}
    package = f"arn:aws:sagemaker:{REGION}:{HUB}:model-package/m/1"
    cloud.answers["sagemaker.describe_model"] = {"PrimaryContainer": {"ModelPackageName": package}}
    container = {"Image": "i", "ModelDataUrl": "s3://b/model.tar.gz"}
    cloud.answers["sagemaker.describe_model_package"] = {"InferenceSpecification": {"Containers": [container]}}
    dev, prod = project_status(cloud.aws(), PROJECT).endpoints
    assert (dev.stage, dev.name, dev.status, dev.instances) == ("dev", f"e-{DEV}", "InService", 2)
    assert (dev.instance_type, dev.model_package) == ("ml.m5.large", package)
    assert dev.model_data_url == "s3://b/model.tar.gz"
    assert (prod.stage, prod.status) == ("prod", "Absent")


# ---- the old API ----


def test_the_old_answer_is_the_whole_state(cloud: Cloud) -> None:
    def resources(physical: str) -> dict[str, Any]:
        base = {"LogicalResourceId": "P", "ResourceType": "AWS::CodePipeline::Pipeline", "LastUpdatedTimestamp": NOW}
        named = {"PhysicalResourceId": physical} if physical else {}
        return {"StackResourceSummaries": [{**base, **named, "ResourceStatus": "CREATE_COMPLETE"}]}

    cloud.answers["cloudformation.list_stack_resources"] = resources(PROJECT)
    assert old_pipeline_state(cloud.aws(), "arn") == cloud.answers["codepipeline.get_pipeline_state"]
    cloud.answers["cloudformation.list_stack_resources"] = resources("")
    assert old_pipeline_state(cloud.aws(), "arn") == NOT_YET
    cloud.answers["cloudformation.list_stack_resources"] = {"StackResourceSummaries": []}
    assert old_pipeline_state(cloud.aws(), "arn") == NOT_YET
