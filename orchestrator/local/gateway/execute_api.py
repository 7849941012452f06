"""The front of API Gateway: ``/execute-api/<api>/<stage>/<path>`` calls the Lambda function behind a REST API.

On AWS each API has a host name; here they share the gateway's, and the path says which one is meant. Unsigned calls
are accepted whatever the method's authorization is: whoever reaches the loopback port may do everything anyway.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from botocore.exceptions import ClientError, ReadTimeoutError

from orchestrator.local.messages import Request, Response
from orchestrator.local.world import World

PREFIX = "/execute-api/"
LONGEST_SECONDS = 29.0
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html, as is the size of a request."""
LARGEST_BODY = 10 * 1024 * 1024
FUNCTION = re.compile(r"arn:[\w-]+:apigateway:[\w-]+:lambda:path/2015-03-31/functions/(?P<arn>[^/]+)/invocations")


class Refused(Exception):
    """The front answers by itself."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.response = Response(
            status,
            (("Content-Type", "application/json"), ("x-amzn-ErrorType", code)),
            json.dumps({"message": message}).encode(),
        )


class ExecuteApi:
    """Answers requests to REST APIs. ``home_of_api`` gives the account and region of an API."""

    def __init__(
        self,
        world: World,
        home_of_api: Callable[[str], tuple[str, str] | None],
        longest_seconds: float = LONGEST_SECONDS,
    ) -> None:
        self._world = world
        self._home_of_api = home_of_api
        self._longest_seconds = longest_seconds

    def answer(self, request: Request, caller: Mapping[str, str | None], request_id: str) -> Response:
        """The response of the function behind the method; ``caller`` are the members of ``identity`` that are known."""
        try:
            return self._answer(request, caller, request_id)
        except Refused as refused:
            return refused.response

    def _answer(self, request: Request, caller: Mapping[str, str | None], request_id: str) -> Response:
        api, _, rest = request.raw_path.removeprefix(PREFIX).partition("/")
        stage, _, path = rest.partition("/")
        home = self._home_of_api(api)
        if home is None:
            raise Refused(404, "NotFoundException", f"The embedded AWS has no API {api!r:.40}.")
        if len(request.body) > LARGEST_BODY:
            raise Refused(413, "RequestEntityTooLargeException", "Request Too Long")
        account, region = home
        gateway = self._world.client("apigateway", account, region)
        try:
            deployment = gateway.get_stage(restApiId=api, stageName=stage)
        except ClientError:
            raise Refused(403, "ForbiddenException", "Forbidden") from None
        resources = gateway.get_resources(restApiId=api, embed=["methods"], limit=500)["items"]
        resource, parameters, method = _match(resources, f"/{path}", request.method)
        arn = _function_of(method)
        event = _event(request, f"/{path}", resource, parameters)
        event["stageVariables"] = deployment.get("variables") or None
        event["requestContext"] |= {
            "accountId": account,
            "apiId": api,
            "deploymentId": deployment.get("deploymentId", ""),
            "domainName": request.fields.get("host", ""),
            "domainPrefix": api,
            "extendedRequestId": request_id,
            "path": f"/{stage}/{unquote(path)}",
            "requestId": request_id,
            "stage": stage,
        }
        event["requestContext"]["identity"] |= caller
        source = f"arn:aws:execute-api:{region}:{account}:{api}/{stage}/{request.method}{resource['path']}"
        return self._invoke(arn, event, request_id, source)

    def _invoke(self, arn: str, event: dict[str, Any], request_id: str, source: str) -> Response:
        region, account = arn.split(":")[3:5]
        client = self._world.client("lambda", account, region, patience=self._longest_seconds, source=source)
        try:
            answer = client.invoke(FunctionName=arn, Payload=json.dumps(event))
        except ReadTimeoutError:
            raise Refused(504, "InternalServerErrorException", "Endpoint request timed out") from None
        except ClientError as error:
            if error.response["Error"]["Code"] == "TooManyRequestsException":
                raise Refused(429, "TooManyRequestsException", "Too Many Requests") from None
            raise Refused(500, "InternalServerErrorException", "Internal server error") from None
        payload = answer["Payload"].read()
        response = None if "FunctionError" in answer else _response(payload)
        if response is None:
            raise Refused(502, "InternalServerErrorException", "Internal server error")
        return Response(response.status, (*response.headers, ("x-amzn-RequestId", request_id)), response.body)


def _match(resources: list[dict[str, Any]], path: str, method: str) -> tuple[dict[str, Any], dict[str, str], Any]:
    """The most exact resource that has the path and the method."""
    for resource in sorted(resources, key=lambda it: (it["path"].count("{"), "+}" in it["path"], -len(it["path"]))):
        names = re.findall(r"\{(\w+)\+?\}", resource["path"])
        pattern = re.sub(r"\\\{\w+\\\+\\\}", "(.+)", re.escape(resource["path"]))
        pattern = re.sub(r"\\\{\w+\\\}", "([^/]+)", pattern)
        found = re.fullmatch(pattern, path.rstrip("/") or "/")
        methods = resource.get("resourceMethods", {})
        if found and (method in methods or "ANY" in methods):
            parameters = dict(zip(names, map(unquote, found.groups()), strict=True))
            return resource, parameters, methods.get(method) or methods["ANY"]
    raise Refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token")


def _function_of(method: dict[str, Any]) -> str:
    integration = method.get("methodIntegration", {})
    uri = FUNCTION.fullmatch(integration.get("uri") or "")
    if str(integration.get("type")).upper() != "AWS_PROXY" or uri is None:
        raise Refused(501, "NotImplementedException", "The embedded AWS runs only Lambda proxy integrations.")
    return unquote(uri["arn"])


def _event(request: Request, path: str, resource: dict[str, Any], parameters: dict[str, str]) -> dict[str, Any]:
    """The input of a Lambda proxy integration.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html"""
    now = time.time()
    headers, many_headers = _both(request.headers)
    queries, many_queries = _both(request.query)
    body, encoded = _text(request.body)
    return {
        "resource": resource["path"],
        "path": unquote(path),
        "httpMethod": request.method,
        "headers": headers,
        "multiValueHeaders": many_headers,
        "queryStringParameters": queries or None,
        "multiValueQueryStringParameters": many_queries or None,
        "pathParameters": parameters or None,
        "stageVariables": None,
        "requestContext": {
            "resourceId": resource["id"],
            "resourcePath": resource["path"],
            "httpMethod": request.method,
            "protocol": "HTTP/1.1",
            "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "requestTimeEpoch": int(now * 1000),
            "identity": {
                "accessKey": None,
                "accountId": None,
                "caller": None,
                "sourceIp": "127.0.0.1",
                "user": None,
                "userAgent": request.fields.get("user-agent"),
                "userArn": None,
            },
        },
        "body": body,
        "isBase64Encoded": encoded,
    }


def _both(pairs: tuple[tuple[str, str], ...]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The last value of each name, and all of them."""
    many: dict[str, list[str]] = {}
    for name, value in pairs:
        many.setdefault(name, []).append(value)
    return {name: values[-1] for name, values in many.items()}, many


def _text(body: bytes) -> tuple[str | None, bool]:
    if not body:
        return None, False
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True


def _response(payload: bytes) -> Response | None:
    """What the function's answer asks for; None when it is not of the form a proxy integration must have."""
    try:
        answer = json.loads(payload)
        status = int(answer["statusCode"])
        headers = dict(answer.get("headers") or {})
        many = dict(answer.get("multiValueHeaders") or {})
        body = answer.get("body") or ""
        content = base64.b64decode(body, validate=True) if answer.get("isBase64Encoded") else body.encode()
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if not 100 <= status <= 599 or any(not isinstance(values, list) for values in many.values()):
        return None
    pairs = [(name, _header(value)) for name, value in headers.items() if name not in many]
    pairs += [(name, _header(value)) for name, values in many.items() for value in values]
    if not any(name.lower() == "content-type" for name, _ in pairs):
        pairs.append(("Content-Type", "application/json"))
    return Response(status, tuple(pairs), content)


def _header(value: Any) -> str:
    """A header's value on one line: a line break would begin a header of its own."""
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    return " ".join(text.splitlines())
