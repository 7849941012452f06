"""The hub's key: artifacts travel between accounts, so the key is ours and not one that AWS manages."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_kms as kms

from orchestrator.infra.rights import sharing
from orchestrator.infra.rights.statement import Value, document
from orchestrator.infra.stacks import jobs
from orchestrator.infra.stacks.elements import kept, ref, text

ENCRYPTED_LOGS = ["/aws/lambda/${NamePrefix}-orchestrator", "/mlops/${NamePrefix}-orchestrator-api", jobs.LOG]


def add_stage_key(stack: Stack) -> None:
    """The resource StageKey, for what stays in the account of a stage: the log of its jobs, and its dead letters."""
    key = kms.CfnKey(
        stack,
        "StageKey",
        description="Encrypts what MLOps Orchestrator keeps in this account: the log of jobs, events that went astray.",
        enable_key_rotation=True,
        key_policy=document(sharing.stage_key([jobs.LOG])),
    )
    kept(key)


def add(stack: Stack, accounts: Value) -> None:
    """The resources Key and KeyAlias; ``accounts`` are the hub and the stages."""
    key = kms.CfnKey(
        stack,
        "Key",
        description="Encrypts what MLOps Orchestrator's pipelines hand on, its notifications, images and logs.",
        enable_key_rotation=True,
        key_policy=document(sharing.key(accounts, ENCRYPTED_LOGS)),
    )
    kept(key)
    kms.CfnAlias(
        stack, "KeyAlias", alias_name=text({"Fn::Sub": "alias/${NamePrefix}-orchestrator"}), target_key_id=ref("Key")
    )
