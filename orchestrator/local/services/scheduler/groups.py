"""Groups of schedules: the default one is always there, others are made, tagged and deleted with all they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.local.service import Call, Service, ServiceError
from orchestrator.local.services.scheduler.firing import Firings, schedule_arn
from orchestrator.local.store import Document, Key
from orchestrator.local.trust import Trust

DEFAULT = "default"
MOST_TAGS = 50


class GroupOperations(Service):
    """The part of the API that is about groups."""

    name = "scheduler"

    def register_tasks(self) -> None:
        self.firings = Firings(self.world)
        self.trust = Trust(self.world)

    def CreateScheduleGroup(self, call: Call, parameters: Document) -> Document:
        name = parameters["Name"]
        key = self.key(call, "ScheduleGroup", name)
        now = self.world.now()
        token = parameters.get("ClientToken")
        group = {
            "name": name,
            "created": now,
            "modified": now,
            "tags": _tags(parameters.get("Tags", [])),
            "token": token,
        }
        with self.store.transaction():
            old = self.store.get(key)
            if name == DEFAULT or (old is not None and (token is None or old["token"] != token)):
                raise ServiceError("ConflictException", f"Schedule group {name} already exists.")
            if old is None:
                self.store.put(key, group)
        return {"ScheduleGroupArn": group_arn(key)}

    def GetScheduleGroup(self, call: Call, parameters: Document) -> Document:
        key = self.key(call, "ScheduleGroup", parameters["Name"])
        return _summary(key, self.group(key))

    def ListScheduleGroups(self, call: Call, parameters: Document) -> Document:
        found = dict(self.store.list(self.name, "ScheduleGroup", call.account, call.region))
        key = self.key(call, "ScheduleGroup", DEFAULT)
        found.setdefault(key, self.group(key))
        prefix = parameters.get("NamePrefix", "")
        groups = [_summary(*pair) for pair in sorted(found.items()) if pair[0].name.startswith(prefix)]
        shown, more = page(groups, parameters)
        return {"ScheduleGroups": shown, **more}

    def DeleteScheduleGroup(self, call: Call, parameters: Document) -> None:
        name = parameters["Name"]
        if name == DEFAULT:
            raise ServiceError("ValidationException", "The default schedule group cannot be deleted.")
        key = self.key(call, "ScheduleGroup", name)
        with self.store.transaction():
            self.group(key)
            for schedule, _ in self.store.list(self.name, "Schedule", call.account, call.region, f"{name}/"):
                self.store.delete(schedule)
            self.store.delete(key)

    def TagResource(self, call: Call, parameters: Document) -> None:
        with self.store.transaction():
            key, group = self._by_arn(call, parameters["ResourceArn"])
            self.store.put(key, {**group, "tags": _tags(parameters["Tags"], group["tags"])})

    def UntagResource(self, call: Call, parameters: Document) -> None:
        with self.store.transaction():
            key, group = self._by_arn(call, parameters["ResourceArn"])
            left = {name: value for name, value in group["tags"].items() if name not in parameters["TagKeys"]}
            self.store.put(key, {**group, "tags": left})

    def ListTagsForResource(self, call: Call, parameters: Document) -> Document:
        tags = self._by_arn(call, parameters["ResourceArn"])[1]["tags"]
        return {"Tags": [{"Key": name, "Value": value} for name, value in sorted(tags.items())]}

    def group(self, key: Key) -> Document:
        """A group's document; raises ResourceNotFoundException."""
        found = self.store.get(key)
        if found is None and key.name == DEFAULT:
            return {"name": DEFAULT, "created": None, "modified": None, "tags": {}, "token": None}
        if found is None:
            raise ServiceError("ResourceNotFoundException", f"Schedule group {key.name} does not exist.")
        return found

    def _by_arn(self, call: Call, arn: str) -> tuple[Key, Document]:
        key = self.key(call, "ScheduleGroup", arn.rpartition("/")[2])
        if arn != group_arn(key):
            raise ServiceError("ResourceNotFoundException", f"There is no schedule group {arn} here.")
        return key, self.group(key)


def group_arn(key: Key) -> str:
    """The ARN of a group."""
    return schedule_arn(key).replace(":schedule/", ":schedule-group/")


def page(items: Sequence[Any], parameters: Document) -> tuple[list[Any], dict[str, str]]:
    """One page of a list, and the ``NextToken`` member when there is more."""
    token = parameters.get("NextToken", "0")
    if not token.isdigit():
        raise ServiceError("ValidationException", "Invalid NextToken.")
    start, size = int(token), parameters.get("MaxResults", 100)
    return list(items[start : start + size]), {"NextToken": str(start + size)} if start + size < len(items) else {}


def _summary(key: Key, group: Document) -> Document:
    return {
        "Arn": group_arn(key),
        "Name": group["name"],
        "State": "ACTIVE",
        "CreationDate": group["created"],
        "LastModificationDate": group["modified"],
    }


def _tags(given: Sequence[Document], old: Document | None = None) -> Document:
    tags = {**(old or {}), **{tag["Key"]: tag["Value"] for tag in given}}
    if len(tags) > MOST_TAGS:
        raise ServiceError("ServiceQuotaExceededException", f"A resource can have at most {MOST_TAGS} tags.")
    return tags
