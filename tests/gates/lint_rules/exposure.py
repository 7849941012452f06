"""cfn-lint rule: what lies open. Stores that do not encrypt, functions that anyone may call, unsigned methods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cfnlint.rules import CloudFormationLintRule, RuleMatch

METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "x-amazon-apigateway-any-method"})
Complaints = Iterator[tuple[list[Any], str]]


class NothingLiesOpen(CloudFormationLintRule):
    """Encryption is written down, and callers are named."""

    id = "E9804"
    shortdesc = "A resource that lies open"
    description = "Buckets and queues say how they encrypt; functions and API methods say who may call"
    tags = ("security",)

    def match(self, cfn: Any) -> list[RuleMatch]:
        """The findings of a template."""
        return [
            RuleMatch(["Resources", name, "Properties", *place], message)
            for kind, check in CHECKS.items()
            for name, resource in cfn.get_resources(kind).items()
            for place, message in check(resource.get("Properties", {}))
        ]


def _bucket(properties: dict[str, Any]) -> Complaints:
    if "BucketEncryption" not in properties:
        yield [], "the bucket does not say how it encrypts"


def _queue(properties: dict[str, Any]) -> Complaints:
    if "KmsMasterKeyId" not in properties and properties.get("SqsManagedSseEnabled") is not True:
        yield [], "the queue does not encrypt"


def _permission(properties: dict[str, Any]) -> Complaints:
    principal = properties.get("Principal")
    if principal == "*":
        yield ["Principal"], "anyone may call the function"
    elif str(principal).endswith(".amazonaws.com") and not {"SourceArn", "SourceAccount"} & set(properties):
        yield ["Principal"], f"{principal} may call the function for anyone"


def _method(properties: dict[str, Any]) -> Complaints:
    if properties.get("AuthorizationType", "NONE") == "NONE":
        yield [], "the method asks for no authorization"


def _api(properties: dict[str, Any]) -> Complaints:
    body = properties.get("Body", {})
    schemes = body.get("components", {}).get("securitySchemes", {})
    signed = {name for name, each in schemes.items() if each.get("x-amazon-apigateway-authtype") == "awsSigv4"}
    for path, methods in body.get("paths", {}).items():
        for method in METHODS & set(methods):
            named = {name for each in methods[method].get("security", []) for name in each}
            if not named & signed:
                yield ["Body", "paths", path, method], "the method asks for no signature"


CHECKS = {
    "AWS::ApiGateway::Method": _method,
    "AWS::ApiGateway::RestApi": _api,
    "AWS::Lambda::Permission": _permission,
    "AWS::S3::Bucket": _bucket,
    "AWS::SQS::Queue": _queue,
}
