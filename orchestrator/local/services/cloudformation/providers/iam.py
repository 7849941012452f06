"""IAM: roles, managed policies and inline policies."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from botocore.exceptions import ClientError

from orchestrator.local.services.cloudformation.providers.contract import (
    Naming,
    Provider,
    Request,
    absent,
    document,
    found,
    if_there,
    picked,
    tag_list,
    tags_to_remove,
)

HOLDERS = (("Roles", "role", "RoleName"), ("Users", "user", "UserName"), ("Groups", "group", "GroupName"))
"""Who may hold a policy: the property, the word in operations' names, and the parameter."""
MOST_VERSIONS = 5


def _inline(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {policy["PolicyName"]: policy["PolicyDocument"] for policy in properties.get("Policies", [])}


class Role(Provider):
    """AWS::IAM::Role."""

    type = "AWS::IAM::Role"
    service = "iam"
    naming = Naming("RoleName", 64)

    def find(self, request: Request) -> str | None:
        return request.name if found(lambda: self.api(request).get_role(RoleName=request.name)) else None

    def make(self, request: Request) -> str:
        properties = request.properties
        self.api(request).create_role(
            RoleName=request.name,
            AssumeRolePolicyDocument=document(properties["AssumeRolePolicyDocument"]),
            Tags=tag_list(properties.get("Tags")),
            **picked(properties, "Description", "MaxSessionDuration", "Path", "PermissionsBoundary"),
        )
        return request.name

    def settle(self, request: Request) -> None:
        """Its policies: what the template had and no longer has goes."""
        client, role = self.api(request), request.physical_id
        wanted, before = _inline(request.properties), _inline(request.before)
        for name, policy in wanted.items():
            if before.get(name) != policy:
                client.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document(policy))
        for name in before.keys() - wanted.keys():
            if_there(client.delete_role_policy, RoleName=role, PolicyName=name)
        attached = set(request.properties.get("ManagedPolicyArns", []))
        for arn in sorted(attached - set(request.before.get("ManagedPolicyArns", []))):
            client.attach_role_policy(RoleName=role, PolicyArn=arn)
        self._detach(client, role, set(request.before.get("ManagedPolicyArns", [])) - attached)

    @staticmethod
    def _detach(client: Any, role: str, arns: Collection[str]) -> None:
        """Take policies away, as far as the role has them: one that could not be attached need not be detachable."""
        there: set[str] = set()
        if arns:
            pages = client.get_paginator("list_attached_role_policies").paginate(RoleName=role)
            listed = found(lambda: [each["PolicyArn"] for page in pages for each in page["AttachedPolicies"]])
            there = set(listed or ())
        for arn in sorted(there & set(arns)):
            if_there(client.detach_role_policy, RoleName=role, PolicyArn=arn)

    def update(self, request: Request) -> None:
        client, role, properties = self.api(request), request.physical_id, request.properties
        if request.changed("AssumeRolePolicyDocument"):
            policy = document(properties["AssumeRolePolicyDocument"])
            client.update_assume_role_policy(RoleName=role, PolicyDocument=policy)
        if request.changed("Description", "MaxSessionDuration"):
            client.update_role(
                RoleName=role,
                Description=properties.get("Description", ""),
                MaxSessionDuration=properties.get("MaxSessionDuration", 3600),
            )
        if request.changed("PermissionsBoundary"):
            boundary = properties.get("PermissionsBoundary")
            if boundary:
                client.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=boundary)
            else:
                if_there(client.delete_role_permissions_boundary, RoleName=role)
        if request.changed("Tags"):
            client.tag_role(RoleName=role, Tags=tag_list(properties.get("Tags")))
            client.untag_role(RoleName=role, TagKeys=tags_to_remove(request))
        self.settle(request)

    def attributes(self, request: Request) -> dict[str, Any]:
        role = self.api(request).get_role(RoleName=request.physical_id)["Role"]
        return {"Arn": role["Arn"], "RoleId": role["RoleId"]}

    def delete(self, request: Request) -> None:
        client, role = self.api(request), request.physical_id
        for name in _inline(request.properties):
            if_there(client.delete_role_policy, RoleName=role, PolicyName=name)
        self._detach(client, role, request.properties.get("ManagedPolicyArns", []))
        if_there(client.delete_role, RoleName=role)


class ManagedPolicy(Provider):
    """AWS::IAM::ManagedPolicy."""

    type = "AWS::IAM::ManagedPolicy"
    service = "iam"
    naming = Naming("ManagedPolicyName", 128)

    def find(self, request: Request) -> str | None:
        path = request.properties.get("Path", "/")
        arn = request.arn("iam", f"policy{path}{request.name}", region="")
        return arn if found(lambda: self.api(request).get_policy(PolicyArn=arn)) else None

    def make(self, request: Request) -> str:
        answer = self.api(request).create_policy(
            PolicyName=request.name,
            PolicyDocument=document(request.properties["PolicyDocument"]),
            **picked(request.properties, "Description", "Path"),
        )
        return str(answer["Policy"]["Arn"])

    def settle(self, request: Request) -> None:
        client, arn = self.api(request), request.physical_id
        for member, word, parameter in HOLDERS:
            wanted, before = set(request.properties.get(member, [])), set(request.before.get(member, []))
            for holder in sorted(wanted - before):
                getattr(client, f"attach_{word}_policy")(**{parameter: holder}, PolicyArn=arn)
            for holder in sorted(before - wanted):
                if_there(getattr(client, f"detach_{word}_policy"), **{parameter: holder}, PolicyArn=arn)

    def update(self, request: Request) -> None:
        client, arn = self.api(request), request.physical_id
        wanted = json.loads(document(request.properties["PolicyDocument"]))
        current = client.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        text = client.get_policy_version(PolicyArn=arn, VersionId=current)["PolicyVersion"]["Document"]
        if (json.loads(unquote(text)) if isinstance(text, str) else text) != wanted:
            self._make_room(client, arn)
            policy = document(request.properties["PolicyDocument"])
            client.create_policy_version(PolicyArn=arn, PolicyDocument=policy, SetAsDefault=True)
        self.settle(request)

    @staticmethod
    def _make_room(client: Any, arn: str) -> None:
        """A policy keeps five versions; the oldest goes for a new one."""
        versions = client.list_policy_versions(PolicyArn=arn)["Versions"]
        if len(versions) >= MOST_VERSIONS:
            spare = [int(each["VersionId"].removeprefix("v")) for each in versions if not each["IsDefaultVersion"]]
            client.delete_policy_version(PolicyArn=arn, VersionId=f"v{min(spare)}")

    def attributes(self, request: Request) -> dict[str, Any]:
        policy = self.api(request).get_policy(PolicyArn=request.physical_id)["Policy"]
        return {
            "PolicyArn": policy["Arn"],
            "PolicyId": policy["PolicyId"],
            "DefaultVersionId": policy["DefaultVersionId"],
        }

    def delete(self, request: Request) -> None:
        client, arn = self.api(request), request.physical_id
        if not found(lambda: client.get_policy(PolicyArn=arn)):
            return
        for member, word, parameter in HOLDERS:
            for holder in request.properties.get(member, []):
                if_there(getattr(client, f"detach_{word}_policy"), **{parameter: holder}, PolicyArn=arn)
        for version in client.list_policy_versions(PolicyArn=arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                if_there(client.delete_policy_version, PolicyArn=arn, VersionId=version["VersionId"])
        if_there(client.delete_policy, PolicyArn=arn)


class Policy(Provider):
    """AWS::IAM::Policy: one inline policy put into several roles, users and groups."""

    type = "AWS::IAM::Policy"
    service = "iam"

    def problems(self, properties: Mapping[str, Any]) -> Iterable[str]:
        if not any(member in properties for member, _, _ in HOLDERS):
            yield "At least one of [Groups,Roles,Users] must be non-empty."

    def make(self, request: Request) -> str:
        self._put(request)
        return request.name

    def update(self, request: Request) -> None:
        self._put(request)
        renamed = request.changed("PolicyName")
        for member, word, parameter in HOLDERS:
            for holder in request.before.get(member, []):
                if renamed or holder not in request.properties.get(member, []):
                    self._remove(request, word, parameter, holder, request.before["PolicyName"])

    def _put(self, request: Request) -> None:
        name, policy = request.properties["PolicyName"], document(request.properties["PolicyDocument"])
        for member, word, parameter in HOLDERS:
            put: Callable[..., Any] = getattr(self.api(request), f"put_{word}_policy")
            for holder in request.properties.get(member, []):
                put(**{parameter: holder}, PolicyName=name, PolicyDocument=policy)

    def _remove(self, request: Request, word: str, parameter: str, holder: str, name: str) -> None:
        if_there(getattr(self.api(request), f"delete_{word}_policy"), **{parameter: holder}, PolicyName=name)

    def attributes(self, request: Request) -> dict[str, Any]:
        return {"Id": request.physical_id}

    def delete(self, request: Request) -> None:
        for member, word, parameter in HOLDERS:
            for holder in request.properties.get(member, []):
                self._remove(request, word, parameter, holder, request.properties["PolicyName"])


class RolePolicy(Provider):
    """AWS::IAM::RolePolicy: one inline policy of one role."""

    type = "AWS::IAM::RolePolicy"
    service = "iam"
    naming = Naming("PolicyName", 128)

    def find(self, request: Request) -> str | None:
        role = request.properties["RoleName"]
        try:
            self.api(request).get_role_policy(RoleName=role, PolicyName=request.name)
        except ClientError as error:
            if absent(error):
                return None
            raise
        return f"{request.name}|{role}"

    def make(self, request: Request) -> str:
        self._put(request)
        return f"{request.name}|{request.properties['RoleName']}"

    def update(self, request: Request) -> None:
        self._put(request)

    def _put(self, request: Request) -> None:
        self.api(request).put_role_policy(
            RoleName=request.properties["RoleName"],
            PolicyName=request.name,
            PolicyDocument=document(request.properties.get("PolicyDocument", {})),
        )

    def delete(self, request: Request) -> None:
        name, _, role = request.physical_id.partition("|")
        if_there(self.api(request).delete_role_policy, RoleName=role, PolicyName=name)


PROVIDERS = (Role(), ManagedPolicy(), Policy(), RolePolicy())
