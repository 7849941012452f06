"""The repository for images of the user's own algorithms, and the model registry if one is wanted."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_sagemaker as sagemaker

from orchestrator.infra.rights import sharing
from orchestrator.infra.rights.statement import Value, document
from orchestrator.infra.stacks.elements import chosen, condition, is_yes, kept, only_if, text

REPOSITORY: Value = chosen("MakesRepository", {"Fn::Sub": "${NamePrefix}-algorithms"}, {"Ref": "ExistingECRRepo"})
"""The name of the repository, ours or the user's."""
REPOSITORY_ARN: Value = {
    "Fn::Sub": ["arn:${AWS::Partition}:ecr:${AWS::Region}:${AWS::AccountId}:repository/${Name}", {"Name": REPOSITORY}]
}
REPOSITORY_URI: Value = {
    "Fn::Sub": ["${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}/${Name}", {"Name": REPOSITORY}]
}
UNIQUE: Value = {
    "Fn::Select": [0, {"Fn::Split": ["-", {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}]}]
}
"""Eight characters that no other stack has, and that this one keeps."""
REGISTRY_NAME: Value = {"Fn::Sub": ["${NamePrefix}-model-registry-${Unique}", {"Unique": UNIQUE}]}


def add(stack: Stack, accounts: Value) -> None:
    """Repository and ModelRegistry, each under its condition; ``accounts`` are the hub and the stages."""
    condition(stack, "MakesRepository", {"Fn::Equals": [{"Ref": "ExistingECRRepo"}, ""]})
    repository = ecr.CfnRepository(
        stack,
        "Repository",
        repository_name=text({"Fn::Sub": "${NamePrefix}-algorithms"}),
        image_tag_mutability="IMMUTABLE",
        image_scanning_configuration=ecr.CfnRepository.ImageScanningConfigurationProperty(scan_on_push=True),
        encryption_configuration=ecr.CfnRepository.EncryptionConfigurationProperty(
            encryption_type="KMS", kms_key=text({"Fn::GetAtt": ["Key", "Arn"]})
        ),
        repository_policy_text=document(sharing.images(accounts)),
    )
    kept(repository)
    only_if(repository, "MakesRepository")
    condition(stack, "MakesModelRegistry", is_yes("CreateModelRegistry"))
    registry = sagemaker.CfnModelPackageGroup(
        stack,
        "ModelRegistry",
        model_package_group_name=text(REGISTRY_NAME),
        model_package_group_description="Models that MLOps Orchestrator's pipelines register.",
        model_package_group_policy=document(sharing.registry(accounts, REGISTRY_NAME)),
    )
    kept(registry)
    only_if(registry, "MakesModelRegistry")
