"""Secrets Manager: secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.local.services.cloudformation.providers.contract import (
    Naming,
    Provider,
    Request,
    found,
    if_there,
    picked,
    tag_list,
    tags_to_remove,
)

GENERATOR_PARAMETERS = (
    "ExcludeCharacters",
    "ExcludeLowercase",
    "ExcludeNumbers",
    "ExcludePunctuation",
    "ExcludeUppercase",
    "IncludeSpace",
    "PasswordLength",
    "RequireEachIncludedType",
)


class Secret(Provider):
    """AWS::SecretsManager::Secret."""

    type = "AWS::SecretsManager::Secret"
    service = "secretsmanager"
    naming = Naming("Name", 256)
    supported = frozenset({"Description", "GenerateSecretString", "KmsKeyId", "Name", "SecretString", "Tags"})

    def find(self, request: Request) -> str | None:
        answer = found(lambda: self.api(request).describe_secret(SecretId=request.name))
        return str(answer["ARN"]) if answer else None

    def make(self, request: Request) -> str:
        answer = self.api(request).create_secret(
            Name=request.name,
            ClientRequestToken=request.token,
            SecretString=self._value(request),
            Tags=tag_list(request.properties.get("Tags")),
            **picked(request.properties, "Description", "KmsKeyId"),
        )
        return str(answer["ARN"])

    def _value(self, request: Request) -> str:
        wish: Mapping[str, Any] | None = request.properties.get("GenerateSecretString")
        if wish is None:
            return str(request.properties.get("SecretString", ""))
        answer = self.api(request).get_random_password(**picked(wish, *GENERATOR_PARAMETERS))
        password = str(answer["RandomPassword"])
        if "GenerateStringKey" not in wish:
            return password
        return json.dumps({**json.loads(wish.get("SecretStringTemplate", "{}")), wish["GenerateStringKey"]: password})

    def update(self, request: Request) -> None:
        client, secret = self.api(request), request.physical_id
        changes = picked(request.properties, "Description", "KmsKeyId")
        if request.changed("SecretString", "GenerateSecretString"):
            changes |= {"SecretString": self._value(request), "ClientRequestToken": request.token}
        client.update_secret(SecretId=secret, **changes)
        if request.changed("Tags"):
            client.tag_resource(SecretId=secret, Tags=tag_list(request.properties.get("Tags")))
            client.untag_resource(SecretId=secret, TagKeys=tags_to_remove(request))

    def attributes(self, request: Request) -> dict[str, Any]:
        return {"Id": request.physical_id}

    def delete(self, request: Request) -> None:
        if_there(self.api(request).delete_secret, SecretId=request.physical_id, ForceDeleteWithoutRecovery=True)


PROVIDERS = (Secret(),)
