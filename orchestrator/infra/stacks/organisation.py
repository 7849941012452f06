"""The stage accounts of an AWS organisation: a service-managed stack set rolls out the stage-account template.

Exactly the named accounts, by AccountFilterType INTERSECTION, never a whole organizational unit.
"""

from __future__ import annotations

import json
from typing import Any

from aws_cdk import CfnStackSet, Stack

from orchestrator.infra.rights.statement import Value
from orchestrator.infra.stacks.elements import chosen, condition, is_yes, list_given, only_if, text

PRESET = ("Dev", "Staging", "Prod")
HERE: Value = {"Ref": "AWS::AccountId"}
CALL_AS: Value = chosen("IsDelegatedAdmin", "DELEGATED_ADMIN", "SELF")
"""How the hub asks for stack sets of the organization."""
STACK_SETS: Value = chosen("RollsOut", CALL_AS, "")
"""The same for projects: they may have stack sets where the hub itself rolls out by one, and nowhere else."""
PRESET_STAGES = (
    '[{"name":"dev","account":"${DevAccountId}","approval":false,"organizational_unit":"${DevOrgId}"},'
    '{"name":"staging","account":"${StagingAccountId}","approval":true,"organizational_unit":"${StagingOrgId}"},'
    '{"name":"prod","account":"${ProdAccountId}","approval":true,"organizational_unit":"${ProdOrgId}"}]'
)


def declare(stack: Stack) -> None:
    """The conditions and rules on which accounts and units are given."""
    condition(stack, "HasStageAccounts", list_given("StageAccounts"))
    condition(stack, "HasStages", {"Fn::Not": [{"Fn::Equals": [{"Ref": "Stages"}, "[]"]}]})
    condition(stack, "IsDelegatedAdmin", is_yes("DelegatedAdminAccount"))
    units = [{"Ref": f"{name}OrgId"} for name in PRESET]
    condition(stack, "HasPresetUnits", {"Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["", units]}, ""]}]})
    condition(stack, "HasStageUnits", list_given("StageUnits"))
    condition(stack, "RollsOut", {"Fn::Or": [{"Condition": "HasPresetUnits"}, {"Condition": "HasStageUnits"}]})


def accounts() -> Value:
    """Every account that stages live in, the hub's first: principals of the shared resources."""
    preset = {"Fn::Join": [",", [{"Ref": f"{name}AccountId"} for name in PRESET]]}
    others = chosen("HasStageAccounts", {"Fn::Join": [",", {"Ref": "StageAccounts"}]}, preset)
    return {"Fn::Split": [",", {"Fn::Join": [",", [HERE, others]]}]}


def stages() -> Value:
    """The stages of a config that names none."""
    return chosen("HasStages", {"Ref": "Stages"}, {"Fn::Sub": PRESET_STAGES})


def add(stack: Stack, template: dict[str, Any]) -> None:
    """The stack set; ``template`` is the stage-account template."""
    preset = [_group([{"Ref": f"{name}OrgId"}], [{"Ref": f"{name}AccountId"}]) for name in PRESET]
    named = [_group({"Ref": "StageUnits"}, {"Ref": "StageAccounts"})]
    parameters = {
        "HubAccount": HERE,
        "ArtifactBucket": {"Ref": "ArtifactBucket"},
        "ArtifactKeyArn": {"Fn::GetAtt": ["Key", "Arn"]},
        "NamePrefix": {"Ref": "NamePrefix"},
        "PermissionsBoundaryArn": {"Ref": "PermissionsBoundaryArn"},
        "Operators": {"Fn::Join": [",", {"Ref": "Operators"}]},
    }
    made = CfnStackSet(
        stack,
        "StageAccountsRollout",
        stack_set_name=text({"Fn::Sub": "${NamePrefix}-stage-accounts"}),
        description="The roles of MLOps Orchestrator in the accounts of its stages.",
        permission_model="SERVICE_MANAGED",
        call_as=text(CALL_AS),
        auto_deployment=CfnStackSet.AutoDeploymentProperty(enabled=False),
        managed_execution={"Active": True},
        capabilities=["CAPABILITY_NAMED_IAM"],
        template_body=json.dumps(template, sort_keys=True, separators=(",", ":")),
        parameters=[
            CfnStackSet.ParameterProperty(parameter_key=key, parameter_value=text(value))
            for key, value in parameters.items()
        ],
        operation_preferences=CfnStackSet.OperationPreferencesProperty(
            failure_tolerance_count=0, max_concurrent_count=3, region_concurrency_type="SEQUENTIAL"
        ),
    )
    made.add_property_override("StackInstancesGroup", chosen("HasPresetUnits", preset, named))
    only_if(made, "RollsOut")


def _group(units: Value, accounts: Value) -> dict[str, Any]:
    return {
        "DeploymentTargets": {
            "OrganizationalUnitIds": units,
            "AccountFilterType": "INTERSECTION",
            "Accounts": accounts,
        },
        "Regions": [{"Ref": "AWS::Region"}],
    }
