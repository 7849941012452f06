"""Operations on event buses: custom ones come and go, the default one is always there."""

from __future__ import annotations

import json
from typing import Any

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.events.arn import events_arn
from orchestrator.local.services.events.operations import Operations, page, tags_of
from orchestrator.local.store import AlreadyExists, Document, Key

UNSUPPORTED = ("EventSourceName", "KmsKeyIdentifier", "DeadLetterConfig", "LogConfig")


class BusOperations(Operations):
    """The part of the API that is about buses.

    Bus policies are kept and shown; like all policies they are not enforced in the embedded AWS.
    """

    def CreateEventBus(self, call: Call, parameters: Document) -> Document:
        name = parameters["Name"]
        _refuse_unsupported(parameters)
        if name == "default" or "/" in name:
            raise ServiceError("ValidationException", f"Event bus name {name} is not valid for a custom bus.")
        now = self.world.now()
        bus = {
            "name": name,
            "description": parameters.get("Description"),
            "statements": [],
            "tags": tags_of(parameters.get("Tags", [])),
            "created": now,
            "modified": now,
        }
        try:
            self.store.create(self.key(call, "EventBus", name), bus)
        except AlreadyExists:
            raise ServiceError("ResourceAlreadyExistsException", f"Event bus {name} already exists.") from None
        return _given({"EventBusArn": _bus_arn(call, name), "Description": bus["description"]})

    def UpdateEventBus(self, call: Call, parameters: Document) -> Document:
        _refuse_unsupported(parameters)
        name = self.bus_name(call, parameters, "Name")
        with self.store.transaction():
            bus = self._bus(call, name)
            if "Description" in parameters:
                bus["description"] = parameters["Description"]
            self._put(call, bus)
        return _given({"Arn": _bus_arn(call, name), "Name": name, "Description": bus["description"]})

    def DescribeEventBus(self, call: Call, parameters: Document) -> Document:
        return self._summary(call, self._bus(call, self.bus_name(call, parameters, "Name")))

    def ListEventBuses(self, call: Call, parameters: Document) -> Document:
        names = {key.name for key, _ in self.store.list(self.name, "EventBus", call.account, call.region)}
        wanted = [name for name in sorted({*names, "default"}) if name.startswith(parameters.get("NamePrefix", ""))]
        shown, more = page(wanted, parameters)
        return {"EventBuses": [self._summary(call, self._bus(call, name)) for name in shown], **more}

    def DeleteEventBus(self, call: Call, parameters: Document) -> None:
        name = parameters["Name"]
        if name == "default":
            raise ServiceError("ValidationException", "Cannot delete event bus default.")
        if self.store.list(self.name, "Rule", call.account, call.region, f"{name}/"):
            raise ServiceError("ValidationException", "Event bus can't be deleted since it has rules.")
        self.store.delete(self.key(call, "EventBus", name))  # that there is none is fine

    def PutPermission(self, call: Call, parameters: Document) -> None:
        name = self.bus_name(call, parameters)
        with self.store.transaction():
            bus = self._bus(call, name)
            if "Policy" in parameters:
                bus["statements"] = _statements(parameters["Policy"])
            else:
                statement = _statement(parameters, _bus_arn(call, name))
                others = [each for each in bus["statements"] if each.get("Sid") != statement["Sid"]]
                bus["statements"] = [*others, statement]
            self._put(call, bus)

    def RemovePermission(self, call: Call, parameters: Document) -> None:
        name = self.bus_name(call, parameters)
        with self.store.transaction():
            bus = self._bus(call, name)
            identity = parameters.get("StatementId")
            kept = [] if parameters.get("RemoveAllPermissions") else bus["statements"]
            bus["statements"] = [each for each in kept if each.get("Sid") != identity]
            if identity and len(bus["statements"]) == len(kept):
                raise ServiceError("ResourceNotFoundException", f"Statement with the provided id {identity} not found.")
            self._put(call, bus)

    def resource_policy(self, arn: str) -> str:
        """The permissions on a bus."""
        _, _, _, region, account, resource = arn.split(":", 5)
        bus = self.store.get(Key(account, region, self.name, "EventBus", resource.removeprefix("event-bus/")))
        return json.dumps({"Version": "2012-10-17", "Statement": bus["statements"]}) if bus else ""

    def _bus(self, call: Call, name: str) -> Document:
        """The bus's document; the default bus has one from the first time it is changed."""
        blank: Document = {
            "name": name,
            "description": None,
            "statements": [],
            "tags": {},
            "created": None,
            "modified": None,
        }
        return self.store.get(self.key(call, "EventBus", name)) or blank

    def _put(self, call: Call, bus: Document) -> None:
        self.store.put(self.key(call, "EventBus", bus["name"]), {**bus, "modified": self.world.now()})

    def _summary(self, call: Call, bus: Document) -> Document:
        policy = {"Version": "2012-10-17", "Statement": bus["statements"]}
        return _given({
            "Name": bus["name"],
            "Arn": _bus_arn(call, bus["name"]),
            "Description": bus["description"],
            "Policy": json.dumps(policy) if bus["statements"] else None,
            "CreationTime": bus["created"],
            "LastModifiedTime": bus["modified"],
        })  # fmt: skip

    # --- tags, of buses and rules

    def TagResource(self, call: Call, parameters: Document) -> None:
        with self.store.transaction():
            key, resource = self._by_arn(call, parameters["ResourceARN"])
            self.store.put(key, {**resource, "tags": tags_of(parameters["Tags"], resource["tags"])})

    def UntagResource(self, call: Call, parameters: Document) -> None:
        with self.store.transaction():
            key, resource = self._by_arn(call, parameters["ResourceARN"])
            left = {name: value for name, value in resource["tags"].items() if name not in parameters["TagKeys"]}
            self.store.put(key, {**resource, "tags": left})

    def ListTagsForResource(self, call: Call, parameters: Document) -> Document:
        tags = self._by_arn(call, parameters["ResourceARN"])[1]["tags"]
        return {"Tags": [{"Key": name, "Value": value} for name, value in sorted(tags.items())]}

    def _by_arn(self, call: Call, arn: str) -> tuple[Key, Document]:
        kind, _, name = arn.rpartition(":")[2].partition("/")
        if kind == "event-bus" and self.router.has_bus(call.account, call.region, name):
            return self.key(call, "EventBus", name), self._bus(call, name)
        key = self.key(call, "Rule", name if "/" in name else f"default/{name}")
        rule = self.store.get(key) if kind == "rule" else None
        if rule is None:
            raise ServiceError("ResourceNotFoundException", f"There is no rule or event bus {arn}.")
        return key, rule


def _bus_arn(call: Call, name: str) -> str:
    return events_arn(call.region, call.account, f"event-bus/{name}")


def _refuse_unsupported(parameters: Document) -> None:
    if given := [name for name in UNSUPPORTED if name in parameters]:
        raise ServiceError("ValidationException", f"The embedded AWS does not support {', '.join(given)} of a bus.")


def _statements(policy: str) -> list[Document]:
    try:
        statements = json.loads(policy)["Statement"]
    except (ValueError, KeyError, TypeError):
        raise ServiceError("ValidationException", "The policy is not a valid policy document.") from None
    return statements if isinstance(statements, list) else [statements]


def _statement(parameters: Document, arn: str) -> Document:
    if missing := [name for name in ("Action", "Principal", "StatementId") if name not in parameters]:
        raise ServiceError("ValidationException", f"Parameter(s) {', '.join(missing)} must be specified.")
    principal = parameters["Principal"]
    statement: Document = {
        "Sid": parameters["StatementId"],
        "Effect": "Allow",
        "Principal": "*" if principal == "*" else {"AWS": f"arn:aws:iam::{principal}:root"},
        "Action": parameters["Action"],
        "Resource": arn,
    }
    if condition := parameters.get("Condition"):
        statement["Condition"] = {condition["Type"]: {condition["Key"]: condition["Value"]}}
    return statement


def _given(members: dict[str, Any]) -> Document:
    return {name: value for name, value in members.items() if value is not None}
