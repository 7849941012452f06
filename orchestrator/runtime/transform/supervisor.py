"""Serves the model, sends it every input file, writes what it answers; can be started again at any moment.

What was finished before stays: an output file is there whole or not at all.
"""

from __future__ import annotations

import http.client
import os
import time
from pathlib import Path

from orchestrator.runtime.process import is_held, start_supervisor
from orchestrator.runtime.serving.contract import media_type
from orchestrator.runtime.serving.spec import State
from orchestrator.runtime.transform import filters, records
from orchestrator.runtime.transform.job import Exit, Transform

POLL_SECONDS = 0.05
ENDING_SECONDS = 20.0
RETRY_SECONDS = 0.2
SUFFIX = ".out"
REASON_LENGTH = 1024


class Stopped(Exception):
    """The job is asked to end."""


class NoModel(Exception):
    """The model does not serve; the message says why."""


class Refused(Exception):
    """The model refuses a request for good."""


def supervise(folder: Path) -> None:
    """Run the folder's job unless it is over. The caller holds ``folder/lock``."""
    if (folder / "exit.json").exists():
        return
    Work(folder).run()


class Work:
    """One transform job at work."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._job = Transform.read(folder)
        self._port = 0

    def run(self) -> None:
        """Transform all files; ``exit.json`` tells how it went."""
        started = time.time()
        try:
            self._port = self._serve()
            reasons = self._transform_all()
        except Stopped:
            ending = Exit("Stopped", started, time.time())
        except NoModel as error:
            ending = Exit("Failed", started, time.time(), f"AlgorithmError: {error}"[:REASON_LENGTH])
        else:
            reason = f"ClientError: {reasons[0]}. See job logs for more information"[:REASON_LENGTH] if reasons else ""
            ending = Exit("Failed" if reasons else "Completed", started, time.time(), reason, len(reasons))
        self._stop_serving()
        ending.write(self._folder)

    # ---- the model ----

    @property
    def _serving(self) -> Path:
        return self._folder / "serving"

    def _serve(self) -> int:
        """Start the model unless it is served already; its port once it answers."""
        if not is_held(self._serving / "lock"):
            (self._serving / "stop").unlink(missing_ok=True)
            (self._serving / "status.json").unlink(missing_ok=True)
            credentials = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
            start_supervisor("orchestrator.runtime.serving", self._serving, credentials)
        while True:
            self._check_wanted()
            state = State.read(self._serving)
            if state and state.phase == "ready":
                return state.port
            if state and state.phase in ("failed", "stopped"):
                raise NoModel(f"The model does not serve: {state.reason or 'it was stopped'}")
            time.sleep(POLL_SECONDS)

    def _stop_serving(self) -> None:
        deadline = time.monotonic() + ENDING_SECONDS
        (self._serving / "stop").touch()
        while is_held(self._serving / "lock") and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def _check_wanted(self) -> None:
        if (self._folder / "stop").exists() or not (self._folder / "transform.json").exists():
            raise Stopped

    # ---- the input ----

    def _transform_all(self) -> list[str]:
        """Transform every file, a bad one does not keep the others from it; what was wrong with each bad one."""
        reasons = []
        source = self._folder / "in"
        for path in sorted(source.rglob("*")):
            if not path.is_file():
                continue
            name = path.relative_to(source)
            target = self._folder / "out" / name.with_name(name.name + SUFFIX)
            if target.exists():
                continue
            try:
                self._transform(path, target)
                self._log(f"{name}: done")
            except (records.BadInput, Refused, UnicodeDecodeError) as error:
                self._log(f"{name}: {error}")
                reasons.append(f"{name}: {error}")
        return reasons

    def _transform(self, path: Path, target: Path) -> None:
        answers = []
        for batch in records.batches(records.content(path, self._job.compression), self._job):
            self._check_wanted()
            answers.append(self._answer(batch))
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        part.write_bytes(records.assembled(answers, self._job))
        part.replace(target)

    def _answer(self, batch: list[bytes]) -> bytes:
        job = self._job
        content_type = media_type(job.content_type)
        accept = media_type(job.accept) or content_type
        sent = filters.filtered(batch, job.input_filter, content_type)
        answer = self._post(records.payload(sent))
        if job.output_filter == "$" and not job.join:
            return answer
        return filters.finished(batch, answer, job.output_filter, content_type, accept, join=job.join)

    def _post(self, body: bytes) -> bytes:
        """Ask the model; what may pass is tried again. Raises Refused."""
        trouble = ""
        for attempt in range(self._job.retries + 1):
            if attempt:
                time.sleep(RETRY_SECONDS)
                self._port = self._serve()  # a process that died is begun again by its own supervisor
            try:
                status, answer = self._ask(body)
            except (OSError, http.client.HTTPException) as error:
                trouble = f"the model did not answer: {error}"
                continue
            if status < 300:
                return answer
            trouble = f"the model answered {status}: {answer.decode(errors='replace')[:500].strip()}"
            if status < 500:
                break
        raise Refused(trouble)

    def _ask(self, body: bytes) -> tuple[int, bytes]:
        headers = {"X-Amzn-SageMaker-Transform-Job": self._job.name}
        if self._job.content_type:
            headers["Content-Type"] = self._job.content_type
        if self._job.accept:
            headers["Accept"] = self._job.accept
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._job.timeout_seconds)
        try:
            connection.request("POST", "/invocations", body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _log(self, text: str) -> None:
        with (self._folder / "data.log").open("a") as log:
            log.write(text + "\n")
