"""The folder a processing job sees as ``/opt/ml``, and its program.

Without bubblewrap there is no real ``/opt/ml``. Then the words of the command and the values of its variables that
begin with it lead to the job's folder, and so do mentions of it in the programs that the command names and in those
beside them (Python and shell): in the job's own copies, never in S3's.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/byoc-config.html
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.runtime.contained import CannotStart, Program
from orchestrator.runtime.process import PACKAGE_ROOT
from orchestrator.runtime.processing.job import ML, Job, inside

HOST, GROUP = "algo-1", "homogeneousCluster"
PROGRAMS = (".py", ".sh")
OWN = "orchestrator."
"""Modules of ours, which the monitoring image runs, are found through PYTHONPATH."""


def lay_out(job: Job, folder: Path) -> Path:
    """Make ``folder/ml`` ready for a fresh attempt and return it; the inputs stay as they are."""
    ml = folder / "ml"
    for path in (ml / "output", *(inside(folder, output) for output in job.outputs)):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    (ml / "processing").mkdir(exist_ok=True)
    _write(ml / "config/processingjobconfig.json", job.configuration)
    hosts = {"current_host": HOST, "current_instance_type": job.instance_type, "current_group_name": GROUP}
    groups = [{"instance_group_name": GROUP, "instance_type": job.instance_type, "hosts": [HOST]}]
    _write(ml / "config/resourceconfig.json", {**hosts, "hosts": [HOST], "instance_groups": groups})
    return ml


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, sort_keys=True))


def program(job: Job, folder: Path, base: str) -> Program:
    """What to execute; ``base`` is where the job sees its ``/opt/ml``. Raises CannotStart."""
    words = [*(job.entrypoint or job.command), *job.arguments]
    if not words:
        raise CannotStart("the image has no program of its own here, and ContainerEntrypoint names none")
    if base + "/" != ML:
        for path in _programs(words, folder):
            _lead(path, base)
        words = [_led(word, base) for word in words]
    if Path(words[0]).name in ("python", "python3"):
        words[0] = sys.executable
    own = any(word.startswith(OWN) for word in words)
    return Program(words, {"PYTHONPATH": str(PACKAGE_ROOT)} if own else {})


def environment(job: Job, base: str) -> dict[str, str]:
    """The variables of a processing container, and those that make one behave on a shared machine."""
    given = {name: _led(value, base) for name, value in job.environment.items()}
    return {
        "PROCESSING_JOB_ARN": job.arn,
        "AWS_REGION": job.region,
        "SAGEMAKER_BASE_DIR": base,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        "OMP_WAIT_POLICY": "PASSIVE",  # idle threads that spin make a job ten times slower on a busy machine
        **given,
    }


def _led(word: str, base: str) -> str:
    """A path of the container as one of this machine."""
    return f"{base}/{word.removeprefix(ML)}" if word.startswith(ML) else word


def _programs(words: Sequence[str], folder: Path) -> list[Path]:
    """The programs among the words of a command, with those in the same folders."""
    named = [inside(folder, word) for word in words if word.startswith(ML) and ".." not in Path(word).parts]
    folders = {path.parent for path in named if path.is_file() and path.suffix in PROGRAMS}
    return sorted(path for each in folders for path in each.rglob("*") if path.suffix in PROGRAMS and path.is_file())


def _lead(path: Path, base: str) -> None:
    data = path.read_bytes()
    led = data.replace(ML.encode(), f"{base}/".encode())
    if led != data:
        path.write_bytes(led)
