"""Walk one example from data to production on the embedded AWS: what ``mlops demo`` shows and the suite checks.

An example is a folder of ``pipelines/``: a config, ``data.py`` that writes the data set, ``predict.py`` that predicts
without an endpoint. Every step uses the doors a user has: Git, S3, CodePipeline, InvokeEndpoint.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.cli import home, uploading
from orchestrator.cli.target import Target
from orchestrator.errors import OrchestratorError
from orchestrator.runtime import archives

POLL_SECONDS = 0.25
NOTICE_SECONDS = 90.0
FINISHED = {"Succeeded", "Failed", "Stopped", "Superseded", "Cancelled"}


class WalkFailed(OrchestratorError):
    """The walk stopped short; the message says where and why."""

    exit_code = 7
    title = "The pipeline failed"


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval that waits: which CodePipeline stage and action, and what it shows the reviewer."""

    stage: str
    action: str
    token: str
    custom_data: str


@dataclass(frozen=True, slots=True)
class Event:
    """An action of the run changed its state."""

    stage: str
    action: str
    status: str
    summary: str
    approval: Approval | None = None


@dataclass(slots=True)
class Walk:
    """One example on one embedded AWS. ``folder`` is scratch space of the walk."""

    running: home.Running
    example: Path
    folder: Path
    _seen: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)

    @property
    def target(self) -> Target:
        return Target(self.running.region, self.running)

    @property
    def config(self) -> dict[str, Any]:
        """The example's config."""
        document: dict[str, Any] = json.loads((self.example / "mlops-config.json").read_text())
        return document

    def client(self, service: str, account: str = "") -> Any:
        return self.target.client(service, account)

    # --- in

    def write_data(self, assets_bucket: str) -> list[str]:
        """Make the data set and upload it; returns the keys."""
        _run_python(self.example / "data.py", str(self.folder))
        files = uploading.keys(self.folder / "assets")
        return list(uploading.upload(self.client("s3"), assets_bucket, files))

    def repository(self) -> Path:
        """A fresh Git repository with the example's files, nothing committed yet."""
        path = self.folder / self.example.name
        shutil.copytree(self.example, path, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        git(path, "init", "--quiet", "--initial-branch=main")
        git(path, "config", "user.name", "You")
        git(path, "config", "user.email", "you@example.com")
        return path

    def commit(self, repository: Path, message: str) -> str:
        """Commit everything; returns the commit's id."""
        git(repository, "add", "--all")
        git(repository, "commit", "--quiet", "--message", message)
        return git(repository, "rev-parse", "HEAD")

    # --- the run

    def wait_for_run(self, project: str, after: str = "") -> str:
        """Wait until the pipeline has an execution other than ``after``; returns its id."""
        pipeline = self.client("codepipeline")
        deadline = time.monotonic() + NOTICE_SECONDS
        while time.monotonic() < deadline:
            try:
                runs = pipeline.list_pipeline_executions(pipelineName=project)["pipelineExecutionSummaries"]
            except pipeline.exceptions.PipelineNotFoundException:
                runs = []
            if runs and runs[0]["pipelineExecutionId"] != after:
                return str(runs[0]["pipelineExecutionId"])
            time.sleep(POLL_SECONDS)
        raise WalkFailed(
            f"No run of {project} within {NOTICE_SECONDS:.0f} s.",
            hint="Look at `mlops logs --orchestrator` for what the orchestrator said.",
        )

    def follow(self, project: str, run: str) -> Iterator[Event]:
        """Yield each change of an action until the run has finished."""
        pipeline = self.client("codepipeline")
        while True:
            status = pipeline.get_pipeline_execution(pipelineName=project, pipelineExecutionId=run)[
                "pipelineExecution"
            ]["status"]
            yield from self._changes(pipeline.get_pipeline_state(name=project), run)
            if status in FINISHED:
                return
            time.sleep(POLL_SECONDS)

    def _changes(self, state: dict[str, Any], run: str) -> Iterator[Event]:
        for stage in state["stageStates"]:
            if stage.get("latestExecution", {}).get("pipelineExecutionId") != run:
                continue
            if stage["latestExecution"]["status"] == "Skipped":  # its actions tell of an earlier run
                yield from self._skipped(stage)
                continue
            for action in stage["actionStates"]:
                latest = action.get("latestExecution", {})
                name, now = (
                    (stage["stageName"], action["actionName"]),
                    (latest.get("status", ""), latest.get("token", "")),
                )
                if not now[0] or self._seen.get(name) == now:
                    continue
                self._seen[name] = now
                summary = latest.get("errorDetails", {}).get("message") or latest.get("summary", "")
                waits = now[0] == "InProgress" and now[1]
                approval = Approval(*name, now[1], summary) if waits else None
                yield Event(*name, now[0], summary, approval)

    def _skipped(self, stage: dict[str, Any]) -> Iterator[Event]:
        name, now = (stage["stageName"], ""), ("Skipped", stage["latestExecution"]["pipelineExecutionId"])
        if self._seen.get(name) != now:
            self._seen[name] = now
            yield Event(*name, "Skipped", "approved already")

    def approve(self, project: str, approval: Approval, summary: str) -> None:
        """Approve, as a reviewer would."""
        self.client("codepipeline").put_approval_result(
            pipelineName=project,
            stageName=approval.stage,
            actionName=approval.action,
            token=approval.token,
            result={"summary": summary, "status": "Approved"},
        )

    # --- out

    def reference_predictions(self, model_data_url: str) -> list[float]:
        """The predictions of the model archive in a process of its own, without an endpoint."""
        bucket, _, key = model_data_url.removeprefix("s3://").partition("/")
        archive, model = self.folder / "model.tar.gz", self.folder / "model"
        self.client("s3").download_file(bucket, key, str(archive))
        shutil.rmtree(model, ignore_errors=True)
        archives.unpack(archive, model)
        output = _run_python(self.example / "predict.py", str(model), str(self.folder / "test.csv"))
        return [float(line) for line in output.split()]

    def endpoint_predictions(self, account: str, endpoint: str) -> list[float]:
        """What the live endpoint answers for the rows that were kept back."""
        answer = self.client("sagemaker-runtime", account).invoke_endpoint(
            EndpointName=endpoint,
            ContentType="text/csv",
            Accept="text/csv",
            Body=(self.folder / "test.csv").read_bytes(),
        )
        return [float(number) for number in answer["Body"].read().decode().replace(",", "\n").split()]

    def accuracy(self, predictions: list[float]) -> float:
        """The share of rows whose rounded prediction is the truth."""
        labels = [int(line) for line in (self.folder / "labels.csv").read_text().split()]
        right = sum(round(prediction) == label for prediction, label in zip(predictions, labels, strict=True))
        return right / len(labels)


def wait_until(what: str, seconds: float, probe: Callable[[], Any]) -> Any:
    """Call ``probe`` until it answers something true; raises WalkFailed after ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := probe():
            return found
        time.sleep(POLL_SECONDS)
    raise WalkFailed(f"{what} did not happen within {seconds:.0f} s.")


def git(repository: Path, *arguments: str) -> str:
    """Run git in the repository; returns what it printed."""
    done = subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise WalkFailed(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def _run_python(script: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise WalkFailed(f"{script.name} failed: {done.stderr.strip()[-500:]}")
    return done.stdout
