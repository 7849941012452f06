"""EventBridge Scheduler: schedules and their groups."""

from __future__ import annotations

from typing import Any

from orchestrator.local.services.cloudformation.providers.contract import (
    Naming,
    Provider,
    Request,
    found,
    if_there,
    picked,
    tag_list,
    tags_to_remove,
)

DEFAULT_GROUP = "default"
SETTINGS = (
    "Description",
    "EndDate",
    "FlexibleTimeWindow",
    "KmsKeyArn",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "StartDate",
    "State",
    "Target",
)


class Schedule(Provider):
    """AWS::Scheduler::Schedule. Its physical id is the name alone, whatever its group."""

    type = "AWS::Scheduler::Schedule"
    service = "scheduler"
    naming = Naming("Name", 64)

    def find(self, request: Request) -> str | None:
        client, group = self.api(request), _group(request.properties)
        return request.name if found(lambda: client.get_schedule(Name=request.name, GroupName=group)) else None

    def make(self, request: Request) -> str:
        self._create(request, request.name)
        return request.name

    def _create(self, request: Request, name: str) -> None:
        settings = picked(request.properties, *SETTINGS)
        self.api(request).create_schedule(Name=name, GroupName=_group(request.properties), **settings)

    def update(self, request: Request) -> None:
        client, name, group = self.api(request), request.physical_id, _group(request.properties)
        if found(lambda: client.get_schedule(Name=name, GroupName=group)):
            client.update_schedule(Name=name, GroupName=group, **picked(request.properties, *SETTINGS))
        else:
            self._create(request, name)
        if group != _group(request.before):
            if_there(client.delete_schedule, Name=name, GroupName=_group(request.before))

    def attributes(self, request: Request) -> dict[str, Any]:
        path = f"{_group(request.properties)}/{request.physical_id}"
        return {"Arn": request.arn("scheduler", f"schedule/{path}")}

    def delete(self, request: Request) -> None:
        if_there(self.api(request).delete_schedule, Name=request.physical_id, GroupName=_group(request.properties))


def _group(properties: Any) -> str:
    return str(properties.get("GroupName", DEFAULT_GROUP))


class ScheduleGroup(Provider):
    """AWS::Scheduler::ScheduleGroup. It goes with all its schedules."""

    type = "AWS::Scheduler::ScheduleGroup"
    service = "scheduler"
    naming = Naming("Name", 64)

    def find(self, request: Request) -> str | None:
        return request.name if found(lambda: self.api(request).get_schedule_group(Name=request.name)) else None

    def make(self, request: Request) -> str:
        tags = tag_list(request.properties.get("Tags"))
        self.api(request).create_schedule_group(Name=request.name, Tags=tags)
        return request.name

    def update(self, request: Request) -> None:
        if request.changed("Tags"):
            arn, client = request.arn("scheduler", f"schedule-group/{request.physical_id}"), self.api(request)
            client.tag_resource(ResourceArn=arn, Tags=tag_list(request.properties.get("Tags")))
            client.untag_resource(ResourceArn=arn, TagKeys=tags_to_remove(request))

    def attributes(self, request: Request) -> dict[str, Any]:
        group = self.api(request).get_schedule_group(Name=request.physical_id)
        dates = {name: group[name].isoformat() for name in ("CreationDate", "LastModificationDate")}
        return {"Arn": group["Arn"], "State": group["State"], **dates}

    def delete(self, request: Request) -> None:
        if_there(self.api(request).delete_schedule_group, Name=request.physical_id)


PROVIDERS = (Schedule(), ScheduleGroup())
