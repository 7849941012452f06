"""Keeps one model process alive, on one port, until it is told to stop; and tells how it goes."""

from __future__ import annotations

import dataclasses
import http.client
import os
import shutil
import socket
import sys
import time
from pathlib import Path

from orchestrator.runtime import archives, isolation
from orchestrator.runtime.process import PACKAGE_ROOT, Child, clean_environment, end_leftovers
from orchestrator.runtime.serving.spec import Serving, State

POLL_SECONDS = 0.1
PING_SECONDS = 2.0
GRACE_SECONDS = 10.0
EARLY_ENDS = 3
"""A process that has never been ready is begun so often before the server gives up."""
HEALTHY_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 30.0


class Supervisor:
    """Serves a folder. The caller holds ``folder/lock``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._serving = Serving.read(folder)
        self._isolated = isolation.wanted(self._serving.isolation)
        self._base = isolation.CONTAINER_BASE if self._isolated else str(folder / "ml")
        self._state = State("starting")
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._port: int = self._listener.getsockname()[1]

    def run(self) -> None:
        """Serve until ``stop`` appears or the model turns out not to load."""
        end_leftovers(self._folder)
        earlier = State.read(self._folder)
        self._tell(State("starting", restarts=earlier.restarts if earlier else 0))
        try:
            self._lay_out()
            begun = self._begin()
        except (archives.BadArchive, OSError) as error:
            self._fail(str(error))
            return
        except Exception as error:
            self._fail(f"the model server failed: {type(error).__name__}: {error}")  # else it would be begun for ever
            raise
        if begun:
            self._keep()

    def _lay_out(self) -> None:
        ml = self._folder / "ml"
        for archive, name in (("model.tar.gz", "model"), ("source.tar.gz", "code")):
            path = self._folder / archive
            if path.exists():
                shutil.rmtree(ml / name, ignore_errors=True)
                archives.unpack(path, ml / name)
        for name in ("model", "code"):
            (ml / name).mkdir(parents=True, exist_ok=True)

    def _begin(self) -> bool:
        """The first process; whether it became ready."""
        deadline = time.monotonic() + self._serving.startup_seconds
        for left in reversed(range(EARLY_ENDS)):
            self._child = self._start()
            if self._becomes_ready(deadline):
                return True
            if self._stopping:
                self._stop()
                return False
            code = self._child.exit_code
            self._child.kill()
            failure = self._folder / "failure"
            if failure.exists():
                self._fail(failure.read_text())
                return False
            if code is None:
                self._fail(f"it did not answer a ping within {self._serving.startup_seconds:.0f} seconds")
                return False
            if not left:
                self._fail(f"the process ended with exit code {code} before it answered a ping: {self._last_words()}")
        return False

    def _keep(self) -> None:
        """Begin the process anew whenever it ends, after pauses that grow while it keeps ending."""
        ready_since, pause = time.monotonic(), POLL_SECONDS
        while not self._stopping:
            time.sleep(POLL_SECONDS)
            code = self._child.exit_code
            if code is None:
                continue
            self._child.kill()  # what it left in its group
            pause = POLL_SECONDS if time.monotonic() - ready_since > HEALTHY_SECONDS else min(
                2 * pause, LONGEST_PAUSE_SECONDS
            )  # fmt: skip
            told = f"exit code {code}"
            self._say(f"The model process ended with {told}; it is started again in {pause:.1f} s.")
            self._tell(
                dataclasses.replace(self._state, phase="restarting", restarts=self._state.restarts + 1, last_exit=told)
            )
            self._pause(pause)
            self._child = self._start()
            if self._becomes_ready(time.monotonic() + self._serving.startup_seconds):
                ready_since = time.monotonic()
            elif self._child.exit_code is None:
                self._child.kill()
        self._stop()

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._stopping:
            time.sleep(POLL_SECONDS)

    def _start(self) -> Child:
        (self._folder / "failure").unlink(missing_ok=True)
        serving = self._serving
        if serving.command:
            self._listener.close()
            argv = [word.replace("{port}", str(self._port)) for word in serving.command]
            descriptors = []
        else:
            descriptors = [self._listener.fileno()]
            module = "orchestrator.runtime.serving.worker"
            argv = [sys.executable, "-m", module, str(self._folder), "--socket", str(descriptors[0])]
        environment = {
            **clean_environment(),
            **{name: value for name, value in os.environ.items() if name.startswith("AWS_")},
            "PYTHONPATH": str(PACKAGE_ROOT),
            "PYTHONUNBUFFERED": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
            "SAGEMAKER_BASE_DIR": self._base,
            "SM_MODEL_DIR": f"{self._base}/model",
            "SAGEMAKER_BIND_TO_PORT": str(self._port),
            **serving.environment,
        }
        log = self._folder / "serve.log"
        if not self._isolated:
            return Child(argv, environment=environment, folder=self._folder, log=log, descriptors=descriptors)
        return isolation.IsolatedChild(
            argv,
            ml=self._folder / "ml",
            cwd=isolation.CONTAINER_BASE,
            environment=environment,
            folder=self._folder,
            log=log,
            descriptors=descriptors,
        )

    def _becomes_ready(self, deadline: float) -> bool:
        """Whether the process answers a ping before it ends, the deadline passes, or we are to stop."""
        while self._child.exit_code is None and time.monotonic() < deadline and not self._stopping:
            if self._answers():
                self._tell(dataclasses.replace(self._state, phase="ready", port=self._port))
                return True
            time.sleep(POLL_SECONDS / 2)
        return False

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PING_SECONDS)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    @property
    def _stopping(self) -> bool:
        """Whether somebody asks us to end, or the whole folder was taken away."""
        return (self._folder / "stop").exists() or not (self._folder / "serving.json").exists()

    def _stop(self) -> None:
        self._child.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        while self._child.exit_code is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS / 2)
        self._child.kill()
        self._tell(dataclasses.replace(self._state, phase="stopped"))

    def _fail(self, reason: str) -> None:
        self._say(f"Gave up: {reason}")
        self._tell(State("failed", reason=reason[:900]))

    def _tell(self, state: State) -> None:
        self._state = state
        state.write(self._folder)

    def _last_words(self) -> str:
        lines = (self._folder / "serve.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it printed nothing"

    def _say(self, text: str) -> None:
        with (self._folder / "serve.log").open("a") as log:
            log.write(text + "\n")
