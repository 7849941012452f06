"""The launch templates hold: no errors, no wide rights, and enough of them for what the pipelines make."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint_file
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from orchestrator.forms import MAX_STAGES
from orchestrator.infra import handbook
from orchestrator.infra.rights import jobs
from orchestrator.infra.synth import templates
from orchestrator.settings import REQUIRED
from tests.corridor.launch import LAUNCH, MULTI, ROOT, SINGLE, STAGE, actions, allowed, resources, statements, template

TEMPLATES = {"single": resources(SINGLE), "multi": resources(MULTI), "stage": resources(STAGE)}
HUBS = ("single", "multi")
FRAMES = [ROOT / "templates/pipeline.yaml.j2"]
SHARED = [*ROOT.glob("templates/statements/*.j2"), *ROOT.glob("templates/monitor/*.j2")]
BLUEPRINTS = [*ROOT.glob("blueprints/*/*.j2"), *SHARED]
HOLDERS = {
    f"{where} {name}": body
    for where, among in TEMPLATES.items()
    for name, body in among.items()
    if body["Type"] in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy")
}


def statements_of(holder: str) -> list[dict[str, Any]]:
    return statements(HOLDERS[holder], TEMPLATES[holder.partition(" ")[0]])


HAS_NO_RESOURCE_LEVEL = {  # Service Authorization Reference; with conditions where AWS has some
    "cloudformation:CreateStackSet",
    "cloudformation:ValidateTemplate",
    "cloudwatch:PutMetricData",
    "codepipeline:PutJobFailureResult",
    "codepipeline:PutJobSuccessResult",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ecr:GetAuthorizationToken",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "organizations:ListDelegatedAdministrators",
    "sagemaker:ListAutoMLJobs",
    "sagemaker:ListHyperParameterTuningJobs",
    "sagemaker:ListModelCards",
    "sagemaker:ListProcessingJobs",
    "sagemaker:ListTrainingJobs",
    "sagemaker:ListTransformJobs",
    "sagemaker:Search",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
WIDE_WITH_A_REASON = {  # named after the fact; checked by the service for everything; about a template, not a stack
    "JoinTheNetwork",
    "MakeStackSets",
    "WriteLogs",
}
NOT_USED = {  # what the handler of a resource type may need, for properties that our templates never set
    "AWS::CodePipeline::Pipeline": r"codestar-connections:.*",
    "AWS::IAM::ManagedPolicy": r"iam:(Attach|Detach)(Group|User)Policy",
    "AWS::IAM::Role": r"iam:(Put|Get|Delete)RolePolicy|iam:DeleteRolePermissionsBoundary",
    "AWS::StepFunctions::StateMachine": r"kms:.*|s3:.*",
}
WITHOUT_HANDLERS = {  # older types: the registry does not say what making them needs
    "AWS::CodeBuild::Project": {
        f"codebuild:{verb}" for verb in ["BatchGetProjects", "CreateProject", "DeleteProject", "UpdateProject"]
    },
}
OLD_PARAMETERS = {
    "AllowDetailedErrorMessage",
    "ConfigS3Bucket",
    "CreateModelRegistry",
    "ExistingECRRepo",
    "ExistingS3Bucket",
    "NotificationEmail",
    "UseModelRegistry",
}
OLD_ACCOUNTS = {"DelegatedAdminAccount"} | {
    f"{stage}{kind}" for stage in ("Dev", "Staging", "Prod") for kind in ("AccountId", "OrgId")
}
SYNTH_CPU_SECONDS = 10.0
STACK_SET_BODY_BYTES = 51_200
CONDITION_KEYS = {"iam:PassedToService", "iam:PermissionsBoundary"}


@pytest.mark.parametrize("file", sorted(LAUNCH.iterdir()), ids=lambda file: file.name.partition(".")[0])
def test_cfn_lint_has_nothing_to_say(file: Path) -> None:
    assert lint_file(file) == []


@pytest.mark.parametrize("name", sorted(HOLDERS))
def test_no_role_may_do_just_anything(name: str) -> None:
    boundary = name.endswith(" Boundary")  # a boundary grants nothing; it only limits
    for statement in statements_of(name):
        assert "NotAction" not in statement and "NotResource" not in statement
        assert not [one for one in actions(statement) if "*" in one], statement
        if statement["Resource"] == "*" and not boundary and statement["Sid"] not in WIDE_WITH_A_REASON:
            assert actions(statement) <= HAS_NO_RESOURCE_LEVEL, statement


@pytest.mark.parametrize("name", sorted(HOLDERS))
def test_roles_are_given_to_named_services_only(name: str) -> None:
    for statement in statements_of(name):
        if "iam:PassRole" in actions(statement) and statement["Effect"] == "Allow":
            assert "iam:PassedToService" in json.dumps(statement["Condition"])
            assert statement["Resource"] != "*"


@pytest.mark.parametrize("name", [name for name in HOLDERS if name.endswith(("CloudFormationRole", "DeployRole"))])
def test_no_role_is_made_without_the_boundary(name: str) -> None:
    allowing = [one for one in statements_of(name) if one["Effect"] == "Allow"]
    for action in ("iam:CreateRole", "iam:AttachRolePolicy"):
        made = [one for one in allowing if action in actions(one)]
        assert made
        for statement in made:
            assert "iam:PermissionsBoundary" in statement["Condition"]["StringEquals"]
    rights = {one for statement in allowing for one in actions(statement)}
    assert not {"iam:PutRolePolicy", "iam:DeleteRolePermissionsBoundary"} & rights


@pytest.mark.parametrize("name", [name for name in HOLDERS if name.endswith(("CloudFormationRole", "DeployRole"))])
def test_roles_get_policies_of_projects_and_shared_ones_only_and_neither_can_be_the_boundary(name: str) -> None:
    for statement in statements_of(name):
        if "iam:AttachRolePolicy" in actions(statement) and statement["Effect"] == "Allow":
            given = statement["Condition"]["ArnLike"]["iam:PolicyARN"]
            ends = {
                each["Fn::Sub"].partition(":policy/")[2] for each in (given if isinstance(given, list) else [given])
            }
            shared = {f"${{NamePrefix}}-{one}" for one in jobs.policies()}
            assert ends - shared == {"mlops-pipelines/*"}
        if "iam:CreatePolicyVersion" in actions(statement):
            assert statement["Resource"]["Fn::Sub"].endswith(":policy/mlops-pipelines/*")


@pytest.mark.parametrize("name", [name for name, body in HOLDERS.items() if body["Type"].endswith("ManagedPolicy")])
def test_policies_stay_within_the_limits_of_iam(name: str) -> None:
    """A managed policy holds 6,144 characters; functions of CloudFormation are longer than what becomes of them."""
    assert sum(len(json.dumps(statement, separators=(",", ":"))) for statement in statements_of(name)) < 6_144


@pytest.mark.parametrize("name", [name for name, body in HOLDERS.items() if body["Type"].endswith("::Role")])
def test_a_role_has_at_most_ten_policies_and_no_inline_ones(name: str) -> None:
    properties = HOLDERS[name]["Properties"]
    assert 0 < len(properties["ManagedPolicyArns"]) <= 10 and "Policies" not in properties


def needed(texts: list[str]) -> dict[str, set[str]]:
    """What CloudFormation needs to make, change and delete the resource types in these templates."""
    found: dict[str, set[str]] = {}
    for kind in {kind for text in texts for kind in re.findall(r"^\s+Type: (AWS::\w+::\w+)", text, re.MULTILINE)}:
        if kind in WITHOUT_HANDLERS:
            found[kind] = WITHOUT_HANDLERS[kind]
            continue
        handlers: dict[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["handlers"]
        used = [handlers[name] for name in ("create", "read", "update", "delete") if name in handlers]
        rights = {one for handler in used for one in handler["permissions"]}
        found[kind] = {one for one in rights if not re.fullmatch(NOT_USED.get(kind, ""), one)}
    return found


@pytest.mark.parametrize(
    "where, role, files",
    [("single", "CloudFormationRole", FRAMES), ("multi", "CloudFormationRole", FRAMES)]
    + [(where, "DeployRole", BLUEPRINTS) for where in TEMPLATES],
)
def test_cloudformation_may_make_what_our_templates_hold(where: str, role: str, files: list[Path]) -> None:
    among = TEMPLATES[where]
    rights = allowed(among[role], among)
    missing = {kind: sorted(wanted - rights) for kind, wanted in needed([f.read_text() for f in files]).items()}
    assert missing and not {kind: wanted for kind, wanted in missing.items() if wanted}


def test_the_boundary_leaves_room_for_what_our_roles_do() -> None:
    among = TEMPLATES["stage"]
    room = allowed(among["Boundary"], among)
    services = {one.partition(":")[0] for one in room}
    texts = "\n".join(file.read_text() for file in [*FRAMES, *BLUEPRINTS])
    texts += " ".join(action for policy in jobs.policies().values() for one in policy for action in one.actions)
    used = {
        one for one in re.findall(r"\b([a-z0-9-]+:[A-Z]\w+)\b", texts) if one.partition(":")[0] in services | {"iam"}
    }
    assert used - CONDITION_KEYS and not used - CONDITION_KEYS - room


@pytest.mark.parametrize("hub", HUBS)
def test_the_function_gets_every_setting(hub: str) -> None:
    variables = set(TEMPLATES[hub]["Function"]["Properties"]["Environment"]["Variables"])
    assert set(REQUIRED.values()) - {"AWS_REGION"} <= variables  # the region is Lambda's own variable
    assert "AWS_REGION" not in variables  # and may not be set


@pytest.mark.parametrize("hub", HUBS)
def test_every_bucket_is_closed_encrypted_versioned_logged_and_asks_for_tls(hub: str) -> None:
    among = TEMPLATES[hub]
    buckets = {name: body for name, body in among.items() if body["Type"] == "AWS::S3::Bucket"}
    assert len(buckets) == 5
    for name, body in buckets.items():
        properties = body["Properties"]
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert properties["BucketEncryption"] and properties["VersioningConfiguration"] == {"Status": "Enabled"}
        assert properties["LifecycleConfiguration"]["Rules"]
        policy = among[f"{name}Policy"]["Properties"]["PolicyDocument"]["Statement"][0]
        assert policy["Effect"] == "Deny" and "aws:SecureTransport" in json.dumps(policy)
        logs = name == "AccessLogBucket"
        assert ("LoggingConfiguration" in properties) != logs
        assert body["DeletionPolicy"] == ("Retain" if logs else "RetainExceptOnCreate")


@pytest.mark.parametrize("hub", HUBS)
def test_stages_are_let_in_by_role_and_never_by_account_alone(hub: str) -> None:
    """Every Allow of a resource's policy: a service of this account, our own root of the key, or named roles."""
    count = 0
    for name, body in TEMPLATES[hub].items():
        for statement in _resource_statements(body):
            if statement["Effect"] == "Deny" or statement["Sid"] == "TheAccountAdministers":
                continue
            count += 1
            principal, condition = statement["Principal"], statement.get("Condition", {})
            if "Service" in principal:
                assert "aws:SourceAccount" in json.dumps(condition) or "EncryptionContext" in json.dumps(condition), (
                    name
                )
            else:
                assert condition["ArnLike"]["aws:PrincipalArn"], f"{name}: {statement['Sid']}"
    assert count >= 12


def _resource_statements(body: dict[str, Any]) -> list[dict[str, Any]]:
    properties = body["Properties"]
    if body["Type"].startswith("AWS::IAM::"):
        return []
    found = [properties[key] for key in properties if key.endswith(("Policy", "PolicyDocument", "PolicyText"))]
    return [one for document in found if "Statement" in document for one in document["Statement"]]


@pytest.mark.parametrize("name", [name for name, body in HOLDERS.items() if body["Type"].endswith("::Role")])
def test_every_trust_says_for_whom(name: str) -> None:
    for statement in HOLDERS[name]["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
        told = json.dumps(statement["Condition"])
        assert ("aws:SourceAccount" if "Service" in statement["Principal"] else "aws:PrincipalArn") in told


def test_the_old_parameters_are_there() -> None:
    """Names, and values that were allowed, of the two launch templates of the first product."""
    for hub, names in ((SINGLE, OLD_PARAMETERS), (MULTI, OLD_PARAMETERS | OLD_ACCOUNTS)):
        declared = template(hub)["Parameters"]
        assert names <= declared.keys()
        assert declared["UseModelRegistry"]["Default"] == declared["CreateModelRegistry"]["Default"] == "No"
        assert declared["AllowDetailedErrorMessage"]["AllowedValues"] == ["Yes", "No"]


@pytest.mark.parametrize("file", sorted(LAUNCH.iterdir()), ids=lambda file: file.name.partition(".")[0])
def test_no_parameter_takes_just_anything(file: Path) -> None:
    for name, parameter in template(file.name)["Parameters"].items():
        assert parameter.get("AllowedValues") or parameter.get("AllowedPattern"), name
        pattern = parameter.get("AllowedPattern", "")
        assert not pattern or (pattern.startswith("^") and pattern.endswith("$")), name
        assert not pattern or name == "Stages" or not re.search(pattern, "*"), f"{name} takes a wildcard"


def test_the_templates_are_fresh_and_the_same_twice() -> None:
    made = [templates() for _ in range(2)]
    assert made[0] == made[1]
    assert {path.name: path.read_text() for path in LAUNCH.iterdir()} == made[0], "run `make synth`"


def test_what_is_rolled_out_is_the_stage_template_and_goes_to_named_accounts_alone() -> None:
    rollout = TEMPLATES["multi"]["StageAccountsRollout"]
    properties = rollout["Properties"]
    assert json.loads(properties["TemplateBody"]) == template(STAGE)
    assert len(properties["TemplateBody"]) <= STACK_SET_BODY_BYTES
    assert rollout["Condition"] == "RollsOut" and properties["PermissionModel"] == "SERVICE_MANAGED"
    declared = template(STAGE)["Parameters"]
    given = {one["ParameterKey"] for one in properties["Parameters"]}
    assert given == declared.keys()
    for branch in properties["StackInstancesGroup"]["Fn::If"][1:]:
        assert {one["DeploymentTargets"]["AccountFilterType"] for one in branch} == {"INTERSECTION"}


def test_the_handbook_has_every_parameter_as_the_templates_have_it() -> None:
    text = (ROOT / handbook.FILE).read_text()
    assert text == handbook.written(), "run `make synth`"
    for file in LAUNCH.iterdir():
        for name, parameter in template(file.name)["Parameters"].items():
            row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
            assert parameter["Description"] in row
            shown = "must be given" if "Default" not in parameter else parameter["Default"] or "empty"
            assert f"| {shown} |" in row.replace("`", "")


def test_synth_greets_nobody_and_needs_no_network(tmp_path: Path) -> None:
    """In a process of its own, with no way to anywhere. (The first use on a machine unpacks CDK into the home.)"""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {"PATH": os.environ["PATH"], "HOME": str(Path.home()), "HTTPS_PROXY": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "orchestrator.infra.synth", "--into", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" and len(done.stdout.splitlines()) == len(TEMPLATES)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SYNTH_CPU_SECONDS


LAMBDA_ENVIRONMENT_BYTES = 4_096
"""All variables of a function together.
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
WIDEST = {
    "AWS::AccountId": "1" * 12,
    "AWS::Partition": "aws-us-gov",
    "AWS::Region": "ap-southeast-99",
    "NamePrefix": "p" * 20,
    "ExistingS3Bucket": "b" * 63,
    "ArtifactBucket": "b" * 63,
    "BlueprintBucket": "b" * 63,
    "Topic": f"arn:aws-us-gov:sns:ap-southeast-99:{'1' * 12}:{'p' * 20}-notifications",
    "Key": f"arn:aws-us-gov:kms:ap-southeast-99:{'1' * 12}:key/{'k' * 36}",
    "CloudFormationRole": f"arn:aws-us-gov:iam::{'1' * 12}:role/{'r' * 64}",
    "StagesThatNeedApproval": ",".join(["s" * 21] * MAX_STAGES),
    **{f"{stage}AccountId": "1" * 12 for stage in ("Dev", "Staging", "Prod")},
    **{f"{stage}OrgId": "ou-" + "a" * 32 + "-" + "b" * 32 for stage in ("Dev", "Staging", "Prod")},
}
"""The longest that each name of the function's environment can become, where the template does not say it."""


def widest(value: Any, parameters: dict[str, Any], local: dict[str, Any] | None = None) -> str:
    """The longest text that a value of the template can become."""
    if isinstance(value, str):
        return value
    ((function, argument),) = value.items()
    if function in ("Ref", "Fn::GetAtt"):
        name = argument[0] if isinstance(argument, list) else argument
        about = parameters.get(name, {})
        return (
            (local or {}).get(name)
            or WIDEST.get(name)
            or max([*about.get("AllowedValues", []), "x" * about.get("MaxLength", 0)], key=len)
        )
    if function == "Fn::If":
        return max((widest(side, parameters) for side in argument[1:]), key=len)
    if function == "Fn::Join":
        return widest(argument[1], parameters)
    text, given = (argument, {}) if isinstance(argument, str) else argument
    names = {name: widest(each, parameters) for name, each in given.items()}
    return re.sub(r"\$\{([\w:]+)\}", lambda found: widest({"Ref": found[1]}, parameters, names), text)


@pytest.mark.parametrize("hub", ["single", "multi"])
def test_the_functions_environment_fits_whatever_the_parameters_are(hub: str) -> None:
    whole = template({"single": SINGLE, "multi": MULTI}[hub])
    variables = whole["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    sizes = {name: len(name) + len(widest(value, whole["Parameters"])) for name, value in variables.items()}
    assert min(sizes[name] - len(name) for name in variables) > 0, "a value without a length hides what it can become"
    assert sum(sizes.values()) <= LAMBDA_ENVIRONMENT_BYTES, sizes
