"""Every function that looks into moto for permissions: a new version of moto tells here what it moved."""

from __future__ import annotations

import json

from orchestrator.local.journal import moto_access
from tests.local.conftest import Aws

HUB, DEV = "111111111111", "222222222222"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": HUB}, "Action": "sts:AssumeRole"}
]})  # fmt: skip
ONE = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
TWO = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}]})


def test_a_role_with_all_its_policies(aws: Aws) -> None:
    iam = aws.client("iam")
    arn = iam.create_policy(PolicyName="managed", PolicyDocument=ONE)["Policy"]["Arn"]
    iam.create_role(
        RoleName="r", Path="/a/", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=arn,
        Tags=[{"Key": "team", "Value": "ml"}],
    )  # fmt: skip
    iam.put_role_policy(RoleName="r", PolicyName="inline", PolicyDocument=TWO)
    iam.attach_role_policy(RoleName="r", PolicyArn=arn)
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=TWO, SetAsDefault=True)
    found = moto_access.role(HUB, "r")
    assert found is not None
    assert found.arn == f"arn:aws:iam::{HUB}:role/a/r"
    assert found.identity.startswith("AROA")
    assert [(place, json.loads(text)) for place, text in found.policies] == [
        ("the inline policy inline of r", json.loads(TWO)),
        (arn, json.loads(TWO)),
    ]
    assert found.boundary[0] == arn
    assert json.loads(found.boundary[1]) == json.loads(TWO)
    assert json.loads(found.trust) == json.loads(TRUST)
    assert found.tags == (("team", "ml"),)
    assert moto_access.role(HUB, "none") is None
    assert moto_access.role(DEV, "r") is None
    assert json.loads(moto_access.managed_policy(HUB, "arn:aws:iam::1:policy/none"))["Statement"] == []


def test_a_user_with_the_policies_of_its_groups(aws: Aws) -> None:
    iam = aws.client("iam")
    iam.create_user(UserName="ann")
    iam.create_group(GroupName="g")
    iam.add_user_to_group(GroupName="g", UserName="ann")
    iam.put_user_policy(UserName="ann", PolicyName="own", PolicyDocument=ONE)
    iam.put_group_policy(GroupName="g", PolicyName="shared", PolicyDocument=TWO)
    key = iam.create_access_key(UserName="ann")["AccessKey"]["AccessKeyId"]
    assert moto_access.user_of_key(key) == (HUB, "ann")
    assert moto_access.user_of_key("AKIAUNKNOWN") is None
    found = moto_access.user(HUB, "ann")
    assert found is not None
    assert [place for place, _ in found.policies] == ["the inline policy own of ann", "the inline policy shared of g"]


def test_a_session_is_remembered_by_its_key(aws: Aws) -> None:
    arn = aws.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    key = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]["AccessKeyId"]
    assert moto_access.session_of_key(key, HUB) == (arn, "me")
    assert moto_access.session_of_key("ASIANONE", HUB) is None


def test_buckets_and_the_keys_of_their_objects(aws: Aws) -> None:
    s3, kms = aws.client("s3"), aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/k", TargetKeyId=key)
    s3.create_bucket(Bucket="plain")
    s3.create_bucket(Bucket="sealed")
    policy = {"Version": "2012-10-17", "Statement": []}
    s3.put_bucket_policy(Bucket="plain", Policy=json.dumps(policy))
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket="sealed", ServerSideEncryptionConfiguration={"Rules": [rule]})
    for bucket in ("plain", "sealed"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    plain, sealed = moto_access.bucket("plain"), moto_access.bucket("sealed")
    assert plain is not None and json.loads(plain.policy) == policy and (plain.owner, plain.key) == (HUB, "")
    assert sealed is not None and (sealed.policy, sealed.key) == ("", key)
    assert moto_access.bucket("none") is None
    assert moto_access.key_of_object("sealed", "k") == key
    assert moto_access.key_of_object("plain", "k") == moto_access.key_of_object("sealed", "none") == ""
    assert moto_access.has_object("plain", "k") and not moto_access.has_object("plain", "none")
    for name in (key, key.rpartition("/")[2], "alias/k", f"arn:aws:kms:us-east-1:{HUB}:alias/k"):
        found = moto_access.kms_key(HUB, "us-east-1", name)
        assert found is not None and found[0] == key and "kms:*" in found[1]
    assert moto_access.kms_key(DEV, "us-east-1", "alias/k") is None
    blob = kms.encrypt(KeyId=key, Plaintext=b"1")["CiphertextBlob"]
    assert key.endswith(moto_access.key_of_ciphertext(blob))


def test_the_policies_of_topics_queues_repositories_and_secrets(aws: Aws) -> None:
    topic = aws.client("sns").create_topic(Name="t", Attributes={"KmsMasterKeyId": "alias/k"})["TopicArn"]
    url = aws.client("sqs").create_queue(QueueName="q", Attributes={"Policy": ONE})["QueueUrl"]
    aws.client("ecr").create_repository(repositoryName="a/b")
    aws.client("ecr").set_repository_policy(repositoryName="a/b", policyText=ONE)
    secret = aws.client("secretsmanager").create_secret(Name="s", SecretString="x")["ARN"]
    aws.client("secretsmanager").put_resource_policy(SecretId="s", ResourcePolicy=ONE)
    found = moto_access.topic(topic)
    assert found is not None and "SNS:Publish" in found[0] and found[1] == "alias/k"
    queue = moto_access.queue(f"arn:aws:sqs:us-east-1:{HUB}:{url.rpartition('/')[2]}")
    assert queue is not None and json.loads(queue[0]) == json.loads(ONE)
    assert json.loads(moto_access.repository(f"arn:aws:ecr:us-east-1:{HUB}:repository/a/b")) == json.loads(ONE)
    assert moto_access.repository(f"arn:aws:ecr:us-east-1:{HUB}:repository/none") == ""
    for name in ("s", secret, secret.rpartition("-")[0]):
        known = moto_access.secret(HUB, "us-east-1", name)
        assert known is not None and known[0] == secret and json.loads(known[1]) == json.loads(ONE)


def test_the_organization_of_an_account(aws: Aws) -> None:
    assert moto_access.organization_of(HUB) == ""
    identity = aws.client("organizations").create_organization(FeatureSet="ALL")["Organization"]["Id"]
    assert moto_access.organization_of(HUB) == identity
    assert moto_access.organization_of(DEV) == ""


def test_looking_makes_nothing(aws: Aws) -> None:
    from orchestrator.local.journal.moto_app import backends

    aws.client("iam").list_roles()
    before = {place for place, _ in backends()}
    for account in (HUB, "999999999999"):
        moto_access.role(account, "r")
        moto_access.kms_key(account, "eu-west-1", "alias/k")
        moto_access.topic(f"arn:aws:sns:eu-west-1:{account}:t")
        moto_access.organization_of(account)
        moto_access.session_of_key("ASIA", account)
    assert {place for place, _ in backends()} == before
