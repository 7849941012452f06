"""mlops provision --into: a role that may put a config into its folder and read the answer gets a project with it.

On the embedded AWS with IAM in force, with the very roles of templates/ci/roles.template.yaml.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from orchestrator.cli.__main__ import main
from orchestrator.cli.handing_in import key_of
from orchestrator.errors import BadRequest, OrchestratorError
from orchestrator.infra.installation import Accounts, install
from orchestrator.infra.lambda_package import build
from orchestrator.model import Stage
from tests.local.conftest import Aws as Embedded

ROLES = Path(__file__).parents[2] / "templates" / "ci" / "roles.template.yaml"
REGION, TEAM = "us-east-1", "acme/models"
TRAINING: dict[str, Any] = {
    "name": "training",
    "pipeline_type": "model_training",
    "framework": "xgboost",
    "framework_version": "1.7-1",
    "entry_point": "train.py",
    "source_dir": "code",
    "channels": {"train": {"location": "data/none.csv"}},
}
CONFIG: dict[str, Any] = {"version": 2, "model_name": "by-bucket", "pipelines": [TRAINING]}
Run = Callable[..., tuple[int, Any, str]]


class Hub:
    """An account with the orchestrator and the roles of continuous integration in it."""

    def __init__(self, embedded: Embedded) -> None:
        self.embedded = embedded
        self.account = embedded.world.accounts["orchestrator"]
        session = boto3.Session(self.account, "local", region_name=REGION)
        accounts = Accounts(self.account, REGION, {self.account: session}, embedded.endpoint)
        self.outputs = install(accounts, [Stage("prod", self.account, REGION)], build())
        self.roles = self._roles()

    def client(self, service: str) -> Any:
        return self.embedded.client(service)

    def _roles(self) -> dict[str, str]:
        """The roles as the template makes them; but their trust, since there is no identity provider here."""
        cloudformation, iam = self.client("cloudformation"), self.client("iam")
        cloudformation.create_stack(**self._request())
        cloudformation.get_waiter("stack_create_complete").wait(StackName="ci", WaiterConfig={"Delay": 1})
        stack = cloudformation.describe_stacks(StackName="ci")["Stacks"][0]
        found = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
        people = {"Effect": "Allow", "Principal": {"AWS": self.account}, "Action": "sts:AssumeRole"}
        for arn in found.values():
            name = arn.rpartition("/")[2]
            document = json.dumps({"Version": "2012-10-17", "Statement": [people]})
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=document)
        return found

    def _request(self, **more: str) -> dict[str, Any]:
        values = {
            "PlanSubject": f"repo:{TEAM}:pull_request",
            "ProvisionSubject": f"repo:{TEAM}:ref:refs/heads/main",
            "Repository": TEAM,
            "ConfigBucket": self.outputs["ConfigBucket"],
            "AssetsBucket": self.outputs["AssetsBucket"],
            "ArtifactKeyArn": self.outputs["ArtifactKeyArn"],
            **more,
        }
        return {
            "StackName": "ci",
            "TemplateBody": ROLES.read_text(),
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
            "Capabilities": ["CAPABILITY_IAM"],
        }

    def bring_up_to_date(self, **parameters: str) -> None:
        """The roles with other parameters."""
        cloudformation = self.client("cloudformation")
        cloudformation.update_stack(**self._request(**parameters))
        cloudformation.get_waiter("stack_update_complete").wait(StackName="ci", WaiterConfig={"Delay": 1})

    def keys(self, role: str) -> dict[str, str]:
        """The credentials of a session of the role, as a job has them."""
        answer = self.client("sts").assume_role(RoleArn=self.roles[role], RoleSessionName="job")["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": answer["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": answer["SecretAccessKey"],
            "AWS_SESSION_TOKEN": answer["SessionToken"],
        }

    def s3(self, role: str) -> Any:
        keys = self.keys(role)
        return boto3.client(
            "s3",
            REGION,
            endpoint_url=self.embedded.endpoint,
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=keys["AWS_SESSION_TOKEN"],
        )

    def policy(self, role: str) -> tuple[str, dict[str, Any]]:
        """The ARN and the document of the one policy that the role has."""
        iam = self.client("iam")
        name = self.roles[role].rpartition("/")[2]
        (attached,) = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        arn = attached["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        return arn, iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]

    @contextmanager
    def without(self, role: str, sid: str) -> Iterator[None]:
        """The role while its policy lacks a statement."""
        iam = self.client("iam")
        arn, document = self.policy(role)
        before = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        less = {**document, "Statement": [one for one in document["Statement"] if one["Sid"] != sid]}
        assert len(less["Statement"]) == len(document["Statement"]) - 1
        made = iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(less), SetAsDefault=True)
        try:
            yield
        finally:
            iam.set_default_policy_version(PolicyArn=arn, VersionId=before)
            iam.delete_policy_version(PolicyArn=arn, VersionId=made["PolicyVersion"]["VersionId"])


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    embedded = Embedded(tmp_path_factory.mktemp("handing-in"), authorization="enforce")
    try:
        yield Hub(embedded)
    finally:
        embedded.stop()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of the repository: a config and its code. The job runs in it."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text("print('trained')\n")
    (tmp_path / "mlops-config.json").write_text(json.dumps(CONFIG))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def job(
    hub: Hub, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], Run]:
    """Makes a job with a role: it runs mlops with --json and gives exit code, document and talk."""
    environment = {"MLOPS_HOME": str(checkout / "home"), "MLOPS_TARGET": "aws", "AWS_REGION": REGION}

    def with_role(role: str) -> Run:
        for name, value in {**environment, **hub.keys(role), "AWS_ENDPOINT_URL": hub.embedded.endpoint}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the credentials of the role before

        def run(*arguments: str) -> tuple[int, Any, str]:
            code = main([*arguments, "--json"])
            said = capsys.readouterr()
            return code, json.loads(said.out) if said.out else None, said.err

        return run

    return with_role


@pytest.fixture
def provision(job: Callable[[str], Run]) -> Run:
    """The step of the workflow after a merge."""
    run = job("ProvisionRoleArn")
    return lambda *more: run("provision", "--into", TEAM, *more)


def test_the_key_is_the_folder_and_the_path_of_the_config() -> None:
    assert key_of("acme/models", "mlops-config.json") == "acme/models/mlops-config.json"
    assert key_of("/acme/models/", "./team/../churn/mlops-config.json") == "acme/models/churn/mlops-config.json"
    assert key_of("acme/models", "configs/churn.json") == "acme/models/configs/churn.json/mlops-config.json"
    for path in ("/home/me/mlops-config.json", "../../other/mlops-config.json", "-", "mlops-config.json"):
        assert key_of("a/b", path) == "a/b/mlops-config.json"  # nothing leaves the folder
    for folder in ("", "/", "a/../b", "a//b", "a b", "s3://bucket/a", "a/*"):
        with pytest.raises(BadRequest, match="is not a folder"):
            key_of(folder, "mlops-config.json")


def test_a_config_is_handed_in_and_answered(hub: Hub, provision: Run) -> None:
    code, told, said = provision()
    assert code == 0, told
    assert told["outcome"] == "created" and told["project"] == "mlops-pipeline-by-bucket-workload"
    place = f"s3://{hub.outputs['ConfigBucket']}/{TEAM}/mlops-config.json"
    assert told["source"] == place and f"The config lies at {place}" in said
    s3 = hub.client("s3")
    lies = json.loads(s3.get_object(Bucket=hub.outputs["ConfigBucket"], Key=f"{TEAM}/mlops-config.json")["Body"].read())
    source = lies["pipelines"][0]["source_dir"]
    assert source.startswith("sources/") and s3.head_object(Bucket=hub.outputs["AssetsBucket"], Key=source)
    code, told, _ = provision()  # the code is there already, and the answer is to this one
    assert (code, told["outcome"]) == (0, "unchanged")


def test_a_refused_config_fails_the_job_with_every_problem(
    checkout: Path, provision: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {**CONFIG, "model_name": "no good", "colour": "red", "pipelines": [{**TRAINING, "framework": "cobol"}]}
    (checkout / "mlops-config.json").write_text(json.dumps(body))
    code, told, _ = provision()
    paths = {problem["path"] for problem in told["problems"]}
    assert code == 2 and {"$.model_name", "$.colour", "$.pipelines[0].framework"} <= paths
    assert main(["provision", "--into", TEAM]) == 2
    said = capsys.readouterr().err
    assert all(f"{path}:" in said for path in paths)


def test_what_is_no_config_is_refused(hub: Hub, checkout: Path, provision: Run) -> None:
    (checkout / "mlops-config.json").write_text("[]")
    code, told, _ = provision()
    assert code == 2 and told["problems"][0]["path"] == "$"
    (checkout / "mlops-config.json").write_text("{")
    assert provision()[0] == 2  # that is seen before anything is put anywhere


def test_no_answer_within_the_time_fails_the_job(hub: Hub, provision: Run) -> None:
    """A bucket that nobody listens to: it is not the orchestrator's config bucket."""
    bucket = f"mlops-config-of-nobody-{hub.account}"
    hub.client("s3").create_bucket(Bucket=bucket)
    arn, document = hub.policy("ProvisionRoleArn")
    iam = hub.client("iam")
    wider = json.loads(json.dumps(document).replace(hub.outputs["ConfigBucket"], bucket))
    before = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    made = iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(wider), SetAsDefault=True)
    try:
        start = time.monotonic()
        code, told, _ = provision("--config-bucket", bucket, "--wait", "1")
        assert code == 1 and time.monotonic() - start < 20
        assert told["message"] == f"No answer to s3://{bucket}/{TEAM}/mlops-config.json within 1 s."
        assert "mlops-config.json.result.json" in told["hint"]
    finally:
        iam.set_default_policy_version(PolicyArn=arn, VersionId=before)
        iam.delete_policy_version(PolicyArn=arn, VersionId=made["PolicyVersion"]["VersionId"])


def test_an_old_answer_is_not_taken_for_a_new_one(hub: Hub, checkout: Path, provision: Run) -> None:
    """Also where the bucket keeps no versions, by which answers are told apart elsewhere."""
    from orchestrator.aws import Aws
    from orchestrator.cli import handing_in, target

    aws = Aws(target.offline_settings(), boto3.Session(hub.account, "local", region_name=REGION))
    place = handing_in.Place("answers-without-versions", "a/b/mlops-config.json")
    s3 = hub.client("s3")
    s3.create_bucket(Bucket=place.bucket)
    s3.put_object(Bucket=place.bucket, Key=place.answer, Body=json.dumps({"outcome": "created", "version": ""}))
    before = handing_in._answer(aws, place)
    assert before and handing_in._awaited(aws, place, "", before, 0.3) is None
    s3.put_object(Bucket=place.bucket, Key=place.answer, Body=json.dumps({"outcome": "updated", "version": ""}))
    found = handing_in._awaited(aws, place, "", before, 0.3)
    assert found and found["outcome"] == "updated"
    assert handing_in._awaited(aws, place, "another version", before, 0.3) is None


def test_what_must_wait_is_waited_for(hub: Hub, provision: Run) -> None:
    """The function says that it could not yet, Lambda tries again, the answer comes; or time is over before."""
    from orchestrator.aws import Aws
    from orchestrator.cli import handing_in, target
    from orchestrator.errors import Conflict

    aws = Aws(target.offline_settings(), boto3.Session(hub.account, "local", region_name=REGION))
    place = handing_in.Place("answers-that-wait", "a/b/mlops-config.json")
    s3 = hub.client("s3")
    s3.create_bucket(Bucket=place.bucket)
    told = {"outcome": "postponed", "message": "The stack is busy.", "hint": "Later.", "version": "v"}
    s3.put_object(Bucket=place.bucket, Key=place.answer, Body=json.dumps(told))
    found = handing_in._awaited(aws, place, "v", None, 0.3)
    with pytest.raises(Conflict, match="The stack is busy"):
        handing_in._judged(found, place, 0.3)
    for outcome, code in (("refused", 2), ("failed", 1)):
        with pytest.raises(OrchestratorError) as caught:
            handing_in._judged({"outcome": outcome, "error": "KeyError", "request_id": "r-1"}, place, 1)
        assert caught.value.exit_code == code and "KeyError" in str(caught.value) and "r-1" in caught.value.hint


def test_options_of_the_one_way_are_not_taken_for_the_other(provision: Run, job: Callable[[str], Run]) -> None:
    code, told, _ = job("ProvisionRoleArn")("provision", "--config-bucket", "b", "--wait", "3")
    assert code == 2 and told["message"] == "--config-bucket, --wait without --into."
    assert provision("--into", "../else")[0] == 2


# ---- exactly enough ----


@pytest.mark.parametrize("sid, code", [("PutConfigs", 6), ("ReadAnswers", 1), ("UploadCode", 6)])
def test_handing_in_needs_each_of_its_statements(hub: Hub, provision: Run, sid: str, code: int) -> None:
    assert {one["Sid"] for one in hub.policy("ProvisionRoleArn")[1]["Statement"]} == {
        "PutConfigs", "ReadAnswers", "UploadCode",
    }  # fmt: skip
    with hub.without("ProvisionRoleArn", sid):
        assert provision("--wait", "2")[0] == code
    assert provision()[0] == 0


def test_handing_in_may_do_nothing_else(hub: Hub, provision: Run, job: Callable[[str], Run]) -> None:
    assert provision()[0] == 0
    configs, assets = hub.outputs["ConfigBucket"], hub.outputs["AssetsBucket"]
    s3 = hub.s3("ProvisionRoleArn")
    lies = json.loads(
        hub.client("s3").get_object(Bucket=configs, Key=f"{TEAM}/mlops-config.json")["Body"].read()
    )["pipelines"][0]["source_dir"]  # fmt: skip
    wanted: list[tuple[str, dict[str, Any]]] = [
        ("put_object", {"Bucket": configs, "Key": "acme/others/mlops-config.json", "Body": b"{}"}),
        ("put_object", {"Bucket": configs, "Key": f"{TEAM}-too/mlops-config.json", "Body": b"{}"}),
        ("put_object", {"Bucket": configs, "Key": "mlops-config.json", "Body": b"{}"}),
        ("put_object", {"Bucket": configs, "Key": f"{TEAM}/mlops-config.json.result.json", "Body": b"{}"}),
        ("get_object", {"Bucket": configs, "Key": f"{TEAM}/mlops-config.json"}),
        ("get_object", {"Bucket": configs, "Key": "acme/others/mlops-config.json.result.json"}),
        ("delete_object", {"Bucket": configs, "Key": f"{TEAM}/mlops-config.json"}),
        ("list_objects_v2", {"Bucket": configs}),
        ("put_object", {"Bucket": assets, "Key": lies, "Body": b"another"}),  # it would replace reviewed code
        ("put_object", {"Bucket": assets, "Key": "data/x.csv", "Body": b"1", "IfNoneMatch": "*"}),
        ("get_object", {"Bucket": assets, "Key": lies}),
    ]
    for operation, arguments in wanted:
        with pytest.raises(ClientError) as caught:
            getattr(s3, operation)(**arguments)
        assert caught.value.response["Error"]["Code"] == "AccessDenied", (operation, arguments)
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=assets, Key=lies, Body=b"another", IfNoneMatch="*")
    assert caught.value.response["Error"]["Code"] == "PreconditionFailed"
    run = job("ProvisionRoleArn")
    assert run("provision")[0] == run("plan")[0] == run("list")[0] == 6  # neither the function nor its settings


def test_planning_needs_each_of_its_statements_and_changes_nothing(
    hub: Hub, job: Callable[[str], Run], checkout: Path
) -> None:
    assert job("ProvisionRoleArn")("provision", "--into", TEAM)[0] == 0
    changed = {**CONFIG, "pipelines": [{**TRAINING, "instance_type": "ml.m5.4xlarge"}]}
    (checkout / "mlops-config.json").write_text(json.dumps(changed))
    run = job("PlanRoleArn")
    code, told, _ = run("plan")
    assert code == 0, told
    assert told["outcome"] == "updated" and "ml.m5.4xlarge" in json.dumps(told["changes"])
    needed = {"ReadTheSettings", "DecryptTheSettings", "ReadWhatIsProvisioned", "SeeThePipelineStacks"}
    assert {one["Sid"] for one in hub.policy("PlanRoleArn")[1]["Statement"]} == needed
    for sid in sorted(needed):
        with hub.without("PlanRoleArn", sid):
            assert run("plan")[0] == 6, sid
    fresh = {**CONFIG, "model_name": "not-there-yet"}
    (checkout / "mlops-config.json").write_text(json.dumps(fresh))
    assert run("plan")[1]["outcome"] == "created"
    actions = {one["Action"] for one in hub.policy("PlanRoleArn")[1]["Statement"]}
    assert all(action.partition(":")[2].startswith(("Get", "Describe", "Decrypt")) for action in actions)
    assert run("provision")[0] == run("provision", "--into", TEAM)[0] == 6


def test_with_a_key_of_the_team_s_own_both_roles_use_it(hub: Hub, job: Callable[[str], Run], checkout: Path) -> None:
    """Last: from here on the buckets are encrypted with it."""
    function = f"arn:aws:iam::{hub.account}:role/mlops-orchestrator"
    statement = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
    policy = {
        "Version": "2012-10-17",
        "Statement": [{**statement, "Principal": {"AWS": who}} for who in (hub.account, function)],
    }
    key = hub.client("kms").create_key(Policy=json.dumps(policy))["KeyMetadata"]["Arn"]
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    for bucket in ("ConfigBucket", "AssetsBucket"):
        hub.client("s3").put_bucket_encryption(
            Bucket=hub.outputs[bucket], ServerSideEncryptionConfiguration={"Rules": [rule]}
        )
    (checkout / "code" / "train.py").write_text("print('with a key')\n")
    assert job("ProvisionRoleArn")("provision", "--into", TEAM)[0] == 6
    hub.bring_up_to_date(DataKeyArn=key)
    (checkout / "mlops-config.json").write_text(json.dumps({**CONFIG, "model_name": "with-a-key"}))
    code, told, _ = job("ProvisionRoleArn")("provision", "--into", TEAM)
    assert code == 0 and told["outcome"] == "created", told
    code, told, _ = job("PlanRoleArn")("plan")
    assert code == 0 and told["outcome"] == "unchanged", told
    with hub.without("PlanRoleArn", "DecryptWhatIsProvisioned"):
        assert job("PlanRoleArn")("plan")[0] == 6
    with hub.without("ProvisionRoleArn", "UseTheDataKey"):
        assert job("ProvisionRoleArn")("provision", "--into", TEAM)[0] == 6
