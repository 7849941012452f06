"""CloudWatch Logs: log groups."""

from __future__ import annotations

from typing import Any

from orchestrator.local.services.cloudformation.providers.contract import (
    Naming,
    Provider,
    Request,
    if_there,
    tag_map,
    tags_to_remove,
)


class LogGroup(Provider):
    """AWS::Logs::LogGroup."""

    type = "AWS::Logs::LogGroup"
    service = "logs"
    naming = Naming("LogGroupName", 512)
    supported = frozenset({"KmsKeyId", "LogGroupName", "RetentionInDays", "Tags"})

    def find(self, request: Request) -> str | None:
        groups = self.api(request).describe_log_groups(logGroupNamePrefix=request.name)["logGroups"]
        return request.name if any(group["logGroupName"] == request.name for group in groups) else None

    def make(self, request: Request) -> str:
        extra: dict[str, Any] = {}
        if request.properties.get("KmsKeyId"):
            extra["kmsKeyId"] = request.properties["KmsKeyId"]
        if request.properties.get("Tags"):
            extra["tags"] = tag_map(request.properties["Tags"])
        self.api(request).create_log_group(logGroupName=request.name, **extra)
        return request.name

    def settle(self, request: Request) -> None:
        if not request.changed("RetentionInDays"):
            return
        client, days = self.api(request), request.properties.get("RetentionInDays")
        if days:
            client.put_retention_policy(logGroupName=request.physical_id, retentionInDays=days)
        else:
            client.delete_retention_policy(logGroupName=request.physical_id)

    def update(self, request: Request) -> None:
        client, group = self.api(request), request.physical_id
        if request.changed("KmsKeyId"):
            key = request.properties.get("KmsKeyId")
            if key:
                client.associate_kms_key(logGroupName=group, kmsKeyId=key)
            else:
                client.disassociate_kms_key(logGroupName=group)
        if request.changed("Tags"):
            arn = request.arn("logs", f"log-group:{group}")
            client.tag_resource(resourceArn=arn, tags=tag_map(request.properties.get("Tags")))
            client.untag_resource(resourceArn=arn, tagKeys=tags_to_remove(request))
        self.settle(request)

    def attributes(self, request: Request) -> dict[str, Any]:
        return {"Arn": request.arn("logs", f"log-group:{request.physical_id}:*")}

    def delete(self, request: Request) -> None:
        if_there(self.api(request).delete_log_group, logGroupName=request.physical_id)


PROVIDERS = (LogGroup(),)
