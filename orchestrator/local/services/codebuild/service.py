"""Builds: the operations. What happens afterwards is in ``life``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.codebuild.life import TASK, BuildLife, ended_phase
from orchestrator.local.services.codebuild.projects import Projects, page, shown
from orchestrator.local.services.codebuild.supported import (
    BUILD,
    check_members,
    check_project,
    invalid,
    unsupported,
    variables_refused,
)
from orchestrator.local.store import Document, Key

TOKEN_SECONDS = 300.0
"""StartBuild, idempotencyToken: "valid for 5 minutes"."""
OVERRIDES: Mapping[str, tuple[str, str]] = {
    "sourceTypeOverride": ("source", "type"),
    "sourceLocationOverride": ("source", "location"),
    "buildspecOverride": ("source", "buildspec"),
    "imageOverride": ("environment", "image"),
    "environmentTypeOverride": ("environment", "type"),
    "computeTypeOverride": ("environment", "computeType"),
    "privilegedModeOverride": ("environment", "privilegedMode"),
}
OF_PROJECT = ("source", "cache", "environment", "serviceRole", "queuedTimeoutInMinutes", "encryptionKey", "vpcConfig")


class CodeBuild(Projects):
    """Projects and their builds. All else (batches, reports, webhooks, fleets) is refused by name."""

    def register_tasks(self) -> None:
        super().register_tasks()
        self.tasks.register(TASK, BuildLife(self.world).step, is_work=True)

    def StartBuild(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        check_members("StartBuild", parameters, BUILD)
        key, project = self.find_project(call, parameters["projectName"])
        refused = list(variables_refused(parameters.get("environmentVariablesOverride", [])))
        if refused:
            raise unsupported("StartBuild", "; ".join(refused))
        wanted = _with_overrides(project, parameters)
        check_project("StartBuild", wanted)
        token = key._replace(type="Token", name=f"{key.name}/{parameters.get('idempotencyToken', '')}")
        with self.store.transaction():
            if same := self._same(call, token, parameters):
                return {"build": same}
            document = self._new(call, key, wanted, parameters)
            self.store.create(self.build_key(call, document["id"]), document)
            if "idempotencyToken" in parameters:
                note = {"id": document["id"], "until": self.world.now() + TOKEN_SECONDS, "request": parameters}
                self.store.put(token, note)
            self.tasks.schedule(TASK, self.build_key(call, document["id"]))
        return {"build": shown_build(document)}

    def _same(self, call: Call, token: Key, parameters: Mapping[str, Any]) -> Document | None:
        """The build that the same request started a moment ago."""
        note = self.store.get(token) if "idempotencyToken" in parameters else None
        if note is None or note["until"] < self.world.now():
            return None
        if note["request"] != parameters:
            raise invalid("The idempotency token was used with other parameters")
        document = self.store.get(self.build_key(call, note["id"]))
        return shown_build(document) if document else None

    def _new(self, call: Call, key: Key, wanted: Document, parameters: Mapping[str, Any]) -> Document:
        changed = self.store.update(key, lambda project: {**project, "builds": project["builds"] + 1})
        number = changed["builds"] if changed else 1
        unique = str(uuid.uuid4())
        name = f"{key.name}:{unique}"
        now = self.world.now()
        logs = wanted.get("logsConfig", {}).get("cloudWatchLogs", {"status": "ENABLED"})
        group = logs.get("groupName") or f"/aws/codebuild/{key.name}"
        stream = "/".join(filter(None, (logs.get("streamName"), unique)))
        place = f"{call.region}:{call.account}"
        log_arn = f"arn:aws:logs:{place}:log-group:{group}:log-stream:{stream}"
        where = {"groupName": group, "streamName": stream, "cloudWatchLogsArn": log_arn, "cloudWatchLogs": logs}
        return {
            **{name: wanted[name] for name in OF_PROJECT if name in wanted},
            "artifacts": {"location": ""},
            "id": name,
            "arn": f"arn:aws:codebuild:{place}:build/{name}",
            "buildNumber": number,
            "projectName": key.name,
            "startTime": now,
            "currentPhase": "QUEUED",
            "buildStatus": "IN_PROGRESS",
            "buildComplete": False,
            "timeoutInMinutes": parameters.get("timeoutInMinutesOverride", wanted["timeoutInMinutes"]),
            **({"sourceVersion": version} if (version := _version(wanted, parameters)) else {}),
            "phases": [ended_phase("SUBMITTED", now, now), {"phaseType": "QUEUED", "startTime": now}],
            "logs": where if logs["status"] == "ENABLED" else {"cloudWatchLogs": logs},
            "untold": ["IN_PROGRESS"],
        }

    def StopBuild(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key = self.build_key(call, parameters["id"])

        def stop(document: Document) -> Document:
            return document if document["buildComplete"] else {**document, "stopping": True}

        with self.store.transaction():
            document = self.store.update(key, stop)
            if document is None:
                raise ServiceError("ResourceNotFoundException", f"Build cannot be found: {parameters['id']}")
            if not document["buildComplete"]:
                self.tasks.schedule(TASK, key)
        return {"build": shown_build(document)}

    def BatchGetBuilds(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        found, absent = [], []
        for name in parameters["ids"]:
            document = self.store.get(self.build_key(call, name))
            if document is None:
                absent.append(name)
            else:
                found.append(shown_build(document))
        return {"builds": found, "buildsNotFound": absent}

    def ListBuilds(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        return page("ids", self._ids(call, parameters), parameters)

    def ListBuildsForProject(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key, _ = self.find_project(call, parameters["projectName"])
        return page("ids", self._ids(call, parameters, key.name), parameters)

    def _ids(self, call: Call, parameters: Mapping[str, Any], project: str = "") -> list[str]:
        """Newest first, unless the request says otherwise."""
        prefix = f"{project}:" if project else ""
        ids = [key.name for key, _ in self.store.list(self.name, "Build", call.account, call.region, prefix)]
        return ids if parameters.get("sortOrder") == "ASCENDING" else ids[::-1]

    def build_key(self, call: Call, name: str) -> Key:
        """The key of a build of the caller, by id or ARN."""
        return self.key(call, "Build", name.rpartition("/")[2])


def _with_overrides(project: Document, parameters: Mapping[str, Any]) -> Document:
    """The project as this build sees it."""
    wanted = shown(project)
    wanted = {**wanted, "source": dict(wanted["source"]), "environment": dict(wanted["environment"])}
    for name, (part, member) in OVERRIDES.items():
        if name in parameters:
            wanted[part][member] = parameters[name]
    variables = {one["name"]: one for one in wanted["environment"].get("environmentVariables", [])}
    variables |= {one["name"]: one for one in parameters.get("environmentVariablesOverride", [])}
    wanted["environment"]["environmentVariables"] = list(variables.values())
    if "logsConfigOverride" in parameters:
        wanted["logsConfig"] = parameters["logsConfigOverride"]
    return wanted


def _version(wanted: Document, parameters: Mapping[str, Any]) -> str:
    return str(parameters.get("sourceVersion") or wanted.get("sourceVersion", ""))


def shown_build(document: Document) -> Document:
    """The build as the API shows it."""
    return {name: value for name, value in document.items() if name not in ("untold", "stopping", "prepared")}
