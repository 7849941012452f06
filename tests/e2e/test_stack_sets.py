"""``deployment: stackset``: stack sets of an organization bring a model to the stages, change it and take it away.

The hub is a member account that administers stack sets; every request is decided by IAM, and none is denied.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from orchestrator.aws import Aws
from orchestrator.cli import embedded, home, monitors
from orchestrator.cli.walk import wait_until
from orchestrator.flow import delete_project
from orchestrator.infra.installation import Accounts, install
from orchestrator.infra.lambda_package import build
from orchestrator.model import Stage
from orchestrator.status import project_status
from tests.e2e.conftest import QUIET, Machine, at_home
from tests.e2e.watched import MODEL_KEY, TRAIN_KEY, Watched, lines, people
from tests.local.cloudformation.organization import REGION, Organization, organize

PROJECT = "mlops-pipeline-spread-workload"
MANAGEMENT = "555555555555"


class Organized(Machine):
    """An embedded AWS with an organization; the orchestrator lives in its delegated administrator."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._walks = folder, 0
        self.home = folder / "aws"
        running = embedded.start(self.home, QUIET)
        client = boto3.Session(MANAGEMENT, "local", region_name=REGION).client(
            "organizations", endpoint_url=running.endpoint
        )
        self.organization: Organization = organize(client)
        dev, prod = self.organization.members
        self.running = replace(running, accounts={"orchestrator": self.organization.hub, "dev": dev, "prod": prod})
        self.outputs = self._install()

    def _install(self) -> dict[str, str]:
        """The hub's stack alone: its own stack set rolls the stage-account template out."""
        sessions = {self.organization.hub: boto3.Session(self.organization.hub, "local", region_name=REGION)}
        accounts = Accounts(self.organization.hub, REGION, sessions, self.running.endpoint)
        stages = [Stage(name, self.running.accounts[name], REGION) for name in ("dev", "prod")]
        return install(accounts, stages, build(), {"StageUnits": self.organization.unit})


@pytest.fixture(scope="module")
def organized(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organized]:
    with at_home(tmp_path_factory.mktemp("organized"), Organized) as made:
        yield made


@pytest.fixture(scope="module")
def watched(organized: Organized) -> Watched:
    made = Watched(organized)
    for stage in ("dev", "prod"):
        made.bench.bucket(organized.running.accounts[stage], f"spread-{stage}")
    return made


@pytest.fixture(scope="module")
def config(organized: Organized, watched: Watched) -> dict[str, Any]:
    dev, prod = organized.organization.members
    unit = organized.organization.unit

    def place(name: str) -> dict[str, str]:
        return {stage: f"spread-{stage}/{name}" for stage in ("dev", "prod")}

    endpoint = {
        "name": "endpoint",
        "pipeline_type": "realtime_inference",
        "framework": "xgboost",
        "framework_version": "1.7-1",
        "model_data": MODEL_KEY,
        "instance_type": "ml.m5.large",
        "data_capture": {"location": place("captured")},
    }
    watch = {
        "name": "watch",
        "pipeline_type": "data_quality_monitor",
        "endpoint": {"from": "endpoint"},
        "baseline": {"location": TRAIN_KEY, "ignore": ["bought"]},
        "output_location": place("results"),
        "schedule": "cron(0 * ? * * *)",
    }
    return {
        "version": 2,
        "model_name": "spread",
        "deployment": "stackset",
        "tags": {"team": "x"},
        "stages": [
            {"name": "dev", "account": dev, "organizational_unit": unit},
            {"name": "prod", "account": prod, "organizational_unit": organized.organization.root},
        ],
        "pipelines": [endpoint, watch],
    }


def aws_of(watched: Watched) -> Aws:
    watched.bench.walk.target.enter()
    return Aws(watched.bench.walk.target.settings())


def inner_stacks(watched: Watched, account: str) -> dict[str, dict[str, Any]]:
    """By pipeline, the stacks of stack sets in an account."""
    stacks = watched.client("cloudformation", account).describe_stacks()["Stacks"]
    beginning = f"StackSet-{PROJECT}-"
    return {
        each["StackName"].removeprefix(beginning).partition("-")[0]: each
        for each in stacks
        if each["StackName"].startswith(beginning)
    }


def test_the_stage_accounts_were_rolled_out_by_the_hub(organized: Organized, watched: Watched) -> None:
    for account in organized.organization.members:
        names = [each["StackName"] for each in watched.client("cloudformation", account).describe_stacks()["Stacks"]]
        assert len(names) == 1 and names[0].startswith("StackSet-mlops-stage-accounts-")
    assert not watched.client("cloudformation", organized.organization.outside).describe_stacks()["Stacks"]


def test_an_endpoint_comes_up_in_each_account_of_the_organization(
    organized: Organized, watched: Watched, config: dict[str, Any]
) -> None:
    states = watched.bench.run(config, PROJECT)
    assert set(states.values()) == {"Succeeded"}, project_status(aws_of(watched), PROJECT).failure
    assert {"Review-prod/Approve-prod", "Deploy-prod/Run-watch", "Deploy-dev/Verify-watch"} <= states.keys()
    rows, _ = people(5, 4)
    for account, stage in zip(organized.organization.members, ("dev", "prod"), strict=True):
        stacks = inner_stacks(watched, account)
        assert sorted(stacks) == ["endpoint", "watch"]
        assert {each["StackStatus"] for each in stacks.values()} == {"CREATE_COMPLETE"}
        assert {"Key": "team", "Value": "x"} in stacks["endpoint"]["Tags"]
        answer = watched.client("sagemaker-runtime", account).invoke_endpoint(
            EndpointName=f"spread-endpoint-{stage}", ContentType="text/csv", Body="\n".join(lines(rows))
        )
        assert len(answer["Body"].read().decode().replace(",", "\n").split()) == len(rows)
        keys = watched.bench.keys(account, f"spread-{stage}", "results")
        assert any(key.endswith("constraints.json") for key in keys), keys
    hub = watched.client("cloudformation").describe_stacks()["Stacks"]
    assert not [each for each in hub if each["StackName"].startswith("StackSet-")]
    aws = aws_of(watched)
    watching = monitors.deployed(aws, PROJECT)
    assert [(each.name, each.stage) for each in watching] == [("watch", "dev"), ("watch", "prod")]
    status = project_status(aws, PROJECT)
    assert [(each.stage, each.status, each.account) for each in status.endpoints] == [
        ("dev", "InService", organized.organization.members[0]),
        ("prod", "InService", organized.organization.members[1]),
    ]
    hour = f"{watched.next_hour():%Y/%m/%d/%H}"  # the schedules of the stages start an analysis each
    target = watched.bench.walk.target
    wait_until("Both analyses", 60, lambda: all(hour in monitors.windows(target, each) for each in watching))
    assert home.denials(organized.running) == []


def test_a_change_is_reviewed_in_the_hub_and_reaches_the_stages(
    organized: Organized, watched: Watched, config: dict[str, Any]
) -> None:
    config["pipelines"][0]["instance_type"] = "ml.c5.xlarge"
    before = watched.bench.walk.wait_for_run(PROJECT)
    assert watched.bench.post(config)[0] == 200
    run = watched.bench.walk.wait_for_run(PROJECT, before)
    for event in watched.bench.walk.follow(PROJECT, run):
        assert event.status != "Failed", event
        if event.approval:
            (review,) = project_status(aws_of(watched), PROJECT).approvals
            assert "The change sets stand in the hub" in review.message
            assert {(each["stack"], each["type"]) for each in review.changes} == {
                (f"{PROJECT}-endpoint-prod", "AWS::CloudFormation::StackSet")
            }
            watched.bench.walk.approve(PROJECT, event.approval, "yes")
    status = project_status(aws_of(watched), PROJECT)
    assert [(each.stage, each.instance_type) for each in status.endpoints] == [
        ("dev", "ml.c5.xlarge"), ("prod", "ml.c5.xlarge"),
    ]  # fmt: skip
    status_code, answer = watched.bench.post(config)
    assert (status_code, answer["outcome"]) == (200, "unchanged")
    assert home.denials(organized.running) == []


def test_a_stage_that_fails_stops_the_run_with_the_reason_of_the_stack_in_it(
    organized: Organized, watched: Watched, config: dict[str, Any]
) -> None:
    dev, prod = organized.organization.members
    config["pipelines"][0]["model_data"] = "models/none/model.tar.gz"
    before = watched.bench.walk.wait_for_run(PROJECT)
    assert watched.bench.post(config)[0] == 200
    watched.bench.walk.wait_for_run(PROJECT, before)
    aws = aws_of(watched)
    wait_until("The stage goes back", 60, lambda: project_status(aws, PROJECT).state == "rolled back")
    status = project_status(aws, PROJECT)
    assert status.failure is not None
    assert status.failure.where == "Deploy-dev/Execute-endpoint"
    assert "ResourceLogicalId:" in status.failure.reason, status.failure
    assert "models/none/model.tar.gz" in status.failure.reason, status.failure
    assert [(each.stage, each.status) for each in status.endpoints] == [("dev", "InService"), ("prod", "InService")]
    assert status.endpoints[0].model_data_url.endswith(MODEL_KEY)
    assert {each["StackStatus"] for each in inner_stacks(watched, dev).values()} <= {
        "CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE",
    }  # fmt: skip
    assert len(inner_stacks(watched, prod)) == 2


def test_the_way_of_deployment_stays(watched: Watched, config: dict[str, Any]) -> None:
    stages = [{"name": each["name"], "account": each["account"]} for each in config["stages"]]
    status, answer = watched.bench.post({**config, "deployment": "change_set", "stages": stages})
    assert status == 409, answer
    assert "cannot change over to change_set" in str(answer)


def test_deleting_takes_everything_out_of_the_stages(
    organized: Organized, watched: Watched, config: dict[str, Any]
) -> None:
    removed = list(delete_project(PROJECT, aws_of(watched), confirmed=True))
    assert [each.what for each in removed if each.outcome == "removed"][:5] == ["stack"] * 4 + ["pipeline"]
    assert any(each.what == "template" for each in removed)
    for account in organized.organization.members:
        assert inner_stacks(watched, account) == {}
        assert watched.client("sagemaker", account).list_endpoints()["Endpoints"] == []
    bucket = aws_of(watched).settings.blueprint_bucket
    assert watched.bench.keys(organized.organization.hub, bucket) == []
    assert home.denials(organized.running) == []
