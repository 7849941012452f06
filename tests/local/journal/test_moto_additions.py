"""One test for each thing that is added to moto's classes; they are logged and repeated like moto's own."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import Aws

HUB = "111111111111"
GROUP = "/jobs"


def key_of(logs: Any) -> Any:
    (found,) = logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
    return found.get("kmsKeyId")


def test_a_log_group_gets_a_key_and_loses_it_and_a_restart_knows(aws: Aws) -> None:
    logs, key = aws.client("logs"), aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    logs.create_log_group(logGroupName=GROUP)
    assert key_of(logs) is None
    logs.associate_kms_key(logGroupName=GROUP, kmsKeyId=key)
    assert key_of(logs) == key
    aws.restart()
    assert (key_of(logs), aws.replay.differing) == (key, [])
    logs.disassociate_kms_key(logGroupName=GROUP)
    assert key_of(logs) is None
    logs.associate_kms_key(resourceIdentifier=f"arn:aws:logs:us-east-1:{HUB}:log-group:{GROUP}", kmsKeyId=key)
    assert key_of(logs) == key
    aws.snapshot()
    aws.restart()
    assert key_of(logs) == key


@pytest.mark.parametrize(
    "place, code",
    [
        ({"logGroupName": "/none"}, "ResourceNotFoundException"),
        ({"resourceIdentifier": f"arn:aws:logs:us-east-1:{HUB}:query-result:*"}, "UnsupportedOperation"),
    ],
)
def test_a_key_of_what_is_not_there(aws: Aws, place: dict[str, str], code: str) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(ClientError) as caught:
        aws.client("logs").associate_kms_key(**place, kmsKeyId=key)
    assert caught.value.response["Error"]["Code"] == code


def test_a_policy_that_is_attached_twice_counts_once(aws: Aws) -> None:
    iam = aws.client("iam")
    text = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}'
    arn = iam.create_policy(PolicyName="p", PolicyDocument=text)["Policy"]["Arn"]
    iam.create_user(UserName="ann")
    for _ in range(2):
        iam.attach_user_policy(UserName="ann", PolicyArn=arn)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    iam.detach_user_policy(UserName="ann", PolicyArn=arn)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 0


def test_the_administration_of_stack_sets_is_delegated(aws: Aws) -> None:
    service = "member.org.stacksets.cloudformation.amazonaws.com"
    organizations = aws.client("organizations")
    organizations.create_organization(FeatureSet="ALL")
    made = organizations.create_account(AccountName="hub", Email="hub@example.com")["CreateAccountStatus"]["AccountId"]
    organizations.register_delegated_administrator(AccountId=made, ServicePrincipal=service)
    aws.restart()
    found = aws.client("organizations").list_delegated_administrators(ServicePrincipal=service)
    assert [each["Id"] for each in found["DelegatedAdministrators"]] == [made]
    with pytest.raises(ClientError, match="unrecognized service principal"):
        organizations.register_delegated_administrator(AccountId=made, ServicePrincipal="nobody.amazonaws.com")


def test_a_member_knows_its_organization_after_a_snapshot(aws: Aws) -> None:
    organizations = aws.client("organizations")
    made = organizations.create_organization(FeatureSet="ALL")["Organization"]["Id"]
    status = organizations.create_account(AccountName="dev", Email="dev@example.com")["CreateAccountStatus"]
    aws.snapshot()
    aws.restart()
    member = aws.world.client("organizations", status["AccountId"], "us-east-1")
    assert member.describe_organization()["Organization"]["Id"] == made
