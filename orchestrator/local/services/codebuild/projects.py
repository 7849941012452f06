"""Projects: the operations that keep them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from orchestrator.local.service import Call, Service, ServiceError
from orchestrator.local.services.codebuild.supported import PROJECT, check_members, check_project, invalid
from orchestrator.local.store import AlreadyExists, Document, Key
from orchestrator.local.trust import Trust

PRINCIPAL = "codebuild.amazonaws.com"
PAGE = 100
DEFAULTS: Mapping[str, Any] = {
    "timeoutInMinutes": 60,
    "queuedTimeoutInMinutes": 480,
    "cache": {"type": "NO_CACHE"},
    "badge": {"badgeEnabled": False},
    "projectVisibility": "PRIVATE",
}
REMOVABLE = ("vpcConfig", "logsConfig")
"""What an update takes away by an empty object."""


class Projects(Service):
    """CreateProject and its sisters."""

    name: ClassVar[str] = "codebuild"

    def register_tasks(self) -> None:
        self.trust = Trust(self.world)

    def CreateProject(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        check_members("CreateProject", parameters, PROJECT)
        name = parameters["name"]
        check_project("CreateProject", parameters)
        self._check_role(parameters["serviceRole"])
        now = self.world.now()
        document = {
            **DEFAULTS,
            "encryptionKey": f"arn:aws:kms:{call.region}:{call.account}:alias/aws/s3",
            **parameters,
            "arn": f"arn:aws:codebuild:{call.region}:{call.account}:project/{name}",
            "created": now,
            "lastModified": now,
            "builds": 0,
        }
        try:
            self.store.create(self.project_key(call, name), document)
        except AlreadyExists:
            raise ServiceError("ResourceAlreadyExistsException", f"Project already exists: {document['arn']}") from None
        return {"project": shown(document)}

    def UpdateProject(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        check_members("UpdateProject", parameters, PROJECT)
        key, document = self.find_project(call, parameters["name"])
        wanted = {**document, **parameters, "lastModified": self.world.now()}
        for name in REMOVABLE:
            if parameters.get(name) == {}:
                del wanted[name]
        check_project("UpdateProject", wanted)
        self._check_role(wanted["serviceRole"])
        changed = self.store.update(key, lambda kept: {**wanted, "builds": kept["builds"]})
        if changed is None:
            raise not_found(call, key.name)
        return {"project": shown(changed)}

    def DeleteProject(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        self.store.delete(self.project_key(call, parameters["name"].rpartition("/")[2]))
        return {}

    def BatchGetProjects(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        found, absent = [], []
        for name in parameters["names"]:
            document = self.store.get(self.project_key(call, name.rpartition("/")[2]))
            if document is None:
                absent.append(name)
            else:
                found.append(shown(document))
        return {"projects": found, "projectsNotFound": absent}

    def ListProjects(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        documents = [document for _, document in self.store.list(self.name, "Project", call.account, call.region)]
        member = {"CREATED_TIME": "created", "LAST_MODIFIED_TIME": "lastModified"}.get(parameters.get("sortBy", ""))
        documents.sort(key=lambda document: document[member or "name"])
        if parameters.get("sortOrder") == "DESCENDING":
            documents.reverse()
        return page("projects", [document["name"] for document in documents], parameters)

    def project_key(self, call: Call, name: str) -> Key:
        """The key of a project of the caller."""
        return self.key(call, "Project", name)

    def find_project(self, call: Call, name: str) -> tuple[Key, Document]:
        """The caller's project by name or ARN; raises ResourceNotFoundException."""
        key = self.project_key(call, name.rpartition("/")[2])
        document = self.store.get(key)
        if document is None:
            raise not_found(call, name)
        return key, document

    def _check_role(self, role: str) -> None:
        if fault := self.trust.fault(role, PRINCIPAL):
            raise invalid(f"CodeBuild is not authorized to perform: sts:AssumeRole on {role}: {fault}")


def not_found(call: Call, name: str) -> ServiceError:
    """In CodeBuild's words."""
    arn = f"arn:aws:codebuild:{call.region}:{call.account}:project/{name.rpartition('/')[2]}"
    return ServiceError("ResourceNotFoundException", f"Project cannot be found: {arn}")


def shown(document: Document) -> Document:
    """The project as the API shows it."""
    return {name: value for name, value in document.items() if name != "builds"}


def page(member: str, names: list[str], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """One page of a listing; the token is the place where the next begins."""
    token = parameters.get("nextToken") or "0"
    if not re.fullmatch(r"\d{1,9}", token):
        raise invalid(f"Invalid nextToken: {token}")
    last = int(token) + PAGE
    more = {"nextToken": str(last)} if last < len(names) else {}
    return {member: names[int(token) : last], **more}
