"""Types that keep things, in a table: buckets, topics, queues, keys, secrets, images, logs, alarms."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cloudformation_cases import QUEUE, TOPIC, Case, absent, tag_map, tags, walk
from cloudformation_rig import Cloud, exists


def statement(**more: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Sid": "s", "Effect": "Allow", "Principal": "*", **more}]}


def bucket_says(cloud: Cloud, physical: str, stack: str) -> Any:
    s3 = cloud.client("s3")
    rules = s3.get_bucket_lifecycle_configuration(Bucket=physical)["Rules"]
    notifications = s3.get_bucket_notification_configuration(Bucket=physical)
    return [
        s3.get_bucket_versioning(Bucket=physical).get("Status"),
        rules[0]["Expiration"]["Days"],
        "EventBridgeConfiguration" in notifications,
        [each["Events"] for each in notifications.get("QueueConfigurations", [])],
        s3.get_bucket_encryption(Bucket=physical)["ServerSideEncryptionConfiguration"]["Rules"][0][
            "ApplyServerSideEncryptionByDefault"
        ]["SSEAlgorithm"],
        exists(s3.get_public_access_block, Bucket=physical),
        tag_map(s3.get_bucket_tagging(Bucket=physical)["TagSet"]),
    ]


def lifecycle(days: int) -> dict[str, Any]:
    return {"Rules": [{"Id": "r", "Status": "Enabled", "Prefix": "p/", "ExpirationInDays": days}]}


def encryption(algorithm: str) -> dict[str, Any]:
    return {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}}]}


def key_says(cloud: Cloud, physical: str, stack: str) -> Any:
    kms = cloud.client("kms")
    found = kms.describe_key(KeyId=physical)["KeyMetadata"]
    return [
        found["Description"],
        kms.get_key_rotation_status(KeyId=physical)["KeyRotationEnabled"],
        "kms:Decrypt" in kms.get_key_policy(KeyId=physical, PolicyName="default")["Policy"],
        found["Enabled"],
    ]


def alias_says(cloud: Cloud, physical: str, stack: str) -> Any:
    kms = cloud.client("kms")
    return kms.describe_key(KeyId=physical)["KeyMetadata"]["Description"]


def repository_says(cloud: Cloud, physical: str, stack: str) -> Any:
    ecr = cloud.client("ecr")
    found = ecr.describe_repositories(repositoryNames=[physical])["repositories"][0]
    return [
        found["imageTagMutability"],
        exists(ecr.get_repository_policy, repositoryName=physical),
        exists(ecr.get_lifecycle_policy, repositoryName=physical),
    ]


def log_group_says(cloud: Cloud, physical: str, stack: str) -> Any:
    found = cloud.client("logs").describe_log_groups(logGroupNamePrefix=physical)["logGroups"]
    return [group.get("retentionInDays") for group in found]


def alarm_says(cloud: Cloud, physical: str, stack: str) -> Any:
    found = cloud.client("cloudwatch").describe_alarms(AlarmNames=[physical])["MetricAlarms"]
    return [(alarm["Threshold"], alarm["MetricName"]) for alarm in found]


def alarm(threshold: float) -> dict[str, Any]:
    return {
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "MetricName": "m",
        "Namespace": "n",
        "Period": 60,
        "Statistic": "Sum",
        "Threshold": threshold,
    }


def subscription_says(cloud: Cloud, physical: str, stack: str) -> Any:
    found = cloud.client("sns").get_subscription_attributes(SubscriptionArn=physical)["Attributes"]
    return [found["RawMessageDelivery"], json.loads(found.get("FilterPolicy", "{}"))]


def subscription(**more: Any) -> dict[str, Any]:
    endpoint = {"Fn::GetAtt": ["Queue", "Arn"]}
    return {"TopicArn": {"Ref": "Topic"}, "Protocol": "sqs", "Endpoint": endpoint, **more}


CASES = [
    Case(
        "AWS::S3::Bucket",
        {
            "VersioningConfiguration": {"Status": "Enabled"},
            "LifecycleConfiguration": lifecycle(5),
            "BucketEncryption": encryption("AES256"),
            "PublicAccessBlockConfiguration": {"BlockPublicAcls": True},
            "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
            "Tags": tags(a="1", b="2"),
        },
        {
            "LifecycleConfiguration": lifecycle(9),
            "BucketEncryption": encryption("aws:kms"),
            "NotificationConfiguration": {
                "QueueConfigurations": [{"Event": "s3:ObjectCreated:*", "Queue": {"Fn::GetAtt": ["Queue", "Arn"]}}]
            },
            "Tags": tags(a="3"),
        },
        bucket_says,
        ["Enabled", 5, True, [], "AES256", True, {"a": "1", "b": "2"}],
        ["Suspended", 9, False, [["s3:ObjectCreated:*"]], "aws:kms", False, {"a": "3"}],
        absent("s3", "head_bucket", "Bucket"),
        {"Queue": QUEUE},
    ),
    Case(
        "AWS::S3::BucketPolicy",
        {"Bucket": {"Ref": "B"}, "PolicyDocument": statement(Action="s3:GetObject", Resource="*")},
        {"Bucket": {"Ref": "B"}, "PolicyDocument": statement(Action="s3:PutObject", Resource="*")},
        lambda cloud, physical, stack: "PutObject" in cloud.client("s3").get_bucket_policy(Bucket=physical)["Policy"],
        False,
        True,
        absent("s3", "get_bucket_policy", "Bucket"),
        {"B": {"Type": "AWS::S3::Bucket"}},
    ),
    Case(
        "AWS::SNS::Topic",
        {"DisplayName": "one", "Tags": tags(a="1")},
        {"Tags": tags(b="2")},
        lambda cloud, physical, stack: [
            cloud.client("sns").get_topic_attributes(TopicArn=physical)["Attributes"]["DisplayName"],
            tag_map(cloud.client("sns").list_tags_for_resource(ResourceArn=physical)["Tags"]),
        ],
        ["one", {"a": "1"}],
        ["", {"b": "2"}],
        absent("sns", "get_topic_attributes", "TopicArn"),
    ),
    Case(
        "AWS::SNS::TopicPolicy",
        {"Topics": [{"Ref": "Topic"}], "PolicyDocument": statement(Action="sns:Publish", Resource="*")},
        {"Topics": [{"Ref": "Topic"}], "PolicyDocument": statement(Action="sns:Subscribe", Resource="*")},
        lambda cloud, physical, stack: (
            "sns:Subscribe"
            in cloud.client("sns").get_topic_attributes(TopicArn=cloud.physical(stack, "Topic"))["Attributes"]["Policy"]
        ),
        False,
        True,
        lambda cloud, physical, stack: True,
        {"Topic": TOPIC},
    ),
    Case(
        "AWS::SNS::Subscription",
        subscription(RawMessageDelivery=True),
        subscription(RawMessageDelivery=False, FilterPolicy={"color": ["red"]}),
        subscription_says,
        ["true", {}],
        ["false", {"color": ["red"]}],
        absent("sns", "get_subscription_attributes", "SubscriptionArn"),
        {"Topic": TOPIC, "Queue": QUEUE},
    ),
    Case(
        "AWS::SQS::Queue",
        {
            "DelaySeconds": 5,
            "RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}, "maxReceiveCount": 3},
        },
        {"VisibilityTimeout": 60},
        lambda cloud, physical, stack: (
            lambda found: [
                found["DelaySeconds"],
                found["VisibilityTimeout"],
                "maxReceiveCount" in found.get("RedrivePolicy", ""),
            ]
        )(cloud.client("sqs").get_queue_attributes(QueueUrl=physical, AttributeNames=["All"])["Attributes"]),
        ["5", "30", True],
        ["0", "60", False],
        absent("sqs", "get_queue_attributes", "QueueUrl"),
        {"Dead": QUEUE},
    ),
    Case(
        "AWS::SQS::QueuePolicy",
        {"Queues": [{"Ref": "Queue"}], "PolicyDocument": statement(Action="sqs:SendMessage", Resource="*")},
        {"Queues": [{"Ref": "Queue"}], "PolicyDocument": statement(Action="sqs:ReceiveMessage", Resource="*")},
        lambda cloud, physical, stack: (
            "ReceiveMessage"
            in cloud.client("sqs").get_queue_attributes(
                QueueUrl=cloud.physical(stack, "Queue"), AttributeNames=["Policy"]
            )["Attributes"]["Policy"]
        ),
        False,
        True,
        lambda cloud, physical, stack: True,
        {"Queue": QUEUE},
    ),
    Case(
        "AWS::KMS::Key",
        {"Description": "one", "EnableKeyRotation": True},
        {"Description": "two", "Enabled": False, "KeyPolicy": statement(Action="kms:Decrypt", Resource="*")},
        key_says,
        ["one", True, False, True],
        ["two", False, True, False],
        lambda cloud, physical, stack: (
            cloud.client("kms").describe_key(KeyId=physical)["KeyMetadata"]["KeyState"] == "PendingDeletion"
        ),
    ),
    Case(
        "AWS::KMS::Alias",
        {"AliasName": "alias/it", "TargetKeyId": {"Ref": "First"}},
        {"AliasName": "alias/it", "TargetKeyId": {"Ref": "Second"}},
        alias_says,
        "first",
        "second",
        lambda cloud, physical, stack: physical not in str(cloud.client("kms").list_aliases()["Aliases"]),
        {
            "First": {"Type": "AWS::KMS::Key", "Properties": {"Description": "first"}},
            "Second": {"Type": "AWS::KMS::Key", "Properties": {"Description": "second"}},
        },
    ),
    Case(
        "AWS::Logs::LogGroup",
        {"LogGroupName": "/it", "RetentionInDays": 7},
        {"LogGroupName": "/it"},
        log_group_says,
        [7],
        [None],
        lambda cloud, physical, stack: log_group_says(cloud, physical, stack) == [],
    ),
    Case(
        "AWS::SSM::Parameter",
        {"Type": "String", "Value": "one", "Tags": {"a": "1"}},
        {"Type": "String", "Value": 2, "Tags": {"b": "2"}},
        lambda cloud, physical, stack: [
            cloud.client("ssm").get_parameter(Name=physical)["Parameter"]["Value"],
            tag_map(
                cloud.client("ssm").list_tags_for_resource(ResourceType="Parameter", ResourceId=physical)["TagList"]
            ),
        ],
        ["one", {"a": "1"}],
        ["2", {"b": "2"}],
        absent("ssm", "get_parameter", "Name"),
    ),
    Case(
        "AWS::SecretsManager::Secret",
        {"SecretString": "one"},
        {"GenerateSecretString": {"SecretStringTemplate": '{"user": "me"}', "GenerateStringKey": "password"}},
        lambda cloud, physical, stack: cloud.client("secretsmanager").get_secret_value(SecretId=physical)[
            "SecretString"
        ][:14],
        "one",
        '{"user": "me",',
        absent("secretsmanager", "describe_secret", "SecretId"),
    ),
    Case(
        "AWS::CloudWatch::Alarm",
        alarm(1),
        alarm(2),
        alarm_says,
        [(1.0, "m")],
        [(2.0, "m")],
        lambda cloud, physical, stack: alarm_says(cloud, physical, stack) == [],
    ),
    Case(
        "AWS::ECR::Repository",
        {"ImageTagMutability": "IMMUTABLE", "RepositoryPolicyText": statement(Action="ecr:BatchGetImage")},
        {
            "LifecyclePolicy": {
                "LifecyclePolicyText": json.dumps(
                    {
                        "rules": [
                            {
                                "rulePriority": 1,
                                "action": {"type": "expire"},
                                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 5},
                            }
                        ]
                    }
                )
            }
        },
        repository_says,
        ["IMMUTABLE", True, False],
        ["MUTABLE", False, True],
        lambda cloud, physical, stack: (
            not exists(cloud.client("ecr").describe_repositories, repositoryNames=[physical])
        ),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.type for case in CASES])
def test_made_changed_and_removed(cloud: Cloud, case: Case) -> None:
    walk(cloud, case)
