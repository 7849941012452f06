"""KMS: keys and aliases."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from orchestrator.local.services.cloudformation.providers.contract import (
    MARK,
    Naming,
    Provider,
    Request,
    document,
    found,
    if_there,
    picked,
    tag_list,
    tags_to_remove,
)


class Key(Provider):
    """AWS::KMS::Key. Keys have no names, so a key bears the token of the attempt that made it."""

    type = "AWS::KMS::Key"
    service = "kms"
    supported = frozenset(
        {
            "Description",
            "Enabled",
            "EnableKeyRotation",
            "KeyPolicy",
            "KeySpec",
            "KeyUsage",
            "MultiRegion",
            "PendingWindowInDays",
            "RotationPeriodInDays",
            "Tags",
        }
    )

    def find(self, request: Request) -> str | None:
        client = self.api(request)
        for answer in client.get_paginator("list_keys").paginate():
            for key in answer["Keys"]:
                tags = client.list_resource_tags(KeyId=key["KeyId"])["Tags"]
                if {"TagKey": MARK, "TagValue": request.token} in tags:
                    return str(key["KeyId"])
        return None

    def make(self, request: Request) -> str:
        properties = request.properties
        chosen = picked(properties, "Description", "KeySpec", "KeyUsage", "MultiRegion")
        if "KeyPolicy" in properties:
            chosen["Policy"] = document(properties["KeyPolicy"])
        tags = tag_list(properties.get("Tags"), "TagKey", "TagValue")
        answer = self.api(request).create_key(Tags=[*tags, {"TagKey": MARK, "TagValue": request.token}], **chosen)
        return str(answer["KeyMetadata"]["KeyId"])

    def settle(self, request: Request) -> None:
        client, key, properties = self.api(request), request.physical_id, request.properties
        if request.changed("EnableKeyRotation", "RotationPeriodInDays"):
            if properties.get("EnableKeyRotation"):
                client.enable_key_rotation(KeyId=key, **picked(properties, "RotationPeriodInDays"))
            else:
                client.disable_key_rotation(KeyId=key)
        if request.changed("Enabled"):
            (client.enable_key if properties.get("Enabled", True) else client.disable_key)(KeyId=key)

    def update(self, request: Request) -> None:
        client, key, properties = self.api(request), request.physical_id, request.properties
        if request.changed("KeyPolicy") and "KeyPolicy" in properties:
            client.put_key_policy(KeyId=key, PolicyName="default", Policy=document(properties["KeyPolicy"]))
        if request.changed("Description"):
            client.update_key_description(KeyId=key, Description=properties.get("Description", ""))
        if request.changed("Tags"):
            client.tag_resource(KeyId=key, Tags=tag_list(properties.get("Tags"), "TagKey", "TagValue"))
            client.untag_resource(KeyId=key, TagKeys=tags_to_remove(request))
        self.settle(request)

    def replaces(self, before: Any, after: Any) -> bool:
        return any(before.get(name) != after.get(name) for name in ("KeySpec", "KeyUsage", "MultiRegion"))

    def attributes(self, request: Request) -> dict[str, Any]:
        return {"Arn": request.arn("kms", f"key/{request.physical_id}"), "KeyId": request.physical_id}

    def delete(self, request: Request) -> None:
        days = request.properties.get("PendingWindowInDays", 30)
        try:
            if_there(self.api(request).schedule_key_deletion, KeyId=request.physical_id, PendingWindowInDays=days)
        except ClientError as error:
            if "KMSInvalidState" not in error.response["Error"]["Code"]:  # waits for its end already
                raise


class Alias(Provider):
    """AWS::KMS::Alias."""

    type = "AWS::KMS::Alias"
    service = "kms"
    naming = Naming("AliasName", 256)

    def find(self, request: Request) -> str | None:
        for answer in self.api(request).get_paginator("list_aliases").paginate():
            for alias in answer["Aliases"]:
                if alias["AliasName"] == request.name and alias.get("TargetKeyId"):
                    return request.name
        return None

    def make(self, request: Request) -> str:
        self.api(request).create_alias(AliasName=request.name, TargetKeyId=request.properties["TargetKeyId"])
        return request.name

    def update(self, request: Request) -> None:
        target = request.properties["TargetKeyId"]
        self.api(request).update_alias(AliasName=request.physical_id, TargetKeyId=target)

    def delete(self, request: Request) -> None:
        found(lambda: self.api(request).delete_alias(AliasName=request.physical_id))


PROVIDERS = (Key(), Alias())
