"""What a project or a build may ask for; everything else is refused by its name, before anything happens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orchestrator.local.service import ServiceError

PROJECT = frozenset(
    {
        *("name", "description", "source", "sourceVersion", "artifacts", "cache", "environment", "serviceRole"),
        *("timeoutInMinutes", "queuedTimeoutInMinutes", "encryptionKey", "tags", "vpcConfig", "logsConfig"),
        "concurrentBuildLimit",
    }
)
"""Networks, keys and limits of queues have nothing to act on here: they are kept and shown."""
BUILD = frozenset(
    {
        *("projectName", "sourceVersion", "environmentVariablesOverride", "sourceTypeOverride"),
        *("sourceLocationOverride", "buildspecOverride", "timeoutInMinutesOverride", "idempotencyToken"),
        *("imageOverride", "environmentTypeOverride", "computeTypeOverride", "privilegedModeOverride"),
        "logsConfigOverride",
    }
)
MEMBERS: Mapping[str, frozenset[str]] = {
    "source": frozenset({"type", "location", "buildspec", "insecureSsl", "gitCloneDepth"}),
    "artifacts": frozenset({"type"}),
    "cache": frozenset({"type"}),
    "environment": frozenset(
        {"type", "image", "computeType", "environmentVariables", "privilegedMode", "imagePullCredentialsType"}
    ),
    "logsConfig": frozenset({"cloudWatchLogs", "s3Logs"}),
}
VALUES: Mapping[str, frozenset[Any]] = {
    "source.type": frozenset({"S3", "NO_SOURCE"}),
    "source.insecureSsl": frozenset({False}),
    "source.gitCloneDepth": frozenset({0}),
    "artifacts.type": frozenset({"NO_ARTIFACTS"}),
    "cache.type": frozenset({"NO_CACHE"}),
    "environment.type": frozenset({"LINUX_CONTAINER", "ARM_CONTAINER"}),
}
PLAINTEXT = "PLAINTEXT"


def invalid(message: str) -> ServiceError:
    """The error CodeBuild gives for a wrong request."""
    return ServiceError("InvalidInputException", message)


def unsupported(operation: str, what: str) -> ServiceError:
    """The refusal of what is not built here."""
    return ServiceError("UnsupportedOperation", f"The embedded AWS does not support {what} ({operation}).", 501)


def check_members(operation: str, given: Iterable[str], known: frozenset[str]) -> None:
    """Raise for members that nothing is done with."""
    unknown = sorted(set(given) - known)
    if unknown:
        raise unsupported(operation, ", ".join(unknown))


def check_project(operation: str, document: Mapping[str, Any]) -> None:
    """Raise for what a project cannot be here, all at once."""
    refused = list(_refused(document))
    if refused:
        raise unsupported(operation, "; ".join(refused))
    source = document["source"]
    if source["type"] == "NO_SOURCE" and not source.get("buildspec"):
        raise invalid("Project source is NO_SOURCE, so a buildspec is required")
    if source["type"] == "S3" and "/" not in source.get("location", "").strip("/"):
        raise invalid("Project source location must be <bucket>/<key of a zip>")


def _refused(document: Mapping[str, Any]) -> Iterator[str]:
    for name, known in MEMBERS.items():
        given = document.get(name) or {}
        yield from (f"{name}.{member}" for member in sorted(set(given) - known))
        for member, value in given.items():
            allowed = VALUES.get(f"{name}.{member}")
            if allowed is not None and value not in allowed:
                yield f"{name}.{member} {value}; use {', '.join(sorted(map(str, allowed)))}"
    if (document.get("logsConfig") or {}).get("s3Logs", {}).get("status") == "ENABLED":
        yield "logsConfig.s3Logs"
    yield from variables_refused(document["environment"].get("environmentVariables", []))


def variables_refused(variables: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The variables whose values would have to be fetched from elsewhere."""
    for variable in variables:
        if variable.get("type", PLAINTEXT) != PLAINTEXT:
            yield f"environment variable {variable['name']} of type {variable['type']}; use {PLAINTEXT}"
