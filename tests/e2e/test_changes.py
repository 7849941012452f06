"""What a change does, and what a mistake does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.aws import Aws
from orchestrator.cli.verbs.provision import invoke
from orchestrator.cli.walk import Walk
from orchestrator.sources import with_uploaded_sources
from orchestrator.status import project_status
from tests.e2e.conftest import Machine, finish


class Posted:
    """A config that is POSTed to the orchestrator's function, changed, and POSTed again."""

    def __init__(self, machine: Machine, example: str, model_name: str) -> None:
        self.walk: Walk = machine.walk(example)
        self.walk.write_data(machine.outputs["AssetsBucket"])
        self.body: dict[str, Any] = {**self.walk.config, "model_name": model_name}
        self.project = f"mlops-pipeline-{model_name}-workload"
        self.walk.target.enter()
        self.aws = Aws(self.walk.target.settings())
        self.last_run = ""

    def post(self) -> tuple[int, dict[str, Any]]:
        from orchestrator.cli.config import folder_beside

        body = with_uploaded_sources(self.body, folder_beside(self.walk.example), self.aws)
        event = {"httpMethod": "POST", "path": "/provisionpipeline", "body": json.dumps(body), "isBase64Encoded": False}
        answer = invoke(self.walk.client("lambda"), event)
        return answer["statusCode"], json.loads(answer["body"])

    def run(self, decide: Callable[[Any], bool] = lambda event: True) -> dict[str, str]:
        self.last_run = self.walk.wait_for_run(self.project, self.last_run)
        return finish(self.walk, self.project, self.last_run, decide)

    def pipeline(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in self.body["pipelines"] if one["name"] == name)
        return found

    def events(self, stack: str) -> list[tuple[str, str]]:
        """(logical id, status) of all events of a stack, newest first."""
        pages = self.walk.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack)
        return [(e["LogicalResourceId"], e["ResourceStatus"]) for page in pages for e in page["StackEvents"]]


@pytest.fixture(scope="module")
def wine(machine: Machine) -> Posted:
    """The one-account example, deployed once."""
    posted = Posted(machine, "wine-script", "wine-changes")
    status, answer = posted.post()
    assert status == 200, answer
    assert set(posted.run().values()) == {"Succeeded"}
    return posted


def test_the_same_config_again_changes_nothing(wine: Posted) -> None:
    before = wine.walk.client("codepipeline").list_pipeline_executions(pipelineName=wine.project)
    status, answer = wine.post()
    assert status == 200
    assert answer["outcome"] == "unchanged"
    after = wine.walk.client("codepipeline").list_pipeline_executions(pipelineName=wine.project)
    assert len(after["pipelineExecutionSummaries"]) == len(before["pipelineExecutionSummaries"])


def test_another_instance_type_updates_only_what_depends_on_it(wine: Posted) -> None:
    stack = f"{wine.project}-endpoint-prod"
    seen = len(wine.events(stack))
    wine.pipeline("endpoint")["instance_type"] = "ml.c5.xlarge"
    assert wine.post()[0] == 200
    assert set(wine.run().values()) == {"Succeeded"}
    touched = {name for name, _ in wine.events(stack)[: -seen or None]} - {stack}
    assert touched == {"EndpointConfig", "Endpoint"}
    jobs = wine.walk.client("sagemaker").list_training_jobs(NameContains="wine-changes")["TrainingJobSummaries"]
    assert len(jobs) == 1, "nothing was trained again"


def test_a_model_that_is_approved_is_not_asked_about_again(machine: Machine) -> None:
    posted = Posted(machine, "breast-cancer", "approved-once")
    asked: list[str] = []

    def note(event: Any) -> bool:
        asked.append(event.stage)
        return True

    assert posted.post()[0] == 200
    assert set(posted.run(note).values()) == {"Succeeded"}
    assert asked == ["Review-registry", "Review-staging", "Review-prod"]
    asked.clear()
    posted.pipeline("endpoint")["instance_type"] = "ml.c5.xlarge"
    assert posted.post()[0] == 200
    states = posted.run(note)
    assert asked == ["Review-staging", "Review-prod"]
    assert {stage for stage, state in states.items() if state == "Skipped"} == {"Review-registry/"}
    assert set(states.values()) == {"Succeeded", "Skipped"}
    status = project_status(posted.aws, posted.project)
    (review,) = [stage for stage in status.stages if stage.name == "Review-registry"]
    assert (review.state, {action.state for action in review.actions}) == ("Skipped", {"NotStarted"})
    assert [endpoint.stage for endpoint in status.endpoints] == ["dev", "staging", "prod"]


def test_a_script_that_raises_fails_the_stage_and_leaves_the_release_alone(wine: Posted) -> None:
    endpoint = project_status(wine.aws, wine.project).endpoints[0]
    before = wine.walk.endpoint_predictions(endpoint.account, endpoint.name)
    wine.pipeline("training")["hyperparameters"]["trees"] = "-3"
    assert wine.post()[0] == 200
    states = wine.run()
    assert "Failed" in states.values()
    status = project_status(wine.aws, wine.project)
    assert status.state == "failed"
    assert status.failure is not None
    assert "n_estimators" in status.failure.reason, status.failure
    assert wine.walk.endpoint_predictions(endpoint.account, endpoint.name) == before
    wine.pipeline("training")["hyperparameters"]["trees"] = "50"


def test_a_rejection_stops_the_promotion(machine: Machine) -> None:
    posted = Posted(machine, "breast-cancer", "rejected")
    assert posted.post()[0] == 200

    def reject_staging(event: Any) -> bool:
        if event.stage != "Review-staging":
            return True
        posted.walk.client("codepipeline").put_approval_result(
            pipelineName=posted.project,
            stageName=event.stage,
            actionName=event.action,
            token=event.approval.token,
            result={"summary": "the metrics are too low", "status": "Rejected"},
        )
        return False

    states = posted.run(reject_staging)
    assert states["Review-staging/Approve-staging"] == "Failed"
    assert not any(name.startswith("Deploy-staging") for name in states)
    status = project_status(posted.aws, posted.project)
    assert "the metrics are too low" in status.failure.reason if status.failure else False
    assert [endpoint.stage for endpoint in status.endpoints] == ["dev"]


def test_ten_mistakes_are_told_at_once_and_nothing_is_created(machine: Machine) -> None:
    posted = Posted(machine, "breast-cancer", "mistaken")
    training, registry, endpoint = posted.body["pipelines"]
    posted.body["stages"][0]["account"] = "12345"
    posted.body["stages"][1]["name"] = "dev"
    posted.body["stages"][2]["region"] = "us-esat-1"
    posted.body["colour"] = "blue"
    training["framework_version"] = "99.9-9"
    training["instance_typ"] = training.pop("instance_type")
    training["hyperparameters"] = ["no"]
    registry["approval"] = "maybe"
    endpoint["model_package"] = {"from": "nowhere"}
    endpoint["instance_count"] = 0
    status, answer = posted.post()
    assert status == 400
    paths = {problem["path"] for problem in answer["problems"]}
    for path in (
        "$.stages[0].account", "$.stages[1].name", "$.stages[2].region", "$.colour", "$.pipelines[0].framework_version",
        "$.pipelines[0].instance_typ", "$.pipelines[0].hyperparameters", "$.pipelines[1].approval",
        "$.pipelines[2].model_package", "$.pipelines[2].instance_count",
    ):  # fmt: skip
        assert any(found.startswith(path) for found in paths), (path, sorted(paths))
    stacks = posted.walk.client("cloudformation").describe_stacks()["Stacks"]
    assert not [stack for stack in stacks if "mistaken" in stack["StackName"]]
    objects = posted.walk.client("s3").list_objects_v2(
        Bucket=posted.aws.settings.assets_bucket, Prefix=f"mlops_provisioned_pipelines/{posted.project}"
    )
    assert objects["KeyCount"] == 0


def test_stopping_the_run_stops_the_job(machine: Machine, tmp_path: Path) -> None:
    posted = Posted(machine, "wine-script", "stopped")
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text("import time\nprint('training', flush=True)\ntime.sleep(600)\n")
    posted.walk.example = tmp_path
    assert posted.post()[0] == 200
    run = posted.walk.wait_for_run(posted.project)
    sagemaker = posted.walk.client("sagemaker")
    from orchestrator.cli.walk import wait_until
    from orchestrator.execute import stop

    def jobs(status: str) -> list[Any]:
        found: list[Any] = sagemaker.list_training_jobs(NameContains="stopped", StatusEquals=status)[
            "TrainingJobSummaries"
        ]
        return found

    wait_until("training", 120, lambda: jobs("InProgress"))
    assert [one.id for one in stop(posted.aws, posted.project, "enough")] == [run]
    wait_until("the job's end", 60, lambda: jobs("Stopped"))
    assert project_status(posted.aws, posted.project).state == "stopped"
