"""Runs one job to its end, and can be started again at any moment without running it twice."""

from __future__ import annotations

import time
from pathlib import Path

from orchestrator.runtime import archives, contained, isolation
from orchestrator.runtime.contained import error_message, failure, note
from orchestrator.runtime.process import Child
from orchestrator.runtime.training import metrics
from orchestrator.runtime.training.job import Exit, Job, Status
from orchestrator.runtime.training.layout import lay_out
from orchestrator.runtime.training.programs import container_environment, program


def supervise(folder: Path) -> None:
    """Run the folder's job unless it is over. The caller holds ``folder/lock``."""
    if (folder / "exit.json").exists():
        return
    job = Job.read(folder)
    ended = contained.carry_out(
        folder,
        lambda: _start(job, folder),
        Exit,
        refusals=(archives.BadArchive,),
        seconds=job.max_runtime_seconds,
        grace_seconds=job.grace_seconds,
    )
    if ended is not None:
        _finish(job, folder, *ended)


def _start(job: Job, folder: Path) -> Child:
    isolated = isolation.wanted(job.isolation)
    base = isolation.CONTAINER_BASE if isolated else str(folder / "ml")
    ml = lay_out(job, folder, base)
    to_run = program(job, ml / "code", base)
    environment = container_environment(job, base)
    return contained.start(to_run, folder, ml, f"{base}/code", environment, isolated=isolated)


def _finish(job: Job, folder: Path, status: Status, code: int, started: float) -> None:
    ml, log = folder / "ml", folder / contained.LOG
    reason = _reason(job, folder, code) if status == "Failed" else ""
    if status == "Failed":
        note(folder, reason)
    artifacts = _pack(ml, folder / "artifacts", with_model=status != "Failed")
    definitions = metrics.builtin_definitions("" if job.script else job.kind) or job.metric_definitions
    ended = time.time()
    values = metrics.final_values(contained.log_lines(log), definitions, ended)
    Exit(status, code, started, ended, reason, values, artifacts).write(folder)


def _pack(ml: Path, target: Path, *, with_model: bool) -> list[str]:
    """Make ``model.tar.gz`` (even of nothing, as SageMaker does) and, if there is any, ``output.tar.gz``."""
    target.mkdir(exist_ok=True)
    packed = []
    if with_model:
        archives.pack(ml / "model", target / "model.tar.gz")
        packed.append("model.tar.gz")
    if any((ml / "output/data").iterdir()):
        archives.pack(ml / "output/data", target / "output.tar.gz")
        packed.append("output.tar.gz")
    return packed


def _reason(job: Job, folder: Path, code: int) -> str:
    """FailureReason as SageMaker gives it: the job's own ``output/failure``, else the end of what it printed."""
    told = folder / "ml/output/failure"
    if told.is_file():
        text = told.read_text(errors="replace").strip()
    elif job.script:
        said, command = error_message(folder), f"python {job.script}"
        text = f'ExecuteUserScriptError:\nExitCode {code}\nErrorMessage "{said}"\nCommand "{command}"'
    else:
        text = error_message(folder)
    return failure(text, code)
