"""What a transform job is told to do, and how it ended."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from orchestrator.runtime.process import read_json, write_json

Status = Literal["Completed", "Failed", "Stopped"]
MEGABYTE = 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Transform:
    """The members of CreateTransformJob that the work itself needs; ``max_payload`` 0 is no limit."""

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

    def write(self, folder: Path) -> None:
        """Store it as ``transform.json``."""
        write_json(folder / "transform.json", dataclasses.asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Transform:
        """The job of the folder."""
        document = read_json(folder / "transform.json")
        if document is None:
            raise FileNotFoundError(folder / "transform.json")
        return cls(**document)


@dataclasses.dataclass(frozen=True, slots=True)
class Exit:
    """How a job ended. ``failed`` counts the input files that gave no output."""

    status: Status
    started: float
    ended: float
    reason: str = ""
    failed: int = 0

    def write(self, folder: Path) -> None:
        """Store it as ``exit.json``: the job is over."""
        write_json(folder / "exit.json", dataclasses.asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Exit | None:
        """How the job of the folder ended, or None when it has not."""
        document = read_json(folder / "exit.json")
        return None if document is None else cls(**document)
