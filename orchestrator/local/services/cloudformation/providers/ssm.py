"""Systems Manager: parameters."""

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


class Parameter(Provider):
    """AWS::SSM::Parameter."""

    type = "AWS::SSM::Parameter"
    service = "ssm"
    naming = Naming("Name", 512)

    def find(self, request: Request) -> str | None:
        return request.name if found(lambda: self.api(request).get_parameter(Name=request.name)) else None

    def make(self, request: Request) -> str:
        extra: dict[str, Any] = {}
        if request.properties.get("Tags"):
            extra["Tags"] = tag_list(request.properties["Tags"])
        self._put(request, request.name, **extra)
        return request.name

    def update(self, request: Request) -> None:
        client, name = self.api(request), request.physical_id
        self._put(request, name, Overwrite=True)
        if request.changed("Tags"):
            tags, kind = tag_list(request.properties.get("Tags")), "Parameter"
            if tags:
                client.add_tags_to_resource(ResourceType=kind, ResourceId=name, Tags=tags)
            client.remove_tags_from_resource(ResourceType=kind, ResourceId=name, TagKeys=tags_to_remove(request))

    def _put(self, request: Request, name: str, **extra: Any) -> None:
        names = ("AllowedPattern", "DataType", "Description", "Policies", "Tier", "Type", "Value")
        self.api(request).put_parameter(Name=name, **picked(request.properties, *names), **extra)

    def attributes(self, request: Request) -> dict[str, Any]:
        resource = f"parameter/{request.physical_id.lstrip('/')}"
        return {"Arn": request.arn("ssm", resource), **picked(request.properties, "Type", "Value")}

    def delete(self, request: Request) -> None:
        if_there(self.api(request).delete_parameter, Name=request.physical_id)


PROVIDERS = (Parameter(),)
