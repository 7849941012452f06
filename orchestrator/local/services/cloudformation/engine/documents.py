"""Stacks, resources, events, templates and exports in the durable store."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from botocore.exceptions import ClientError

from orchestrator.local.services.cloudformation.engine.records import (
    DELETED,
    Stack,
    StackResource,
    resource_from,
    stack_from,
)
from orchestrator.local.services.cloudformation.faults import stack_missing
from orchestrator.local.store import Document, Key
from orchestrator.local.world import World

SERVICE = "cloudformation"
STACK_TYPE = "AWS::CloudFormation::Stack"
LOGGER = logging.getLogger(__name__)
STATUS_CHANGE = "CloudFormation Stack Status Change"


class Documents:
    """Reads and writes records; every change and its event go into one transaction."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = world.store

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens or nothing does."""
        with self.store.transaction():
            yield

    # Stacks

    @staticmethod
    def stack_key(stack: Stack) -> Key:
        """Where a stack lives; its name comes first so that it can be found by it."""
        return Key(stack.account, stack.region, SERVICE, "Stack", stack.path)

    def load(self, key: Key) -> Stack | None:
        """The stack at a key."""
        document = self.store.get(key)
        return stack_from(document) if document else None

    def save(self, stack: Stack) -> None:
        """Write a stack."""
        self.store.put(self.stack_key(stack), asdict(stack))

    def find(self, account: str, region: str, name: str) -> Stack | None:
        """A stack by its id (deleted ones too) or the live one of a name."""
        if name.startswith("arn:"):
            parts = name.split(":", 5)
            if len(parts) != 6 or parts[3] != region or parts[4] != account:
                return None
            return self.load(Key(account, region, SERVICE, "Stack", parts[5].removeprefix("stack/")))
        for _, document in self.store.list(SERVICE, "Stack", account, region, f"{name}/"):
            if document["status"] != DELETED:
                return stack_from(document)
        return None

    def get(self, account: str, region: str, name: str) -> Stack:
        """As ``find``; raises ValidationError when there is none."""
        stack = self.find(account, region, name)
        if stack is None:
            raise stack_missing(name)
        return stack

    def stacks(self, account: str, region: str) -> list[Stack]:
        """All stacks of an account and region, oldest first, deleted ones too."""
        return [stack_from(document) for _, document in self.store.list(SERVICE, "Stack", account, region)]

    # Resources

    @staticmethod
    def stack_key_of(key: Key) -> Key:
        """The key of the stack that a resource's key belongs to."""
        return key._replace(type="Stack", name=key.name.rpartition("/")[0])

    @staticmethod
    def resource_key(stack: Stack, logical: str) -> Key:
        """Where a resource of a stack lives."""
        return Key(stack.account, stack.region, SERVICE, "StackResource", f"{stack.path}/{logical}")

    def resources(self, stack: Stack) -> dict[str, StackResource]:
        """The resources of a stack, in the order in which they were begun."""
        found = self.store.list(SERVICE, "StackResource", stack.account, stack.region, f"{stack.path}/")
        return {document["logical"]: resource_from(document) for _, document in found}

    def resource(self, stack: Stack, logical: str) -> StackResource | None:
        """One resource of a stack."""
        document = self.store.get(self.resource_key(stack, logical))
        return resource_from(document) if document else None

    def save_resource(self, stack: Stack, resource: StackResource) -> None:
        """Write a resource."""
        self.store.put(self.resource_key(stack, resource.logical), asdict(resource))

    def drop_resource(self, stack: Stack, logical: str) -> None:
        """Forget a resource."""
        self.store.delete(self.resource_key(stack, logical))

    # Status and events

    def set_status(self, stack: Stack, status: str, reason: str = "") -> None:
        """Give a stack a status, with its event and the notice to EventBridge, and write it."""
        stack.status, stack.reason = status, reason
        now = self.world.now()
        if status == DELETED:
            stack.deleted = now
        elif stack.status.startswith(("UPDATE", "ROLLBACK")):
            stack.updated = now
        self.save(stack)
        self._add_event(stack, stack.name, stack.id, STACK_TYPE, status, reason)
        token = stack.operation.token if stack.operation else ""
        self._add_notice(
            stack,
            {
                "stack-id": stack.id,
                "status-details": {"status": status, "status-reason": reason},
                "client-request-token": token,
            },
        )

    def set_resource_status(
        self, stack: Stack, resource: StackResource, status: str, reason: str = "", physical_id: str = ""
    ) -> None:
        """Give a resource a status, with its event, and write it."""
        resource.status, resource.reason, resource.updated = status, reason, self.world.now()
        self.save_resource(stack, resource)
        self.note_resource(stack, resource, status, reason, physical_id or resource.physical_id)

    def note_resource(
        self, stack: Stack, resource: StackResource, status: str, reason: str = "", physical_id: str = ""
    ) -> None:
        """An event about a resource that leaves its status as it is (the removal of a replaced one)."""
        self._add_event(stack, resource.logical, physical_id, resource.type, status, reason)

    def _add_event(self, stack: Stack, logical: str, physical_id: str, kind: str, status: str, reason: str) -> None:
        event: Document = {
            "EventId": str(uuid.uuid4()),
            "LogicalResourceId": logical,
            "PhysicalResourceId": physical_id,
            "ResourceType": kind,
            "ResourceStatus": status,
            "Timestamp": self.world.now(),
        }
        if reason:
            event["ResourceStatusReason"] = reason
        if stack.operation and stack.operation.token:
            event["ClientRequestToken"] = stack.operation.token
        name = f"{stack.path}/{event['EventId']}"
        self.store.put(Key(stack.account, stack.region, SERVICE, "StackEvent", name), event)
        if stack.goal.notifications:
            self._add_notice(stack, event, stack.goal.notifications)

    def events(self, stack: Stack) -> list[Document]:
        """A stack's events, newest first."""
        found = self.store.list(SERVICE, "StackEvent", stack.account, stack.region, f"{stack.path}/")
        common = {"StackId": stack.id, "StackName": stack.name}
        return [{**common, **event} for _, event in reversed(found)]

    # Notices: what EventBridge and SNS are to be told, kept until they have been

    def _add_notice(self, stack: Stack, body: dict[str, Any], topics: list[str] | None = None) -> None:
        notice = {"stack": stack.id, "name": stack.name, "body": body, "topics": topics or []}
        key = Key(stack.account, stack.region, SERVICE, "Notice", f"{stack.path}/{uuid.uuid4()}")
        self.store.put(key, notice)
        self.world.tasks.schedule(NOTICES, Key(stack.account, stack.region, SERVICE, "Notices", stack.path))

    def send_notices(self, key: Key) -> None:
        """Tell EventBridge and the topics what has happened to a stack, in order; at least once."""
        for place, notice in self.store.list(SERVICE, "Notice", key.account, key.region, f"{key.name}/"):
            if notice["topics"]:
                self._publish(place, notice)
            else:
                self.world.emit(
                    key.account, key.region, "aws.cloudformation", STATUS_CHANGE, notice["body"], [notice["stack"]]
                )
            self.store.delete(place)

    def _publish(self, place: Key, notice: Document) -> None:
        members = {"StackId": notice["stack"], "StackName": notice["name"], **notice["body"]}
        message = "".join(f"{name}='{value}'\n" for name, value in members.items())
        client = self.world.client("sns", place.account, place.region)
        for topic in notice["topics"]:
            try:
                client.publish(TopicArn=topic, Subject="AWS CloudFormation Notification", Message=message)
            except ClientError as error:
                LOGGER.warning("the notice about %s did not reach %s: %s", notice["name"], topic, error)

    def adopt(self, parent: Stack, child_id: str) -> None:
        """Say in a nested stack's record who its parent is."""
        child = self.find(parent.account, parent.region, child_id)
        if child:
            child.parent, child.root = parent.id, parent.root or parent.id
            self.save(child)

    # Templates

    def keep_template(self, body: str) -> str:
        """Keep a template's text; returns its digest."""
        digest = hashlib.sha256(body.encode()).hexdigest()
        self.store.put(self._template_key(digest), {"body": body})
        return digest

    def template(self, digest: str) -> str:
        """The text of a template kept before."""
        document = self.store.get(self._template_key(digest))
        return str(document["body"]) if document else ""

    @staticmethod
    def _template_key(digest: str) -> Key:
        return Key("", "", SERVICE, "Template", digest)

    # Exports

    def exports(self, account: str, region: str) -> dict[str, tuple[str, str]]:
        """Every export of live stacks: its value and the id of its stack."""
        found: dict[str, tuple[str, str]] = {}
        for stack in self.stacks(account, region):
            if stack.live:
                for output in stack.outputs:
                    if output.get("ExportName"):
                        found[output["ExportName"]] = (output["OutputValue"], stack.id)
        return found

    def importers(self, account: str, region: str, export: str) -> list[str]:
        """The names of live stacks that import the export."""
        return [stack.name for stack in self.stacks(account, region) if stack.live and export in stack.imports]


NOTICES = "cloudformation.notices"
