"""The API: every route of ``orchestrator.routes``, for signed requests, checked, throttled, logged without payloads."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_wafv2 as wafv2

from orchestrator.infra.rights.function import API_LOGS
from orchestrator.infra.rights.statement import Value, trust_of_service
from orchestrator.infra.stacks import elements
from orchestrator.infra.stacks.elements import (
    accepted,
    chosen,
    condition,
    given,
    is_yes,
    kept,
    only_if,
    ref,
    role,
    text,
)
from orchestrator.routes import ROUTES, Route

NAME = "${NamePrefix}-orchestrator"
URI: Value = {
    "Fn::Sub": "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Function.Arn}"
    "/invocations"
}
REQUESTS_PER_SECOND = 20
BURST = 40
ACCESS_LOG = {
    "requestId": "$context.requestId",
    "time": "$context.requestTimeEpoch",
    "method": "$context.httpMethod",
    "path": "$context.resourcePath",
    "status": "$context.status",
    "ms": "$context.responseLatency",
    "bytes": "$context.responseLength",
    "caller": "$context.identity.userArn",
    "ip": "$context.identity.sourceIp",
    "error": "$context.error.responseType",
}
"""What is logged of a request: who, what and how it went; never a body, a query or a header."""
VALIDATOR = "everything"


def add(stack: Stack) -> None:
    """The API with its stage, logs, and the web ACL if one is given."""
    _log_role(stack)
    log = logs.CfnLogGroup(
        stack,
        "ApiLog",
        log_group_name=text({"Fn::Sub": f"/mlops/{NAME}-api"}),
        kms_key_id=text({"Fn::GetAtt": ["Key", "Arn"]}),
    )
    log.add_property_override("RetentionInDays", {"Ref": "LogRetentionDays"})
    kept(log)
    api = apigateway.CfnRestApi(
        stack,
        "Api",
        name=text({"Fn::Sub": NAME}),
        description="MLOps Orchestrator: pipelines of models.",
        endpoint_configuration=apigateway.CfnRestApi.EndpointConfigurationProperty(types=["REGIONAL"]),
    )
    body = _body()
    api.add_property_override("Body", body)
    lambda_.CfnPermission(
        stack,
        "ApiInvokes",
        function_name=text({"Fn::GetAtt": ["Function", "Arn"]}),
        action="lambda:InvokeFunction",
        principal="apigateway.amazonaws.com",
        source_arn=text({"Fn::Sub": "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*/*/*"}),
    )
    # A deployment is a picture of the API: other routes need another deployment, so its name is their content.
    deployment = "ApiDeployment" + hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:10]
    apigateway.CfnDeployment(
        stack, deployment, rest_api_id=ref("Api"), description="Every route, as this template has them."
    )
    _stage(stack, deployment)


def _stage(stack: Stack, deployment: str) -> None:
    stage = apigateway.CfnStage(
        stack,
        "ApiStage",
        rest_api_id=ref("Api"),
        deployment_id=ref(deployment),
        stage_name="prod",
        description="The API.",
        tracing_enabled=True,
        access_log_setting=apigateway.CfnStage.AccessLogSettingProperty(
            destination_arn=text({"Fn::GetAtt": ["ApiLog", "Arn"]}),
            format=json.dumps(ACCESS_LOG, separators=(",", ":")),
        ),
        method_settings=[
            apigateway.CfnStage.MethodSettingProperty(
                resource_path="/*",
                http_method="*",
                logging_level="ERROR",
                data_trace_enabled=False,
                metrics_enabled=False,  # a metric for each route, each at a price; the API's own are free
                throttling_rate_limit=REQUESTS_PER_SECOND,
                throttling_burst_limit=BURST,
            )
        ],
    )
    accepted(stage, "Answers tell what is true now; a cache would tell what was.", "CKV_AWS_120")
    stage.add_metadata("MadeAfter", chosen("SetsApiGatewayLogRole", {"Ref": "ApiAccount"}, ""))
    condition(stack, "HasWebAcl", given("WebAclArn"))
    firewall = wafv2.CfnWebACLAssociation(
        stack,
        "ApiFirewall",
        web_acl_arn=ref("WebAclArn"),
        resource_arn=text(
            {"Fn::Sub": "arn:${AWS::Partition}:apigateway:${AWS::Region}::/restapis/${Api}/stages/${ApiStage}"}
        ),
    )
    only_if(firewall, "HasWebAcl")


def _log_role(stack: Stack) -> None:
    """API Gateway's role for logs, one for an account and region; it stays, since other APIs may use it by then."""
    condition(stack, "SetsApiGatewayLogRole", is_yes("SetApiGatewayLogRole"))
    made = role(
        stack,
        "ApiLogRole",
        f"{NAME}-api-logs",
        "API Gateway writes its logs with this role.",
        trust_of_service("apigateway", says_source=False),
        {"ApiLogPolicy": API_LOGS},
    )
    policy = elements.found(stack, "ApiLogPolicy")
    accepted(
        policy, "As AWS's own policy for this role; it serves every API of the account.", "CKV_AWS_111", "CKV_AWS_108"
    )
    account = apigateway.CfnAccount(
        stack, "ApiAccount", cloud_watch_role_arn=text({"Fn::GetAtt": ["ApiLogRole", "Arn"]})
    )
    for one in (policy, made, account):  # a policy that a role has cannot go
        kept(one)
        only_if(one, "SetsApiGatewayLogRole")


def _body() -> dict[str, Any]:
    """The OpenAPI description that API Gateway makes the routes from; it knows version 3.0 only."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.0.1",
        "info": {"title": "mlops-orchestrator", "version": "2"},
        "x-amazon-apigateway-request-validators": {
            VALIDATOR: {"validateRequestBody": True, "validateRequestParameters": True}
        },
        "x-amazon-apigateway-request-validator": VALIDATOR,
        "components": {
            "schemas": {"Document": {"type": "object"}},
            "securitySchemes": {
                "sigv4": {
                    "type": "apiKey",
                    "name": "Authorization",
                    "in": "header",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                }
            },
        },
        "paths": paths,
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "security": [{"sigv4": []}],
        "responses": {str(status): {"description": words} for status, (_, words) in sorted(route.replies.items())},
        "x-amazon-apigateway-integration": {"type": "aws_proxy", "httpMethod": "POST", "uri": URI},
    }
    if "{project}" in route.path:
        operation["parameters"] = [{"name": "project", "in": "path", "required": True, "schema": {"type": "string"}}]
    if route.request:
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/Document"}}}
        operation["requestBody"] = {"required": not route.may_be_empty, "content": content}
    return operation
