"""Runs one job to its end, and can be started again at any moment without running it twice."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from orchestrator.runtime import archives, isolation
from orchestrator.runtime.process import Child, clean_environment, end_leftovers, read_json, write_json
from orchestrator.runtime.training import metrics
from orchestrator.runtime.training.job import Exit, Job, Status
from orchestrator.runtime.training.layout import lay_out
from orchestrator.runtime.training.programs import CannotStart, Program, container_environment, program

MOST_ATTEMPTS = 3
"""How often a job is begun anew when its supervisor was killed with it (a restart of the machine, for one)."""
POLL_SECONDS = 0.05
REASON_LENGTH = 1024
"""The API's limit for FailureReason."""


def supervise(folder: Path) -> None:
    """Run the folder's job unless it is over. The caller holds ``folder/lock``."""
    if (folder / "exit.json").exists():
        return
    job = Job.read(folder)
    end_leftovers(folder)
    attempts = (read_json(folder / "started.json") or {"attempts": 0})["attempts"] + 1
    started = time.time()
    if attempts > MOST_ATTEMPTS:
        reason = f"InternalServerError: the job's processes were ended from outside {MOST_ATTEMPTS} times."
        Exit("Failed", 137, started, time.time(), reason).write(folder)
        return
    write_json(folder / "started.json", {"attempts": attempts, "started": started})
    try:
        child = _start(job, folder)
    except (CannotStart, archives.BadArchive, OSError, RuntimeError) as error:
        _log(folder, f"The job cannot start: {error}")
        Exit("Failed", 1, started, time.time(), f"AlgorithmError: {error}"[:REASON_LENGTH]).write(folder)
        return
    status = _watch(child, job, folder, started)
    _finish(job, folder, status, child.exit_code or 0, started)


def _start(job: Job, folder: Path) -> Child:
    isolated = isolation.wanted(job.isolation)
    base = isolation.CONTAINER_BASE if isolated else str(folder / "ml")
    ml = lay_out(job, folder, base)
    to_run = program(job, ml / "code", base)
    environment = {
        **clean_environment(),
        **{name: value for name, value in os.environ.items() if name.startswith("AWS_")},
        **to_run.environment,
        **container_environment(job, base),
    }
    _log(folder, f"Running {shlex.join(to_run.argv)}")
    log = folder / "job.log"
    if not isolated:
        return Child(_in_folder(to_run, f"{base}/code"), environment=environment, folder=folder, log=log)
    return isolation.IsolatedChild(
        to_run.argv, ml=ml, cwd=f"{base}/code", environment=environment, folder=folder, log=log
    )


def _in_folder(to_run: Program, cwd: str) -> Sequence[str]:
    """The command, begun in the code's folder: the lock and the record of the process stay in the job's."""
    return ["/bin/sh", "-c", 'cd "$0" && exec "$@"', cwd, *to_run.argv]


def _watch(child: Child, job: Job, folder: Path, started: float) -> Status:
    """Wait for the end, or bring it about: on request, or when the time is up."""
    while child.exit_code is None:
        late = time.time() > started + job.max_runtime_seconds
        if late or (folder / "stop").exists() or not (folder / "job.json").exists():
            _end(child, job.grace_seconds)
            return "MaxRuntimeExceeded" if late else "Stopped"
        time.sleep(POLL_SECONDS)
    code = child.exit_code
    child.kill()  # what the program left running in its group
    return "Failed" if code else "Completed"


def _end(child: Child, grace_seconds: float) -> None:
    child.terminate()
    deadline = time.monotonic() + grace_seconds
    while child.exit_code is None and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    child.kill()


def _finish(job: Job, folder: Path, status: Status, code: int, started: float) -> None:
    ml, log = folder / "ml", folder / "job.log"
    reason = _reason(job, folder, code) if status == "Failed" else ""
    if status == "Failed":
        _log(folder, reason)
    artifacts = _pack(ml, folder / "artifacts", with_model=status != "Failed")
    definitions = metrics.builtin_definitions("" if job.script else job.kind) or job.metric_definitions
    ended = time.time()
    values = metrics.final_values(metrics.log_lines(log), definitions, ended)
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
    failure = folder / "ml/output/failure"
    if failure.is_file():
        text = failure.read_text(errors="replace").strip()
    elif job.script:
        command = f"python {job.script}"
        text = f'ExecuteUserScriptError:\nExitCode {code}\nErrorMessage "{_error_message(folder)}"\nCommand "{command}"'
    else:
        text = _error_message(folder)
    end = f", exit code: {code}"
    return f"AlgorithmError: {text}"[: REASON_LENGTH - len(end)] + end


def _error_message(folder: Path) -> str:
    """The last traceback's last words, or the last lines of the log."""
    lines = [line for line in metrics.log_lines(folder / "job.log") if line.strip()][-60:]
    begins = [index for index, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    if begins:
        ends = [line for line in lines[begins[-1] + 1 :] if not line.startswith((" ", "#011"))]
        if ends:
            return "\n".join(ends)[-600:]
    return "\n".join(lines[-5:])[-600:]


def _log(folder: Path, text: str) -> None:
    with (folder / "job.log").open("a") as log:
        log.write(text + "\n")
