"""Runs one processing job to its end, and can be started again at any moment without running it twice."""

from __future__ import annotations

import time
from pathlib import Path

from orchestrator.runtime import contained, isolation
from orchestrator.runtime.contained import error_message, failure, note
from orchestrator.runtime.process import Child
from orchestrator.runtime.processing.job import Exit, Job
from orchestrator.runtime.processing.layout import environment, lay_out, program

MESSAGE_BYTES = 1024
"""DescribeProcessingJob shows so much of ``/opt/ml/output/message``."""


def supervise(folder: Path) -> None:
    """Run the folder's job unless it is over. The caller holds ``folder/lock``."""
    if (folder / "exit.json").exists():
        return
    job = Job.read(folder)
    ended = contained.carry_out(
        folder,
        lambda: _start(job, folder),
        Exit,
        refusals=(ValueError,),
        seconds=job.max_runtime_seconds,
        grace_seconds=job.grace_seconds,
    )
    if ended is not None:
        _finish(folder, *ended)


def _start(job: Job, folder: Path) -> Child:
    isolated = isolation.wanted(job.isolation)
    base = isolation.CONTAINER_BASE if isolated else str(folder / "ml")
    ml = lay_out(job, folder)
    to_run = program(job, folder, base)
    return contained.start(to_run, folder, ml, base, environment(job, base), isolated=isolated)


def _finish(folder: Path, status: contained.Ending, code: int, started: float) -> None:
    reason = ""
    message = _message(folder)
    if message is None:
        status, message = "Failed", ""
        reason = "ClientError: /opt/ml/output/message is not text of UTF-8."
    elif status == "Failed":
        reason = failure(message or error_message(folder), code)
    if reason:
        note(folder, reason)
    Exit(status, code, started, time.time(), reason, message).write(folder)


def _message(folder: Path) -> str | None:
    """What the program left as its message, as far as it is shown; None when it is no text.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/byoc-metadata.html
    """
    path = folder / "ml/output/message"
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        data = file.read(MESSAGE_BYTES + 4)
    try:
        return data[:MESSAGE_BYTES].decode()
    except UnicodeDecodeError as error:
        cut = len(data) > MESSAGE_BYTES and error.start > MESSAGE_BYTES - 4
        return data[: error.start].decode() if cut else None
