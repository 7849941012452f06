"""CodeBuild: projects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.local.services.cloudformation.providers.contract import (
    Naming,
    Provider,
    Request,
    if_there,
    lower_camel,
    tag_list,
)

SPELLED_OTHERWISE = {"buildSpec": "buildspec"}
REMOVED = {"VpcConfig": {}, "LogsConfig": {}, "Description": ""}
"""What an update sends for a property that the template has no longer."""


class Project(Provider):
    """AWS::CodeBuild::Project."""

    type = "AWS::CodeBuild::Project"
    service = "codebuild"
    naming = Naming("Name", 150)
    supported = frozenset(
        {
            "Artifacts",
            "Cache",
            "ConcurrentBuildLimit",
            "Description",
            "EncryptionKey",
            "Environment",
            "LogsConfig",
            "Name",
            "QueuedTimeoutInMinutes",
            "ServiceRole",
            "Source",
            "SourceVersion",
            "Tags",
            "TimeoutInMinutes",
            "VpcConfig",
        }
    )

    def find(self, request: Request) -> str | None:
        found = self.api(request).batch_get_projects(names=[request.name])["projects"]
        return request.name if found else None

    def make(self, request: Request) -> str:
        self.api(request).create_project(name=request.name, **_wanted(request.properties))
        return request.name

    def update(self, request: Request) -> None:
        removed = {name: value for name, value in REMOVED.items() if name in request.before}
        self.api(request).update_project(name=request.physical_id, **_wanted({**removed, **request.properties}))

    def attributes(self, request: Request) -> dict[str, Any]:
        return {"Arn": request.arn("codebuild", f"project/{request.physical_id}"), "Id": request.physical_id}

    def delete(self, request: Request) -> None:
        if_there(self.api(request).delete_project, name=request.physical_id)


def _wanted(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The properties as the API spells them."""
    wanted = {name: lower_camel(value) for name, value in properties.items() if name not in ("Name", "Tags")}
    spelled: dict[str, Any] = lower_camel(wanted)
    spelled["source"] = {SPELLED_OTHERWISE.get(name, name): value for name, value in spelled["source"].items()}
    return {**spelled, "tags": tag_list(properties.get("Tags"), "key", "value")}


PROVIDERS = (Project(),)
