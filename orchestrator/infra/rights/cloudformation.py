"""What CloudFormation may make in the hub: the stacks with the CodePipelines, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.infra.rights.function import PIPELINES
from orchestrator.infra.rights.statement import Policy, Statement, Value, allow, here, passed_to, role, sub

ROLES: Value = role(PIPELINES)
POLICIES: Value = sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/mlops-pipelines/*")
"""The policies that templates of projects make: a path of their own, in which nothing of the launch templates lies."""
NOT_THE_LAUNCH_ROLES = (
    "iam:AttachRolePolicy iam:CreateRole iam:DeleteRole iam:DeleteRolePolicy iam:DetachRolePolicy iam:PassRole"
    " iam:PutRolePermissionsBoundary iam:PutRolePolicy iam:UpdateAssumeRolePolicy iam:UpdateRole"
)


def bounded() -> dict[str, Any]:
    """The condition under which roles may be made: they are under the boundary."""
    boundary = sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/${NamePrefix}-boundary")
    return {"StringEquals": {"iam:PermissionsBoundary": boundary}}


def bounded_roles(services: tuple[str, ...], *shared: str) -> Policy:
    """Making roles of projects, always under the boundary, and giving them to these services.

    ``shared`` are the policies of the launch templates that such a role may have beside its own.
    """
    attachable = [POLICIES, *(shared_policy(name) for name in shared)]
    return (
        allow(
            "ReadRoles",
            "iam:GetRole iam:ListAttachedRolePolicies iam:ListRolePolicies",
            ROLES,
            "CloudFormation compares roles with the template.",
        ),
        allow(
            "BoundedRolesOnly",
            "iam:CreateRole iam:PutRolePermissionsBoundary",
            ROLES,
            "Whatever a template says, a role it makes can never exceed the boundary.",
            bounded(),
        ),
        allow(
            "PoliciesOfProjects",
            "iam:CreatePolicy iam:CreatePolicyVersion iam:DeletePolicy iam:DeletePolicyVersion iam:GetPolicy"
            " iam:GetPolicyVersion iam:ListEntitiesForPolicy iam:ListPolicyVersions",
            POLICIES,
            "The rights of a role are a policy of the same stack; the boundary lies outside of this path.",
        ),
        allow(
            "GiveRolesTheirPolicies",
            "iam:AttachRolePolicy iam:DetachRolePolicy",
            ROLES,
            "A project's role gets policies of projects, and those that the launch templates made for all of them.",
            {**bounded(), "ArnLike": {"iam:PolicyARN": attachable if shared else POLICIES}},
        ),
        allow(
            "KeepRoles",
            "iam:DeleteRole iam:TagRole iam:UntagRole iam:UpdateAssumeRolePolicy iam:UpdateRole"
            " iam:UpdateRoleDescription",
            ROLES,
            "Roles of projects change and go with their stacks.",
        ),
        allow(
            "GiveRolesToTheirServices",
            "iam:PassRole",
            ROLES,
            "A role of a project works for the services that projects use, and for no other.",
            passed_to(*services),
        ),
        _own_role_is_out_of_reach(),
    )


def shared_policy(name: str) -> Value:
    """The ARN of a policy that the launch templates make for all roles of one purpose."""
    return sub(f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:policy/${{NamePrefix}}-{name}")


def _own_role_is_out_of_reach() -> Statement:
    return allow(
        "NotTheLaunchRoles",
        NOT_THE_LAUNCH_ROLES,
        role("${NamePrefix}-pipeline-action"),
        "The name of the pipelines' action role begins like a project's; no project may touch it.",
        effect="Deny",
    )


def policies() -> Mapping[str, Policy]:
    """The policies by name."""
    return {
        "CloudFormationPipelines": (
            allow(
                "Pipelines",
                "codepipeline:CreatePipeline codepipeline:DeletePipeline codepipeline:DisableStageTransition"
                " codepipeline:EnableStageTransition codepipeline:GetPipeline codepipeline:GetPipelineState"
                " codepipeline:ListTagsForResource codepipeline:StartPipelineExecution codepipeline:TagResource"
                " codepipeline:UntagResource codepipeline:UpdatePipeline",
                here("codepipeline", PIPELINES),
                "A project has one CodePipeline.",
            ),
            rules(),
        ),
        "CloudFormationRoles": bounded_roles(("codepipeline", "events")),
    }


def rules() -> Statement:
    """Rules of EventBridge: a new bundle starts a run, a finished run is told, a failed job too."""
    return allow(
        "Rules",
        "events:DeleteRule events:DescribeRule events:ListTagsForResource events:ListTargetsByRule events:PutRule"
        " events:PutTargets events:RemoveTargets events:TagResource events:UntagResource",
        here("events", f"rule/{PIPELINES}"),
        "Projects listen to events: of their bundle, their runs, their jobs.",
    )
