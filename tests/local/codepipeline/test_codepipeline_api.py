"""Pipelines and executions through boto3: what is answered, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from codepipeline_rig import ACCOUNT, Project, action, approval

from tests.local.waiting import until

ARN = f"arn:aws:codepipeline:us-east-1:{ACCOUNT}:p"
NOWHERE = "00000000-0000-4000-8000-000000000000"


def refused(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return str(caught.value.response["Error"]["Code"])


def test_the_life_of_a_pipeline(project: Project) -> None:
    api, declaration = project.codepipeline, project.declare(approval())
    made = api.create_pipeline(pipeline=declaration, tags=[{"key": "team", "value": "x"}])
    assert made["tags"] == [{"key": "team", "value": "x"}]
    assert refused(api.create_pipeline, pipeline=declaration) == "PipelineNameInUseException"
    shown = api.get_pipeline(name="p")
    assert shown["metadata"]["pipelineArn"] == ARN
    assert shown["pipeline"] == made["pipeline"]
    assert (shown["pipeline"]["version"], shown["pipeline"]["stages"][0]["actions"][0]["runOrder"]) == (1, 1)
    (summary,) = api.list_pipelines()["pipelines"]
    assert {name: summary[name] for name in ("name", "version", "pipelineType", "executionMode")} == {
        "name": "p", "version": 1, "pipelineType": "V2", "executionMode": "QUEUED",
    }  # fmt: skip
    changed = api.update_pipeline(pipeline=project.declare(approval("Review")))
    assert changed["pipeline"]["version"] == 2
    same = api.update_pipeline(pipeline=changed["pipeline"])
    assert same["pipeline"] == changed["pipeline"]
    assert api.get_pipeline(name="p", version=1)["pipeline"]["stages"][1]["name"] == "Ask"
    assert refused(api.get_pipeline, name="p", version=3) == "PipelineVersionNotFoundException"
    api.tag_resource(resourceArn=ARN, tags=[{"key": "a", "value": "b"}])
    api.untag_resource(resourceArn=ARN, tagKeys=["team"])
    assert api.list_tags_for_resource(resourceArn=ARN)["tags"] == [{"key": "a", "value": "b"}]
    assert refused(api.tag_resource, resourceArn=ARN, tags=[{"key": "aws:a", "value": "b"}]) == "InvalidTagsException"
    assert refused(api.list_tags_for_resource, resourceArn=ARN + "x") == "ResourceNotFoundException"
    api.delete_pipeline(name="p")
    api.delete_pipeline(name="p")
    for call in (api.get_pipeline, api.get_pipeline_state, api.start_pipeline_execution):
        assert refused(call, name="p") == "PipelineNotFoundException"
    assert refused(api.update_pipeline, pipeline=declaration) == "PipelineNotFoundException"
    assert not [kind for kind in ("Execution", "ActionExecution", "Version")
                if project.aws.world.store.list("codepipeline", kind)]  # fmt: skip


def test_a_declaration_that_cannot_run_creates_nothing(project: Project) -> None:
    bad = project.declare({"name": "Build", "actions": [action("Build", "CodeBuild", "B")]})
    with pytest.raises(ClientError, match="not available in the embedded AWS"):
        project.codepipeline.create_pipeline(pipeline=bad)
    assert project.codepipeline.list_pipelines()["pipelines"] == []


def test_unsupported_operations_are_refused_by_name(project: Project) -> None:
    with pytest.raises(ClientError, match="ListWebhooks"):
        project.codepipeline.list_webhooks()


def test_a_new_pipeline_runs_at_once_and_shows_its_state(project: Project) -> None:
    version = project.upload(a="b")
    identity = project.create(approval(CustomData="look at #{source.VersionId}"))
    token = project.token()
    take = project.state("Source")["actionStates"][0]
    assert take["currentRevision"]["revisionId"] == version
    assert take["latestExecution"]["status"] == "Succeeded"
    assert take["latestExecution"]["externalExecutionId"] == version
    stage = project.state("Ask")
    assert stage["inboundTransitionState"] == {"enabled": True}
    assert stage["latestExecution"] == {"pipelineExecutionId": identity, "status": "InProgress", "type": "STANDARD"}
    assert stage["actionStates"][0]["latestExecution"]["status"] == "InProgress"
    project.answer("Approved", token)
    project.succeed(identity)
    latest = project.latest("Ask", "Approve")
    assert (latest["status"], latest["summary"], "token" in latest) == ("Succeeded", "because", False)
    assert latest["lastUpdatedBy"] == f"arn:aws:iam::{ACCOUNT}:root"
    detail = project.execution(identity)
    assert detail["trigger"]["triggerType"] == "CreatePipeline"
    assert detail["artifactRevisions"][0]["revisionId"] == version
    (summary,) = project.executions()
    assert summary["sourceRevisions"][0]["actionName"] == "Take"
    took, asked = project.actions(identity)
    assert took["output"]["outputVariables"]["VersionId"] == version
    location = took["output"]["outputArtifacts"][0]["s3location"]
    assert project.s3.get_object(Bucket=location["bucket"], Key=location["key"])["Body"].read()
    assert asked["input"]["configuration"]["CustomData"] == "look at #{source.VersionId}"
    assert asked["input"]["resolvedConfiguration"]["CustomData"] == f"look at {version}"


def test_executions_are_found_page_by_page(project: Project) -> None:
    project.upload(a="b")
    first = project.create(approval())
    second, third = project.start(), project.start()
    pages = project.codepipeline.get_paginator("list_pipeline_executions").paginate(
        pipelineName="p", PaginationConfig={"PageSize": 2}
    )
    identities = [[each["pipelineExecutionId"] for each in page["pipelineExecutionSummaries"]] for page in pages]
    assert identities == [[third, second], [first]]
    until(lambda: len(project.state("Ask").get("inboundExecutions", [])) == 2)
    waiting = project.state("Ask")
    assert [each["pipelineExecutionId"] for each in waiting["inboundExecutions"]] == [second, third]
    assert waiting["inboundExecution"]["pipelineExecutionId"] == second
    project.approve()
    project.over(first)
    (succeeded,) = project.executions(filter={"succeededInStage": {"stageName": "Ask"}})
    assert succeeded["pipelineExecutionId"] == first
    latest = {"latestInPipelineExecution": {"pipelineExecutionId": first, "startTimeRange": "Latest"}}
    details = project.codepipeline.list_action_executions(pipelineName="p", filter=latest)["actionExecutionDetails"]
    assert [each["actionName"] for each in details] == ["Approve", "Take"]
    assert refused(project.codepipeline.list_pipeline_executions, pipelineName="p", nextToken="x") == (
        "InvalidNextTokenException"
    )


def test_the_same_token_starts_one_execution(project: Project) -> None:
    project.upload(a="b")
    project.create(approval())
    one = project.start(clientRequestToken="token-1")
    assert project.start(clientRequestToken="token-1") == one
    assert project.start(clientRequestToken="token-2") != one
    assert len(project.executions()) == 3


def test_an_execution_can_take_an_older_revision(project: Project) -> None:
    old, new = project.upload(a="old"), project.upload(a="new")
    identity = project.create(approval())
    project.approve()
    project.over(identity)
    revision = {"actionName": "Take", "revisionType": "S3_OBJECT_VERSION_ID", "revisionValue": old}
    again = project.start(sourceRevisions=[revision])
    project.token()
    assert project.execution(identity)["artifactRevisions"][0]["revisionId"] == new
    assert project.execution(again)["artifactRevisions"][0]["revisionId"] == old
    for bad in ({**revision, "actionName": "Other"}, {**revision, "revisionType": "COMMIT_ID"},
                {**revision, "revisionType": "S3_OBJECT_KEY"}):  # fmt: skip
        assert refused(project.start, sourceRevisions=[bad]) == "ValidationException"


def test_approvals_are_answered_once_and_only_with_their_token(project: Project) -> None:
    project.upload(a="b")
    first = project.create(approval(), approval("Again"))
    token = project.token()
    api = project.codepipeline
    common = {"pipelineName": "p", "stageName": "Ask", "actionName": "Approve", "token": token}
    common["result"] = {"status": "Approved", "summary": ""}
    answer = api.put_approval_result
    assert refused(answer, **{**common, "token": NOWHERE}) == "InvalidApprovalTokenException"
    assert refused(answer, **{**common, "stageName": "Again"}) == "InvalidApprovalTokenException"
    assert refused(answer, **{**common, "stageName": "None"}) == "StageNotFoundException"
    assert refused(answer, **{**common, "actionName": "None"}) == "ActionNotFoundException"
    assert refused(answer, **{**common, "pipelineName": "q"}) == "PipelineNotFoundException"
    answer(**common)
    assert refused(answer, **common) == "ApprovalAlreadyCompletedException"
    later = project.token("Again")
    assert later != token
    assert refused(answer, **common) == "ApprovalAlreadyCompletedException"
    project.answer("Rejected", later, "Again", summary="not good enough")
    assert project.over(first) == "Failed"
    assert project.error(first, "Approve")["message"] == "Rejected: not good enough"
    assert project.latest("Again", "Approve")["errorDetails"]["code"] == "JobFailed"


def test_an_abandoned_approval_cannot_be_answered(project: Project) -> None:
    project.upload(a="b")
    identity = project.create(approval())
    token = project.token()
    project.codepipeline.stop_pipeline_execution(
        pipelineName="p", pipelineExecutionId=identity, abandon=True, reason="enough"
    )
    assert project.over(identity) == "Stopped"
    assert project.latest("Ask", "Approve")["status"] == "Abandoned"
    assert project.executions()[0]["stopTrigger"] == {"reason": "enough"}
    with pytest.raises(ClientError, match="ApprovalAlreadyCompletedException"):
        project.answer("Approved", token)


def test_a_transition_can_be_closed_and_opened(project: Project) -> None:
    project.upload(a="b")
    identity = project.create(approval())
    project.approve()
    project.over(identity)
    where = {"pipelineName": "p", "stageName": "Ask", "transitionType": "Inbound"}
    project.codepipeline.disable_stage_transition(**where, reason="Not now")
    project.start()
    until(lambda: project.state("Ask").get("inboundExecution"))
    closed = project.state("Ask")["inboundTransitionState"]
    assert (closed["enabled"], closed["disabledReason"]) == (False, "Not now")
    project.codepipeline.enable_stage_transition(**where)
    assert project.token()
    assert refused(project.codepipeline.enable_stage_transition, **{**where, "stageName": "None"}) == (
        "StageNotFoundException"
    )


def test_a_failed_stage_is_retried_with_its_metadata(project: Project) -> None:
    project.upload(a="b")
    identity = project.create(approval())
    project.answer("Rejected", old := project.token())
    project.over(identity)
    retry = {"pipelineName": "p", "stageName": "Ask", "pipelineExecutionId": identity, "retryMode": "FAILED_ACTIONS"}
    project.codepipeline.retry_stage_execution(**retry)
    assert project.state("Ask")["retryStageMetadata"] == {
        "manualStageRetryAttempt": 1, "latestRetryTrigger": "ManualStageRetry",
    }  # fmt: skip
    assert refused(project.codepipeline.retry_stage_execution, **retry) == "StageNotRetryableException"
    assert project.token() != old
    project.approve()
    project.succeed(identity)
    assert [each["status"] for each in project.actions(identity, "Approve")] == ["Failed", "Succeeded"]


def test_unknown_executions_are_refused(project: Project) -> None:
    project.create(approval())
    common = {"pipelineName": "p", "pipelineExecutionId": NOWHERE}
    api = project.codepipeline
    assert refused(api.get_pipeline_execution, **common) == "PipelineExecutionNotFoundException"
    assert refused(api.stop_pipeline_execution, **common) == "PipelineExecutionNotFoundException"
    retry = {**common, "stageName": "Ask", "retryMode": "ALL_ACTIONS"}
    assert refused(api.retry_stage_execution, **retry) == "PipelineExecutionNotFoundException"
    rollback = {"pipelineName": "p", "stageName": "Ask", "targetPipelineExecutionId": NOWHERE}
    assert refused(api.rollback_stage, **rollback) == "PipelineExecutionNotFoundException"
    assert refused(api.put_job_success_result, jobId=NOWHERE) == "JobNotFoundException"
    assert refused(api.get_job_details, jobId=NOWHERE) == "JobNotFoundException"
