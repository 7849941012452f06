"""Notifications of buckets reach EventBridge, Lambda, SNS and SQS, and outlive a restart."""

from __future__ import annotations

import json
import time

import pytest

from orchestrator.local.embedded import EmbeddedAws
from orchestrator.local.service import Service, ServiceError
from tests.local.waiting import until

FUNCTION = "arn:aws:lambda:us-east-1:222222222222:function:f"
HEARD: list[tuple[str, str, dict]] = []
TROUBLE: list[str] = []


class Events(Service):
    name = "events"

    def PutEvents(self, call, parameters):
        for entry in parameters["Entries"]:
            HEARD.append(("events", call.account, {**entry, "Detail": json.loads(entry["Detail"])}))
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}


class Functions(Service):
    name = "lambda"

    def Invoke(self, call, parameters):
        if TROUBLE:
            raise ServiceError(TROUBLE.pop(), "trouble")
        HEARD.append((parameters["InvocationType"], call.account, json.loads(parameters["Payload"])))
        return {"StatusCode": 202}


@pytest.fixture
def aws(tmp_path):
    HEARD.clear()
    TROUBLE.clear()
    made = EmbeddedAws(tmp_path / "home", services=[Events, Functions])
    made.start()
    yield made
    made.stop()


@pytest.fixture
def client(aws):
    return lambda service, account="222222222222": aws.world.client(service, account, "us-east-1")


def bucket(client, **configuration):
    client("s3").create_bucket(Bucket="bucket")
    client("s3").put_bucket_notification_configuration(Bucket="bucket", NotificationConfiguration=configuration)


def test_eventbridge_hears_of_every_way_to_make_and_delete_an_object(client):
    bucket(client, EventBridgeConfiguration={})
    s3 = client("s3")
    s3.put_object(Bucket="bucket", Key="a b/c.txt", Body=b"12345")
    s3.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/a b/c.txt")
    upload = s3.create_multipart_upload(Bucket="bucket", Key="parts")["UploadId"]
    part = s3.upload_part(Bucket="bucket", Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket="bucket", Key="parts", UploadId=upload, MultipartUpload=parts)
    s3.put_object_tagging(Bucket="bucket", Key="copy", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    s3.delete_object(Bucket="bucket", Key="copy")
    until(lambda: len(HEARD) == 4)
    time.sleep(0.1)
    assert len(HEARD) == 4
    by_reason = {entry["Detail"]["reason"]: (account, entry) for _, account, entry in HEARD}
    assert set(by_reason) == {"PutObject", "CopyObject", "CompleteMultipartUpload", "DeleteObject"}
    account, entry = by_reason["PutObject"]
    assert account == "222222222222"
    assert (entry["Source"], entry["DetailType"]) == ("aws.s3", "Object Created")
    assert entry["Resources"] == ["arn:aws:s3:::bucket"]
    assert entry["Detail"]["bucket"] == {"name": "bucket"}
    thing = entry["Detail"]["object"]
    assert (thing["key"], thing["size"], thing["etag"]) == ("a b/c.txt", 5, "827ccb0eea8a706c4c34a16891f84e7b")
    assert by_reason["DeleteObject"][1]["Detail"]["deletion-type"] == "Permanently Deleted"


def test_a_versioned_bucket_tells_versions_and_delete_markers(client):
    bucket(client, EventBridgeConfiguration={})
    s3 = client("s3")
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket="bucket", Key="k", Body=b"1")["VersionId"]
    marker = s3.delete_object(Bucket="bucket", Key="k")["VersionId"]
    until(lambda: len(HEARD) == 2)
    found = {entry["DetailType"]: entry["Detail"] for _, _, entry in HEARD}
    assert found["Object Created"]["object"]["version-id"] == version
    assert found["Object Deleted"]["object"]["version-id"] == marker
    assert found["Object Deleted"]["deletion-type"] == "Delete Marker Created"


def test_the_owner_hears_of_what_another_account_put(client):
    bucket(client, EventBridgeConfiguration={})
    client("s3", "111111111111").put_object(Bucket="bucket", Key="k", Body=b"")
    until(lambda: HEARD)
    assert HEARD[0][1] == "222222222222" and HEARD[0][2]["Detail"]["requester"] == "111111111111"


def test_a_function_is_called_for_what_it_asked_for(client):
    rules = [{"Name": "prefix", "Value": "configs/"}, {"Name": "suffix", "Value": ".json"}]
    wish = {
        "Id": "wish",
        "LambdaFunctionArn": FUNCTION,
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": rules}},
    }
    bucket(client, LambdaFunctionConfigurations=[wish])
    for key in ("configs/a.txt", "other/a.json", "configs/é +.json"):
        client("s3").put_object(Bucket="bucket", Key=key, Body=b"{}")
    client("s3").delete_object(Bucket="bucket", Key="configs/é +.json")
    until(lambda: HEARD)
    time.sleep(0.1)
    assert len(HEARD) == 1
    kind, account, event = HEARD[0]
    assert (kind, account) == ("Event", "222222222222")
    record = event["Records"][0]
    assert record["eventName"] == "ObjectCreated:Put" and record["s3"]["configurationId"] == "wish"
    assert record["s3"]["object"]["key"] == "configs/%C3%A9+%2B.json"
    assert record["s3"]["bucket"]["name"] == "bucket"


def test_queues_and_topics(client):
    sqs, sns = client("sqs"), client("sns")
    arns = {}
    for name in ("direct", "subscribed"):
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arns[name] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name="t")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arns["subscribed"])
    wishes = {"Events": ["s3:ObjectCreated:Put"]}
    bucket(
        client,
        QueueConfigurations=[{"QueueArn": arns["direct"], **wishes}],
        TopicConfigurations=[{"TopicArn": topic, **wishes}],
    )
    client("s3").put_object(Bucket="bucket", Key="k", Body=b"1")
    bodies = {}
    for name in arns:
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        found = []
        while len(found) < 2:
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)
            found += answer["Messages"]
        bodies[name] = [json.loads(message["Body"]) for message in found]
    assert {"s3:TestEvent", None} == {body.get("Event") for body in bodies["direct"]}
    told = [json.loads(body["Message"]) for body in bodies["subscribed"]]
    assert {"s3:TestEvent", None} == {body.get("Event") for body in told}
    record = next(body for body in told if "Records" in body)["Records"][0]
    assert record["s3"]["object"]["key"] == "k"


def test_a_delivery_is_tried_again(client):
    TROUBLE[:] = ["TooManyRequestsException"]
    bucket(client, LambdaFunctionConfigurations=[{"LambdaFunctionArn": FUNCTION, "Events": ["s3:ObjectCreated:*"]}])
    client("s3").put_object(Bucket="bucket", Key="k", Body=b"")
    until(lambda: HEARD)
    assert not TROUBLE


def test_a_target_that_is_not_there_is_given_up(aws, client):
    TROUBLE[:] = ["ResourceNotFoundException"]
    bucket(client, LambdaFunctionConfigurations=[{"LambdaFunctionArn": FUNCTION, "Events": ["s3:ObjectCreated:*"]}])
    client("s3").put_object(Bucket="bucket", Key="k", Body=b"")
    until(lambda: not TROUBLE and not aws.world.store.list("s3", "Notification"))
    assert not HEARD


def test_a_bucket_without_wishes_tells_nobody(aws, client):
    client("s3").create_bucket(Bucket="quiet")
    client("s3").put_object(Bucket="quiet", Key="k", Body=b"")
    assert aws.world.store.list("s3", "Notification") == []


def test_a_delivery_outlives_a_restart(tmp_path):
    HEARD.clear()
    home = tmp_path / "home"
    first = EmbeddedAws(home, services=[Events])
    first.start()
    first.world.tasks.stop()  # the process dies before it delivers
    client = first.world.client("s3", "222222222222", "us-east-1")
    bucket(lambda service: client, EventBridgeConfiguration={})
    client.put_object(Bucket="bucket", Key="k", Body=b"")
    first.stop()
    assert not HEARD
    second = EmbeddedAws(home, services=[Events])
    second.start()
    until(lambda: HEARD)
    time.sleep(0.1)
    assert len(HEARD) == 1  # what the replayed log did is not told again
    second.stop()
