"""What a training job is told to do, and what it leaves behind."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from orchestrator.runtime.contained import GRACE_SECONDS, Ending
from orchestrator.runtime.kept import Instruction, Report

Status = Ending


@dataclasses.dataclass(frozen=True, slots=True)
class Job(Instruction):
    """``kind`` is the container's kind (``xgboost``, ``sklearn``, ``pytorch``, ``command``).

    ``command`` is the registered command of the image; ``entrypoint`` replaces the program of an image we know.
    ``channels`` are the members of ``inputdataconfig.json``.
    """

    FILE: ClassVar[str] = "job.json"

    name: str
    arn: str
    region: str
    kind: str
    instance_type: str = "local"
    hyperparameters: Mapping[str, str] = dataclasses.field(default_factory=dict)
    channels: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    command: Sequence[str] = ()
    entrypoint: Sequence[str] = ()
    metric_definitions: Sequence[Mapping[str, str]] = ()
    checkpoints: str = ""
    max_runtime_seconds: float = 86400
    grace_seconds: float = GRACE_SECONDS
    isolation: str = "auto"

    @property
    def script(self) -> str:
        """The user's program in script mode, or nothing for a built-in algorithm."""
        return str(decoded(self.hyperparameters.get("sagemaker_program", "")))


@dataclasses.dataclass(frozen=True, slots=True)
class Exit(Report):
    """How a job ended. ``metrics`` are the last values of the metric definitions that were seen."""

    FILE: ClassVar[str] = "exit.json"

    status: Status
    exit_code: int
    started: float
    ended: float
    reason: str = ""
    metrics: Sequence[Mapping[str, Any]] = ()
    artifacts: Sequence[str] = ()


def decoded(text: str) -> Any:
    """A hyperparameter's value as the SDK meant it: JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
