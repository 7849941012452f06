"""A project is removed from its last stack to its bundle, in any number of attempts."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.errors import Conflict, NotFound
from orchestrator.flow import delete_project
from tests.corridor.cloud import DEV, HUB, PROD, Cloud, refusing
from tests.corridor.test_status import PROJECT, STAGES

BUNDLE = f"mlops_provisioned_pipelines/{PROJECT}/abc/template.zip"


def no_wait(_: float) -> None:
    """Time does not pass here."""


@pytest.fixture
def cloud() -> Cloud:
    made = Cloud()
    made.put_stack(f"{PROJECT}-codepipeline", "CREATE_COMPLETE")
    for account in (DEV, PROD):
        made.put_stack(f"{PROJECT}-endpoint-{account}", "CREATE_COMPLETE", account)
    made.objects["assets", BUNDLE] = {"Body": b"", "ETag": '"1"'}
    made.objects["assets", "data/train.csv"] = {"Body": b"", "ETag": '"1"'}
    made.answers["codepipeline.get_pipeline"] = {"pipeline": {"name": PROJECT, "roleArn": "r", "stages": STAGES}}
    made.answers["codepipeline.list_pipeline_executions"] = {"pipelineExecutionSummaries": []}
    return made


def test_everything_goes_last_deployed_first(cloud: Cloud) -> None:
    removed = list(delete_project(PROJECT, cloud.aws(), confirmed=True, wait=no_wait))
    assert [(one.what, one.account, one.outcome) for one in removed] == [
        ("stack", PROD, "removed"),
        ("stack", DEV, "removed"),
        ("pipeline", HUB, "removed"),
        ("bundle", HUB, "removed"),
    ]
    assert {stack["StackStatus"] for stack in cloud.stacks.values()} == {"DELETE_COMPLETE"}
    assert list(cloud.objects) == [("assets", "data/train.csv")]  # data is the user's
    roles = {entry["RoleArn"] for _, name, entry in cloud.log if name == "sts.assume_role"}
    assert roles == {f"arn:aws:iam::{account}:role/mlops-pipeline-action" for account in (DEV, PROD)}


def test_nothing_goes_unconfirmed(cloud: Cloud) -> None:
    with pytest.raises(Conflict, match="not confirmed"):
        delete_project(PROJECT, cloud.aws(), confirmed=False)
    assert cloud.log == []


def test_a_stack_that_holds_on_is_named_and_the_next_attempt_goes_on(cloud: Cloud) -> None:
    real = cloud.cloudformation_delete_stack

    def held(account: str, StackName: str) -> dict[str, Any]:
        if account == DEV:
            stack = cloud.stacks[DEV, f"{PROJECT}-endpoint-{DEV}"]
            stack.update(StackStatus="DELETE_FAILED", StackStatusReason="the bucket is not empty")
            return {}
        return real(StackName, account)

    cloud.answers["cloudformation.delete_stack"] = held
    with pytest.raises(Conflict, match="the bucket is not empty"):
        list(delete_project(PROJECT, cloud.aws(), confirmed=True, wait=no_wait))
    assert cloud.stacks[HUB, f"{PROJECT}-codepipeline"]["StackStatus"] == "CREATE_COMPLETE"
    del cloud.answers["cloudformation.delete_stack"]
    removed = list(delete_project(PROJECT, cloud.aws(), confirmed=True, wait=no_wait))
    assert [one.outcome for one in removed] == ["absent", "removed", "removed", "removed"]


def test_what_remains_when_the_pipeline_is_gone_goes_too(cloud: Cloud) -> None:
    for name in ("get_pipeline", "list_pipeline_executions"):
        cloud.answers[f"codepipeline.{name}"] = refusing("PipelineNotFoundException")
    removed = list(delete_project(PROJECT, cloud.aws(), confirmed=True, wait=no_wait))
    assert [one.what for one in removed] == ["pipeline", "bundle"]
    with pytest.raises(NotFound):
        list(delete_project(PROJECT, cloud.aws(), confirmed=True, wait=no_wait))


def test_a_running_run_is_stopped_first(cloud: Cloud) -> None:
    runs = [{"pipelineExecutionId": "run-1", "status": "InProgress"}]
    cloud.answers["codepipeline.list_pipeline_executions"] = {"pipelineExecutionSummaries": runs}
    cloud.answers["codepipeline.stop_pipeline_execution"] = {}
    cloud.answers["codepipeline.list_action_executions"] = {"actionExecutionDetails": []}
    list(delete_project(PROJECT, cloud.aws(), confirmed=True, wait=no_wait))
    calls = cloud.calls()
    assert calls.index("codepipeline.stop_pipeline_execution") < calls.index("cloudformation.delete_stack")
