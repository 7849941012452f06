"""The command a job runs: the image's own algorithm, the user's script, or a registered command."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from orchestrator.runtime.contained import CannotStart, Program
from orchestrator.runtime.process import PACKAGE_ROOT, clean_environment
from orchestrator.runtime.training.environment import script_environment
from orchestrator.runtime.training.job import Job

ALGORITHMS = {"xgboost": "orchestrator.runtime.training.builtin_xgboost"}
"""Images whose own program trains when the user brings no script."""


def program(job: Job, code: Path, base: str) -> Program:
    """The job's program; ``code`` is the unpacked source, ``base`` where the job sees its ``/opt/ml``.

    Raises CannotStart.
    """
    if job.command:
        return Program(job.command, {})
    if job.script:
        return _script(job, code, base)
    if job.entrypoint:
        first, *rest = job.entrypoint
        python = Path(first).name in ("python", "python3")
        return Program([sys.executable if python else first, *rest], {})
    if job.kind in ALGORITHMS:
        return Program([sys.executable, "-m", ALGORITHMS[job.kind]], {"PYTHONPATH": str(PACKAGE_ROOT)})
    raise CannotStart(
        "the image runs a script of yours, and the hyperparameters sagemaker_program and"
        " sagemaker_submit_directory do not name one"
    )


def _script(job: Job, code: Path, base: str) -> Program:
    if not (code / job.script).is_file():
        there = ", ".join(sorted(path.name for path in code.iterdir())) or "nothing"
        raise CannotStart(f"the source directory has no {job.script}; it holds {there}")
    check_requirements(code / "requirements.txt")
    variables, arguments = script_environment(job, base)
    path = f"{base}/code/{job.script}"
    argv = [sys.executable, path] if job.script.endswith(".py") else ["/bin/sh", path]
    return Program([*argv, *arguments], {**variables, "PYTHONPATH": f"{base}/code"})


def check_requirements(path: Path) -> None:
    """Raise CannotStart unless what the file asks for is installed already; nothing is ever installed here."""
    if not path.is_file():
        return
    trial = subprocess.run(
        [sys.executable, "-m", "pip", "--isolated", "install", "--no-index", "--no-deps", "--dry-run", "-r", str(path)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if trial.returncode == 0:
        return
    missing = re.findall(r"No matching distribution found for (.+)", trial.stderr)
    detail = missing[0].split(" (from")[0] if missing else (trial.stderr.strip().splitlines() or ["pip failed"])[-1]
    raise CannotStart(
        f"requirements.txt asks for what is not installed here: {detail}; local jobs use the Python environment of"
        " the embedded AWS and install nothing into it"
    )


def container_environment(job: Job, base: str) -> dict[str, str]:
    """The variables SageMaker gives every training container, and those that make one behave on a shared machine."""
    return {
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": job.arn,
        "AWS_REGION": job.region,
        "SAGEMAKER_BASE_DIR": base,
        "CURRENT_HOST": "algo-1",
        "PYTHONUNBUFFERED": "1",
        # Idle OpenMP threads that spin made the same job take 1.4 s or 14 s on a busy machine.
        "OMP_WAIT_POLICY": "PASSIVE",
        **job.environment,
    }
