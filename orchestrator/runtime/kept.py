"""Documents in the folder of a job: what it is told to do, and what it tells of itself.

Each is a frozen dataclass that is one JSON file, so that whoever starts a process and the process itself share nothing
but the folder.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar, Self

from orchestrator.runtime.process import read_json, write_json


@dataclasses.dataclass(frozen=True, slots=True)
class _Document:
    FILE: ClassVar[str]

    def write(self, folder: Path) -> None:
        """Store it in the folder, whole or not at all."""
        write_json(folder / self.FILE, dataclasses.asdict(self))


class Instruction(_Document):
    """What a process is told; it is there before the process is."""

    __slots__ = ()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The folder's instruction. Raises FileNotFoundError."""
        document = read_json(folder / cls.FILE)
        if document is None:
            raise FileNotFoundError(folder / cls.FILE)
        return cls(**document)


class Report(_Document):
    """What a process tells: how it is, or how it ended."""

    __slots__ = ()

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The folder's report; None when there is none yet."""
        document = read_json(folder / cls.FILE)
        return None if document is None else cls(**document)
