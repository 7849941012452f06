"""What an action provider is: its declaration's rules, and one idempotent step that moves an execution of it on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from orchestrator.local.store import Document

if TYPE_CHECKING:
    from orchestrator.local.services.codepipeline.work import Work

HOUR = 3600.0
DAY = 24 * HOUR


class ActionFailed(Exception):
    """The action has failed; ``code`` is one of CodePipeline's failure types (JobFailed, ConfigurationError, ...)."""

    def __init__(self, message: str, code: str = "JobFailed", external: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.external = external


@dataclass(frozen=True, slots=True)
class Success:
    """The action has succeeded. ``external`` is the id of what it ran in another service."""

    summary: str = ""
    external: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    revision: Document | None = None


class Action(ABC):
    """One action provider. A subclass per file in ``actions/``, offered there as ``ACTION``."""

    category: ClassVar[str]
    owner: ClassVar[str] = "AWS"
    provider: ClassVar[str]
    version: ClassVar[str] = "1"
    required: ClassVar[frozenset[str]] = frozenset()
    """Configuration keys that must be there."""
    optional: ClassVar[frozenset[str]] = frozenset()
    inputs: ClassVar[tuple[int, int]] = (0, 0)
    """The least and the greatest number of input artifacts."""
    outputs: ClassVar[tuple[int, int]] = (0, 0)
    timeout: ClassVar[float]
    """Seconds; https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html."""

    @property
    def type_id(self) -> tuple[str, str, str, str]:
        """Category, owner, provider, version."""
        return (self.category, self.owner, self.provider, self.version)

    def faults(self, declaration: Mapping[str, Any]) -> Iterator[str]:  # noqa: ARG002
        """What is wrong with a declaration beyond its keys and the number of its artifacts."""
        yield from ()

    @abstractmethod
    def advance(self, work: Work) -> float | Success:
        """Move on as far as possible without waiting.

        Returns the seconds until the next call, or Success; raises ActionFailed. May be called again at any
        point after a crash: what must not happen twice is named in the work's memory before it is done.
        """
