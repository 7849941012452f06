"""What a service of the embedded AWS is: a class with one method for each API operation it supports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from orchestrator.local.credentials import Credentials
from orchestrator.local.store import Key

if TYPE_CHECKING:
    from orchestrator.local.world import World


class ServiceError(Exception):
    """An API error as AWS answers it: ``code`` is what boto3 shows as ``Error.Code``."""

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = members


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, and from where. ``headers`` are lower-case."""

    account: str
    region: str
    access_key: str
    request_id: str
    headers: dict[str, str]

    @property
    def credentials(self) -> Credentials:
        """The caller's own keys, for what AWS does with the caller's permissions."""
        return Credentials(self.access_key, "local", self.headers.get("x-amz-security-token", ""))


class Controlled(Protocol):
    """Something with controls below ``/_local/<its name>``: what AWS has no API for."""

    def control(self, path: str, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """Answer a request with a JSON object; errors are ServiceErrors."""


class Service:
    """One AWS service.

    A subclass defines a method named as the operation (``CreatePipeline``) taking ``(call, parameters)`` and
    returning the members of the operation's output shape; times are POSIX seconds (float) or datetimes, blobs
    are bytes. Parameters arrive parsed and type-checked against the botocore model. An operation without a
    method is refused by name before anything happens.
    """

    name: ClassVar[str]
    """The botocore name (``codepipeline``); the gateway finds the model and the signing name from it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = world.store
        self.tasks = world.tasks
        self.register_tasks()

    def register_tasks(self) -> None:
        """Register the steps of this service's tasks; called once, before any request."""

    def recover(self) -> None:
        """Called once after a start, when the gateway already answers; look after what a dead process left."""

    def close(self) -> None:
        """Called once on a clean stop, before anything else stops: end what requests and tasks may be waiting for."""

    def resource_policy(self, arn: str) -> str:
        """The policy (JSON) of one of this service's resources, '' when it has none; asked before every request."""
        del arn
        return ""

    def governing(self, arn: str) -> str:
        """The ARN of the resource on which permission is asked for this one: a change set is its stack's matter."""
        return arn

    def control(self, path: str, method: str, body: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Answer a request to ``/_local/<package of the service>/<path>``: what AWS has no API for.

        ``body`` and the answer are JSON objects; errors are ServiceErrors.
        """
        raise ServiceError("NotFound", f"{self.name} has no local control {method} {path!r}", 404)

    def key(self, call: Call, type: str, name: str) -> Key:
        """The key of one of this service's documents in the caller's account and region."""
        return Key(call.account, call.region, self.name, type, name)
