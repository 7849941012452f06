"""What a build is told to do, how far it is, and how it ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from orchestrator.runtime.kept import Instruction, Report
from orchestrator.runtime.process import read_json, write_json

Status = Literal["SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED"]
PHASES = ("INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD")
"""The phases that run commands, in their order."""
JOB_FILE, PHASES_FILE, EXIT_FILE, REFUSAL_FILE = "job.json", "phases.json", "exit.json", "refusal.txt"


@dataclasses.dataclass(frozen=True, slots=True)
class Job(Instruction):
    """``environment`` are the variables of project and build; they win over those of the buildspec.

    ``rehearse`` are globs of the images whose builds are rehearsed where no container engine is; ``engine`` is
    ``auto`` or ``none``.
    """

    FILE: ClassVar[str] = JOB_FILE

    buildspec: str
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    timeout_seconds: float = 3600
    rehearse: Sequence[str] = ()
    engine: str = "auto"


@dataclasses.dataclass(slots=True)
class Phase:
    """One phase as BatchGetBuilds shows it; times are POSIX seconds, ``status`` is empty while it goes on."""

    name: str
    started: float
    ended: float = 0.0
    status: str = ""
    code: str = ""
    message: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Exit(Report):
    """How a build ended; ``exported`` are its exported variables."""

    FILE: ClassVar[str] = EXIT_FILE

    status: Status
    ended: float
    exported: Mapping[str, str] = dataclasses.field(default_factory=dict)


def write_phases(folder: Path, phases: Sequence[Phase]) -> None:
    """Store how far the build is."""
    write_json(folder / PHASES_FILE, {"phases": [dataclasses.asdict(phase) for phase in phases]})


def read_phases(folder: Path) -> list[Phase]:
    """How far the build of the folder is."""
    document: dict[str, Any] = read_json(folder / PHASES_FILE) or {"phases": []}
    return [Phase(**phase) for phase in document["phases"]]
