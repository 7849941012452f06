"""mlops deploy, destroy, doctor: what is missing is said, what would happen is shown, and the embedded AWS gets it."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from orchestrator.cli import embedded, home
from orchestrator.cli.__main__ import main
from orchestrator.cli.console import Console
from orchestrator.cli.installing import stages_before, stages_of, units_of, with_units
from orchestrator.errors import BadRequest
from orchestrator.infra.removal import KEPT
from orchestrator.model import Stage
from tests.corridor.launch import LAUNCH, resources

HUB, DEV, PROD = "111111111111", "222222222222", "444444444444"
STAGES = f"dev={DEV}:us-east-1,prod={PROD}"
CONFIG = Path(__file__).parents[2] / "pipelines" / "breast-cancer" / "mlops-config.json"
Run = Any


@pytest.fixture
def no_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that knows no AWS."""
    monkeypatch.setenv("AWS_PROFILE", "")  # so that what --profile sets is taken back
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_the_doctor_says_what_a_machine_without_credentials_lacks(
    no_aws: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 5
    said = capsys.readouterr()
    assert "✗ Credentials: There are no AWS credentials on this machine." in said.out
    assert "aws configure" in said.out and "--profile NAME" in said.out
    assert "✗ Region: No region is chosen." in said.out and "--region" in said.out
    assert "CDK bootstrap: Not needed" in said.out
    assert "2 missing; nothing was changed." in said.err
    assert main(["doctor", "--json", "--quiet", "--profile", "nobody", "--region", "us-east-1"]) == 5
    document = json.loads(capsys.readouterr().out)
    assert not document["ready"]
    assert "nobody" in next(one["found"] for one in document["checks"] if one["name"] == "Credentials")


def test_a_deployment_is_refused_before_anything_happens(no_aws: None, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in (["deploy"], ["destroy"]):
        assert main([*verb, "--region", "us-east-1"]) == 5
        assert "There are no AWS credentials" in capsys.readouterr().err


def test_stages_are_read_in_order_and_all_but_the_first_need_approval() -> None:
    found = stages_of(f"dev={DEV}:us-east-1, prod={PROD}", HUB, "us-east-1")
    assert [(one.name, one.account, one.approval) for one in found] == [("dev", DEV, False), ("prod", PROD, True)]
    assert stages_of("", HUB, "eu-west-1")[0].account == HUB
    with pytest.raises(BadRequest, match=r"'dev=12', 'Prod=444444444444'"):
        stages_of(f"dev=12,Prod={PROD}", HUB, "us-east-1")
    with pytest.raises(BadRequest, match="twice: dev"):
        stages_of(f"dev={DEV},dev={PROD}", HUB, "us-east-1")


def test_units_hold_the_stages_that_they_are_given_for_and_one_alone_holds_all() -> None:
    stages = stages_of(f"here={HUB},dev={DEV},prod={PROD}", HUB, "us-east-1")
    one, other = "ou-ab12-cdef3456", "ou-ab12-34567890"

    def held(text: str) -> list[str]:
        return [stage.organizational_unit for stage in with_units(stages, text, HUB)]

    assert held("") == ["", "", ""]
    assert held(one) == ["", one, one]
    assert held(f"{one},{other}") == ["", "", ""]  # nobody knows which holds which
    assert held(f"dev={one}, prod={other}") == ["", one, other]
    assert held(f"prod={one}") == ["", "", one]
    assert units_of(f"dev={one},{other},prod={one}") == (one, other)
    kept = with_units(with_units(stages, f"dev={one},prod={one}", HUB), f"prod={other}", HUB)
    assert [stage.organizational_unit for stage in kept] == ["", one, other]
    with pytest.raises(BadRequest, match="stages that there are not: live"):
        held(f"live={one}")
    with pytest.raises(BadRequest, match="Not organizational units: 'r-ab12', 'dev=ou'"):
        held("r-ab12,dev=ou")


def test_the_stages_that_stand_are_kept_whole() -> None:
    written = [
        {"name": "dev", "account": DEV, "organizational_unit": "ou-ab12-cdef3456"},
        {"name": "prod", "account": PROD, "region": "eu-west-1", "approval": True},
    ]
    assert stages_before({"Stages": json.dumps(written)}, HUB, "us-east-1") == (
        Stage("dev", DEV, "us-east-1", False, "ou-ab12-cdef3456"),
        Stage("prod", PROD, "eu-west-1", True),
    )
    assert stages_before({}, HUB, "us-east-1") == (Stage("prod", HUB, "us-east-1"),)


def test_what_is_said_to_stay_is_what_the_templates_keep() -> None:
    kept = {
        body["Type"]
        for file in LAUNCH.iterdir()
        for body in resources(file.name).values()
        if str(body.get("DeletionPolicy", "")).startswith("Retain")
    }
    of_api_gateway = {"AWS::IAM::ManagedPolicy", "AWS::IAM::Role"}  # its role for logs belongs to the account's setting
    assert kept - of_api_gateway == KEPT


# ---- on the embedded AWS ----


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[home.Running]:
    """An embedded AWS with nothing in it, in use."""
    folder = tmp_path_factory.mktemp("deploying")
    before = {name: os.environ.get(name) for name in ("MLOPS_HOME", "AWS_PROFILE")}
    os.environ.update(MLOPS_HOME=str(folder), AWS_PROFILE="not-there")  # a profile of the user is none of its business
    running = embedded.start(folder / "aws", Console(quiet=True))
    del os.environ["AWS_PROFILE"]
    try:
        yield running
    finally:
        embedded.stop(folder / "aws")
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@pytest.fixture
def run(machine: home.Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run mlops with --json; exit code, document, talk."""
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_ENDPOINT_URL", machine.endpoint)  # so that what `enter` sets is taken back

    def call(*arguments: str, answer: str | None = None) -> tuple[int, Any, str]:
        monkeypatch.setattr("builtins.input", lambda prompt: answer)
        code = main([*arguments, "--json"])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else None, said.err

    return call


def stacks(machine: home.Running, account: str = HUB) -> dict[str, str]:
    session = boto3.Session(account, "local", region_name=machine.region)
    found = session.client("cloudformation", endpoint_url=machine.endpoint).describe_stacks()["Stacks"]
    return {one["StackName"]: one["StackStatus"] for one in found}


def test_planned_declined_deployed_again_and_taken_away(machine: home.Running, run: Run) -> None:
    code, told, _ = run("doctor", "--stages", STAGES)
    assert code == 0 and told["ready"]
    states = {one["name"]: one["state"] for one in told["checks"]}
    assert states["Stage dev"] == states["Stage prod"] == "ok"
    assert states["API Gateway's role for logs"] == "ok"
    assert states["Quota of IAM roles"] == "skipped"  # the embedded AWS has no quotas, and that is said

    code, told, said = run("deploy", "--stages", STAGES, "--plan")
    assert code == 0 and told["outcome"] == "planned"
    assert [(one["account"], one["action"]) for one in told["plan"]] == [
        (HUB, "create"), (DEV, "create"), (PROD, "create")
    ]  # fmt: skip
    assert "▸ mlops-orchestrator in 111111111111: create" in said
    assert run("deploy", "--stages", STAGES, answer="n")[0] == 1
    assert stacks(machine) == stacks(machine, DEV) == {}

    code, told, _ = run("deploy", "--stages", STAGES, "--email", "ops@example.com", answer="y")
    assert code == 0 and told["outcome"] == "deployed"
    assert told["outputs"]["ApiUrl"].startswith(machine.endpoint)
    assert told["parameters"]["StageAccounts"] == f"{DEV},{PROD}"
    assert stacks(machine, PROD) == {"mlops-stage-account": "CREATE_COMPLETE"}

    code, told, _ = run("deploy", answer="n")  # what is not said stays
    assert told["parameters"]["NotificationEmail"] == "ops@example.com"
    assert code == 0 and {one["action"] for one in told["plan"]} == {"unchanged"}  # nothing to agree to

    code, told, said = run("deploy", "--parameter", "LogRetentionDays=30", answer="y")
    assert code == 0 and told["plan"][0]["action"] == "update"
    assert {one["name"] for one in told["plan"][0]["changes"]} >= {"FunctionLog", "ApiLog"}
    assert "Modify   FunctionLog" in said

    body = {**json.loads(CONFIG.read_text()), "model_name": "stays"}
    del body["stages"]  # it gets those that were deployed
    client = boto3.Session(HUB, "local", region_name=machine.region).client("lambda", endpoint_url=machine.endpoint)
    answer = json.loads(client.invoke(FunctionName="mlops-orchestrator", Payload=json.dumps(body))["Payload"].read())
    assert answer["statusCode"] == 200, answer
    code, told, _ = run("destroy", "--yes")
    assert code == 4 and "mlops-pipeline-stays" in told["message"] and "--with-projects" in told["hint"]
    assert run("destroy", "--with-projects", answer="n")[0] == 1

    code, told, said = run("destroy", "--with-projects", answer="y")
    assert code == 0, told
    assert stacks(machine) == stacks(machine, DEV) == stacks(machine, PROD) == {}
    left = {(one["type"], one["name"]) for one in told["left"]}
    assert ("AWS::S3::Bucket", f"mlops-assets-{HUB}-us-east-1") in left
    assert "stays    AWS::S3::Bucket mlops-assets-111111111111-us-east-1" in said
    s3 = boto3.Session(HUB, "local", region_name=machine.region).client("s3", endpoint_url=machine.endpoint)
    assert s3.head_bucket(Bucket=f"mlops-assets-{HUB}-us-east-1")  # data is never deleted silently
    code, told, _ = run("destroy", "--stages", STAGES, "--yes")
    assert code == 3


def test_what_the_user_has_already_is_used(machine: home.Running, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets, repository and registry as in the first product's parameters; a config in the user's bucket counts."""
    account = "666666666666"
    local = home.Running(machine.home, machine.endpoint, machine.pid, {"orchestrator": account}, machine.region)
    monkeypatch.setattr(home, "active", lambda: local)
    session = boto3.Session(account, "local", region_name=machine.region)
    s3 = session.client("s3", endpoint_url=machine.endpoint)
    options = ("--parameter", "ExistingS3Bucket=team-data", "--parameter", "ConfigS3Bucket=team-configs")
    options += ("--parameter", "ExistingECRRepo=team/images", "--parameter", "CreateModelRegistry=Yes", "--yes")
    for bucket in ("team-data", "team-configs"):
        s3.create_bucket(Bucket=bucket)
    code, told, said = run("deploy", *options)
    assert code == 5 and "put-bucket-versioning --bucket team-data" in said and "EventBridge" in said
    for bucket in ("team-data", "team-configs"):
        wanted: Any = {"EventBridgeConfiguration": {}}
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=wanted)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    code, told, _ = run("deploy", *options)
    assert code == 0, told
    outputs = told["outputs"]
    assert (outputs["AssetsBucket"], outputs["ConfigBucket"]) == ("team-data", "team-configs")
    assert outputs["RepositoryUri"].endswith("/team/images")
    assert re.fullmatch(r".*:model-package-group/mlops-model-registry-[0-9a-f]{8}", outputs["ModelRegistryArn"])
    body = {**json.loads(CONFIG.read_text()), "model_name": "dropped"}
    del body["stages"]
    body["pipelines"][2]["instance_type"] = "ml.m5.large"  # there is one stage
    s3.put_object(Bucket="team-configs", Key="mlops-config.json-of-the-team", Body=json.dumps(body).encode())
    answer = "mlops-config.json-of-the-team.result.json"
    deadline = time.monotonic() + 60
    while answer not in [one["Key"] for one in s3.list_objects_v2(Bucket="team-configs")["Contents"]]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    result = json.loads(s3.get_object(Bucket="team-configs", Key=answer)["Body"].read())
    assert result["outcome"] == "created", result.get("problems")


def test_an_installation_may_have_names_of_its_own(
    machine: home.Running, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another account, since a project's names do not begin with the prefix."""
    local = home.Running(machine.home, machine.endpoint, machine.pid, {"orchestrator": "555555555555"}, machine.region)
    monkeypatch.setattr(home, "active", lambda: local)
    code, told, _ = run("deploy", "--parameter", "NamePrefix=acme", "--yes")
    assert code == 0 and told["outputs"]["FunctionName"] == "acme-orchestrator", told
    assert run("list")[0] == 5
    monkeypatch.setenv("MLOPS_NAME_PREFIX", "acme")
    assert run("list")[0] == 0
    monkeypatch.delenv("MLOPS_NAME_PREFIX")
    code, told, _ = run("destroy", "--yes")
    assert code == 0 and stacks(machine, "555555555555") == {}


def test_a_review_that_no_config_can_switch_off(
    machine: home.Running, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Deployed, kept by the next deployment, told with all problems, never without its stage; and lifted on demand."""
    account, live = "777777777777", "888888888888"
    stages = ("--stages", f"dev={account},prod={live}")
    local = home.Running(machine.home, machine.endpoint, machine.pid, {"orchestrator": account}, machine.region)
    monkeypatch.setattr(home, "active", lambda: local)
    code, told, _ = run("deploy", *stages, "--require-approval", "prod,live", "--yes")
    assert code == 2 and "does not have: live" in told["message"] and "It has: dev, prod" in told["hint"]
    code, told, _ = run("deploy", *stages, "--require-approval", "prod", "--yes")
    assert code == 0, told
    code, told, _ = run("deploy", answer="n")  # what is not said stays
    assert told["parameters"]["StagesThatNeedApproval"] == "prod"
    assert {one["action"] for one in told["plan"]} == {"unchanged"}
    code, told, _ = run("deploy", "--stages", f"dev={account}", answer="n")
    assert code == 2 and "does not have: prod" in told["message"] and "--require-approval ''" in told["hint"]

    body = {**json.loads(CONFIG.read_text()), "model_name": "seen"}
    body["stages"] = [{"name": "live", "account": live, "approval": False}]
    body["pipelines"][1]["approval"] = "automatic"
    body["pipelines"][2]["instance_type"] = "ml.m5.large"
    config = tmp_path / "mlops-config.json"
    config.write_text(json.dumps(body))
    for verb in (["provision"], ["plan"]):
        code, told, _ = run(*verb, str(config))
        paths = {problem["path"] for problem in told["problems"]}
        assert code == 2 and paths == {"$.stages[0].approval", "$.pipelines[1].approval"}
    del body["stages"][0]["approval"], body["pipelines"][1]["approval"]
    config.write_text(json.dumps(body))
    code, told, _ = run("provision", str(config))
    assert code == 0, told
    client = boto3.Session(account, "local", region_name=machine.region).client(
        "codepipeline", endpoint_url=machine.endpoint
    )
    deadline = time.monotonic() + 30
    while not client.list_pipelines()["pipelines"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    frame = client.get_pipeline(name=told["project"])["pipeline"]["stages"]
    names = [one["name"] for one in frame]
    assert names[names.index("Deploy-live") - 1] == "Review-live"
    code, told, _ = run("deploy", "--require-approval", "", "--yes")
    assert code == 0 and told["parameters"]["StagesThatNeedApproval"] == ""
    body["stages"][0]["approval"] = False
    config.write_text(json.dumps(body))
    assert run("plan", str(config))[0] == 0


def test_the_doctor_looks_at_the_organization(machine: home.Running, run: Run) -> None:
    def organization(*more: str) -> tuple[int, dict[str, str]]:
        code, told, _ = run("doctor", "--stages", STAGES, "--units", "ou-ab12-cdef3456", *more)
        return code, next(one for one in told["checks"] if one["name"] == "Organization")

    code, found = organization()
    assert code == 5 and found["found"] == "The account is in no organization.", found
    session = boto3.Session(HUB, "local", region_name=machine.region)
    organizations = session.client("organizations", endpoint_url=machine.endpoint)
    organizations.create_organization(FeatureSet="ALL")
    assert organization("--management-account")[0] == 5  # the organization does not trust stack sets yet
    session.client("cloudformation", endpoint_url=machine.endpoint).activate_organizations_access()
    assert organization("--management-account") == (
        0, {"name": "Organization", "state": "ok", "found": f"{HUB} is the management account.", "fix": ""}
    )  # fmt: skip
    found = organization()[1]
    assert (found["state"], found["found"]) == ("missing", f"{HUB} is no delegated administrator of StackSets.")


def test_what_cannot_be_is_told_before_anything_happens(machine: home.Running, run: Run) -> None:
    before = stacks(machine)
    code, told, _ = run("deploy", "--parameter", "Colour=red", "--parameter", "Size=3", "--yes")
    assert code == 2 and "Colour, Size" in told["message"] and "NotificationEmail" in told["hint"]
    code, told, _ = run("deploy", "--stages", f"dev={DEV}:eu-west-1", "--yes")
    assert code == 5
    code, told, _ = run("deploy", "--parameter", "ExistingS3Bucket=no-such-bucket-anywhere", "--yes")
    assert code == 5
    assert stacks(machine) == before
