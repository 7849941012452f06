"""One program under a container contract: begun, watched to its end, and asked why it failed.

What training and processing containers share. The folder of a job holds ``started.json`` (how often it was begun),
``job.log`` (what the program printed) and ``stop`` (its appearance asks the program to end).
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.runtime import isolation
from orchestrator.runtime.kept import Report
from orchestrator.runtime.process import Child, clean_environment, end_leftovers, read_json, write_json

Ending = Literal["Completed", "Failed", "Stopped", "MaxRuntimeExceeded"]
MOST_ATTEMPTS = 3
"""How often a job is begun anew when its supervisor was killed with it (a restart of the machine, for one)."""
POLL_SECONDS = 0.05
GRACE_SECONDS = 120.0
"""Between SIGTERM and SIGKILL; the contract's own number."""
REASON_LENGTH = 1024
"""The API's limit for FailureReason."""
LOG = "job.log"
TOLD_LINES, TOLD_LENGTH = 60, 600
GIVEN = ("AWS_", "MLOPS_CLOCK_")
"""Variables that the program gets from whoever started the job: keys, region, endpoint, and the time there."""


class CannotStart(Exception):
    """The job's program cannot be started; the message says what is missing."""


class EndedFromOutside(Exception):
    """The job was begun so often, and its processes were ended each time, that it is given up."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to execute, and the variables beside those of the container."""

    argv: Sequence[str]
    environment: Mapping[str, str]


GiveUp = Callable[[Ending, int, float, float, str], Report]
"""Makes the report of a job that never ran: status, exit code, begin and end (POSIX seconds), the reason."""


def carry_out(
    folder: Path,
    begin: Callable[[], Child],
    report: GiveUp,
    *,
    refusals: tuple[type[Exception], ...],
    seconds: float,
    grace_seconds: float,
) -> tuple[Ending, int, float] | None:
    """Begin the job's program and wait for its end: the status, the exit code, and when it began.

    None when it is over without having run: it was given up, or ``begin`` raised one of ``refusals``; the report says
    why. The caller holds ``folder/lock``.
    """
    try:
        started = next_attempt(folder)
    except EndedFromOutside as error:
        report("Failed", 137, time.time(), time.time(), str(error)).write(folder)
        return None
    cannot: tuple[type[Exception], ...] = (CannotStart, OSError, RuntimeError, *refusals)
    try:
        child = begin()
    except cannot as error:
        note(folder, f"The job cannot start: {error}")
        reason = f"AlgorithmError: {error}"[:REASON_LENGTH]
        report("Failed", 1, started, time.time(), reason).write(folder)
        return None
    status = watch(child, folder, ends=started + seconds, grace_seconds=grace_seconds)
    return status, child.exit_code or 0, started


def next_attempt(folder: Path) -> float:
    """Count one more attempt, end what an earlier one left running, and return the time it begins (POSIX seconds).

    Raises EndedFromOutside after MOST_ATTEMPTS.
    """
    end_leftovers(folder)
    attempts = (read_json(folder / "started.json") or {"attempts": 0})["attempts"] + 1
    if attempts > MOST_ATTEMPTS:
        raise EndedFromOutside(
            f"InternalServerError: the job's processes were ended from outside {MOST_ATTEMPTS} times."
        )
    started = time.time()
    write_json(folder / "started.json", {"attempts": attempts, "started": started})
    return started


def start(
    program: Program, folder: Path, ml: Path, cwd: str, environment: Mapping[str, str], *, isolated: bool
) -> Child:
    """Begin the program in ``cwd`` with the keys of its role and these variables; isolated, ``ml`` is its /opt/ml."""
    whole = {
        **clean_environment(),
        **{name: value for name, value in os.environ.items() if name.startswith(GIVEN)},
        **program.environment,
        **environment,
    }
    note(folder, f"Running {shlex.join(program.argv)}")
    log = folder / LOG
    if isolated:
        return isolation.IsolatedChild(program.argv, ml=ml, cwd=cwd, environment=whole, folder=folder, log=log)
    # Begun in its folder by a shell: the lock and the record of the process stay in the job's.
    command = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', cwd, *program.argv]
    return Child(command, environment=whole, folder=folder, log=log)


def watch(child: Child, folder: Path, *, ends: float, grace_seconds: float) -> Ending:
    """Wait for the end, or bring it about: on request, when its ``job.json`` is gone, or when the time ``ends``."""
    while child.exit_code is None:
        late = time.time() > ends
        if late or (folder / "stop").exists() or not (folder / "job.json").exists():
            _end(child, grace_seconds)
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


def failure(text: str, code: int) -> str:
    """FailureReason for a program that ended with this code, in SageMaker's form and length."""
    end = f", exit code: {code}"
    return f"AlgorithmError: {text}"[: REASON_LENGTH - len(end)] + end


def error_message(folder: Path) -> str:
    """What the program said last: its last traceback's last words, or the last lines of its log."""
    lines = [line for line in log_lines(folder / LOG) if line.strip()][-TOLD_LINES:]
    begins = [index for index, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    if begins:
        ends = [line for line in lines[begins[-1] + 1 :] if not line.startswith((" ", "#011"))]
        if ends:
            return "\n".join(ends)[-TOLD_LENGTH:]
    return "\n".join(lines[-5:])[-TOLD_LENGTH:]


def log_lines(path: Path) -> Iterator[str]:
    """The lines of a log as CloudWatch Logs shows them: a tab stands there as ``#011``."""
    with path.open(errors="replace") as log:
        for line in log:
            yield line.rstrip("\r\n").replace("\t", "#011")


def note(folder: Path, text: str) -> None:
    """Add a line to the job's log."""
    with (folder / LOG).open("a") as log:
        log.write(text + "\n")
