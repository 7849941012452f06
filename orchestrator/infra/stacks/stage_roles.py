"""The roles that every account of a stage has, and the boundary. They are in the hub's own templates too."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from orchestrator.infra.rights import stage
from orchestrator.infra.rights.boundary import BOUNDARY
from orchestrator.infra.rights.function import PIPELINES
from orchestrator.infra.rights.statement import Policy, Value, document, trust_of_account, trust_of_service
from orchestrator.infra.stacks.elements import accepted, chosen, condition, list_given, output, role, text


def add(
    stack: Stack,
    hub_account: Value,
    artifacts: Value,
    key_arn: Value,
    deploys_too: Mapping[str, tuple[str, Policy]] | None = None,
) -> None:
    """Boundary, ActionRole, DeployRole and ReadRole.

    ``artifacts`` is the name of the hub's artifact bucket, ``key_arn`` its key; ``deploys_too`` are further policies of
    DeployRole, each with the condition under which it has them.
    """
    condition(stack, "HasOperators", list_given("Operators"))
    boundary = iam.CfnManagedPolicy(
        stack,
        "Boundary",
        managed_policy_name=text({"Fn::Sub": "${NamePrefix}-boundary"}),
        description="The most that a role made by a pipeline of MLOps Orchestrator may do.",
        policy_document=document(BOUNDARY),
    )
    accepted(boundary, "A boundary grants nothing; it limits.", "CKV_AWS_108", "CKV_AWS_109", "CKV_AWS_111")
    role(
        stack,
        "ActionRole",
        "${NamePrefix}-pipeline-action",
        "The hub's pipelines act in this account with this role.",
        trust_of_account(hub_account, _callers(hub_account, "${NamePrefix}-orchestrator", PIPELINES)),
        stage.action(artifacts, key_arn),
    )
    role(
        stack,
        "DeployRole",
        "${NamePrefix}-cloudformation",
        "CloudFormation makes the stacks of the pipelines with this role.",
        trust_of_service("cloudformation", says_source=False),
        stage.deploy(hub_account),
        deploys_too,
    )
    role(
        stack,
        "ReadRole",
        "${NamePrefix}-read",
        "The hub reads with this role what was really deployed here.",
        trust_of_account(hub_account, _callers(hub_account, "${NamePrefix}-orchestrator")),
        stage.read(),
    )
    for name, whose in (
        ("Action", "the pipelines' actions"),
        ("Deploy", "CloudFormation"),
        ("Read", "the truth check"),
    ):
        output(stack, f"{name}RoleArn", f"The role of {whose}.", {"Fn::GetAtt": [f"{name}Role", "Arn"]})
    output(stack, "BoundaryArn", "The permissions boundary.", {"Ref": "Boundary"})


def _callers(account: Value, *roles: str) -> Value:
    """These roles of the hub, and the people that the parameter Operators names."""
    fixed = [
        {"Fn::Sub": [f"arn:${{AWS::Partition}}:iam::${{Account}}:role/{name}", {"Account": account}]} for name in roles
    ]
    people = {"Fn::Join": [",", {"Ref": "Operators"}]}
    return chosen("HasOperators", {"Fn::Split": [",", {"Fn::Join": [",", [*fixed, people]]}]}, fixed)
