"""The account of a stage: the roles that let the hub's pipelines deploy there, and the boundary that holds them."""

from __future__ import annotations

from aws_cdk import Stack

from orchestrator.infra.rights.statement import Value
from orchestrator.infra.stacks import encryption, jobs, notifications, stage_roles
from orchestrator.infra.stacks.elements import condition, declare, given
from orchestrator.infra.stacks.parameters import STAGE_ACCOUNT


def stage_account(stack: Stack) -> None:
    """The stage-account template; launched by hand, by ``mlops deploy``, or rolled out by the hub's stack set."""
    declare(stack, STAGE_ACCOUNT)
    condition(stack, "HasPermissionsBoundary", given("PermissionsBoundaryArn"))
    key: Value = {"Fn::GetAtt": ["StageKey", "Arn"]}
    encryption.add_stage_key(stack)
    jobs.add(stack, key)
    notifications.add_dead_letters(stack, key)
    stage_roles.add(stack, {"Ref": "HubAccount"}, {"Ref": "ArtifactBucket"}, {"Ref": "ArtifactKeyArn"})
