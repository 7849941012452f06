"""SNS: topics, their policies, and subscriptions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.local.services.cloudformation.providers.contract import (
    Naming,
    Provider,
    Request,
    document,
    found,
    if_there,
    tag_list,
    tags_to_remove,
)

TOPIC_ATTRIBUTES = {
    "ArchivePolicy": "",
    "ContentBasedDeduplication": "false",
    "DisplayName": "",
    "FifoThroughputScope": "Topic",
    "KmsMasterKeyId": "",
    "SignatureVersion": "1",
    "TracingConfig": "PassThrough",
}
"""Attributes of a topic that are properties too, with what they are when a template no longer sets them."""
SUBSCRIPTION_ATTRIBUTES = (
    "DeliveryPolicy",
    "FilterPolicy",
    "FilterPolicyScope",
    "RawMessageDelivery",
    "RedrivePolicy",
    "ReplayPolicy",
    "SubscriptionRoleArn",
)


def _attribute(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return document(value)


class Topic(Provider):
    """AWS::SNS::Topic."""

    type = "AWS::SNS::Topic"
    service = "sns"
    naming = Naming("TopicName", 256)
    supported = frozenset({"FifoTopic", "Subscription", "Tags", "TopicName", *TOPIC_ATTRIBUTES})

    def naming_for(self, properties: Mapping[str, Any]) -> Naming | None:
        return Naming("TopicName", 256, ending=".fifo") if properties.get("FifoTopic") else self.naming

    def find(self, request: Request) -> str | None:
        arn = request.arn("sns", request.name)
        return arn if found(lambda: self.api(request).get_topic_attributes(TopicArn=arn)) else None

    def make(self, request: Request) -> str:
        attributes = {"FifoTopic": "true"} if request.properties.get("FifoTopic") else {}
        tags = tag_list(request.properties.get("Tags"))
        answer = self.api(request).create_topic(Name=request.name, Attributes=attributes, Tags=tags)
        return str(answer["TopicArn"])

    def settle(self, request: Request) -> None:
        client, topic = self.api(request), request.physical_id
        for name, default in TOPIC_ATTRIBUTES.items():
            if request.changed(name):
                value = _attribute(request.properties.get(name, default))
                client.set_topic_attributes(TopicArn=topic, AttributeName=name, AttributeValue=value)
        for subscription in request.properties.get("Subscription", []):
            client.subscribe(TopicArn=topic, Protocol=subscription["Protocol"], Endpoint=subscription["Endpoint"])
        self._drop_subscriptions(request)
        if request.before and request.changed("Tags"):
            client.tag_resource(ResourceArn=topic, Tags=tag_list(request.properties.get("Tags")))
            client.untag_resource(ResourceArn=topic, TagKeys=tags_to_remove(request))

    def _drop_subscriptions(self, request: Request) -> None:
        """Those that the template had and no longer has."""
        wanted = [(each["Protocol"], each["Endpoint"]) for each in request.properties.get("Subscription", [])]
        for old in request.before.get("Subscription", []):
            if (old["Protocol"], old["Endpoint"]) not in wanted:
                arn = _subscription(self.api(request), request.physical_id, old["Protocol"], old["Endpoint"])
                if arn:
                    self.api(request).unsubscribe(SubscriptionArn=arn)

    def attributes(self, request: Request) -> dict[str, Any]:
        return {"TopicArn": request.physical_id, "TopicName": request.physical_id.rpartition(":")[2]}

    def delete(self, request: Request) -> None:
        if_there(self.api(request).delete_topic, TopicArn=request.physical_id)


class TopicPolicy(Provider):
    """AWS::SNS::TopicPolicy: one policy for several topics."""

    type = "AWS::SNS::TopicPolicy"
    service = "sns"

    def make(self, request: Request) -> str:
        self._put(request)
        return request.name

    def update(self, request: Request) -> None:
        self._put(request)
        for topic in request.before.get("Topics", []):
            if topic not in request.properties["Topics"]:
                self._reset(request, topic)

    def _put(self, request: Request) -> None:
        policy = document(request.properties["PolicyDocument"])
        for topic in request.properties["Topics"]:
            self.api(request).set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)

    def _reset(self, request: Request, topic: str) -> None:
        """Back to the policy every topic begins with: its owner may do everything."""
        owner = topic.split(":")[4]
        statement = {
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": [
                "SNS:AddPermission",
                "SNS:DeleteTopic",
                "SNS:GetTopicAttributes",
                "SNS:ListSubscriptionsByTopic",
                "SNS:Publish",
                "SNS:RemovePermission",
                "SNS:SetTopicAttributes",
                "SNS:Subscribe",
            ],
            "Resource": topic,
            "Condition": {"StringEquals": {"AWS:SourceOwner": owner}},
        }
        policy = {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
        if_there(
            self.api(request).set_topic_attributes,
            TopicArn=topic,
            AttributeName="Policy",
            AttributeValue=json.dumps(policy),
        )

    def attributes(self, request: Request) -> dict[str, Any]:
        return {"Id": request.physical_id}

    def delete(self, request: Request) -> None:
        for topic in request.properties["Topics"]:
            self._reset(request, topic)


def _subscription(client: Any, topic: str, protocol: str, endpoint: str) -> str | None:
    for answer in client.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic):
        for each in answer["Subscriptions"]:
            if (each["Protocol"], each["Endpoint"]) == (protocol, endpoint):
                return str(each["SubscriptionArn"])
    return None


class Subscription(Provider):
    """AWS::SNS::Subscription. To subscribe again answers the same subscription."""

    type = "AWS::SNS::Subscription"
    service = "sns"
    supported = frozenset({"Endpoint", "Protocol", "TopicArn", *SUBSCRIPTION_ATTRIBUTES})

    def find(self, request: Request) -> str | None:
        wanted = request.properties
        return _subscription(self.api(request), wanted["TopicArn"], wanted["Protocol"], wanted.get("Endpoint", ""))

    def make(self, request: Request) -> str:
        wanted = request.properties
        answer = self.api(request).subscribe(
            TopicArn=wanted["TopicArn"],
            Protocol=wanted["Protocol"],
            Endpoint=wanted.get("Endpoint", ""),
            ReturnSubscriptionArn=True,
        )
        return str(answer["SubscriptionArn"])

    def settle(self, request: Request) -> None:
        for name in SUBSCRIPTION_ATTRIBUTES:
            if request.changed(name):
                value = request.properties.get(name)
                self.api(request).set_subscription_attributes(
                    SubscriptionArn=request.physical_id,
                    AttributeName=name,
                    AttributeValue=_attribute(value) if value is not None else "{}" if name.endswith("Policy") else "",
                )

    def attributes(self, request: Request) -> dict[str, Any]:
        return {"Arn": request.physical_id}

    def delete(self, request: Request) -> None:
        if_there(self.api(request).unsubscribe, SubscriptionArn=request.physical_id)


PROVIDERS = (Topic(), TopicPolicy(), Subscription())
