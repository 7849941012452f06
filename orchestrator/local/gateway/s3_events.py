"""Notifications of a bucket: what happened to its objects goes to EventBridge, Lambda, SNS and SQS.

A delivery is on disk, as a task, before the answer to the request that caused it leaves. It is tried again until it
succeeds, the target turns out not to exist, or an hour is over.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_plus
from uuid import uuid4

from botocore.exceptions import ClientError

from orchestrator.local.journal.moto_app import Answer, ObjectEvent
from orchestrator.local.store import Key
from orchestrator.local.world import World

LOGGER = logging.getLogger(__name__)

KIND = "s3-notification"
LONGEST_SECONDS = 3600.0
GONE = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "InvalidParameter",
        "InvalidParameterValueException",
        "NotFound",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
    }
)
"""What a target answers that is not there; S3 gives up on such."""

REASONS = {
    "ObjectCreated:Put": "PutObject",
    "ObjectCreated:Post": "POST Object",
    "ObjectCreated:Copy": "CopyObject",
    "ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
    "ObjectRemoved:Delete": "DeleteObject",
    "ObjectRemoved:DeleteMarkerCreated": "DeleteObject",
}
"""The events that are delivered, and what EventBridge calls their reason.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html"""


class S3Events:
    """Turns what moto told into deliveries, and delivers them."""

    def __init__(self, world: World) -> None:
        self._world = world
        world.tasks.register(KIND, self._deliver)

    def note(self, answer: Answer, account: str, request_id: str) -> None:
        """Persist the deliveries of a successful request to S3."""
        if answer.response.status >= 400:
            return
        events = {_object(event): event for event in answer.events if event.name in REASONS}
        deliveries = [
            (event, found) for event in events.values() for found in self._deliveries(event, account, request_id)
        ]
        if not deliveries:
            return
        with self._world.store.transaction():
            for event, delivery in deliveries:
                key = Key(event.owner, event.region, "s3", "Notification", str(uuid4()))
                self._world.store.put(key, {**delivery, "since": time.time()})
                self._world.tasks.schedule(KIND, key)

    def _deliveries(self, event: ObjectEvent, account: str, request_id: str) -> Iterator[dict[str, Any]]:
        """What the bucket's configuration, as it is now, wants to be told about the event."""
        client = self._world.client("s3", event.owner, event.region)
        configuration = client.get_bucket_notification_configuration(Bucket=event.bucket)
        if "EventBridgeConfiguration" in configuration:
            yield {"to": "events", "detail_type": _detail_type(event), "detail": _detail(event, account, request_id)}
        for kind, member, target in (
            ("lambda", "LambdaFunctionConfigurations", "LambdaFunctionArn"),
            ("sns", "TopicConfigurations", "TopicArn"),
            ("sqs", "QueueConfigurations", "QueueArn"),
        ):
            for wish in configuration.get(member, []):
                if _wants(wish, event):
                    record = _record(event, account, request_id, wish["Id"])
                    yield {"to": kind, "arn": wish[target], "message": json.dumps({"Records": [record]})}

    def _deliver(self, key: Key) -> None:
        delivery = self._world.store.get(key)
        if delivery is None:
            return
        try:
            self._send(key, delivery)
        except ClientError as error:
            lost = error.response["Error"]["Code"] in GONE
            if not lost and time.time() < delivery["since"] + LONGEST_SECONDS:
                raise
            LOGGER.warning("a notification of S3 to %s is lost: %s", delivery.get("arn", "EventBridge"), error)
        self._world.store.delete(key)

    def _send(self, key: Key, delivery: dict[str, Any]) -> None:
        if delivery["to"] == "events":
            bucket = f"arn:aws:s3:::{delivery['detail']['bucket']['name']}"
            kind, detail = delivery["detail_type"], delivery["detail"]
            self._world.emit(key.account, key.region, "aws.s3", kind, detail, [bucket])
            return
        arn, message = delivery["arn"], delivery["message"]
        _, _, service, region, account, _ = arn.split(":", 5)
        source = f"arn:aws:s3:::{json.loads(message)['Records'][0]['s3']['bucket']['name']}"
        client = self._world.client(service, account, region, source=source)
        match delivery["to"]:
            case "lambda":
                client.invoke(FunctionName=arn, InvocationType="Event", Payload=message)
            case "sns":
                client.publish(TopicArn=arn, Message=message, Subject="Amazon S3 Notification")
            case "sqs":
                client.send_message(QueueUrl=self._world.queue_url(arn), MessageBody=message)


def _object(event: ObjectEvent) -> tuple[str, ...]:
    """One request tells once of an object; moto tells of a completed upload twice, first as of a put."""
    return event.bucket, event.key, event.version_id, _detail_type(event)


def _wants(wish: dict[str, Any], event: ObjectEvent) -> bool:
    kind = event.name.partition(":")[0]
    if not {f"s3:{event.name}", f"s3:{kind}:*"} & set(wish["Events"]):
        return False
    for rule in wish.get("Filter", {}).get("Key", {}).get("FilterRules", []):
        match rule["Name"].lower():
            case "prefix" if not event.key.startswith(rule["Value"]):
                return False
            case "suffix" if not event.key.endswith(rule["Value"]):
                return False
    return True


def _detail_type(event: ObjectEvent) -> str:
    return "Object Created" if event.name.startswith("ObjectCreated") else "Object Deleted"


def _detail(event: ObjectEvent, account: str, request_id: str) -> dict[str, Any]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html"""
    detail: dict[str, Any] = {
        "version": "0",
        "bucket": {"name": event.bucket},
        "object": {"key": event.key, "sequencer": _sequencer()},
        "request-id": request_id,
        "requester": account,
        "source-ip-address": "127.0.0.1",
        "reason": REASONS[event.name],
    }
    if event.version_id:
        detail["object"]["version-id"] = event.version_id
    if event.name.startswith("ObjectCreated"):
        detail["object"] |= {"size": event.size, "etag": event.etag}
    else:
        marker = event.name.endswith("DeleteMarkerCreated")
        detail["deletion-type"] = "Delete Marker Created" if marker else "Permanently Deleted"
    return detail


def _record(event: ObjectEvent, account: str, request_id: str, wish: str) -> dict[str, Any]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html"""
    subject: dict[str, Any] = {"key": quote_plus(event.key, safe="/"), "sequencer": _sequencer()}
    if event.version_id:
        subject["versionId"] = event.version_id
    if event.name.startswith("ObjectCreated"):
        subject |= {"size": event.size, "eTag": event.etag}
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": event.region,
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
        "eventName": event.name,
        "userIdentity": {"principalId": f"AWS:{account}"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": request_id, "x-amz-id-2": request_id},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": wish,
            "bucket": {
                "name": event.bucket,
                "ownerIdentity": {"principalId": event.owner},
                "arn": f"arn:aws:s3:::{event.bucket}",
            },
            "object": subject,
        },
    }


def _sequencer() -> str:
    """Grows with every event, as 16 hexadecimal digits."""
    return f"{time.time_ns():016X}"
