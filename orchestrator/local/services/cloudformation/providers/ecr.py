"""ECR: repositories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.local.services.cloudformation.providers.contract import (
    Naming,
    Provider,
    Request,
    document,
    found,
    if_there,
    lower_camel,
    tag_list,
    tags_to_remove,
)


class Repository(Provider):
    """AWS::ECR::Repository."""

    type = "AWS::ECR::Repository"
    service = "ecr"
    naming = Naming("RepositoryName", 256, lower=True)
    supported = frozenset(
        {
            "EmptyOnDelete",
            "EncryptionConfiguration",
            "ImageScanningConfiguration",
            "ImageTagMutability",
            "LifecyclePolicy",
            "RepositoryName",
            "RepositoryPolicyText",
            "Tags",
        }
    )

    def find(self, request: Request) -> str | None:
        client = self.api(request)
        return request.name if found(lambda: client.describe_repositories(repositoryNames=[request.name])) else None

    def make(self, request: Request) -> str:
        properties, extra = request.properties, {}
        if "EncryptionConfiguration" in properties:
            extra["encryptionConfiguration"] = lower_camel(properties["EncryptionConfiguration"])
        self.api(request).create_repository(repositoryName=request.name, tags=tag_list(properties.get("Tags")), **extra)
        return request.name

    def settle(self, request: Request) -> None:
        client, name, properties = self.api(request), request.physical_id, request.properties
        if request.changed("ImageTagMutability"):
            mutability = properties.get("ImageTagMutability", "MUTABLE")
            client.put_image_tag_mutability(repositoryName=name, imageTagMutability=mutability)
        if request.changed("ImageScanningConfiguration"):
            scanning = properties.get("ImageScanningConfiguration", {"ScanOnPush": False})
            client.put_image_scanning_configuration(
                repositoryName=name, imageScanningConfiguration=lower_camel(scanning)
            )
        if request.changed("RepositoryPolicyText"):
            self._policy(client, name, properties)
        if request.changed("LifecyclePolicy"):
            self._lifecycle(client, name, properties)
        if request.before and request.changed("Tags"):
            arn = request.arn("ecr", f"repository/{name}")
            client.tag_resource(resourceArn=arn, tags=tag_list(properties.get("Tags")))
            client.untag_resource(resourceArn=arn, tagKeys=tags_to_remove(request))

    @staticmethod
    def _policy(client: Any, name: str, properties: Mapping[str, Any]) -> None:
        text = properties.get("RepositoryPolicyText")
        if text:
            client.set_repository_policy(repositoryName=name, policyText=document(text))
        else:
            if_there(client.delete_repository_policy, repositoryName=name)

    @staticmethod
    def _lifecycle(client: Any, name: str, properties: Mapping[str, Any]) -> None:
        text = properties.get("LifecyclePolicy", {}).get("LifecyclePolicyText")
        if text:
            client.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=text)
        else:
            if_there(client.delete_lifecycle_policy, repositoryName=name)

    def attributes(self, request: Request) -> dict[str, Any]:
        answer = self.api(request).describe_repositories(repositoryNames=[request.physical_id])
        repository = answer["repositories"][0]
        return {"Arn": repository["repositoryArn"], "RepositoryUri": repository["repositoryUri"]}

    def delete(self, request: Request) -> None:
        if_there(
            self.api(request).delete_repository,
            repositoryName=request.physical_id,
            force=bool(request.properties.get("EmptyOnDelete")),
        )


PROVIDERS = (Repository(),)
