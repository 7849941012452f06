"""What a server is told to serve, and what it tells of itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from orchestrator.runtime.process import read_json, write_json

Phase = Literal["starting", "ready", "restarting", "failed", "stopped"]

STARTUP_SECONDS = 480.0
"""How long a container may take to answer its first ping; SageMaker's own default."""


@dataclasses.dataclass(frozen=True, slots=True)
class Serving:
    """``kind`` is the container's kind; for ``none``, the endpoint is rehearsed and ``reason`` says why."""

    name: str
    image: str
    kind: str
    tag: str = ""
    command: Sequence[str] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    reason: str = ""
    startup_seconds: float = STARTUP_SECONDS
    isolation: str = "auto"

    def write(self, folder: Path) -> None:
        """Store it as ``serving.json``."""
        write_json(folder / "serving.json", dataclasses.asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Serving:
        """What the folder serves."""
        document = read_json(folder / "serving.json")
        if document is None:
            raise FileNotFoundError(folder / "serving.json")
        return cls(**document)


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """How the server is. ``restarts`` counts the model processes that ended on their own after they were ready."""

    phase: Phase
    port: int = 0
    restarts: int = 0
    last_exit: str = ""
    reason: str = ""

    def write(self, folder: Path) -> None:
        """Store it as ``status.json``."""
        write_json(folder / "status.json", dataclasses.asdict(self))

    @classmethod
    def read(cls, folder: Path) -> State | None:
        """How the server of the folder is, or None when it has never said."""
        document = read_json(folder / "status.json")
        return None if document is None else cls(**document)
