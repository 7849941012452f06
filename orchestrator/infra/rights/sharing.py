"""Policies of the hub's own resources: its key, buckets, images and model registry, and whom they let in.

Stage accounts are let in by action, prefix and role: a statement names the accounts and, by ``aws:PrincipalArn``, the
roles in them. Naming an account alone would let in whoever that account's administrators please.
"""

from __future__ import annotations

from typing import Any

from orchestrator.infra.rights.function import OF_STACK_SETS, PIPELINES
from orchestrator.infra.rights.statement import (
    EVERYTHING,
    Policy,
    Statement,
    Value,
    allow,
    arn_of,
    from_accounts,
    from_this_account,
    here,
    ref,
    role,
    sub,
)

ADMINISTRATION = (
    "kms:CancelKeyDeletion kms:CreateAlias kms:CreateGrant kms:Decrypt kms:DeleteAlias kms:DescribeKey kms:DisableKey"
    " kms:DisableKeyRotation kms:EnableKey kms:EnableKeyRotation kms:Encrypt kms:GenerateDataKey"
    " kms:GenerateDataKeyWithoutPlaintext kms:GetKeyPolicy kms:GetKeyRotationStatus kms:ListGrants"
    " kms:ListKeyPolicies kms:ListResourceTags kms:PutKeyPolicy kms:ReEncryptFrom kms:ReEncryptTo kms:RevokeGrant"
    " kms:ScheduleKeyDeletion kms:TagResource kms:UntagResource kms:UpdateAlias kms:UpdateKeyDescription"
)

PROJECTS = (PIPELINES, OF_STACK_SETS)
"""Names of what projects make in the stages, by stacks and by stack sets."""
BY_STACK_SETS = "stacksets-exec-*"
"""The role with which AWS makes the stacks of stack sets in an account of the organization.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-orgs-activate-trusted-access.html
"""


def roles_of_stages(*names: str) -> dict[str, Any]:
    """The condition: one of these roles, of whichever account the principal already names."""
    return {"ArnLike": {"aws:PrincipalArn": [role(name, "*") for name in names]}}


def only_tls(bucket: str) -> Statement:
    """Nobody reaches the bucket without TLS."""
    return allow(
        "OnlyTls",
        "s3:*",
        [arn_of(bucket), sub(f"${{{bucket}.Arn}}/*")],
        "What is not encrypted on its way is refused, whoever asks.",
        {"Bool": {"aws:SecureTransport": "false"}},
        effect="Deny",
        principal={"AWS": "*"},
    )


def key(accounts: Value, log_groups: list[str]) -> Policy:
    """The key's policy; ``accounts`` are the hub and the stages, ``log_groups`` the names of what it encrypts."""
    return (
        *_administered(log_groups),
        allow(
            "StageRolesUse",
            "kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey kms:ReEncryptFrom kms:ReEncryptTo",
            EVERYTHING,
            "Roles of the pipelines and of CloudFormation read and write encrypted artifacts in the stages.",
            roles_of_stages(*PROJECTS, "${NamePrefix}-pipeline-action", "${NamePrefix}-cloudformation"),
            principal={"AWS": accounts},
        ),
        _events_encrypt(),
        allow(
            "AlarmsPublish",
            "kms:Decrypt kms:GenerateDataKey",
            EVERYTHING,
            "Alarms of the hub and of the stages publish to the encrypted topic.",
            from_accounts(accounts),
            principal={"Service": "cloudwatch.amazonaws.com"},
        ),
    )


def stage_key(log_groups: list[str]) -> Policy:
    """The policy of the key of a stage's account: for the log of its jobs, and for its dead letters."""
    return (*_administered(log_groups), _events_encrypt())


def _events_encrypt() -> Statement:
    return allow(
        "EventsEncrypt",
        "kms:Decrypt kms:GenerateDataKey",
        EVERYTHING,
        "EventBridge publishes to the encrypted topic, and keeps dead letters in the encrypted queue.",
        from_this_account(),
        principal={"Service": "events.amazonaws.com"},
    )


def _administered(log_groups: list[str]) -> Policy:
    """The statements of a key that the account administers and these log groups are encrypted with."""
    groups = [here("logs", f"log-group:{name}") for name in log_groups]
    return (
        allow(
            "TheAccountAdministers",
            ADMINISTRATION,
            EVERYTHING,
            "Without it nobody could ever change the key again; IAM decides who in this account may.",
            principal={"AWS": sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")},
        ),
        allow(
            "LogsEncrypt",
            "kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey kms:ReEncryptFrom kms:ReEncryptTo",
            EVERYTHING,
            "CloudWatch Logs encrypts the orchestrator's own log groups.",
            {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": groups if len(groups) > 1 else groups[0]}},
            principal={"Service": sub("logs.${AWS::Region}.${AWS::URLSuffix}")},
        ),
    )


def assets(accounts: Value) -> Policy:
    """The assets bucket: jobs of the stages read models and data."""
    return (
        only_tls("AssetsBucket"),
        allow(
            "StageRolesRead",
            "s3:GetObject",
            sub("${AssetsBucket.Arn}/*"),
            "Jobs and endpoints of the stages read models and data; configs name the keys.",
            roles_of_stages(*PROJECTS),
            principal={"AWS": accounts},
        ),
        allow(
            "StageRolesList",
            "s3:ListBucket",
            arn_of("AssetsBucket"),
            "SageMaker lists a prefix before it reads it.",
            roles_of_stages(*PROJECTS),
            principal={"AWS": accounts},
        ),
    )


def blueprints(accounts: Value) -> Policy:
    """The blueprint bucket: stages read the blueprints, nobody but the hub writes them."""
    return (
        only_tls("BlueprintBucket"),
        allow(
            "StageRolesRead",
            "s3:GetObject",
            sub("${BlueprintBucket.Arn}/blueprints/*"),
            "Stages may look up what their stacks were made from.",
            roles_of_stages(*PROJECTS, "${NamePrefix}-pipeline-action", "${NamePrefix}-cloudformation"),
            principal={"AWS": accounts},
        ),
    )


def artifacts(accounts: Value) -> Policy:
    """The artifact bucket: actions in the stages fetch what they deploy."""
    return (
        only_tls("ArtifactBucket"),
        allow(
            "StageRolesExchange",
            "s3:GetObject s3:GetObjectVersion s3:PutObject",
            sub("${ArtifactBucket.Arn}/*"),
            "CodePipeline's actions read and write artifacts with the stage's roles.",
            roles_of_stages("${NamePrefix}-pipeline-action", "${NamePrefix}-cloudformation"),
            principal={"AWS": accounts},
        ),
    )


def config() -> Policy:
    """The config bucket is for this account only."""
    return (only_tls("ConfigBucket"),)


def access_logs() -> Policy:
    """The bucket of access logs: S3 writes, for the buckets of this account."""
    return (
        only_tls("AccessLogBucket"),
        allow(
            "S3WritesLogs",
            "s3:PutObject",
            sub("${AccessLogBucket.Arn}/*"),
            "S3 delivers the access logs of the other buckets.",
            {
                **from_this_account(),
                "ArnLike": {"aws:SourceArn": sub("arn:${AWS::Partition}:s3:::${NamePrefix}-*")},
            },
            principal={"Service": "logging.s3.amazonaws.com"},
        ),
    )


def topic(accounts: Value) -> Policy:
    """The topic: EventBridge here, alarms and rules of the stages publish, and only over TLS."""
    return (
        allow(
            "EventsPublish",
            "sns:Publish",
            ref("Topic"),
            "Runs that end and jobs that fail are told.",
            from_this_account(),
            principal={"Service": "events.amazonaws.com"},
        ),
        allow(
            "AlarmsPublish",
            "sns:Publish",
            ref("Topic"),
            "What a monitor finds in a stage is told by an alarm there.",
            from_accounts(accounts),
            principal={"Service": "cloudwatch.amazonaws.com"},
        ),
        allow(
            "StageRolesPublish",
            "sns:Publish",
            ref("Topic"),
            "A job of a monitor that failed in a stage is told by a rule there, with a role of the pipeline.",
            roles_of_stages(*PROJECTS),
            principal={"AWS": accounts},
        ),
        allow(
            "OnlyTls",
            "sns:Publish",
            ref("Topic"),
            "What is not encrypted on its way is refused.",
            {"Bool": {"aws:SecureTransport": "false"}},
            effect="Deny",
            principal={"AWS": "*"},
        ),
    )


def dead_letters() -> Policy:
    """A dead-letter queue: EventBridge keeps what it could not deliver, and only over TLS."""
    rules = [here("events", f"rule/{name}") for name in ("${NamePrefix}-*", *PROJECTS)]
    return (
        allow(
            "OnlyTls",
            "sqs:*",
            arn_of("DeadLetters"),
            "What is not encrypted on its way is refused.",
            {"Bool": {"aws:SecureTransport": "false"}},
            effect="Deny",
            principal={"AWS": "*"},
        ),
        allow(
            "EventsKeep",
            "sqs:SendMessage",
            arn_of("DeadLetters"),
            "An event that its target never took is kept: of the orchestrator's own rules, and of projects.",
            {"ArnLike": {"aws:SourceArn": rules}, **from_this_account()},
            principal={"Service": "events.amazonaws.com"},
        ),
    )


def images(accounts: Value) -> Policy:
    """The image repository: jobs of the stages pull."""
    return (
        Statement(
            "StagesPull",
            (
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:DescribeImages",
                "ecr:GetDownloadUrlForLayer",
            ),
            (),
            "Jobs and endpoints of the stages run images of this repository.",
            roles_of_stages(*PROJECTS, "${NamePrefix}-cloudformation", BY_STACK_SETS),
            principal={"AWS": accounts},
        ),
    )


def registry(accounts: Value, name: Value) -> Policy:
    """The model package group of that name: stages read its packages and make models from them."""
    arn = "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:"
    roles = roles_of_stages(*PROJECTS, "${NamePrefix}-cloudformation", "${NamePrefix}-read", BY_STACK_SETS)
    return (
        allow(
            "StagesReadTheGroup",
            "sagemaker:DescribeModelPackageGroup sagemaker:ListModelPackages",
            sub(arn + "model-package-group/${Registry}", Registry=name),
            "Stages find the approved version.",
            roles,
            principal={"AWS": accounts},
        ),
        allow(
            "StagesUsePackages",
            "sagemaker:CreateModel sagemaker:DescribeModelPackage",
            sub(arn + "model-package/${Registry}/*", Registry=name),
            "A stage's model is made from an approved package.",
            roles,
            principal={"AWS": accounts},
        ),
    )
