"""API Gateway: REST APIs, deployments, stages and the account's settings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from orchestrator.local.services.cloudformation.providers.contract import (
    MARK,
    Naming,
    Provider,
    Request,
    document,
    found,
    if_there,
    tag_map,
    tags_to_remove,
)

PAGE = 500
METHOD_SETTINGS = {
    "CacheDataEncrypted": "caching/dataEncrypted",
    "CacheTtlInSeconds": "caching/ttlInSeconds",
    "CachingEnabled": "caching/enabled",
    "DataTraceEnabled": "logging/dataTrace",
    "LoggingLevel": "logging/loglevel",
    "MetricsEnabled": "metrics/enabled",
    "ThrottlingBurstLimit": "throttling/burstLimit",
    "ThrottlingRateLimit": "throttling/rateLimit",
}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _replace(path: str, value: Any) -> dict[str, str]:
    return {"op": "replace", "path": path, "value": _text(value)}


class RestApi(Provider):
    """AWS::ApiGateway::RestApi. Several APIs may have one name, so an API bears the token of its attempt."""

    type = "AWS::ApiGateway::RestApi"
    service = "apigateway"
    supported = frozenset(
        {
            "ApiKeySourceType",
            "Body",
            "BodyS3Location",
            "Description",
            "DisableExecuteApiEndpoint",
            "EndpointConfiguration",
            "FailOnWarnings",
            "MinimumCompressionSize",
            "Mode",
            "Name",
            "Policy",
            "Tags",
        }
    )

    def problems(self, properties: Mapping[str, Any]) -> Iterable[str]:
        if not {"Name", "Body", "BodyS3Location"} & properties.keys():
            yield "one of [Name,Body,BodyS3Location] is required"

    def find(self, request: Request) -> str | None:
        for answer in self.api(request).get_paginator("get_rest_apis").paginate():
            for api in answer["items"]:
                if api.get("tags", {}).get(MARK) == request.token:
                    return str(api["id"])
        return None

    def make(self, request: Request) -> str:
        properties = request.properties
        extra: dict[str, Any] = {}
        if "EndpointConfiguration" in properties:
            extra["endpointConfiguration"] = {"types": properties["EndpointConfiguration"].get("Types", ["EDGE"])}
        for member, name in (
            ("ApiKeySourceType", "apiKeySource"),
            ("DisableExecuteApiEndpoint", "disableExecuteApiEndpoint"),
            ("MinimumCompressionSize", "minimumCompressionSize"),
        ):
            if member in properties:
                extra[name] = properties[member]
        if "Policy" in properties:
            extra["policy"] = document(properties["Policy"])
        answer = self.api(request).create_rest_api(
            name=self._name(request),
            description=properties.get("Description", ""),
            tags={**tag_map(properties.get("Tags")), MARK: request.token},
            **extra,
        )
        return str(answer["id"])

    def _name(self, request: Request) -> str:
        """The given name or, as on AWS, the title of the API's description."""
        if "Name" in request.properties:
            return str(request.properties["Name"])
        return str(yaml.safe_load(self._body(request)).get("info", {}).get("title", request.logical))

    @staticmethod
    def _body(request: Request) -> bytes:
        """The API's description; empty when the template has none."""
        if "Body" in request.properties:
            return document(request.properties["Body"]).encode()
        place = request.properties.get("BodyS3Location")
        if not place:
            return b""
        version = {"VersionId": place["Version"]} if "Version" in place else {}
        answer = request.client("s3").get_object(Bucket=place["Bucket"], Key=place["Key"], **version)
        body: bytes = answer["Body"].read()
        return json.dumps(yaml.safe_load(body)).encode()

    def settle(self, request: Request) -> None:
        body = self._body(request) if request.changed("Body", "BodyS3Location") else b""
        if body:
            self.api(request).put_rest_api(
                restApiId=request.physical_id,
                mode=request.properties.get("Mode", "overwrite"),
                failOnWarnings=bool(request.properties.get("FailOnWarnings")),
                body=body,
            )

    def update(self, request: Request) -> None:
        client, api = self.api(request), request.physical_id
        patches = list(self._patches(request))
        if patches:
            client.update_rest_api(restApiId=api, patchOperations=patches)
        if request.changed("Tags"):
            arn = request.arn("apigateway", f"/restapis/{api}", account="")
            client.tag_resource(resourceArn=arn, tags=tag_map(request.properties.get("Tags")))
            client.untag_resource(resourceArn=arn, tagKeys=tags_to_remove(request))
        self.settle(request)

    def _patches(self, request: Request) -> Iterator[dict[str, str]]:
        properties = request.properties
        if request.changed("Name"):
            yield _replace("/name", self._name(request))
        if request.changed("Description"):
            yield _replace("/description", properties.get("Description", ""))
        if request.changed("Policy"):
            yield _replace("/policy", document(properties.get("Policy", "")))
        if request.changed("ApiKeySourceType"):
            yield _replace("/apiKeySource", properties.get("ApiKeySourceType", "HEADER"))
        if request.changed("DisableExecuteApiEndpoint"):
            yield _replace("/disableExecuteApiEndpoint", bool(properties.get("DisableExecuteApiEndpoint")))
        if request.changed("EndpointConfiguration"):
            types = properties.get("EndpointConfiguration", {}).get("Types", ["EDGE"])
            yield _replace("/endpointConfiguration/types", types[0])

    def attributes(self, request: Request) -> dict[str, Any]:
        api = request.physical_id
        answer = self.api(request).get_resources(restApiId=api, limit=PAGE)
        root = next(each["id"] for each in answer["items"] if each["path"] == "/")
        return {"RestApiId": api, "RootResourceId": root}

    def delete(self, request: Request) -> None:
        client, api = self.api(request), request.physical_id
        if found(lambda: client.get_rest_api(restApiId=api)):
            if_there(client.delete_rest_api, restApiId=api)


class Deployment(Provider):
    """AWS::ApiGateway::Deployment. It has neither name nor tags: a new one is told from those noted before."""

    type = "AWS::ApiGateway::Deployment"
    service = "apigateway"
    supported = frozenset({"Description", "RestApiId", "StageName"})

    def note(self, request: Request) -> list[str]:
        return [each["id"] for each in self._all(request)]

    def _all(self, request: Request) -> list[dict[str, Any]]:
        answer = self.api(request).get_deployments(restApiId=request.properties["RestApiId"], limit=PAGE)
        return list(answer["items"])

    def find(self, request: Request) -> str | None:
        description = request.properties.get("Description", "")
        new = [
            str(each["id"])
            for each in self._all(request)
            if each["id"] not in request.noted and each.get("description", "") == description
        ]
        return new[0] if new else None

    def make(self, request: Request) -> str:
        properties = request.properties
        stage = {"stageName": properties["StageName"]} if "StageName" in properties else {}
        answer = self.api(request).create_deployment(
            restApiId=properties["RestApiId"], description=properties.get("Description", ""), **stage
        )
        return str(answer["id"])

    def update(self, request: Request) -> None:
        self.api(request).update_deployment(
            restApiId=request.properties["RestApiId"],
            deploymentId=request.physical_id,
            patchOperations=[_replace("/description", request.properties.get("Description", ""))],
        )

    def attributes(self, request: Request) -> dict[str, Any]:
        return {"DeploymentId": request.physical_id}

    def delete(self, request: Request) -> None:
        api = request.properties["RestApiId"]
        if_there(self.api(request).delete_deployment, restApiId=api, deploymentId=request.physical_id)


class Stage(Provider):
    """AWS::ApiGateway::Stage."""

    type = "AWS::ApiGateway::Stage"
    service = "apigateway"
    naming = Naming("StageName", 128)
    supported = frozenset(
        {
            "AccessLogSetting",
            "DeploymentId",
            "Description",
            "MethodSettings",
            "RestApiId",
            "StageName",
            "Tags",
            "TracingEnabled",
            "Variables",
        }
    )

    def find(self, request: Request) -> str | None:
        api = request.properties["RestApiId"]
        stage = found(lambda: self.api(request).get_stage(restApiId=api, stageName=request.name))
        return request.name if stage else None

    def make(self, request: Request) -> str:
        properties = request.properties
        self.api(request).create_stage(
            restApiId=properties["RestApiId"],
            stageName=request.name,
            deploymentId=properties["DeploymentId"],
            description=properties.get("Description", ""),
            tracingEnabled=bool(properties.get("TracingEnabled")),
            variables=properties.get("Variables", {}),
            tags=tag_map(properties.get("Tags")),
        )
        return request.name

    def settle(self, request: Request) -> None:
        patches = list(self._patches(request))
        if patches:
            self.api(request).update_stage(
                restApiId=request.properties["RestApiId"], stageName=request.physical_id, patchOperations=patches
            )

    def _patches(self, request: Request) -> Iterator[dict[str, str]]:
        properties, before = request.properties, request.before
        if request.changed("MethodSettings"):
            for setting in properties.get("MethodSettings", []):
                path = str(setting.get("ResourcePath", "/*")).removeprefix("/").replace("/", "~1")
                for member, name in METHOD_SETTINGS.items():
                    if member in setting:
                        yield _replace(f"/{path or '~1'}/{setting.get('HttpMethod', '*')}/{name}", setting[member])
        if request.changed("AccessLogSetting"):
            for member, value in properties.get("AccessLogSetting", {}).items():
                yield _replace(f"/accessLogSettings/{member[0].lower()}{member[1:]}", value)
            if "AccessLogSetting" not in properties:
                yield {"op": "remove", "path": "/accessLogSettings"}
        if not before:
            return
        if request.changed("DeploymentId"):
            yield _replace("/deploymentId", properties["DeploymentId"])
        if request.changed("Description"):
            yield _replace("/description", properties.get("Description", ""))
        if request.changed("TracingEnabled"):
            yield _replace("/tracingEnabled", bool(properties.get("TracingEnabled")))
        variables, old = properties.get("Variables", {}), before.get("Variables", {})
        for name, value in variables.items():
            if old.get(name) != value:
                yield _replace(f"/variables/{name}", value)
        for name in old.keys() - variables.keys():
            yield {"op": "remove", "path": f"/variables/{name}"}

    def update(self, request: Request) -> None:
        self.settle(request)
        if request.changed("Tags"):
            path = f"/restapis/{request.properties['RestApiId']}/stages/{request.physical_id}"
            arn, client = request.arn("apigateway", path, account=""), self.api(request)
            client.tag_resource(resourceArn=arn, tags=tag_map(request.properties.get("Tags")))
            client.untag_resource(resourceArn=arn, tagKeys=tags_to_remove(request))

    def delete(self, request: Request) -> None:
        api = request.properties["RestApiId"]
        if_there(self.api(request).delete_stage, restApiId=api, stageName=request.physical_id)


class Account(Provider):
    """AWS::ApiGateway::Account: the role with which API Gateway writes logs; it stays when the stack goes."""

    type = "AWS::ApiGateway::Account"
    service = "apigateway"

    def make(self, request: Request) -> str:
        self.update(request)
        return request.name

    def update(self, request: Request) -> None:
        role = request.properties.get("CloudWatchRoleArn", "")
        self.api(request).update_account(patchOperations=[_replace("/cloudwatchRoleArn", role)])

    def attributes(self, request: Request) -> dict[str, Any]:
        return {"Id": request.physical_id}

    def delete(self, request: Request) -> None:
        """On AWS too the account keeps its setting."""


PROVIDERS = (RestApi(), Deployment(), Stage(), Account())
