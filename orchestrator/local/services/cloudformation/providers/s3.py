"""S3: buckets and their policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from orchestrator.local.services.cloudformation.providers.contract import (
    Naming,
    Provider,
    Request,
    absent,
    document,
    if_there,
    tag_list,
)

HOME_REGION = "us-east-1"


class Setting(NamedTuple):
    """A property of a bucket that has an operation of its own: how to put it, and how to take it away."""

    put: str
    parameter: str
    convert: Callable[[Any], Any]
    delete: str = ""
    empty: Any = None


def _same(value: Any) -> Any:
    return value


def _encryption(value: Mapping[str, Any]) -> dict[str, Any]:
    rules = []
    for rule in value["ServerSideEncryptionConfiguration"]:
        renamed = {key: member for key, member in rule.items() if key != "ServerSideEncryptionByDefault"}
        if "ServerSideEncryptionByDefault" in rule:
            renamed["ApplyServerSideEncryptionByDefault"] = rule["ServerSideEncryptionByDefault"]
        rules.append(renamed)
    return {"Rules": rules}


def _notifications(value: Mapping[str, Any]) -> dict[str, Any]:
    converted: dict[str, Any] = {}
    bridge = value.get("EventBridgeConfiguration")
    if bridge is not None and bridge.get("EventBridgeEnabled", True):
        converted["EventBridgeConfiguration"] = {}
    for source, target, name, arn in (
        ("LambdaConfigurations", "LambdaFunctionConfigurations", "Function", "LambdaFunctionArn"),
        ("QueueConfigurations", "QueueConfigurations", "Queue", "QueueArn"),
        ("TopicConfigurations", "TopicConfigurations", "Topic", "TopicArn"),
    ):
        entries = [_notification(entry, name, arn) for entry in value.get(source, [])]
        if entries:
            converted[target] = entries
    return converted


def _notification(entry: Mapping[str, Any], name: str, arn: str) -> dict[str, Any]:
    converted = {arn: entry[name], "Events": [entry["Event"]]}
    if "Filter" in entry:
        converted["Filter"] = {"Key": {"FilterRules": entry["Filter"]["S3Key"]["Rules"]}}
    return converted


def _cors(value: Mapping[str, Any]) -> dict[str, Any]:
    names = {"ExposedHeaders": "ExposeHeaders", "Id": "ID", "MaxAge": "MaxAgeSeconds"}
    return {"CORSRules": [{names.get(key, key): part for key, part in rule.items()} for rule in value["CorsRules"]]}


def _logging(value: Mapping[str, Any]) -> dict[str, Any]:
    if not value.get("DestinationBucketName"):
        return {}
    return {
        "LoggingEnabled": {
            "TargetBucket": value["DestinationBucketName"],
            "TargetPrefix": value.get("LogFilePrefix", ""),
        }
    }


def _lifecycle(value: Mapping[str, Any]) -> dict[str, Any]:
    return {"Rules": [_lifecycle_rule(rule) for rule in value["Rules"]]}


def _lifecycle_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """CloudFormation spreads a rule's members flat; the API nests them."""
    converted: dict[str, Any] = {"Status": rule["Status"], "Filter": _lifecycle_filter(rule)}
    if "Id" in rule:
        converted["ID"] = rule["Id"]
    expiration = {
        "Days": rule.get("ExpirationInDays"),
        "Date": rule.get("ExpirationDate"),
        "ExpiredObjectDeleteMarker": rule.get("ExpiredObjectDeleteMarker"),
    }
    if any(part is not None for part in expiration.values()):
        converted["Expiration"] = {key: part for key, part in expiration.items() if part is not None}
    for name in ("AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration"):
        if name in rule:
            converted[name] = rule[name]
    if "NoncurrentVersionExpirationInDays" in rule:
        converted["NoncurrentVersionExpiration"] = {"NoncurrentDays": rule["NoncurrentVersionExpirationInDays"]}
    if "Transitions" in rule:
        names = {"TransitionInDays": "Days", "TransitionDate": "Date"}
        converted["Transitions"] = [
            {names.get(key, key): part for key, part in transition.items()} for transition in rule["Transitions"]
        ]
    if "NoncurrentVersionTransitions" in rule:
        names = {"TransitionInDays": "NoncurrentDays"}
        converted["NoncurrentVersionTransitions"] = [
            {names.get(key, key): part for key, part in transition.items()}
            for transition in rule["NoncurrentVersionTransitions"]
        ]
    return converted


def _lifecycle_filter(rule: Mapping[str, Any]) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    if "Prefix" in rule:
        parts["Prefix"] = rule["Prefix"]
    for name in ("ObjectSizeGreaterThan", "ObjectSizeLessThan"):
        if name in rule:
            parts[name] = int(rule[name])
    tags = tag_list(rule.get("TagFilters"))
    if len(tags) == 1 and not parts:
        return {"Tag": tags[0]}
    if tags or len(parts) > 1:
        return {"And": {**parts, **({"Tags": tags} if tags else {})}}
    return parts or {"Prefix": ""}


def _acl(value: str) -> str:
    """``PublicReadWrite`` is ``public-read-write``."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in value).lstrip("-")


SETTINGS = {
    "AccessControl": Setting("put_bucket_acl", "ACL", _acl, empty="private"),
    "BucketEncryption": Setting(
        "put_bucket_encryption", "ServerSideEncryptionConfiguration", _encryption, "delete_bucket_encryption"
    ),
    "CorsConfiguration": Setting("put_bucket_cors", "CORSConfiguration", _cors, "delete_bucket_cors"),
    "LifecycleConfiguration": Setting(
        "put_bucket_lifecycle_configuration", "LifecycleConfiguration", _lifecycle, "delete_bucket_lifecycle"
    ),
    "LoggingConfiguration": Setting("put_bucket_logging", "BucketLoggingStatus", _logging, empty={}),
    "NotificationConfiguration": Setting(
        "put_bucket_notification_configuration", "NotificationConfiguration", _notifications, empty={}
    ),
    "OwnershipControls": Setting(
        "put_bucket_ownership_controls", "OwnershipControls", _same, "delete_bucket_ownership_controls"
    ),
    "PublicAccessBlockConfiguration": Setting(
        "put_public_access_block", "PublicAccessBlockConfiguration", _same, "delete_public_access_block"
    ),
    "Tags": Setting("put_bucket_tagging", "Tagging", lambda tags: {"TagSet": tag_list(tags)}, "delete_bucket_tagging"),
    "VersioningConfiguration": Setting(
        "put_bucket_versioning", "VersioningConfiguration", _same, empty={"Status": "Suspended"}
    ),
}


class Bucket(Provider):
    """AWS::S3::Bucket. The notifications come last: S3 checks that their targets may be called."""

    type = "AWS::S3::Bucket"
    service = "s3"
    naming = Naming("BucketName", 63, lower=True)
    supported = frozenset({"BucketName", *SETTINGS})

    def find(self, request: Request) -> str | None:
        try:
            self.api(request).head_bucket(Bucket=request.name)
        except ClientError as error:
            if absent(error):
                return None
            raise
        return request.name

    def make(self, request: Request) -> str:
        place: dict[str, Any] = {}
        if request.region != HOME_REGION:
            place["CreateBucketConfiguration"] = {"LocationConstraint": request.region}
        self.api(request).create_bucket(Bucket=request.name, **place)
        return request.name

    def settle(self, request: Request) -> None:
        client, bucket = self.api(request), request.physical_id
        for name in sorted(SETTINGS, key=lambda name: name == "NotificationConfiguration"):
            setting, value = SETTINGS[name], request.properties.get(name)
            if not request.changed(name):
                continue
            if value is not None:
                getattr(client, setting.put)(Bucket=bucket, **{setting.parameter: setting.convert(value)})
            elif setting.delete:
                getattr(client, setting.delete)(Bucket=bucket)
            else:
                getattr(client, setting.put)(Bucket=bucket, **{setting.parameter: setting.empty})

    def attributes(self, request: Request) -> dict[str, Any]:
        bucket, region = request.physical_id, request.region
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return {
            "Arn": request.arn("s3", bucket, region="", account=""),
            "DomainName": f"{bucket}.s3.{domain}",
            "RegionalDomainName": f"{bucket}.s3.{region}.{domain}",
            "DualStackDomainName": f"{bucket}.s3.dualstack.{region}.{domain}",
        }

    def delete(self, request: Request) -> None:
        if_there(self.api(request).delete_bucket, Bucket=request.physical_id)


class BucketPolicy(Provider):
    """AWS::S3::BucketPolicy: there is at most one for a bucket."""

    type = "AWS::S3::BucketPolicy"
    service = "s3"
    naming = Naming("Bucket", 63)

    def find(self, request: Request) -> str | None:
        try:
            self.api(request).get_bucket_policy(Bucket=request.name)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchBucketPolicy":
                return None
            raise
        return request.name

    def make(self, request: Request) -> str:
        self._put(request, request.name)
        return request.name

    def update(self, request: Request) -> None:
        self._put(request, request.physical_id)

    def _put(self, request: Request, bucket: str) -> None:
        self.api(request).put_bucket_policy(Bucket=bucket, Policy=document(request.properties["PolicyDocument"]))

    def delete(self, request: Request) -> None:
        if_there(self.api(request).delete_bucket_policy, Bucket=request.physical_id)


PROVIDERS = (Bucket(), BucketPolicy())
