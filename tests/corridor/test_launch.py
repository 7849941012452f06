"""The launch templates hold: no errors, no wide rights, and enough of them for what the pipelines make."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint_file
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from orchestrator.settings import REQUIRED
from tests.corridor.launch import LAUNCH, ROOT, actions, allowed, resources, statements

HUB, STAGE = resources("orchestrator.yaml"), resources("stage-account.yaml")
FRAMES = [ROOT / "templates/pipeline.yaml.j2"]
BLUEPRINTS = [*ROOT.glob("blueprints/*/*.j2"), *ROOT.glob("templates/statements/*.j2")]
ROLES = {
    **{f"hub {name}": body for name, body in HUB.items() if body["Type"] == "AWS::IAM::Role"},
    **{f"stage {name}": body for name, body in STAGE.items() if body["Type"].startswith("AWS::IAM::")},
}
HAS_NO_RESOURCE_LEVEL = {
    "cloudformation:ValidateTemplate",
    "codepipeline:PutJobFailureResult",
    "codepipeline:PutJobSuccessResult",
    "logs:DescribeLogGroups",
    "sagemaker:ListModelCards",
    "sagemaker:Search",
}
NOT_USED = {  # what the handler of a resource type may need, for properties that our templates never set
    "AWS::CodePipeline::Pipeline": r"codestar-connections:.*",
    "AWS::IAM::Role": r"iam:(Attach|Detach)RolePolicy|iam:DeleteRolePermissionsBoundary",
    "AWS::Logs::LogGroup": r"firehose:.*|s3:.*|logs:.*(Kms|Protection|Index|Delivery|ResourcePolic|BearerToken).*",
    "AWS::StepFunctions::StateMachine": r"kms:.*|s3:.*",
}
WITHOUT_HANDLERS = {  # older types: the registry does not say what making them needs
    "AWS::CodeBuild::Project": {
        f"codebuild:{verb}" for verb in ["BatchGetProjects", "CreateProject", "DeleteProject", "UpdateProject"]
    },
}
CONDITION_KEYS = {"iam:PassedToService", "iam:PermissionsBoundary"}


@pytest.mark.parametrize("file", sorted(LAUNCH.glob("*.yaml")), ids=lambda file: file.stem)
def test_cfn_lint_has_nothing_to_say(file: Path) -> None:
    assert lint_file(file) == []


@pytest.mark.parametrize("name", sorted(ROLES))
def test_no_role_may_do_just_anything(name: str) -> None:
    boundary = name == "stage Boundary"  # a boundary grants nothing; it only limits
    for statement in statements(ROLES[name]):
        assert "NotAction" not in statement and "NotResource" not in statement
        assert not [one for one in actions(statement) if "*" in one], statement
        if statement["Resource"] == "*" and not boundary:
            assert actions(statement) <= HAS_NO_RESOURCE_LEVEL, statement


@pytest.mark.parametrize("name", sorted(ROLES))
def test_roles_are_given_to_named_services_only(name: str) -> None:
    for statement in statements(ROLES[name]):
        if "iam:PassRole" in actions(statement) and statement["Effect"] == "Allow":
            assert "iam:PassedToService" in json.dumps(statement["Condition"])
            assert statement["Resource"] != "*"


def test_no_role_is_made_without_the_boundary() -> None:
    for role in (HUB["CloudFormationRole"], STAGE["DeployRole"]):
        for statement in statements(role):
            if "iam:CreateRole" in actions(statement) and statement["Effect"] == "Allow":
                assert "iam:PermissionsBoundary" in statement["Condition"]["StringEquals"]
        assert not {"iam:AttachRolePolicy", "iam:DeleteRolePermissionsBoundary"} & allowed(role)


@pytest.mark.parametrize("name", sorted(ROLES))
def test_policies_stay_within_the_limits_of_iam(name: str) -> None:
    size = sum(len(json.dumps(statement, separators=(",", ":"))) for statement in statements(ROLES[name]))
    assert size < (6_144 if name == "stage Boundary" else 10_240)


def needed(texts: list[str]) -> dict[str, set[str]]:
    """What CloudFormation needs to make, change and delete the resource types in these templates."""
    found: dict[str, set[str]] = {}
    for kind in {kind for text in texts for kind in re.findall(r"^\s+Type: (AWS::\w+::\w+)", text, re.MULTILINE)}:
        if kind in WITHOUT_HANDLERS:
            found[kind] = WITHOUT_HANDLERS[kind]
            continue
        handlers: dict[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["handlers"]
        rights = {one for handler in ("create", "read", "update", "delete") for one in handlers[handler]["permissions"]}
        found[kind] = {one for one in rights if not re.fullmatch(NOT_USED.get(kind, ""), one)}
    return found


@pytest.mark.parametrize(
    "role, files", [(HUB["CloudFormationRole"], FRAMES), (STAGE["DeployRole"], BLUEPRINTS)], ids=["hub", "stage"]
)
def test_cloudformation_may_make_what_our_templates_hold(role: dict[str, Any], files: list[Any]) -> None:
    missing = {kind: sorted(rights - allowed(role)) for kind, rights in needed([f.read_text() for f in files]).items()}
    assert missing and not {kind: rights for kind, rights in missing.items() if rights}


def test_the_boundary_leaves_room_for_what_our_roles_do() -> None:
    services = {one.partition(":")[0] for one in allowed(STAGE["Boundary"])}
    texts = "\n".join(file.read_text() for file in [*FRAMES, *BLUEPRINTS])
    used = {
        one for one in re.findall(r"\b([a-z0-9-]+:[A-Z]\w+)\b", texts) if one.partition(":")[0] in services | {"iam"}
    }
    assert used - CONDITION_KEYS and not used - CONDITION_KEYS - allowed(STAGE["Boundary"])


def test_the_function_gets_every_setting() -> None:
    variables = set(HUB["Function"]["Properties"]["Environment"]["Variables"])
    assert set(REQUIRED.values()) - {"AWS_REGION"} <= variables  # the region is Lambda's own variable
    assert "AWS_REGION" not in variables  # and may not be set


def test_every_bucket_is_closed_encrypted_versioned_and_asks_for_tls() -> None:
    buckets = {name: body["Properties"] for name, body in HUB.items() if body["Type"] == "AWS::S3::Bucket"}
    assert len(buckets) == 3
    for name, properties in buckets.items():
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert properties["BucketEncryption"] and properties["VersioningConfiguration"] == {"Status": "Enabled"}
        policy = HUB[f"{name}Policy"]["Properties"]["PolicyDocument"]["Statement"][0]
        assert policy["Effect"] == "Deny" and "aws:SecureTransport" in json.dumps(policy)
        assert HUB[name]["DeletionPolicy"] == "RetainExceptOnCreate"
