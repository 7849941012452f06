"""Every error a user can meet, as data: what happened, where, what is allowed, and what to do next.

Each class carries the HTTP status and the CLI exit code it becomes at the two edges (``handler`` and
``cli``). The rooms in between only raise; they never format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a document a user wrote.

    ``path`` is a JSON path (``$.pipelines[1].instance_type``), ``value`` what stands there, ``allowed``
    what may stand there (a sentence), ``fix`` the next thing to do (a sentence, may be empty).
    """

    path: str
    message: str
    value: Any = None
    allowed: str = ""
    fix: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The problem as JSON; empty members are left out."""
        document: dict[str, Any] = {"path": self.path, "message": self.message}
        if self.value is not None:
            document["value"] = self.value
        if self.allowed:
            document["allowed"] = self.allowed
        if self.fix:
            document["fix"] = self.fix
        return document

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" + (f" {self.fix}" if self.fix else "")


class OrchestratorError(Exception):
    """The root of the tree. ``hint`` says what to do next; empty when nothing is to be done."""

    status = 500
    exit_code = 1
    title = "The orchestrator failed"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def as_dict(self) -> dict[str, Any]:
        """The error as JSON, for the API and ``--json``."""
        document: dict[str, Any] = {"error": type(self).__name__, "message": self.message}
        if self.hint:
            document["hint"] = self.hint
        return document


class BadRequest(OrchestratorError):
    """The request is not one we can understand: not JSON, unknown route, unknown pipeline type."""

    status = 400
    exit_code = 2
    title = "The request was not understood"


class ConfigInvalid(BadRequest):
    """The config has problems; all of them are in ``problems``, nothing was created."""

    title = "The config is not valid"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(
            f"{count} problem{'s' if count != 1 else ''} in the config; nothing was created.",
            hint="Fix every problem listed, then run `mlops validate` again.",
        )

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "problems": [problem.as_dict() for problem in self.problems]}


class NotFound(OrchestratorError):
    """What was named does not exist."""

    status = 404
    exit_code = 3
    title = "Not found"


class MethodNotAllowed(OrchestratorError):
    """The path exists, but not with this method."""

    status = 405
    exit_code = 2
    title = "The path has no such method"


class Conflict(OrchestratorError):
    """The thing exists but is in a state in which this cannot be done now."""

    status = 409
    exit_code = 4
    title = "Not possible in the present state"


class SettingsMissing(OrchestratorError):
    """The deployment settings (environment of the Lambda) are incomplete."""

    status = 500
    exit_code = 5
    title = "The orchestrator is not set up"


class BlueprintBroken(OrchestratorError):
    """A blueprint folder is malformed; a mistake of its author, not of the config's."""

    title = "A blueprint is broken"


class AwsFailed(OrchestratorError):
    """An AWS call failed. ``code`` is the service's error code, by which callers tell errors apart."""

    status = 502
    exit_code = 6
    title = "AWS refused"

    def __init__(self, code: str, message: str, *, operation: str = "", status: int = 502, hint: str = "") -> None:
        super().__init__(f"{operation}: {code}: {message}" if operation else f"{code}: {message}", hint=hint)
        self.code = code
        self.operation = operation
        self.aws_message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a stage, job or deployment failed, as status reports it."""

    where: str
    reason: str
    hint: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
