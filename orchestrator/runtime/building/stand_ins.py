"""The programs a build finds before all others: a ``docker`` and an ``aws`` that know where they are.

The build image of CodeBuild has both. Here ``docker`` is ours (see ``docker``), with a real engine behind it where
one answers; ``aws`` signs in to registries and leaves everything else to the AWS CLI, if it is installed.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.runtime.building.job import Job
from orchestrator.runtime.process import PACKAGE_ROOT

ENGINES = ("docker", "podman")
PROGRAMS = {"docker": "orchestrator.runtime.building.docker", "aws": "orchestrator.runtime.building.aws_cli"}
ENGINE_SECONDS = 10.0
FOLDER, ENGINE, NO_ENGINE, REHEARSE, REST = (
    "MLOPS_BUILD_FOLDER",
    "MLOPS_BUILD_ENGINE",
    "MLOPS_BUILD_NO_ENGINE",
    "MLOPS_BUILD_REHEARSE",
    "MLOPS_BUILD_PATH",
)
"""What the stand-ins are told: the build's folder, the engine or why there is none, the images to rehearse, the PATH
without them."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Where the stand-ins lie, the home folder of the build, and the variables the stand-ins need."""

    folder: Path
    home: Path
    variables: Mapping[str, str]


def install(folder: Path, job: Job) -> Tools:
    """Write the stand-ins into the build's folder."""
    programs, home = folder / "bin", folder / "home"
    programs.mkdir(exist_ok=True)
    home.mkdir(exist_ok=True)
    for name, module in PROGRAMS.items():
        words = ["env", f"PYTHONPATH={PACKAGE_ROOT}", sys.executable, "-m", module]
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        program.chmod(0o755)
    engine, reason = ("", "builds.json says so") if job.engine == "none" else find_engine()
    variables = {
        FOLDER: str(folder),
        ENGINE: engine,
        NO_ENGINE: reason,
        REHEARSE: "\n".join(job.rehearse),
        REST: os.environ.get("PATH", os.defpath),
    }
    return Tools(programs, home, variables)


def find_engine() -> tuple[str, str]:
    """The path of a container engine that answers, or ``""`` and the reason why there is none."""
    silent = []
    for name in ENGINES:
        program = shutil.which(name)
        if program is None:
            continue
        try:
            asked = subprocess.run([program, "info"], capture_output=True, check=False, timeout=ENGINE_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            silent.append(name)
            continue
        if asked.returncode == 0:
            return program, ""
        silent.append(name)
    if silent:
        return "", f"{' and '.join(silent)} is installed, but no engine answers it"
    return "", f"neither {' nor '.join(ENGINES)} is installed"
