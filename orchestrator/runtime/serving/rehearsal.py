"""An endpoint whose image cannot run here: everything around the model is real, the model is not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator.runtime.serving.contract import CannotServe, InferenceError, Reply, Request

MODEL = "/opt/ml/model"


class Rehearsal:
    """Answers pings, refuses invocations."""

    def __init__(self, image: str, reason: str) -> None:
        self._message = (
            f"image {image} cannot run on this machine: {reason}. The endpoint is a rehearsal: its model data, roles,"
            " names and configuration were checked, its predictions are not available."
        )

    def invoke(self, request: Request) -> Reply:  # noqa: ARG002
        """Always refuse, plainly."""
        raise InferenceError(501, self._message)


def check_paths(base: Path, environment: Mapping[str, str]) -> None:
    """Raise CannotServe when a variable names a file of the model data that is not there."""
    for name, value in sorted(environment.items()):
        if value == MODEL or value.startswith(MODEL + "/"):
            path = base / value.removeprefix("/opt/ml/")
            if not path.exists() or (value == MODEL and not any(path.iterdir())):
                raise CannotServe(f"the environment variable {name} names {value}, which the model data does not hold")
