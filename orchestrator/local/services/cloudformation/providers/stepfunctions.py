"""Step Functions: state machines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.local.services.cloudformation.providers.contract import (
    Naming,
    Provider,
    Request,
    found,
    if_there,
    lower_camel,
    tag_list,
    tags_to_remove,
)

DEFINITIONS = ("Definition", "DefinitionS3Location", "DefinitionString")


class StateMachine(Provider):
    """AWS::StepFunctions::StateMachine."""

    type = "AWS::StepFunctions::StateMachine"
    service = "stepfunctions"
    naming = Naming("StateMachineName", 80)
    supported = frozenset(
        {
            "DefinitionSubstitutions",
            "LoggingConfiguration",
            "RoleArn",
            "StateMachineName",
            "StateMachineType",
            "Tags",
            "TracingConfiguration",
            *DEFINITIONS,
        }
    )

    def problems(self, properties: Mapping[str, Any]) -> Iterable[str]:
        if sum(name in properties for name in DEFINITIONS) != 1:
            yield f"exactly one of [{','.join(DEFINITIONS)}] is required"

    def find(self, request: Request) -> str | None:
        arn = request.arn("states", f"stateMachine:{request.name}")
        return arn if found(lambda: self.api(request).describe_state_machine(stateMachineArn=arn)) else None

    def make(self, request: Request) -> str:
        properties = request.properties
        kind = {"type": properties["StateMachineType"]} if "StateMachineType" in properties else {}
        answer = self.api(request).create_state_machine(
            name=request.name,
            tags=tag_list(properties.get("Tags"), "key", "value"),
            **kind,
            **self._wanted(request),
        )
        return str(answer["stateMachineArn"])

    def _wanted(self, request: Request) -> dict[str, Any]:
        properties = request.properties
        wanted: dict[str, Any] = {"definition": _definition(request), "roleArn": properties["RoleArn"]}
        for name in ("LoggingConfiguration", "TracingConfiguration"):
            if name in properties:
                wanted[name[0].lower() + name[1:]] = lower_camel(properties[name])
        return wanted

    def update(self, request: Request) -> None:
        client, arn = self.api(request), request.physical_id
        wanted = self._wanted(request)
        if "LoggingConfiguration" in request.before and "LoggingConfiguration" not in request.properties:
            wanted["loggingConfiguration"] = {"level": "OFF"}
        if "TracingConfiguration" in request.before and "TracingConfiguration" not in request.properties:
            wanted["tracingConfiguration"] = {"enabled": False}
        client.update_state_machine(stateMachineArn=arn, **wanted)
        if request.changed("Tags"):
            client.tag_resource(resourceArn=arn, tags=tag_list(request.properties.get("Tags"), "key", "value"))
            client.untag_resource(resourceArn=arn, tagKeys=tags_to_remove(request))

    def attributes(self, request: Request) -> dict[str, Any]:
        answer = self.api(request).describe_state_machine(stateMachineArn=request.physical_id)
        return {
            "Arn": request.physical_id,
            "Name": answer["name"],
            "StateMachineRevisionId": answer.get("revisionId", "INITIAL"),
        }

    def delete(self, request: Request) -> None:
        if_there(self.api(request).delete_state_machine, stateMachineArn=request.physical_id)

    def gone(self, request: Request) -> bool:
        client = self.api(request)
        return found(lambda: client.describe_state_machine(stateMachineArn=request.physical_id)) is None


def _definition(request: Request) -> str:
    """The definition as text, with the substitutions of the template in it."""
    properties = request.properties
    if "DefinitionString" in properties:
        text = str(properties["DefinitionString"])
    elif "Definition" in properties:
        text = json.dumps(properties["Definition"])
    else:
        place = properties["DefinitionS3Location"]
        version = {"VersionId": place["Version"]} if "Version" in place else {}
        answer = request.client("s3").get_object(Bucket=place["Bucket"], Key=place["Key"], **version)
        text = answer["Body"].read().decode()
    substitutions = properties.get("DefinitionSubstitutions", {})
    return re.sub(
        r"\$\{([A-Za-z0-9_]+)\}", lambda match: _substitute(substitutions, match.group(1), match.group(0)), text
    )


def _substitute(substitutions: Mapping[str, Any], name: str, whole: str) -> str:
    if name not in substitutions:
        return whole
    value = substitutions[name]
    return str(value).lower() if isinstance(value, bool) else str(value)


PROVIDERS = (StateMachine(),)
