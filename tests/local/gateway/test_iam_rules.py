"""IAM's managed policies: quotas, removal, and what a request for them asks permission for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from orchestrator.local.authorization.asked import asked
from orchestrator.local.authorization.kinds import Place
from orchestrator.local.journal import moto_access
from tests.local.conftest import Aws

HUB = "111111111111"
HERE = Place(HUB, "us-east-1")
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": HUB}, "Action": "sts:AssumeRole"}
]})  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    running = Aws(tmp_path_factory.mktemp("iam") / "home")
    yield running
    running.stop()


@pytest.fixture
def iam(shared: Aws) -> Any:
    return shared.client("iam")


def document(size: int = 0) -> str:
    """A policy, of so many characters that are no white space."""
    statement = {"Sid": "", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=4)
    statement["Sid"] = "x" * (size - len("".join(text.split())))
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=4)


def refused(call: Any, **parameters: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_policy_has_so_many_characters_without_the_white_space(iam: Any) -> None:
    too_large = ("LimitExceeded", "Cannot exceed quota for PolicySize: 6144", 409)
    arn = iam.create_policy(PolicyName="largest", PolicyDocument=document(6144))["Policy"]["Arn"]
    assert len(document(6144)) > 6144
    assert refused(iam.create_policy, PolicyName="larger", PolicyDocument=document(6145)) == too_large
    assert refused(iam.create_policy_version, PolicyArn=arn, PolicyDocument=document(6145)) == too_large
    assert len(iam.list_policy_versions(PolicyArn=arn)["Versions"]) == 1


def test_a_name_is_there_once_whatever_its_path(iam: Any) -> None:
    made = iam.create_policy(PolicyName="once", Path="/mlops-pipelines/", PolicyDocument=document())["Policy"]
    assert made["Arn"] == f"arn:aws:iam::{HUB}:policy/mlops-pipelines/once"
    code, message, _ = refused(iam.create_policy, PolicyName="Once", PolicyDocument=document())
    assert (code, message) == (
        "EntityAlreadyExists", "A policy called Once already exists. Duplicate names are not allowed.",
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["Role", "User", "Group"])
def test_ten_policies_may_be_attached(iam: Any, kind: str) -> None:
    more = {"AssumeRolePolicyDocument": TRUST} if kind == "Role" else {}
    holder = {f"{kind}Name": "full"}
    getattr(iam, f"create_{kind.lower()}")(**holder, **more)
    attach = getattr(iam, f"attach_{kind.lower()}_policy")
    arns = [
        iam.create_policy(PolicyName=f"{kind}-{number}", PolicyDocument=document())["Policy"]["Arn"]
        for number in range(11)
    ]
    for arn in arns[:10]:
        attach(**holder, PolicyArn=arn)
    attach(**holder, PolicyArn=arns[0])  # it is there already
    assert iam.get_policy(PolicyArn=arns[0])["Policy"]["AttachmentCount"] == 1
    assert refused(attach, **holder, PolicyArn=arns[10]) == (
        "LimitExceeded", f"Cannot exceed quota for PoliciesPer{kind}: 10", 409,
    )  # fmt: skip
    nowhere = f"arn:aws:iam::{HUB}:policy/nowhere"
    assert refused(attach, **holder, PolicyArn=nowhere)[0] == "NoSuchEntity"


def test_a_policy_goes_when_nobody_has_it_and_no_other_version_is_left(iam: Any) -> None:
    iam.create_role(RoleName="holder", AssumeRolePolicyDocument=TRUST)
    arn = iam.create_policy(PolicyName="held", PolicyDocument=document())["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="holder", PolicyArn=arn)
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(500), SetAsDefault=True)
    attached = ("DeleteConflict", "Cannot delete a policy attached to entities.", 409)
    assert refused(iam.delete_policy, PolicyArn=arn) == attached
    iam.detach_role_policy(RoleName="holder", PolicyArn=arn)
    assert "more than one version" in refused(iam.delete_policy, PolicyArn=arn)[1]
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy(PolicyArn=arn)
    assert refused(iam.delete_policy, PolicyArn=arn)[0] == "NoSuchEntity"


def test_what_moto_knows_of_managed_policies(shared: Aws, iam: Any) -> None:
    iam.create_group(GroupName="known")
    arn = iam.create_policy(PolicyName="known", PolicyDocument=document())["Policy"]["Arn"]
    assert not moto_access.is_attached(HUB, arn)
    iam.attach_group_policy(GroupName="known", PolicyArn=arn)
    assert moto_access.is_attached(HUB, arn)
    assert moto_access.attached_policies(HUB, "Group", "known") == {arn}
    assert moto_access.attached_policies(HUB, "Role", "none") == moto_access.attached_policies("5" * 12, "Role", "r")
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=document())
    assert moto_access.managed_policies(HUB)[arn] == 2
    assert moto_access.managed_policies("5" * 12) == {}


def questions(operation: str, **parameters: Any) -> list[tuple[str, str, tuple[str, ...]]]:
    return [
        (one.action, one.resource.partition("::")[2], tuple(one.context))
        for one in asked(HERE, "iam", operation, parameters)
    ]


@pytest.mark.parametrize(
    "operation, parameters, found",
    [
        ("CreatePolicy", {"PolicyName": "p", "Path": "/a/b/"}, (f"{HUB}:policy/a/b/p", ())),
        ("CreatePolicy", {"PolicyName": "p"}, (f"{HUB}:policy/p", ())),
        ("CreateRole", {"RoleName": "r", "Path": "/a/"}, (f"{HUB}:role/a/r", ())),
        ("CreateRole", {"RoleName": "r", "PermissionsBoundary": "b"}, (f"{HUB}:role/r", ("iam:permissionsboundary",))),
        ("CreatePolicyVersion", {"PolicyArn": f"arn:aws:iam::{HUB}:policy/a/p"}, (f"{HUB}:policy/a/p", ())),
        ("DeletePolicyVersion", {"PolicyArn": f"arn:aws:iam::{HUB}:policy/a/p"}, (f"{HUB}:policy/a/p", ())),
        ("DeletePolicy", {"PolicyArn": f"arn:aws:iam::{HUB}:policy/a/p"}, (f"{HUB}:policy/a/p", ())),
        ("ListPolicyVersions", {"PolicyArn": f"arn:aws:iam::{HUB}:policy/a/p"}, (f"{HUB}:policy/a/p", ())),
        ("AttachRolePolicy", {"RoleName": "r", "PolicyArn": "arn"}, (f"{HUB}:role/r", ("iam:policyarn",))),
        ("DetachRolePolicy", {"RoleName": "r", "PolicyArn": "arn"}, (f"{HUB}:role/r", ("iam:policyarn",))),
    ],
)
def test_the_path_is_in_the_arn_and_each_condition_key_is_one_of_its_actions_only(
    operation: str, parameters: dict[str, str], found: tuple[str, tuple[str, ...]]
) -> None:
    assert questions(operation, **parameters) == [(f"iam:{operation}", *found)]


def test_the_tag_of_a_new_role_is_asked_for_without_the_boundary() -> None:
    tags: Any = [{"Key": "k", "Value": "v"}]
    found = questions("CreateRole", RoleName="r", Path="/a/", PermissionsBoundary="b", Tags=tags)
    assert found[1] == ("iam:TagRole", f"{HUB}:role/a/r", ("aws:requesttag/k", "aws:tagkeys"))


def statement(**more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", **more}


def test_the_boundary_of_a_role_counts_for_the_actions_that_have_the_key(tmp_path: Path) -> None:
    aws = Aws(tmp_path / "home", authorization="enforce")
    try:
        iam = aws.client("iam")
        boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=document())["Policy"]["Arn"]
        own = iam.create_policy(PolicyName="own", Path="/mlops-pipelines/", PolicyDocument=document())["Policy"]["Arn"]
        iam.create_role(RoleName="bound", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=boundary)
        iam.create_role(RoleName="free", AssumeRolePolicyDocument=TRUST)
        arn = iam.create_role(RoleName="deployer", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        condition = {
            "StringEquals": {"iam:PermissionsBoundary": boundary},
            "ArnLike": {"iam:PolicyARN": f"arn:aws:iam::{HUB}:policy/mlops-pipelines/*"},
        }
        rights = [
            statement(Action="iam:AttachRolePolicy", Resource=f"arn:aws:iam::{HUB}:role/*", Condition=condition),
            statement(Action=["iam:DeleteRole", "iam:DeletePolicy"], Resource="*", Condition=condition),
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": rights})
        iam.put_role_policy(RoleName="deployer", PolicyName="p", PolicyDocument=policy)
        deployer = aws.world.client("iam", HUB, "us-east-1", arn)
        deployer.attach_role_policy(RoleName="bound", PolicyArn=own)
        for call, parameters in (
            (deployer.attach_role_policy, {"RoleName": "free", "PolicyArn": own}),
            (deployer.attach_role_policy, {"RoleName": "bound", "PolicyArn": boundary}),
            (deployer.delete_role, {"RoleName": "bound"}),
            (deployer.delete_policy, {"PolicyArn": own}),
        ):
            assert refused(call, **parameters)[0] == "AccessDenied"
    finally:
        aws.stop()
