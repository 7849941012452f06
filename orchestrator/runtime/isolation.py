"""A real ``/opt/ml`` for one process, without Docker and without root, where bubblewrap is installed.

Scripts and processing code write ``/opt/ml/...`` as it stands in AWS's documentation. In a mount namespace they
find it; without bubblewrap ``SAGEMAKER_BASE_DIR`` and the ``SM_*`` variables lead to the same files.
"""

from __future__ import annotations

import functools
import json
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.runtime.process import Child, with_live_process

CONTAINER_BASE = "/opt/ml"


@functools.cache
def available() -> bool:
    """Whether bubblewrap is here and this machine lets us make namespaces."""
    if shutil.which("bwrap") is None:
        return False
    trial = subprocess.run(
        ["bwrap", "--dev-bind", "/", "/", "--tmpfs", "/opt", "true"], capture_output=True, check=False
    )
    return trial.returncode == 0


def wanted(preference: str) -> bool:
    """Whether to isolate: ``auto`` where it is possible, ``bwrap`` always, ``prefix`` never."""
    return preference == "bwrap" or (preference == "auto" and available())


def wrap(argv: Sequence[str], ml: Path, cwd: str, info: int) -> list[str]:
    """The command under bubblewrap: the same machine, but ``/opt/ml`` is ``ml``.

    The other folders of ``/opt`` stay (Python itself may live there). ``info`` is the descriptor on which
    bubblewrap tells the process id of the command.
    """
    command = ["bwrap", "--die-with-parent", "--dev-bind", "/", "/", "--tmpfs", "/opt"]
    opt = Path("/opt")
    for path in sorted(opt.iterdir()) if opt.is_dir() else []:
        if path.name != "ml":
            command += ["--dev-bind", str(path), str(path)]
    return [*command, "--bind", str(ml), CONTAINER_BASE, "--chdir", cwd, "--info-fd", str(info), "--", *argv]


class IsolatedChild(Child):
    """A program under bubblewrap. SIGTERM goes to the program: bubblewrap itself would die of it and take it along."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        ml: Path,
        cwd: str,
        environment: Mapping[str, str],
        folder: Path,
        log: Path,
        descriptors: Sequence[int] = (),
    ) -> None:
        self._reader, writer = os.pipe()
        command = wrap(argv, ml, cwd, writer)
        super().__init__(command, environment=environment, folder=folder, log=log, descriptors=[writer, *descriptors])
        os.close(writer)
        self._program = 0

    def terminate(self) -> None:
        if not self._program:
            self._program = self._read_program()
        if self._program:
            with_live_process(self._program, signal.SIGTERM)

    def _read_program(self) -> int:
        text = b""
        while b"}" not in text and select.select([self._reader], [], [], 1.0)[0]:
            part = os.read(self._reader, 4096)
            if not part:
                break
            text += part
        return int(json.loads(text)["child-pid"]) if b"}" in text else 0

    def kill(self) -> None:
        super().kill()
        if self._reader >= 0:
            os.close(self._reader)
            self._reader = -1
