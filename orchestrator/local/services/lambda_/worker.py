"""One worker: a child process that holds a function's code in memory and handles one event at a time."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")


class WorkerExited(Exception):
    """The process ended before it answered; ``status`` is its exit status, negative for a signal."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class TimedOut(Exception):
    """The process did not answer in time and was killed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answered."""

    succeeded: bool
    payload: bytes
    memory_mb: int


class Worker:
    """A running worker. Its folder holds what it prints and is its home and temporary folder."""

    def __init__(self, folder: Path, code: Path, packages: Path, environment: dict[str, str]) -> None:
        self.stream = environment["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.started = time.time()
        self.idle_since = self.started
        self.events = 0
        self._spent = False
        self._folder = folder / uuid.uuid4().hex
        (self._folder / "tmp").mkdir(parents=True)
        self._log = self._folder / "log"
        inherited = {name: os.environ[name] for name in ("PATH", "SSL_CERT_FILE") if name in os.environ}
        own = {
            "HOME": str(self._folder),
            "TMPDIR": str(self._folder / "tmp"),
            "LAMBDA_TASK_ROOT": str(code),
            "LAMBDA_RUNTIME_DIR": str(BOOTSTRAP.parent),
            "TZ": ":UTC",
            "LANG": "en_US.UTF-8",
        }
        self._answers, answers_to = os.pipe()
        os.set_blocking(self._answers, False)
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-X", "utf8", str(BOOTSTRAP), str(answers_to), str(packages)],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=code,
                    env={**inherited, **own, **environment},
                    pass_fds=(answers_to,),
                    start_new_session=True,
                )
        finally:
            os.close(answers_to)

    @property
    def alive(self) -> bool:
        """Whether the process can take another event."""
        return not self._spent and self._process.poll() is None

    def ready(self, deadline: float) -> None:
        """Wait until the code is loaded, well or not; raises TimedOut or WorkerExited."""
        self._line(deadline)

    def handle(self, message: dict[str, Any], deadline: float) -> Answer:
        """Hand over an event and wait for the answer; raises TimedOut or WorkerExited.

        Only one thread may do this at a time.
        """
        self.events += 1
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise WorkerExited(self._process.wait()) from None
        answer = json.loads(self._line(deadline))
        self._spent = answer["last"]
        return Answer(answer["ok"], answer["payload"].encode(), answer["memory"])

    def _line(self, deadline: float) -> bytes:
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        read = bytearray()
        while not read.endswith(b"\n"):
            left = deadline - time.time()
            if left <= 0 or not poll.poll(left * 1000):
                self.kill()
                raise TimedOut
            part = os.read(self._answers, 1 << 20)
            if not part:
                raise WorkerExited(self._process.wait())
            read += part
        return bytes(read)

    def take_log(self) -> str:
        """What the process has printed since the last time."""
        text = self._log.read_text(errors="replace")
        os.truncate(self._log, 0)  # it is written in append mode, so the next line is at the start again
        return text

    def kill(self) -> None:
        """End the process and everything it started; harmless when it has ended."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def discard(self) -> None:
        """Kill the process and remove its folder."""
        self.kill()
        if self._answers >= 0:
            os.close(self._answers)
            self._answers = -1
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        shutil.rmtree(self._folder, ignore_errors=True)
