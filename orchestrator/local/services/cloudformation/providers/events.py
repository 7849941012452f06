"""EventBridge: rules with their targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.local.services.cloudformation.faults import ResourceFailed
from orchestrator.local.services.cloudformation.providers.contract import (
    Naming,
    Provider,
    Request,
    document,
    found,
    if_there,
    picked,
    tag_list,
    tags_to_remove,
)

DEFAULT_BUS = "default"


class Rule(Provider):
    """AWS::Events::Rule. Its physical id is the name, with its bus in front when that is not the default one."""

    type = "AWS::Events::Rule"
    service = "events"
    naming = Naming("Name", 64)

    def problems(self, properties: Mapping[str, Any]) -> Iterable[str]:
        if "EventPattern" not in properties and "ScheduleExpression" not in properties:
            yield "one of [EventPattern,ScheduleExpression] is required"

    def find(self, request: Request) -> str | None:
        bus = request.properties.get("EventBusName", DEFAULT_BUS)
        rule = found(lambda: self.api(request).describe_rule(Name=request.name, EventBusName=bus))
        return self._id(request) if rule else None

    @staticmethod
    def _id(request: Request) -> str:
        bus = str(request.properties.get("EventBusName", DEFAULT_BUS)).rpartition("/")[2]
        return request.name if bus == DEFAULT_BUS else f"{bus}|{request.name}"

    def make(self, request: Request) -> str:
        self._put(request, request.name, Tags=tag_list(request.properties.get("Tags")))
        return self._id(request)

    def _put(self, request: Request, name: str, **extra: Any) -> None:
        rule = picked(request.properties, "Description", "EventBusName", "RoleArn", "ScheduleExpression", "State")
        if "EventPattern" in request.properties:
            rule["EventPattern"] = document(request.properties["EventPattern"])
        self.api(request).put_rule(Name=name, **rule, **extra)

    def settle(self, request: Request) -> None:
        client, place = self.api(request), self._place(request)
        targets = request.properties.get("Targets", [])
        if targets:
            answer = client.put_targets(**place, Targets=targets)
            for failure in answer.get("FailedEntries", []):
                raise ResourceFailed(f"{failure.get('ErrorCode')}: {failure.get('ErrorMessage')}", "InvalidRequest")
        kept = {target["Id"] for target in targets}
        gone = [target["Id"] for target in request.before.get("Targets", []) if target["Id"] not in kept]
        if gone:
            client.remove_targets(**place, Ids=gone)

    @staticmethod
    def _place(request: Request) -> dict[str, str]:
        bus, _, name = request.physical_id.rpartition("|")
        return {"Rule": name, "EventBusName": bus or DEFAULT_BUS}

    def update(self, request: Request) -> None:
        self._put(request, self._place(request)["Rule"])
        if request.changed("Tags"):
            arn, client = self.attributes(request)["Arn"], self.api(request)
            client.tag_resource(ResourceARN=arn, Tags=tag_list(request.properties.get("Tags")))
            client.untag_resource(ResourceARN=arn, TagKeys=tags_to_remove(request))
        self.settle(request)

    def replaces(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        return bool(before.get("EventBusName", DEFAULT_BUS) != after.get("EventBusName", DEFAULT_BUS))

    def attributes(self, request: Request) -> dict[str, Any]:
        bus, _, name = request.physical_id.rpartition("|")
        path = f"{bus}/{name}" if bus else name
        return {"Arn": request.arn("events", f"rule/{path}"), "RuleName": name}

    def delete(self, request: Request) -> None:
        client, place = self.api(request), self._place(request)
        answer = found(lambda: client.list_targets_by_rule(**place))
        if answer and answer["Targets"]:
            client.remove_targets(**place, Ids=[target["Id"] for target in answer["Targets"]])
        if_there(client.delete_rule, Name=place["Rule"], EventBusName=place["EventBusName"])


PROVIDERS = (Rule(),)
