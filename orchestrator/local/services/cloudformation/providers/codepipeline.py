"""CodePipeline: pipelines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

OUTSIDE = frozenset({"DisableInboundStageTransitions", "Name", "RestartExecutionOnUpdate", "Tags"})
"""Properties that are not part of the pipeline's declaration."""
MAPS = frozenset({"configuration"})
"""Members whose keys are names of their own and stay as they are; their values are text."""
DEFAULT_VERSION = "V1"


def _declaration(request: Request, name: str) -> dict[str, Any]:
    declaration: dict[str, Any] = {"name": name}
    for key, value in request.properties.items():
        if key not in OUTSIDE:
            declaration[_lower(key)] = _converted(value)
    stores = declaration.get("artifactStores")
    if isinstance(stores, list):
        declaration["artifactStores"] = {each["region"]: each["artifactStore"] for each in stores}
    declaration.setdefault("pipelineType", DEFAULT_VERSION)
    return declaration


def _lower(key: str) -> str:
    return key[:1].lower() + key[1:]


def _converted(value: Any) -> Any:
    if isinstance(value, list):
        return [_converted(item) for item in value]
    if not isinstance(value, dict):
        return value
    converted = {}
    for key, member in value.items():
        name = _lower(key)
        converted[name] = _texts(member) if name in MAPS and isinstance(member, dict) else _converted(member)
    return converted


def _texts(members: Mapping[str, Any]) -> dict[str, str]:
    """Values of an action's configuration are text to the API, whatever the template wrote."""
    return {
        key: str(value).lower() if isinstance(value, bool) else document(value) if _nested(value) else str(value)
        for key, value in members.items()
    }


def _nested(value: Any) -> bool:
    return isinstance(value, (dict, list))


class Pipeline(Provider):
    """AWS::CodePipeline::Pipeline."""

    type = "AWS::CodePipeline::Pipeline"
    service = "codepipeline"
    naming = Naming("Name", 100)

    def problems(self, properties: Mapping[str, Any]) -> Iterable[str]:
        if ("ArtifactStore" in properties) == ("ArtifactStores" in properties):
            yield "exactly one of [ArtifactStore,ArtifactStores] is required"

    def find(self, request: Request) -> str | None:
        client = self.api(request)
        return request.name if found(lambda: client.get_pipeline(name=request.name)) else None

    def make(self, request: Request) -> str:
        tags = tag_list(request.properties.get("Tags"), "key", "value")
        self.api(request).create_pipeline(pipeline=_declaration(request, request.name), tags=tags)
        return request.name

    def settle(self, request: Request) -> None:
        client, name = self.api(request), request.physical_id
        blocked = {each["StageName"]: each["Reason"] for each in self._blocked(request.properties)}
        before = {each["StageName"] for each in self._blocked(request.before)}
        for stage, reason in blocked.items():
            client.disable_stage_transition(pipelineName=name, stageName=stage, transitionType="Inbound", reason=reason)
        for stage in sorted(before - blocked.keys()):
            client.enable_stage_transition(pipelineName=name, stageName=stage, transitionType="Inbound")

    @staticmethod
    def _blocked(properties: Mapping[str, Any]) -> list[dict[str, str]]:
        return list(properties.get("DisableInboundStageTransitions", []))

    def update(self, request: Request) -> None:
        client, name = self.api(request), request.physical_id
        if request.changed(*({*request.properties, *request.before} - OUTSIDE)):
            client.update_pipeline(pipeline=_declaration(request, name))
        if request.changed("Tags"):
            arn = self._arn(request)
            client.tag_resource(resourceArn=arn, tags=tag_list(request.properties.get("Tags"), "key", "value"))
            client.untag_resource(resourceArn=arn, tagKeys=tags_to_remove(request))
        self.settle(request)
        if request.properties.get("RestartExecutionOnUpdate"):
            client.start_pipeline_execution(name=name, clientRequestToken=request.token)

    @staticmethod
    def _arn(request: Request) -> str:
        return request.arn("codepipeline", request.physical_id)

    def attributes(self, request: Request) -> dict[str, Any]:
        pipeline = self.api(request).get_pipeline(name=request.physical_id)["pipeline"]
        return {"Arn": self._arn(request), "Version": str(pipeline.get("version", 1))}

    def delete(self, request: Request) -> None:
        if_there(self.api(request).delete_pipeline, name=request.physical_id)


PROVIDERS = (Pipeline(),)
