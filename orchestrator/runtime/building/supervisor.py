"""Runs the phases of one build to their end.

Each command is a shell of its own that begins where the last one stopped: in its folder, with its variables, as in
the one shell of CodeBuild. A build whose processes were ended from outside is not begun anew, because commands may
have done things that must not be done twice; it ends as FAULT, as on AWS.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.runtime.building import stand_ins
from orchestrator.runtime.building.buildspec import BadBuildspec, Buildspec, Commands, parse
from orchestrator.runtime.building.job import EXIT_FILE, PHASES, REFUSAL_FILE, Exit, Job, Phase, Status, write_phases
from orchestrator.runtime.process import Child, clean_environment, end_leftovers, read_json, write_json

POLL_SECONDS = 0.05
GRACE_SECONDS = 5.0
KEEP = 'import json,os,sys; json.dump({"cwd": os.getcwd(), "env": dict(os.environ)}, open(sys.argv[1], "w"))'
SHELL = 'trap \'"$MLOPS_PYTHON" -S -c "$MLOPS_KEEP" "$MLOPS_STATE"\' EXIT; set -a; cd "$MLOPS_CWD" && . "$0"'
"""Runs the command's file; its folder and its variables are kept however it ends."""
OWN = ("MLOPS_PYTHON", "MLOPS_KEEP", "MLOPS_STATE", "MLOPS_CWD")


class Ended(Exception):
    """The build is over before its last phase: time is up, or someone stopped it."""

    def __init__(self, status: Status) -> None:
        super().__init__(status)
        self.status: Status = status


def supervise(folder: Path) -> None:
    """Run the folder's build unless it is over. The caller holds ``folder/lock``."""
    if (folder / EXIT_FILE).exists():
        return
    end_leftovers(folder)
    if read_json(folder / "started.json") is not None:
        Exit("FAULT", time.time()).write(folder)
        return
    started = time.time()
    write_json(folder / "started.json", {"started": started})
    Build(folder, Job.read(folder), started).run()


class Build:
    """One build under way."""

    def __init__(self, folder: Path, job: Job, started: float) -> None:
        self.folder = folder
        self.job = job
        self.deadline = started + job.timeout_seconds
        self.phases: list[Phase] = []
        self.cwd = str(folder / "src")
        self.variables: dict[str, str] = {}
        self.commands = 0

    def run(self) -> None:
        """All phases, and how it ended."""
        try:
            spec = parse(self.job.buildspec)
        except BadBuildspec as error:
            self._begin("INSTALL")
            self._end("FAILED", "YAML_FILE_ERROR", str(error))
            Exit("FAILED", time.time()).write(self.folder)
            return
        self.variables = self._environment(spec)
        status: Status = "SUCCEEDED"
        try:
            for name in PHASES:
                if name in spec.phases and not self._phase(name, spec.phases[name], spec.interpreter):
                    status = "FAILED"
                    if spec.phases[name].on_failure == "ABORT":
                        break
                    # Without a word in the buildspec, only a failed BUILD is followed by another phase.
                    if spec.phases[name].on_failure != "CONTINUE" and name != "BUILD":
                        break
        except Ended as ended:
            status = ended.status
        exported = {name: self.variables[name] for name in spec.exported if name in self.variables}
        Exit(status, time.time(), exported).write(self.folder)

    def _environment(self, spec: Buildspec) -> dict[str, str]:
        tools = stand_ins.install(self.folder, self.job)
        base = clean_environment()
        return {
            **base,
            **{name: value for name, value in os.environ.items() if name.startswith(("AWS_", "NO_PROXY"))},
            **spec.variables,
            **self.job.environment,
            **tools.variables,
            "PATH": f"{tools.folder}{os.pathsep}{base.get('PATH', os.defpath)}",
            "HOME": str(tools.home),
            "CODEBUILD_SRC_DIR": str(self.folder / "src"),
            "CODEBUILD_BUILD_SUCCEEDING": "1",
            "CODEBUILD_CI": "true",
            "CI": "true",
        }

    # ---- phases ----

    def _phase(self, name: str, commands: Commands, shell: str) -> bool:
        """Whether the phase succeeded. Raises Ended."""
        self._begin(name)
        message = ""
        for number, command in enumerate([*commands.commands, *commands.afterwards]):
            if message and number < len(commands.commands):
                continue
            code = self._command(command, shell)
            if code and not message:
                message = f"Error while executing command: {command.strip()}. Reason: exit status {code}"
                message += self._refusal()
        if message:
            self.variables["CODEBUILD_BUILD_SUCCEEDING"] = "0"
        self._end("FAILED" if message else "SUCCEEDED", "COMMAND_EXECUTION_ERROR" if message else "", message)
        return not message

    def _refusal(self) -> str:
        """Why a stand-in refused, which AWS's own message could not tell."""
        file = self.folder / REFUSAL_FILE
        return f". {file.read_text().strip()}" if file.exists() else ""

    def _command(self, command: str, shell: str) -> int:
        """Run one command; its exit code. Raises Ended."""
        self.commands += 1
        script, state = self.folder / f"command-{self.commands}.sh", self.folder / "state.json"
        script.write_text(command + "\n")
        state.unlink(missing_ok=True)
        self._log(f"Running command {command.strip()}")
        own = dict(zip(OWN, (sys.executable, KEEP, str(state), self.cwd), strict=True))
        child = Child(
            [shell, "-c", SHELL, str(script)],
            environment={**self.variables, **own},
            folder=self.folder,
            log=self.folder / "build.log",
        )
        code = self._wait(child)
        self._remember(read_json(state))
        return code

    def _remember(self, state: Mapping[str, Any] | None) -> None:
        if state is not None:
            self.cwd = state["cwd"]
            self.variables = {name: value for name, value in state["env"].items() if name not in OWN}

    def _wait(self, child: Child) -> int:
        while child.exit_code is None:
            stopped = (self.folder / "stop").exists() or not self.folder.exists()
            if stopped or time.time() > self.deadline:
                self._give_up(child, "STOPPED" if stopped else "TIMED_OUT")
            time.sleep(POLL_SECONDS)
        code = child.exit_code
        child.kill()  # what the command left running in its group
        return code

    def _give_up(self, child: Child, status: Status) -> None:
        child.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        while child.exit_code is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        child.kill()
        if status == "TIMED_OUT":
            self._end(status, "BUILD_TIMED_OUT", "Build has timed out. ")
        else:
            self._end(status, "", "")
        raise Ended(status)

    def _begin(self, name: str) -> None:
        self.phases.append(Phase(name, time.time()))
        write_phases(self.folder, self.phases)
        self._log(f"Entering phase {name}")

    def _end(self, status: str, code: str, message: str) -> None:
        phase = self.phases[-1]
        phase.ended, phase.status, phase.code, phase.message = time.time(), status, code, message
        write_phases(self.folder, self.phases)
        self._log(f"Phase complete: {phase.name} State: {status}")
        self._log(f"Phase context status code: {code} Message: {message}")

    def _log(self, text: str) -> None:
        now = datetime.now(UTC).strftime("%Y/%m/%d %H:%M:%S.%f")
        with (self.folder / "build.log").open("a") as log:
            log.write(f"[Container] {now} {text}\n")
