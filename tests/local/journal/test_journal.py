"""moto's state across restarts: from the log, from a snapshot, and from a snapshot and a log."""

from __future__ import annotations

import pytest
from workload import LARGE_BODY, change_everything, picture


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
