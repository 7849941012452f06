"""The corridor on the embedded AWS: installed by its own templates, reached through its own doors, removed again."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest

from orchestrator import settings as settings_room
from orchestrator.aws import Aws
from orchestrator.errors import AwsFailed, Conflict, NotFound
from orchestrator.flow import delete_project
from orchestrator.infra.installation import Accounts, install
from orchestrator.infra.lambda_package import build
from orchestrator.infra.rights.statement import trust_of_service
from orchestrator.model import Stage
from orchestrator.status import project_status, projects
from tests.cli.test_ci_templates import step
from tests.corridor.launch import MULTI, resources
from tests.local.conftest import Aws as Embedded

ROOT = Path(__file__).parent.parent.parent
REGION = "us-east-1"
PATIENCE = 60.0


class Installed:
    """An embedded AWS with the orchestrator in it."""

    def __init__(self, embedded: Embedded) -> None:
        self.embedded = embedded
        names = embedded.world.accounts
        self.sessions = {account: boto3.Session(account, "local", region_name=REGION) for account in names.values()}
        self.accounts = Accounts(names["orchestrator"], REGION, self.sessions, embedded.endpoint)
        self.stages = [Stage(name, names[name], REGION, name != "dev") for name in ("dev", "staging", "prod")]
        self.package = build()
        self.outputs = self.install()

    def install(self) -> dict[str, str]:
        return install(self.accounts, self.stages, self.package)

    def client(self, service: str, account: str = "orchestrator") -> Any:
        return self.embedded.client(service, account)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        """POST to the API as curl does."""
        data = json.dumps(body).encode()
        request = urllib.request.Request(self.outputs["ApiUrl"] + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def aws(self, monkeypatch: pytest.MonkeyPatch) -> Aws:
        """The door as the CLI opens it: settings from the function, credentials of the hub."""
        monkeypatch.setenv("AWS_ENDPOINT_URL", self.embedded.endpoint)
        configuration = self.client("lambda").get_function_configuration(FunctionName=self.outputs["FunctionName"])
        variables = {"AWS_REGION": REGION, **configuration["Environment"]["Variables"]}
        return Aws(settings_room.from_environment(variables), self.sessions[self.accounts.hub])


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    embedded = Embedded(tmp_path_factory.mktemp("embedded"))
    try:
        yield Installed(embedded)
    finally:
        embedded.stop()


def eventually(look: Callable[[], Any]) -> Any:
    """What ``look`` answers as soon as it is something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.1)
    return found


def config(example: str, **changes: Any) -> Any:
    return {**json.loads((ROOT / "pipelines" / example / "mlops-config.json").read_text()), **changes}


def test_installing_again_changes_nothing(installed: Installed) -> None:
    def stacks() -> list[tuple[str, Any]]:
        found = []
        for account in installed.embedded.world.accounts:
            for stack in installed.client("cloudformation", account).describe_stacks()["Stacks"]:
                if not stack["StackName"].startswith("mlops-pipeline-"):
                    found.append((stack["StackId"], stack.get("LastUpdatedTime")))
        return found

    before = stacks()
    assert len(before) == 4  # the hub's own, and one in each of three other accounts
    assert installed.install() == installed.outputs
    assert stacks() == before


def test_an_installation_that_cannot_be_says_why_and_leaves_the_old_one(installed: Installed) -> None:
    with pytest.raises(AwsFailed, match="ValidationError"):
        install(installed.accounts, installed.stages, installed.package, {"Runtime": "python2.7"})
    with pytest.raises(Conflict, match="UPDATE_ROLLBACK_COMPLETE: Function"):
        install(installed.accounts, installed.stages, installed.package, {"CodeKey": "absent.zip"})
    elsewhere = [*installed.stages, Stage("far", "999999999999", REGION)]
    with pytest.raises(Conflict, match="No credentials for the account 999999999999"):
        install(installed.accounts, elsewhere, installed.package)
    assert installed.install() == installed.outputs


def test_from_the_api_to_a_failed_run_and_away(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data was uploaded: the training cannot start, and everyone can read why."""
    body = config("breast-cancer", model_name="no-data")
    project = "mlops-pipeline-no-data-workload"
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: installed.post("provisionpipeline", body), range(2)))
    assert {status for status, _ in answers} == {200}
    assert sorted(answer["outcome"] for _, answer in answers) == ["created", "unchanged"]
    pipeline_id = answers[0][1]["pipeline_id"]
    assert answers[1][1]["pipeline_id"] == pipeline_id

    aws = installed.aws(monkeypatch)
    status = eventually(lambda: (s := project_status(aws, project)).state == "failed" and s)
    assert status.failure.where == "training/Run-training" and "data/breast-cancer/train.csv" in status.failure.reason
    assert status.bundle_digest == answers[0][1]["bundle_digest"] and status.endpoints == ()
    assert project in {one.project for one in projects(aws)}
    code, state = installed.post("pipelinestatus", {"pipeline_id": pipeline_id})
    assert code == 200 and state["pipelineName"] == project
    runs = installed.client("codepipeline").list_pipeline_executions(pipelineName=project)
    assert len(runs["pipelineExecutionSummaries"]) == 1

    assert installed.post("provisionpipeline", body)[1]["outcome"] == "unchanged"
    removed = list(delete_project(project, aws, confirmed=True))
    outcomes = {(one.what, one.outcome) for one in removed}
    assert {("stack", "removed"), ("pipeline", "removed"), ("bundle", "removed")} <= outcomes
    assert project not in {one.project for one in projects(aws)}
    with pytest.raises(NotFound):
        list(delete_project(project, aws, confirmed=True))


def test_ten_mistakes_are_told_at_once_and_nothing_is_made(installed: Installed) -> None:
    body = config("breast-cancer", model_name="wrong", colour="red", description=7)
    body["stages"][0]["account"] = "12"
    body["stages"][1]["region"] = "nowhere"
    training, registry, endpoint = body["pipelines"]
    training |= {"instance_type": "large", "framework": "xgbost", "hyperparameters": "none"}
    registry |= {"model": {"from": "nothing"}, "approval": "maybe"}
    endpoint |= {"instance_count": 0, "name": "Not A Name"}
    status, answer = installed.post("provisionpipeline", body)
    assert status == 400 and len(answer["problems"]) >= 10
    stacks = installed.client("cloudformation").describe_stacks()["Stacks"]
    assert not [stack for stack in stacks if "wrong" in stack["StackName"]]


def test_a_dropped_file_is_answered_beside_it(installed: Installed) -> None:
    s3, bucket = installed.client("s3"), installed.outputs["ConfigBucket"]
    body = {"pipeline_type": "byom_realtime_builtin", "model_name": "dropped"}
    s3.put_object(Bucket=bucket, Key="team a/mlops-config.json", Body=json.dumps(body).encode())

    def result() -> Any:
        found = s3.list_objects_v2(Bucket=bucket, Prefix="team a/mlops-config.json.result")
        key = "team a/mlops-config.json.result.json"
        return found.get("Contents") and json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    told = eventually(result)
    assert told["outcome"] == "refused" and {"$.inference_instance"} <= {one["path"] for one in told["problems"]}


def test_a_pushed_commit_is_provisioned_with_its_code(installed: Installed) -> None:
    codecommit = installed.client("codecommit")
    codecommit.create_repository(repositoryName="wine")
    folder = ROOT / "pipelines" / "wine-script"
    paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    files = [{"filePath": path.relative_to(folder).as_posix(), "fileContent": path.read_bytes()} for path in paths]
    codecommit.create_commit(repositoryName="wine", branchName="main", putFiles=files)
    stack = "mlops-pipeline-wine-workload-codepipeline"
    cloudformation = installed.client("cloudformation")
    eventually(lambda: [one for one in cloudformation.describe_stacks()["Stacks"] if one["StackName"] == stack])
    sources = installed.client("s3").list_objects_v2(Bucket=installed.outputs["AssetsBucket"], Prefix="sources/")
    assert len(sources["Contents"]) == 1


def test_a_connected_repository_is_provisioned_through_its_pipeline(installed: Installed) -> None:
    """The pipeline of the launch template; only its source, which is not to be had here, is a bucket."""
    codepipeline, s3 = installed.client("codepipeline"), installed.client("s3")
    connected = resources(MULTI)["ConnectionPipeline"]["Properties"]
    provision = json.loads(json.dumps(connected["Stages"][1]).replace("#{Commit.FullRepositoryName}", "team/models"))
    provision["Actions"][0]["Configuration"]["FunctionName"] = installed.outputs["FunctionName"]
    bucket = installed.outputs["AssetsBucket"]
    source = {
        "name": "Source",
        "actions": [
            {
                "name": "Repository",
                "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"},
                "configuration": {"S3Bucket": bucket, "S3ObjectKey": "repo.zip", "PollForSourceChanges": "false"},
                "outputArtifacts": [{"name": "Repository"}],
                "namespace": "Commit",
                "runOrder": 1,
            }
        ],
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mlops-config.json", json.dumps(config("breast-cancer", model_name="connected")))
    s3.put_object(Bucket=bucket, Key="repo.zip", Body=buffer.getvalue())
    role = installed.client("iam").create_role(
        RoleName="connected",
        AssumeRolePolicyDocument=json.dumps(trust_of_service("codepipeline", says_source=True)).replace(
            '{"Ref": "AWS::AccountId"}', f'"{installed.accounts.hub}"'
        ),
    )["Role"]["Arn"]
    pipeline = {
        "name": "config-test",
        "roleArn": role,
        "pipelineType": "V2",
        "artifactStore": {"type": "S3", "location": installed.outputs["ArtifactBucket"]},
        "stages": [source, lower(json.loads(json.dumps(provision).replace("#{Commit.CommitId}", "abc")))],
    }
    codepipeline.create_pipeline(pipeline=pipeline)
    run = codepipeline.start_pipeline_execution(name="config-test")["pipelineExecutionId"]

    def over() -> Any:
        found = codepipeline.get_pipeline_execution(pipelineName="config-test", pipelineExecutionId=run)
        return found["pipelineExecution"] if found["pipelineExecution"]["status"] != "InProgress" else None

    assert eventually(over)["status"] == "Succeeded"
    names = {one["StackName"] for one in installed.client("cloudformation").describe_stacks()["Stacks"]}
    assert "mlops-pipeline-connected-workload-codepipeline" in names


def lower(value: Any) -> Any:
    """CloudFormation's spelling of a stage as the API takes it; a configuration keeps its keys."""
    if isinstance(value, list):
        return [lower(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key[:1].lower() + key[1:]: one if key == "Configuration" else lower(one) for key, one in value.items()}


def test_the_embedded_aws_refuses_connections_by_name(installed: Installed) -> None:
    """What is not rehearsed is not accepted."""
    arn = "arn:aws:codeconnections:us-east-1:111111111111:connection/00000000-0000-4000-8000-000000000000"
    options = {"ConnectionArn": arn, "ConnectionRepository": "team/models"}
    with pytest.raises((AwsFailed, Conflict), match=r"ConnectionPipeline: .*(CodeStarSourceConnection|triggers)"):
        install(installed.accounts, installed.stages, installed.package, options)
    assert installed.install() == installed.outputs


def test_continuous_integration_plans_and_provisions(installed: Installed, tmp_path: Path) -> None:
    """The shell of the GitHub workflow as it stands, with the environment that its credentials step leaves."""
    summary, said = tmp_path / "summary.md", tmp_path / "said"
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(f'#!/bin/sh\necho "$@" >> {said}\ncase "$*" in *--edit-last*) exit 1;; esac\n')
    gh.chmod(0o755)
    environment = {
        "PATH": f"{gh.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "MLOPS_HOME": str(tmp_path / "home"),
        "MLOPS_TARGET": "aws",
        "AWS_ENDPOINT_URL": installed.embedded.endpoint,
        "AWS_ACCESS_KEY_ID": installed.accounts.hub,
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": REGION,
        "CONFIG": "mlops-config.json",
        "CONFIG_BUCKET": "",
        "ASSETS_BUCKET": installed.outputs["AssetsBucket"],
        "GITHUB_REPOSITORY": "acme/models",
        "GITHUB_STEP_SUMMARY": str(summary),
        "NUMBER": "7",
    }

    def run(job: str, name: str) -> int:
        command = ["bash", "-e", "-c", step(job, name)]  # as GitHub does where no shell is named: without pipefail
        return subprocess.run(command, cwd=tmp_path, env=environment, check=False).returncode

    file = tmp_path / "mlops-config.json"
    file.write_text(json.dumps(config("breast-cancer", model_name="by-ci", colour="red")))
    assert run("plan", "Plan") == 2  # a wrong config fails the job, and the reason is on the pull request
    assert "$.colour" in (tmp_path / "comment.md").read_text()
    file.write_text(json.dumps(config("breast-cancer", model_name="by-ci")))
    assert run("plan", "Plan") == 0
    comment = (tmp_path / "comment.md").read_text()
    assert "Would create the pipeline mlops-pipeline-by-ci-workload" in comment and "deployed" not in comment
    assert run("plan", "Say it on the pull request") == 0
    assert said.read_text().splitlines() == [
        "pr comment 7 --body-file comment.md --edit-last",  # there is none yet
        "pr comment 7 --body-file comment.md",
    ]
    file.write_text(json.dumps(config("breast-cancer", model_name="by-ci", colour="red")))
    assert run("provision", "Provision") == 2
    assert "$.colour" in summary.read_text()  # the function's answer
    file.write_text(json.dumps(config("breast-cancer", model_name="by-ci")))
    assert run("provision", "Provision") == 0
    names = {one["StackName"] for one in installed.client("cloudformation").describe_stacks()["Stacks"]}
    assert "mlops-pipeline-by-ci-workload-codepipeline" in names
    assert "stack creation started" in summary.read_text()
