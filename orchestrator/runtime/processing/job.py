"""What a processing job is told to do, and how it ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from orchestrator.runtime.contained import GRACE_SECONDS, Ending
from orchestrator.runtime.kept import Instruction, Report

ML = "/opt/ml/"
ROOT = "/opt/ml/processing"
"""Inputs and outputs lie below it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Job(Instruction):
    """``command`` is the image's own program and ``entrypoint`` what takes its place; one of them is given.

    ``outputs`` are the folders whose content is uploaded, as the container names them. ``configuration`` is
    ``processingjobconfig.json``.
    """

    FILE: ClassVar[str] = "job.json"

    name: str
    arn: str
    region: str
    command: Sequence[str] = ()
    entrypoint: Sequence[str] = ()
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    outputs: Sequence[str] = ()
    configuration: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    instance_type: str = "local"
    max_runtime_seconds: float = 86400
    grace_seconds: float = GRACE_SECONDS
    isolation: str = "auto"


@dataclasses.dataclass(frozen=True, slots=True)
class Exit(Report):
    """How a job ended. ``message`` is what the program wrote to ``/opt/ml/output/message``."""

    FILE: ClassVar[str] = "exit.json"

    status: Ending
    exit_code: int
    started: float
    ended: float
    reason: str = ""
    message: str = ""


def inside(folder: Path, path: str) -> Path:
    """Where a path below ``/opt/ml`` lies in the job's folder; raises ValueError for one that is not below it."""
    if not path.startswith(ML) or ".." in Path(path).parts:
        raise ValueError(f"{path!r} is not below {ML}")
    return folder / "ml" / path.removeprefix(ML).strip("/")
