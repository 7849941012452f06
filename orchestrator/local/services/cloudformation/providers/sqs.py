"""SQS: queues and their policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.local.services.cloudformation.providers.contract import (
    Naming,
    Provider,
    Request,
    document,
    found,
    if_there,
    tag_map,
    tags_to_remove,
)

DEFAULTS = {
    "ContentBasedDeduplication": "false",
    "DeduplicationScope": "queue",
    "DelaySeconds": "0",
    "FifoThroughputLimit": "perQueue",
    "KmsDataKeyReusePeriodSeconds": "300",
    "KmsMasterKeyId": "",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "RedriveAllowPolicy": "",
    "RedrivePolicy": "",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
}
"""Attributes of a queue, with what they are when a template no longer sets them."""


def _attribute(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return document(value) if isinstance(value, (dict, list)) else str(value)


class Queue(Provider):
    """AWS::SQS::Queue."""

    type = "AWS::SQS::Queue"
    service = "sqs"
    naming = Naming("QueueName", 80)

    def naming_for(self, properties: Mapping[str, Any]) -> Naming | None:
        return Naming("QueueName", 80, ending=".fifo") if properties.get("FifoQueue") else self.naming

    def find(self, request: Request) -> str | None:
        answer = found(lambda: self.api(request).get_queue_url(QueueName=request.name))
        return str(answer["QueueUrl"]) if answer else None

    def make(self, request: Request) -> str:
        attributes = {
            name: _attribute(request.properties[name])
            for name in (*DEFAULTS, "FifoQueue")
            if name in request.properties and not (name == "FifoQueue" and not request.properties[name])
        }
        tags = tag_map(request.properties.get("Tags"))
        return str(self.api(request).create_queue(QueueName=request.name, Attributes=attributes, tags=tags)["QueueUrl"])

    def update(self, request: Request) -> None:
        client, url = self.api(request), request.physical_id
        changed = {
            name: _attribute(request.properties.get(name, default))
            for name, default in DEFAULTS.items()
            if request.changed(name)
        }
        if changed:
            client.set_queue_attributes(QueueUrl=url, Attributes=changed)
        if request.changed("Tags"):
            client.tag_queue(QueueUrl=url, Tags=tag_map(request.properties.get("Tags")))
            client.untag_queue(QueueUrl=url, TagKeys=tags_to_remove(request))

    def attributes(self, request: Request) -> dict[str, Any]:
        name = request.physical_id.rpartition("/")[2]
        return {"Arn": request.arn("sqs", name), "QueueName": name, "QueueUrl": request.physical_id}

    def delete(self, request: Request) -> None:
        if_there(self.api(request).delete_queue, QueueUrl=request.physical_id)


class QueuePolicy(Provider):
    """AWS::SQS::QueuePolicy: one policy for several queues."""

    type = "AWS::SQS::QueuePolicy"
    service = "sqs"

    def make(self, request: Request) -> str:
        self._put(request)
        return request.name

    def update(self, request: Request) -> None:
        self._put(request)
        for queue in request.before.get("Queues", []):
            if queue not in request.properties["Queues"]:
                self._remove(request, queue)

    def _put(self, request: Request) -> None:
        policy = document(request.properties["PolicyDocument"])
        for queue in request.properties["Queues"]:
            self.api(request).set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})

    def _remove(self, request: Request, queue: str) -> None:
        if_there(self.api(request).set_queue_attributes, QueueUrl=queue, Attributes={"Policy": ""})

    def attributes(self, request: Request) -> dict[str, Any]:
        return {"Id": request.physical_id}

    def delete(self, request: Request) -> None:
        for queue in request.properties["Queues"]:
            self._remove(request, queue)


PROVIDERS = (Queue(), QueuePolicy())
