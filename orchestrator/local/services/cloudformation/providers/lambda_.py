"""Lambda: functions, versions, aliases, permissions and the settings of asynchronous invocation."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from orchestrator.local.services.cloudformation.faults import NotYet, ResourceFailed
from orchestrator.local.services.cloudformation.language.evaluation import text
from orchestrator.local.services.cloudformation.providers.contract import (
    Naming,
    Provider,
    Request,
    found,
    if_there,
    picked,
    tag_map,
    tags_to_remove,
)

CONFIGURATION: dict[str, Any] = {
    "DeadLetterConfig": {},
    "Description": "",
    "Environment": {},
    "EphemeralStorage": {"Size": 512},
    "Handler": None,
    "ImageConfig": {},
    "KmsKeyArn": "",
    "Layers": [],
    "LoggingConfig": {"LogFormat": "Text"},
    "MemorySize": 128,
    "Role": None,
    "Runtime": None,
    "Timeout": 3,
    "TracingConfig": {"Mode": "PassThrough"},
    "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
}
"""Properties of a function that are its configuration, with what they are when a template no longer sets them."""
INLINE_FILES = {"python": "index.py", "nodejs": "index.js"}


def _configuration(properties: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The named properties as the API takes them: the values of environment variables are text."""
    chosen = picked(properties, *names)
    if "KmsKeyArn" in chosen:
        chosen["KMSKeyArn"] = chosen.pop("KmsKeyArn")  # the API writes it so
    if "Environment" in chosen:
        variables = chosen["Environment"].get("Variables", {})
        chosen["Environment"] = {"Variables": {name: text(value) for name, value in variables.items()}}
    return chosen


def _code(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The code as the API takes it; text in the template becomes a zip with one file."""
    code = properties["Code"]
    if "ZipFile" not in code:
        return picked(code, "ImageUri", "S3Bucket", "S3Key", "S3ObjectVersion", "SourceKMSKeyArn")
    runtime = str(properties.get("Runtime", ""))
    name = next((file for language, file in INLINE_FILES.items() if runtime.startswith(language)), "")
    if not name:
        raise ResourceFailed(f"Inline code is not supported for the runtime {runtime}", "InvalidRequest")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr(zipfile.ZipInfo(name), code["ZipFile"])
    return {"ZipFile": archive.getvalue()}


class Function(Provider):
    """AWS::Lambda::Function."""

    type = "AWS::Lambda::Function"
    service = "lambda"
    naming = Naming("FunctionName", 64)
    supported = frozenset(
        {
            "Architectures",
            "Code",
            "FunctionName",
            "PackageType",
            "ReservedConcurrentExecutions",
            "Tags",
            *CONFIGURATION,
        }
    )

    def find(self, request: Request) -> str | None:
        client = self.api(request)
        return request.name if found(lambda: client.get_function_configuration(FunctionName=request.name)) else None

    def make(self, request: Request) -> str:
        properties = request.properties
        self.api(request).create_function(
            FunctionName=request.name,
            Code=_code(properties),
            Tags=tag_map(properties.get("Tags")),
            **_configuration(properties, "Architectures", "PackageType", *CONFIGURATION),
        )
        return request.name

    def settle(self, request: Request) -> None:
        if not request.changed("ReservedConcurrentExecutions"):
            return
        client, name = self.api(request), request.physical_id
        reserved = request.properties.get("ReservedConcurrentExecutions")
        if reserved is None:
            if_there(client.delete_function_concurrency, FunctionName=name)
        else:
            client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)

    def update(self, request: Request) -> None:
        client, name, properties = self.api(request), request.physical_id, request.properties
        if request.changed(*CONFIGURATION):
            wanted = {key: properties.get(key, default) for key, default in CONFIGURATION.items()}
            changes = {key: value for key, value in wanted.items() if value is not None and request.changed(key)}
            changes = _configuration(changes, *CONFIGURATION)
            self._wait_for_last_update(client, name)
            client.update_function_configuration(FunctionName=name, **changes)
        if request.changed("Code", "Architectures"):
            self._wait_for_last_update(client, name)
            client.update_function_code(FunctionName=name, **_code(properties), **picked(properties, "Architectures"))
        if request.changed("Tags"):
            arn = self.attributes(request)["Arn"]
            client.tag_resource(Resource=arn, Tags=tag_map(properties.get("Tags")))
            client.untag_resource(Resource=arn, TagKeys=tags_to_remove(request))
        self.settle(request)

    @staticmethod
    def _wait_for_last_update(client: Any, name: str) -> None:
        """Lambda refuses a change while the one before is under way."""
        configuration = client.get_function_configuration(FunctionName=name)
        if configuration.get("LastUpdateStatus") == "InProgress":
            raise NotYet

    def ready(self, request: Request) -> bool:
        configuration = self.api(request).get_function_configuration(FunctionName=request.physical_id)
        state, update = configuration.get("State", "Active"), configuration.get("LastUpdateStatus", "Successful")
        if "Failed" in (state, update):
            reason = configuration.get("StateReason") or configuration.get("LastUpdateStatusReason") or "failed"
            raise ResourceFailed(str(reason), "NotStabilized")
        return state in ("Active", "Inactive") and update == "Successful"

    def attributes(self, request: Request) -> dict[str, Any]:
        return {"Arn": request.arn("lambda", f"function:{request.physical_id}")}

    def delete(self, request: Request) -> None:
        if_there(self.api(request).delete_function, FunctionName=request.physical_id)


class Version(Provider):
    """AWS::Lambda::Version. To publish unchanged code again answers the same version."""

    type = "AWS::Lambda::Version"
    service = "lambda"
    supported = frozenset({"CodeSha256", "Description", "FunctionName"})

    def make(self, request: Request) -> str:
        wanted = picked(request.properties, "CodeSha256", "Description", "FunctionName")
        return str(self.api(request).publish_version(**wanted)["FunctionArn"])

    def attributes(self, request: Request) -> dict[str, Any]:
        arn = request.physical_id
        return {"FunctionArn": arn, "Version": arn.rpartition(":")[2]}

    def delete(self, request: Request) -> None:
        name, _, version = request.physical_id.rpartition(":")
        if_there(self.api(request).delete_function, FunctionName=name, Qualifier=version)


class Alias(Provider):
    """AWS::Lambda::Alias."""

    type = "AWS::Lambda::Alias"
    service = "lambda"
    naming = Naming("Name", 128)
    supported = frozenset({"Description", "FunctionName", "FunctionVersion", "Name", "RoutingConfig"})

    def find(self, request: Request) -> str | None:
        function = request.properties["FunctionName"]
        answer = found(lambda: self.api(request).get_alias(FunctionName=function, Name=request.name))
        return str(answer["AliasArn"]) if answer else None

    def make(self, request: Request) -> str:
        return str(self.api(request).create_alias(**self._wanted(request))["AliasArn"])

    def update(self, request: Request) -> None:
        self.api(request).update_alias(**self._wanted(request))

    @staticmethod
    def _wanted(request: Request) -> dict[str, Any]:
        properties = request.properties
        wanted = {"Description": "", **picked(properties, "Description", "FunctionName", "FunctionVersion", "Name")}
        weights = properties.get("RoutingConfig", {}).get("AdditionalVersionWeights", [])
        if weights or "RoutingConfig" in request.before:
            routes = {each["FunctionVersion"]: each["FunctionWeight"] for each in weights}
            wanted["RoutingConfig"] = {"AdditionalVersionWeights": routes}
        return wanted

    def attributes(self, request: Request) -> dict[str, Any]:
        return {"AliasArn": request.physical_id}

    def delete(self, request: Request) -> None:
        function = request.properties["FunctionName"]
        name = request.physical_id.rpartition(":")[2]
        if_there(self.api(request).delete_alias, FunctionName=function, Name=name)


class Permission(Provider):
    """AWS::Lambda::Permission: a statement in a function's policy, under its generated name."""

    type = "AWS::Lambda::Permission"
    service = "lambda"
    supported = frozenset(
        {
            "Action",
            "EventSourceToken",
            "FunctionName",
            "FunctionUrlAuthType",
            "Principal",
            "PrincipalOrgID",
            "SourceAccount",
            "SourceArn",
        }
    )

    def find(self, request: Request) -> str | None:
        function = request.properties["FunctionName"]
        answer = found(lambda: self.api(request).get_policy(FunctionName=function))
        statements = json.loads(answer["Policy"])["Statement"] if answer else []
        return request.name if any(each.get("Sid") == request.name for each in statements) else None

    def make(self, request: Request) -> str:
        self.api(request).add_permission(
            StatementId=request.name, **picked(request.properties, *(self.supported or ()))
        )
        return request.name

    def attributes(self, request: Request) -> dict[str, Any]:
        return {"Id": request.physical_id}

    def delete(self, request: Request) -> None:
        function = request.properties["FunctionName"]
        if_there(self.api(request).remove_permission, FunctionName=function, StatementId=request.physical_id)


class EventInvokeConfig(Provider):
    """AWS::Lambda::EventInvokeConfig."""

    type = "AWS::Lambda::EventInvokeConfig"
    service = "lambda"

    def make(self, request: Request) -> str:
        self._put(request)
        return request.name

    def update(self, request: Request) -> None:
        self._put(request)

    def _put(self, request: Request) -> None:
        """To put the settings again changes nothing."""
        names = ("DestinationConfig", "FunctionName", "MaximumEventAgeInSeconds", "MaximumRetryAttempts", "Qualifier")
        self.api(request).put_function_event_invoke_config(**picked(request.properties, *names))

    def delete(self, request: Request) -> None:
        wanted = picked(request.properties, "FunctionName", "Qualifier")
        if_there(self.api(request).delete_function_event_invoke_config, **wanted)


PROVIDERS = (Function(), Version(), Alias(), Permission(), EventInvokeConfig())
