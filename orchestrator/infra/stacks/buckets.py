"""The buckets: closed, versioned, encrypted, over TLS only, with access logs, and kept when the stack goes."""

from __future__ import annotations

from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_s3 as s3

from orchestrator.infra.rights import sharing
from orchestrator.infra.rights.statement import Policy, Value, document
from orchestrator.infra.stacks.elements import accepted, chosen, condition, given, kept, only_if, ref, text

ASSETS: Value = chosen(
    "MakesAssetsBucket",
    {"Fn::Sub": "${NamePrefix}-assets-${AWS::AccountId}-${AWS::Region}"},
    {"Ref": "ExistingS3Bucket"},
)
"""The name of the bucket for data, models and bundles, ours or the user's."""
CONFIG: Value = chosen(
    "MakesConfigBucket",
    {"Fn::Sub": "${NamePrefix}-config-${AWS::AccountId}-${AWS::Region}"},
    {"Ref": "ConfigS3Bucket"},
)
"""The name of the bucket whose configs are provisioned; in words, since the bucket itself waits for the function."""
S3_KEYS: Value = {"SSEAlgorithm": "AES256"}
RULES_OF_DATA = [
    {
        "Id": "OldVersionsGo",
        "Status": "Enabled",
        "NoncurrentVersionExpiration": {"NoncurrentDays": 365},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
]
RULES_OF_RUNS = [
    {
        "Id": "RunsAreShortLived",
        "Status": "Enabled",
        "ExpirationInDays": 90,
        "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
]
RULES_OF_LOGS = [
    {
        "Id": "LogsGo",
        "Status": "Enabled",
        "ExpirationInDays": 365,
        "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
]


def add(stack: Stack, accounts: Value) -> None:
    """The buckets with their policies; ``accounts`` are the hub and the stages."""
    condition(stack, "MakesAssetsBucket", {"Fn::Equals": [{"Ref": "ExistingS3Bucket"}, ""]})
    condition(stack, "MakesConfigBucket", {"Fn::Equals": [{"Ref": "ConfigS3Bucket"}, ""]})
    condition(stack, "HasDataKey", given("DataKeyArn"))
    _access_logs(stack)
    _bucket(stack, "AssetsBucket", "assets", RULES_OF_DATA, sharing.assets(accounts), condition="MakesAssetsBucket")
    _bucket(stack, "BlueprintBucket", "blueprints", RULES_OF_DATA, sharing.blueprints(accounts))
    _bucket(
        stack,
        "ArtifactBucket",
        "artifacts",
        RULES_OF_RUNS,
        sharing.artifacts(accounts),
        key={"Fn::GetAtt": ["Key", "Arn"]},
    )
    config = _bucket(
        stack, "ConfigBucket", "config", RULES_OF_DATA, sharing.config(), condition="MakesConfigBucket",
        notifies={
            "LambdaConfigurations": [
                {
                    "Event": "s3:ObjectCreated:*",
                    "Function": {"Fn::GetAtt": ["Function", "Arn"]},
                    "Filter": {"S3Key": {"Rules": [{"Name": "suffix", "Value": "mlops-config.json"}]}},
                }
            ]
        },
    )  # fmt: skip
    config.add_override("DependsOn", ["AccessLogBucketPolicy", "ConfigBucketInvokes"])


def _access_logs(stack: Stack) -> None:
    """Where S3 writes who read and wrote the others; it would log its own logging for ever, so it has no log.

    It has no name of its own, and stays even when a launch fails: by then there may be logs in it.
    """
    logs = _plain(stack, "AccessLogBucket", "", RULES_OF_LOGS)
    logs.add_property_override("BucketEncryption", _encryption(S3_KEYS))  # S3 cannot deliver logs under another key
    accepted(logs, "It holds the access logs of the others.", "CKV_AWS_18")
    logs.add_override("DeletionPolicy", "Retain")
    _policy(stack, "AccessLogBucket", sharing.access_logs())


def _bucket(
    stack: Stack,
    name: str,
    called: str,
    rules: list[dict[str, Any]],
    policy: Policy,
    *,
    key: Value = None,
    condition: str = "",
    notifies: dict[str, Any] | None = None,
) -> s3.CfnBucket:
    """One bucket; ``key`` encrypts it where another than the data key must."""
    made = _plain(stack, name, called, rules)
    customer = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key or {"Ref": "DataKeyArn"}}
    made.add_property_override(
        "BucketEncryption", _encryption(customer if key else chosen("HasDataKey", customer, S3_KEYS))
    )
    made.add_property_override(
        "NotificationConfiguration", {"EventBridgeConfiguration": {"EventBridgeEnabled": True}, **(notifies or {})}
    )
    made.add_property_override(
        "LoggingConfiguration", {"DestinationBucketName": {"Ref": "AccessLogBucket"}, "LogFilePrefix": f"{called}/"}
    )
    made.add_override("DependsOn", ["AccessLogBucketPolicy"])
    _policy(stack, name, policy, condition)
    if condition:
        only_if(made, condition)
    return made


def _plain(stack: Stack, name: str, called: str, rules: list[dict[str, Any]]) -> s3.CfnBucket:
    closed = s3.CfnBucket.PublicAccessBlockConfigurationProperty(
        block_public_acls=True, block_public_policy=True, ignore_public_acls=True, restrict_public_buckets=True
    )
    made = s3.CfnBucket(
        stack,
        name,
        bucket_name=text({"Fn::Sub": f"${{NamePrefix}}-{called}-${{AWS::AccountId}}-${{AWS::Region}}"})
        if called
        else None,
        versioning_configuration=s3.CfnBucket.VersioningConfigurationProperty(status="Enabled"),
        ownership_controls=s3.CfnBucket.OwnershipControlsProperty(
            rules=[s3.CfnBucket.OwnershipControlsRuleProperty(object_ownership="BucketOwnerEnforced")]
        ),
        public_access_block_configuration=closed,
    )
    made.add_property_override("LifecycleConfiguration", {"Rules": rules})
    kept(made)
    return made


def _encryption(default: Value) -> dict[str, Any]:
    rule = {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": default}
    return {
        "ServerSideEncryptionConfiguration": [
            rule if default is not S3_KEYS else {"ServerSideEncryptionByDefault": default}
        ]
    }


def _policy(stack: Stack, bucket: str, policy: Policy, condition: str = "") -> None:
    made = s3.CfnBucketPolicy(stack, f"{bucket}Policy", bucket=ref(bucket), policy_document=document(policy))
    if condition:
        only_if(made, condition)
