"""An image from a zip: refused honestly where no container engine is, rehearsed, and not built again for nothing."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from typing import Any

import pytest

from orchestrator.aws import Aws
from orchestrator.remove import remove
from orchestrator.status import project_status, projects
from tests.e2e.conftest import Machine, finish
from tests.e2e.posted import HUB, Workbench

OLD = {
    "pipeline_type": "byom_image_builder",
    "custom_algorithm_docker": "docker/algo.zip",
    "ecr_repo_name": "mlops-algorithms",
    "image_tag": "Tree",
}
PROJECT = "mlops-pipeline-tree-byompipelineimagebuilder"
REPOSITORY = f"{HUB}.dkr.ecr.us-east-1.amazonaws.com/mlops-algorithms"


def context(program: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, text in (("Dockerfile", "FROM python:3.12-slim\nCOPY serve.py /opt/\n"), ("serve.py", program)):
            packed.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()


def model() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        packed.addfile(tarfile.TarInfo("weights"))
    return buffer.getvalue()


class Builds:
    """The old image builder of one machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.bench = Workbench(machine)
        self.last = ""
        self.bench.walk.target.enter()
        self.aws = Aws(self.bench.walk.target.settings())

    def settings(self, **settings: Any) -> None:
        (self.machine.home / "builds.json").write_text(json.dumps(settings))

    def upload(self, program: str) -> None:
        s3 = self.bench.walk.client("s3")
        s3.put_object(Bucket=self.bench.assets, Key="docker/algo.zip", Body=context(program))

    def finished(self) -> dict[str, str]:
        """(stage/action) -> status of the next run."""
        self.last = self.bench.walk.wait_for_run(PROJECT, self.last)
        return finish(self.bench.walk, PROJECT, self.last)

    def builds(self) -> list[str]:
        found: list[str] = self.bench.walk.client("codebuild").list_builds()["ids"]
        return found


@pytest.fixture(scope="module")
def builder(machine: Machine) -> Builds:
    return Builds(machine)


def test_without_an_engine_the_run_fails_with_the_reason(builder: Builds) -> None:
    builder.settings(engine="none")
    builder.upload("print(1)")
    status, answer = builder.bench.post(OLD)
    assert (status, answer["message"]) == (200, "success: stack creation started")
    assert f":stack/{PROJECT}/" in answer["pipeline_id"]
    states = builder.finished()
    assert states["image-build/Run-image-build"] == "Failed", states
    found = project_status(builder.aws, PROJECT)
    assert found.failure is not None
    assert "failed in phase BUILD" in found.failure.reason
    assert "no container engine on this machine" in found.failure.reason


def test_the_same_request_again_changes_nothing(builder: Builds) -> None:
    status, answer = builder.bench.post(OLD)
    assert status == 200
    assert answer["message"] == f"Pipeline {PROJECT} is already provisioned. No updates are to be performed."
    assert [each.project for each in projects(builder.aws)] == [PROJECT]


@pytest.mark.parametrize(("program", "built"), [("print(2)", 1), ("print(2)", 0)])
def test_an_upload_starts_a_run_that_builds_what_is_new(builder: Builds, program: str, built: int) -> None:
    builder.settings(engine="none", rehearse=[f"{REPOSITORY}:*"])
    before = builder.builds()
    builder.upload(program)
    states = builder.finished()
    assert set(states.values()) == {"Succeeded"}, (states, project_status(builder.aws, PROJECT).failure)
    assert len(builder.builds()) - len(before) == built
    (image,) = builder.bench.walk.client("ecr").batch_get_image(
        repositoryName="mlops-algorithms", imageIds=[{"imageTag": "Tree"}]
    )["images"]
    assert "mlops.rehearsal" in image["imageManifest"]
    state = builder.bench.walk.client("codepipeline").list_action_executions(
        pipelineName=PROJECT, filter={"pipelineExecutionId": builder.last}
    )["actionExecutionDetails"]
    results = next(each for each in state if each["actionName"] == "Results-image-build")["output"]["outputVariables"]
    assert results["ImageUri"] == f"{REPOSITORY}@{image['imageId']['imageDigest']}"
    assert results["TaggedImageUri"] == f"{REPOSITORY}:Tree"


def test_an_endpoint_is_rehearsed_with_the_image_of_the_same_workload(builder: Builds) -> None:
    s3 = builder.bench.walk.client("s3")
    s3.put_object(Bucket=builder.bench.assets, Key="models/churn/model.tar.gz", Body=model())
    body = {
        "version": 2,
        "model_name": "served",
        "stages": [{"name": "dev", "account": HUB, "approval": False}],
        "pipelines": [
            {
                "name": "image",
                "pipeline_type": "image_build",
                "source": "docker/algo.zip",
                "repository": "served/models",
                "create_repository": True,
                "tag": "1",
            },
            {
                "name": "endpoint",
                "pipeline_type": "realtime_inference",
                "model_data": "models/churn/model.tar.gz",
                "image": {"from": "image"},
                "instance_type": "ml.m5.large",
            },
        ],
    }
    builder.settings(engine="none", rehearse=["*/served/*"])
    project = "mlops-pipeline-served-workload"
    states = builder.bench.run(body, project)
    assert set(states.values()) == {"Succeeded"}, (states, project_status(builder.aws, project).failure)
    (endpoint,) = project_status(builder.aws, project).endpoints
    sagemaker = builder.bench.walk.client("sagemaker")
    variant = sagemaker.describe_endpoint(EndpointName=endpoint.name)["ProductionVariants"][0]
    ecr = builder.bench.walk.client("ecr")
    (image,) = ecr.batch_get_image(repositoryName="served/models", imageIds=[{"imageTag": "1"}])["images"]
    uri = f"{HUB}.dkr.ecr.us-east-1.amazonaws.com/served/models@{image['imageId']['imageDigest']}"
    assert variant["DeployedImages"][0]["SpecifiedImage"] == uri
    list(remove(builder.aws, project, confirmed=True))
    assert ecr.describe_repositories(repositoryNames=["served/models"])["repositories"], "images outlive the pipeline"


def test_a_taken_tag_is_told_before_anything_is_built(builder: Builds) -> None:
    before = builder.builds()
    builder.upload("print(3)")
    assert builder.finished()["image-build/Run-image-build"] == "Failed"
    failure = project_status(builder.aws, PROJECT).failure
    assert failure is not None
    assert "is taken by an image made from something else" in failure.reason
    assert builder.builds() == before


def test_a_project_with_a_bare_stack_is_removed_whole(builder: Builds) -> None:
    gone = {each.name for each in remove(builder.aws, PROJECT, confirmed=True)}
    assert {PROJECT, f"{PROJECT}-image-build"} <= gone
    assert projects(builder.aws) == ()
    assert builder.bench.walk.client("codebuild").list_projects()["projects"] == []
