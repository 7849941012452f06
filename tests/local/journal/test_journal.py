"""moto's state across restarts: from the log, from a snapshot, and from a snapshot and a log."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from journal_workload import LARGE_BODY, change_everything, picture


@pytest.mark.parametrize("saved", [False, True], ids=["log", "snapshot"])
def test_a_restart_gives_the_same_everything(aws, saved):
    change_everything(aws.client)
    before = picture(aws.client)
    secret = aws.client("kms").encrypt(KeyId="alias/k", Plaintext=b"plain")["CiphertextBlob"]
    if saved:
        aws.snapshot()
    aws.restart()
    assert (aws.replay.requests == 0) is saved
    assert aws.replay.differing == []
    after = picture(aws.client)
    for account in before:
        for name in before[account]:
            assert after[account][name] == before[account][name], name
    assert aws.client("kms").decrypt(CiphertextBlob=secret)["Plaintext"] == b"plain"


def test_a_snapshot_is_a_working_state(aws):
    change_everything(aws.client)
    aws.snapshot()
    aws.restart()
    change = aws.client("s3").put_object(Bucket="bucket-dev", Key="later", Body=LARGE_BODY)
    aws.client("sqs").send_message(QueueUrl=aws.client("sqs").get_queue_url(QueueName="q")["QueueUrl"], MessageBody="m")
    aws.client("sns").publish(TopicArn="arn:aws:sns:us-east-1:111111111111:t", Message="again")
    before = picture(aws.client)
    aws.restart()
    assert aws.replay.requests == 3 and aws.replay.differing == []
    after = picture(aws.client)
    assert after == before
    head = aws.client("s3", account="dev").head_object(Bucket="bucket-dev", Key="later")
    assert head["VersionId"] == change["VersionId"]


def test_key_pairs_outlive_a_restart(aws):
    kms = aws.client("kms")
    signer = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048")["KeyMetadata"]["KeyId"]
    curve = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")["KeyMetadata"]["KeyId"]
    wishes = {signer: "RSASSA_PSS_SHA_256", curve: "ECDSA_SHA_256"}
    signatures = {
        key: kms.sign(KeyId=key, Message=b"m", SigningAlgorithm=algorithm)["Signature"]
        for key, algorithm in wishes.items()
    }
    aws.restart()
    for key, algorithm in wishes.items():
        assert aws.client("kms").verify(KeyId=key, Message=b"m", Signature=signatures[key], SigningAlgorithm=algorithm)[
            "SignatureValid"
        ]


def test_failed_requests_are_not_logged(aws):
    for _ in range(3):
        with pytest.raises(ClientError):
            aws.client("s3").put_object(Bucket="nowhere", Key="k", Body=b"x")
    assert (aws.home / "journal" / "log-000000").stat().st_size == 0


def test_conditional_writes(aws):
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="bucket", Key="k", Body=b"2", IfNoneMatch="*")
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"1"
