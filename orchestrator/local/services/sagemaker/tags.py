"""Tags of any resource, by its ARN."""

from __future__ import annotations

import base64
from typing import Any

from orchestrator.local.service import Call
from orchestrator.local.services.sagemaker.plane import NAME, RESOURCES, Plane, invalid, missing
from orchestrator.local.store import Document, Key

MOST_TAGS = 50
REHEARSAL_TAG = "mlops:rehearsal"
"""Set by the embedded AWS on endpoints whose image cannot run here; its value says which image and why."""


class Tags(Plane):
    """AddTags, DeleteTags, ListTags."""

    def AddTags(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key = self._key_of(call, parameters["ResourceArn"])

        def add(document: Document) -> Document:
            tags = {tag["Key"]: tag["Value"] for tag in [*document.get("Tags", []), *parameters["Tags"]]}
            if len(tags) > MOST_TAGS:
                raise invalid(f"A resource has at most {MOST_TAGS} tags.")
            return {**document, "Tags": [{"Key": name, "Value": value} for name, value in tags.items()]}

        return {"Tags": (self.store.update(key, add) or {}).get("Tags", [])}

    def DeleteTags(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key = self._key_of(call, parameters["ResourceArn"])
        gone = set(parameters["TagKeys"])
        self.store.update(
            key, lambda document: {**document, "Tags": [t for t in document.get("Tags", []) if t["Key"] not in gone]}
        )
        return {}

    def ListTags(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        document = self.store.get(self._key_of(call, parameters["ResourceArn"])) or {}
        tags = list(document.get("Tags", []))
        if document.get("rehearsal"):
            tags.append({"Key": REHEARSAL_TAG, "Value": document["rehearsal"][:256]})
        token = parameters.get("NextToken")
        begin = int(base64.b64decode(token)) if token else 0
        end = begin + parameters.get("MaxResults", MOST_TAGS)
        answer: dict[str, Any] = {"Tags": tags[begin:end]}
        if end < len(tags):
            answer["NextToken"] = base64.b64encode(str(end).encode()).decode()
        return answer

    def _key_of(self, call: Call, arn: str) -> Key:
        parts = arn.split(":", 5)
        slug, _, name = parts[5].partition("/") if len(parts) == 6 else ("", "", "")
        resource = RESOURCES.get(slug)
        if resource is None or parts[2] != "sagemaker":
            raise invalid(f"Invalid resource ARN: {arn}")
        if parts[4] != call.account:
            raise invalid(f"The resource {arn} belongs to another account.")
        key = Key(call.account, parts[3], NAME, resource.type, name)
        if self.store.get(key) is None:
            raise missing(resource, key)
        return key
