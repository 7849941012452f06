"""Configs from GitHub, GitLab or Bitbucket: a small pipeline that hands a commit's config to the function.

It runs only for commits that touch an ``mlops-config.json``.
"""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_codepipeline as codepipeline

from orchestrator.infra.rights import connection
from orchestrator.infra.rights.statement import trust_of_service
from orchestrator.infra.stacks.elements import condition, found, given, only_if, ref, role, text

FILES = ["mlops-config.json", "**/mlops-config.json"]


def add(stack: Stack) -> None:
    """ConnectionPipeline with its role, when a connection is given."""
    condition(stack, "HasConnection", given("ConnectionArn"))
    made = role(
        stack,
        "ConnectionRole",
        "${NamePrefix}-config-pipeline",
        "Brings configs from a connected repository to the function.",
        trust_of_service("codepipeline", says_source=True),
        {"ConnectionPolicy": connection.POLICY},
    )
    only_if(made, "HasConnection")
    only_if(found(stack, "ConnectionPolicy"), "HasConnection")
    pipeline = codepipeline.CfnPipeline(
        stack,
        "ConnectionPipeline",
        name=text({"Fn::Sub": "config-${NamePrefix}"}),
        pipeline_type="V2",
        execution_mode="QUEUED",
        role_arn=text({"Fn::GetAtt": ["ConnectionRole", "Arn"]}),
        artifact_store=codepipeline.CfnPipeline.ArtifactStoreProperty(
            type="S3",
            location=ref("ArtifactBucket"),
            encryption_key=codepipeline.CfnPipeline.EncryptionKeyProperty(
                id=text({"Fn::GetAtt": ["Key", "Arn"]}), type="KMS"
            ),
        ),
        stages=[],
    )
    pipeline.add_property_override("Stages", [_source(), _provision()])
    pipeline.add_property_override(
        "Triggers",
        [
            {
                "ProviderType": "CodeStarSourceConnection",
                "GitConfiguration": {
                    "SourceActionName": "Repository",
                    "Push": [
                        {
                            "Branches": {"Includes": [{"Ref": "ConnectionBranch"}]},
                            "FilePaths": {"Includes": FILES},
                        }
                    ],
                },
            }
        ],
    )
    only_if(pipeline, "HasConnection")


def _source() -> dict[str, object]:
    return {
        "Name": "Source",
        "Actions": [
            {
                "Name": "Repository",
                "ActionTypeId": {
                    "Category": "Source", "Owner": "AWS", "Provider": "CodeStarSourceConnection", "Version": "1"
                },
                "Configuration": {
                    "ConnectionArn": {"Ref": "ConnectionArn"},
                    "FullRepositoryId": {"Ref": "ConnectionRepository"},
                    "BranchName": {"Ref": "ConnectionBranch"},
                    "DetectChanges": "false",
                },
                "Namespace": "Commit",
                "OutputArtifacts": [{"Name": "Repository"}],
                "RunOrder": 1,
            }
        ],
    }  # fmt: skip


def _provision() -> dict[str, object]:
    return {
        "Name": "Provision",
        "Actions": [
            {
                "Name": "Provision",
                "ActionTypeId": {"Category": "Invoke", "Owner": "AWS", "Provider": "Lambda", "Version": "1"},
                "Configuration": {
                    "FunctionName": {"Ref": "Function"},
                    "UserParameters": '{"do":"provision","commit":"#{Commit.FullRepositoryName}@#{Commit.CommitId}"}',
                },
                "InputArtifacts": [{"Name": "Repository"}],
                "RunOrder": 1,
            }
        ],
    }
