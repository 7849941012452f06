"""Roles whose rights are managed policies of the same template, made by a role that may do just that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cloudformation_rig import HUB, Cloud, exists

from orchestrator.local.embedded import EmbeddedAws

POLICIES = f"arn:aws:iam::{HUB}:policy/mlops-pipelines/*"
BOUNDARY = f"arn:aws:iam::{HUB}:policy/mlops-boundary"
SHARED = f"arn:aws:iam::{HUB}:policy/mlops-job"
BOUNDED = {"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}}
NAMED = {"Capabilities": ["CAPABILITY_NAMED_IAM"]}

MAKING = {"iam:AttachRolePolicy", "iam:CreatePolicy", "iam:CreateRole", "iam:GetPolicy", "iam:GetRole"}
CHANGING = {
    *("iam:AttachRolePolicy", "iam:CreatePolicyVersion", "iam:DeletePolicyVersion", "iam:DetachRolePolicy"),
    *("iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole", "iam:ListAttachedRolePolicies"),
    "iam:ListPolicyVersions",
}
REMOVING = {
    *("iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:DeleteRole", "iam:DetachRolePolicy", "iam:GetPolicy"),
    *("iam:ListAttachedRolePolicies", "iam:ListPolicyVersions"),
}
"""What the providers ask IAM for; templates of the launch give CloudFormation these."""


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}


def trust(*services: str) -> dict[str, Any]:
    return document({"Principal": {"Service": list(services)}, "Action": "sts:AssumeRole"})


def rights(*actions: str, resource: str = POLICIES, **condition: Any) -> dict[str, Any]:
    limit = {"Condition": condition} if condition else {}
    return {"Action": list(actions), "Resource": resource, **limit}


def deployer_rights() -> dict[str, Any]:
    roles = f"arn:aws:iam::{HUB}:role/*"
    attachable = {"ArnLike": {"iam:PolicyARN": [POLICIES, SHARED]}}
    of_policies = {name for name in MAKING | CHANGING | REMOVING if "Policy" in name and "Role" not in name}
    return document(
        rights(*sorted(of_policies)),
        rights("iam:DeleteRole", "iam:GetRole", "iam:ListAttachedRolePolicies", resource=roles),
        rights("iam:CreateRole", resource=roles, **BOUNDED),
        rights("iam:AttachRolePolicy", "iam:DetachRolePolicy", resource=roles, **BOUNDED, **attachable),
    )


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    home = tmp_path_factory.mktemp("home")
    embedded = EmbeddedAws(home, authorization="enforce")
    embedded.start()
    cloud = Cloud(home, embedded)
    iam = cloud.client("iam")
    for name in ("mlops-boundary", "mlops-job", "other"):
        text = json.dumps(document({"Action": "s3:*", "Resource": "*"}))
        iam.create_policy(PolicyName=name, PolicyDocument=text)
    iam.create_role(RoleName="deployer", AssumeRolePolicyDocument=json.dumps(trust("cloudformation.amazonaws.com")))
    iam.put_role_policy(RoleName="deployer", PolicyName="p", PolicyDocument=json.dumps(deployer_rights()))
    yield cloud
    cloud.stop()


@pytest.fixture
def asked(enforced: Cloud) -> Iterator[set[str]]:
    """Every action that the deployer asked for, as long as the test clears it."""
    heard: set[str] = set()

    def hear(answered: Any) -> None:
        if "assumed-role/deployer/" in answered.question.caller.arn:
            heard.add(answered.question.action)

    enforced._embedded.authorizer.hear = hear
    yield heard
    enforced._embedded.authorizer.hear = None


def policy(action: str = "s3:GetObject", **more: Any) -> dict[str, Any]:
    properties = {"Path": "/mlops-pipelines/", "PolicyDocument": document({"Action": action, "Resource": "*"}), **more}
    return {"Type": "AWS::IAM::ManagedPolicy", "Properties": properties}


def role(*arns: Any, **more: Any) -> dict[str, Any]:
    properties = {
        "AssumeRolePolicyDocument": trust("states.amazonaws.com"),
        "ManagedPolicyArns": list(arns),
        "PermissionsBoundary": BOUNDARY,
        **more,
    }
    return {"Type": "AWS::IAM::Role", "Properties": properties}


def template(**resources: Any) -> dict[str, Any]:
    return {"Resources": resources}


OWN = {"Ref": "Own"}
AS_DEPLOYER = {"RoleARN": f"arn:aws:iam::{HUB}:role/deployer", **NAMED}


def attached(cloud: Cloud, stack: Any) -> list[str]:
    found = cloud.client("iam").list_attached_role_policies(RoleName=cloud.physical(stack, "Role"))
    return sorted(each["PolicyArn"] for each in found["AttachedPolicies"])


def test_made_changed_replaced_and_taken_away_by_a_role_that_may_do_just_that(enforced: Cloud, asked: set[str]) -> None:
    iam = enforced.client("iam")
    stack = enforced.create(template(Own=policy(), Role=role(OWN, SHARED)), **AS_DEPLOYER)
    assert stack["StackStatus"] == "CREATE_COMPLETE", enforced.failures(stack)
    arn = enforced.physical(stack, "Own")
    assert arn.startswith(f"arn:aws:iam::{HUB}:policy/mlops-pipelines/{stack['StackName']}-Own-")
    assert attached(enforced, stack) == sorted([arn, SHARED])
    history = enforced.history(stack)
    assert history.index("Own CREATE_COMPLETE") < history.index("Role CREATE_IN_PROGRESS")
    assert asked == MAKING

    asked.clear()
    for number in range(6):
        changed = template(Own=policy(f"s3:Do{number}"), Role=role(OWN, *([SHARED] if number % 2 else [])))
        stack = enforced.update(stack, changed, **AS_DEPLOYER)
        assert stack["StackStatus"] == "UPDATE_COMPLETE", enforced.failures(stack)
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert sorted(each["VersionId"] for each in versions) == ["v3", "v4", "v5", "v6", "v7"]
    text = iam.get_policy_version(PolicyArn=arn, VersionId="v7")["PolicyVersion"]
    assert (text["IsDefaultVersion"], text["Document"]["Statement"][0]["Action"]) == (True, "s3:Do5")
    assert asked == CHANGING

    replaced = template(Own=policy("s3:Do5", Description="of the job"), Role=role(OWN))
    stack = enforced.update(stack, replaced, **AS_DEPLOYER)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", enforced.failures(stack)
    other = enforced.physical(stack, "Own")
    assert other != arn
    assert attached(enforced, stack) == [other]
    assert not exists(iam.get_policy, PolicyArn=arn)

    asked.clear()
    name = enforced.physical(stack, "Role")
    stack = enforced.delete(stack)
    assert stack["StackStatus"] == "DELETE_COMPLETE", enforced.failures(stack)
    assert asked == REMOVING - {"iam:DeletePolicyVersion"}  # the new policy has one version
    assert not exists(iam.get_policy, PolicyArn=other)
    assert not exists(iam.get_role, RoleName=name)


@pytest.mark.parametrize(
    "resources, logical, reason",
    [
        ({"Own": policy(Path="/")}, "Own", "is not authorized to perform: iam:CreatePolicy on resource"),
        ({"Own": policy(), "Role": role(OWN, f"arn:aws:iam::{HUB}:policy/other")}, "Role", "iam:AttachRolePolicy"),
        ({"Own": policy(), "Role": role(OWN, PermissionsBoundary=SHARED)}, "Role", "iam:CreateRole"),
        (
            {"Role": role(f"arn:aws:iam::{HUB}:policy/mlops-pipelines/none")},
            "Role",
            "does not exist or is not attachable",
        ),
        (
            {"Own": policy(), "Role": role(*({"Ref": name} for name in ("Own", *(f"P{n}" for n in range(10)))))}
            | {f"P{number}": policy() for number in range(10)},
            "Role",
            "Cannot exceed quota for PoliciesPerRole: 10",
        ),
        ({"Own": policy("s3:" + "x" * 6144)}, "Own", "Cannot exceed quota for PolicySize: 6144"),
    ],
    ids=["path", "foreign policy", "boundary", "no policy", "eleven policies", "large"],
)
def test_what_may_not_be_made_fails_and_leaves_nothing(
    enforced: Cloud, resources: dict[str, Any], logical: str, reason: str
) -> None:
    before = len(enforced.client("iam").list_policies(Scope="Local")["Policies"])
    stack = enforced.create({"Resources": resources}, **AS_DEPLOYER)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert reason in enforced.reason(stack, logical, "CREATE_FAILED")
    assert len(enforced.client("iam").list_policies(Scope="Local")["Policies"]) == before


@pytest.mark.parametrize(
    "before, after, end",
    [
        ({"Path": "/mlops-pipelines/"}, {"Path": "/mlops-pipelines/churn/"}, "UPDATE_COMPLETE"),
        ({"ManagedPolicyName": "first"}, {"ManagedPolicyName": "second"}, "UPDATE_COMPLETE"),
        (
            {"ManagedPolicyName": "third", "Path": "/mlops-pipelines/"},
            {"ManagedPolicyName": "third", "Path": "/mlops-pipelines/churn/"},
            "UPDATE_ROLLBACK_COMPLETE",  # the name is taken, whatever the path
        ),
    ],
    ids=["path", "name", "path of a given name"],
)
def test_another_path_or_name_is_another_policy(
    enforced: Cloud, before: dict[str, str], after: dict[str, str], end: str
) -> None:
    stack = enforced.create(template(Own=policy(**before), Role=role(OWN)), **AS_DEPLOYER)
    arn = enforced.physical(stack, "Own")
    stack = enforced.update(stack, template(Own=policy(**after), Role=role(OWN)), **AS_DEPLOYER)
    assert stack["StackStatus"] == end, enforced.failures(stack)
    now = enforced.physical(stack, "Own")
    assert (now == arn) == (end == "UPDATE_ROLLBACK_COMPLETE")
    assert attached(enforced, stack) == [now]
    assert exists(enforced.client("iam").get_policy, PolicyArn=arn) == (now == arn)


def test_a_policy_that_somebody_else_uses_stays(enforced: Cloud) -> None:
    iam = enforced.client("iam")
    stack = enforced.create(template(Own=policy()), **NAMED)
    arn = enforced.physical(stack, "Own")
    iam.create_group(GroupName="others")
    iam.attach_group_policy(GroupName="others", PolicyArn=arn)
    stack = enforced.delete(stack)
    assert stack["StackStatus"] == "DELETE_FAILED"
    assert "Cannot delete a policy attached to entities." in enforced.reason(stack, "Own", "DELETE_FAILED")
    iam.detach_group_policy(GroupName="others", PolicyArn=arn)
    assert enforced.delete(stack)["StackStatus"] == "DELETE_COMPLETE"


def test_a_failed_update_brings_the_rights_back(enforced: Cloud) -> None:
    stack = enforced.create(template(Own=policy(), Role=role(OWN)), **AS_DEPLOYER)
    foreign = f"arn:aws:iam::{HUB}:policy/other"
    changed = template(Own=policy("s3:PutObject"), Role=role(OWN, SHARED, foreign))
    stack = enforced.update(stack, changed, **AS_DEPLOYER)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", enforced.failures(stack)
    arn, iam = enforced.physical(stack, "Own"), enforced.client("iam")
    assert attached(enforced, stack) == [arn]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    text = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    assert text["Statement"][0]["Action"] == "s3:GetObject"
