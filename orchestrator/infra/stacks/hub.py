"""The hub: everything of the orchestrator in its own account, for one account or for several."""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnRule, CfnRuleAssertion, Stack, Token

from orchestrator.infra.rights import stage
from orchestrator.infra.rights.statement import Value
from orchestrator.infra.stacks import (
    api,
    buckets,
    connection,
    encryption,
    function,
    images,
    jobs,
    notifications,
    organisation,
    stage_roles,
)
from orchestrator.infra.stacks.elements import chosen, condition, declare, given, output
from orchestrator.infra.stacks.parameters import MULTI_ACCOUNT, SINGLE_ACCOUNT

HERE: Value = {"Ref": "AWS::AccountId"}


def single_account(stack: Stack) -> None:
    """Hub and stages in one account."""
    declare(stack, SINGLE_ACCOUNT)
    _resources(stack, HERE, {"Ref": "Stages"})


def multi_account(stack: Stack, stage_template: dict[str, Any]) -> None:
    """A hub with stages in other accounts; ``stage_template`` is rolled out to them when units are given."""
    declare(stack, MULTI_ACCOUNT)
    organisation.declare(stack)
    _resources(stack, organisation.accounts(), organisation.stages(), organisation.STACK_SETS)
    organisation.add(stack, stage_template)
    preset = [{"Fn::Not": [{"Fn::Equals": [{"Ref": f"{name}AccountId"}, ""]}]} for name in organisation.PRESET]
    named = {"Fn::Not": [{"Fn::Contains": [{"Ref": "StageAccounts"}, ""]}]}
    CfnRule(
        stack,
        "AccountsAreNamed",
        assertions=[
            CfnRuleAssertion(
                assert_=Token.as_any({"Fn::Or": [named, {"Fn::And": preset}]}),
                assert_description="Give DevAccountId, StagingAccountId and ProdAccountId, or StageAccounts.",
            )
        ],
    )


def _resources(stack: Stack, accounts: Value, stages: Value, call_as: Value = None) -> None:
    condition(stack, "HasPermissionsBoundary", given("PermissionsBoundaryArn"))
    encryption.add(stack, accounts)
    buckets.add(stack, accounts)
    notifications.add(stack, accounts)
    images.add(stack, accounts)
    function.add(stack, stages, call_as)
    api.add(stack)
    connection.add(stack)
    jobs.add(stack, {"Fn::GetAtt": ["Key", "Arn"]})
    more = {name: ("RollsOut", policy) for name, policy in stage.stack_sets().items()} if call_as else {}
    stage_roles.add(stack, HERE, {"Ref": "ArtifactBucket"}, {"Fn::GetAtt": ["Key", "Arn"]}, more)
    _outputs(stack)


def _outputs(stack: Stack) -> None:
    url = "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/${ApiStage}/"
    output(stack, "ApiUrl", "Where the API answers (SigV4).", {"Fn::Sub": url})
    output(stack, "ApiId", "The API's id.", {"Ref": "Api"})
    output(stack, "ApiStage", "The API's stage.", {"Ref": "ApiStage"})
    output(stack, "AssetsBucket", "Bucket for data, models, sources and bundles.", buckets.ASSETS)
    output(stack, "ArtifactBucket", "Bucket in which runs keep their artifacts.", {"Ref": "ArtifactBucket"})
    output(stack, "ArtifactKeyArn", "Key of the artifact bucket.", {"Fn::GetAtt": ["Key", "Arn"]})
    output(stack, "BlueprintsBucket", "Bucket of the blueprints.", {"Ref": "BlueprintBucket"})
    output(stack, "ConfigBucket", "A config dropped here as mlops-config.json is provisioned.", buckets.CONFIG)
    output(stack, "FunctionName", "The orchestrator function.", {"Ref": "Function"})
    output(stack, "FunctionArn", "The orchestrator function's ARN.", {"Fn::GetAtt": ["Function", "Arn"]})
    output(stack, "TopicArn", "Topic of results, failures and approvals that wait.", {"Ref": "Topic"})
    output(stack, "ECRRepoArn", "Repository for images of your own algorithms.", images.REPOSITORY_ARN)
    output(stack, "RepositoryUri", "Where to push images of your own algorithms.", images.REPOSITORY_URI)
    output(stack, "DeadLetterQueueUrl", "Events the function could not handle.", {"Ref": "DeadLetters"})
    group = "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:model-package-group/${Name}"
    registry = chosen(
        "MakesModelRegistry",
        {"Fn::Sub": [group, {"Name": images.REGISTRY_NAME}]},
        "[No Model Package Group was created]",
    )
    output(stack, "ModelRegistryArn", "The model registry.", registry)
