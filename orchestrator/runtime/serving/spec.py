"""What a server is told to serve, and what it tells of itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from orchestrator.runtime.kept import Instruction, Report

Phase = Literal["starting", "ready", "restarting", "failed", "stopped"]

STARTUP_SECONDS = 480.0
"""How long a container may take to answer its first ping; SageMaker's own default."""


@dataclasses.dataclass(frozen=True, slots=True)
class Serving(Instruction):
    """``kind`` is the container's kind; for ``none``, the endpoint is rehearsed and ``reason`` says why."""

    FILE: ClassVar[str] = "serving.json"

    name: str
    image: str
    kind: str
    tag: str = ""
    command: Sequence[str] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    reason: str = ""
    startup_seconds: float = STARTUP_SECONDS
    isolation: str = "auto"


@dataclasses.dataclass(frozen=True, slots=True)
class State(Report):
    """How the server is. ``restarts`` counts the model processes that ended on their own after they were ready."""

    FILE: ClassVar[str] = "status.json"

    phase: Phase
    port: int = 0
    restarts: int = 0
    last_exit: str = ""
    reason: str = ""
