"""What a transform job is told to do, and how it ended."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from orchestrator.runtime.kept import Instruction, Report

Status = Literal["Completed", "Failed", "Stopped"]
MEGABYTE = 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Transform(Instruction):
    """The members of CreateTransformJob that the work itself needs; ``max_payload`` 0 is no limit."""

    FILE: ClassVar[str] = "transform.json"

    name: str
    content_type: str = ""
    accept: str = ""
    split: Literal["None", "Line"] = "None"
    assemble: Literal["None", "Line"] = "None"
    strategy: Literal["MultiRecord", "SingleRecord"] = "MultiRecord"
    compression: Literal["None", "Gzip"] = "None"
    max_payload: int = 6 * MEGABYTE
    timeout_seconds: float = 600
    retries: int = 3
    input_filter: str = "$"
    output_filter: str = "$"
    join: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Exit(Report):
    """How a job ended. ``failed`` counts the input files that gave no output."""

    FILE: ClassVar[str] = "exit.json"

    status: Status
    started: float
    ended: float
    reason: str = ""
    failed: int = 0
