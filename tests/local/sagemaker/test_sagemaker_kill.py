"""The server is killed without warning; started again, everything has happened once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from sagemaker_rig import SKLEARN, Workshop, archive, wait_for

ACCOUNT = "222222222222"


class Server:
    """The embedded AWS as its own process, in the form of the ``aws`` fixture as far as a workshop needs it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.endpoint = ""
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        (self.home / "local.json").unlink(missing_ok=True)
        port = ["--port", self.endpoint.rpartition(":")[2]] if self.endpoint else []
        command = [sys.executable, "-m", "orchestrator.local", "--home", str(self.home), "--iam", "report", *port]
        log = self.home.with_suffix(".log").open("ab")
        self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for((self.home / "local.json").exists)
        self.endpoint = json.loads((self.home / "local.json").read_text())["endpoint"]

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self._process.kill()

    def account(self, name: str) -> str:
        return {"dev": ACCOUNT}.get(name, name)

    def client(self, service: str, account: str = "dev") -> Any:
        return boto3.client(
            service, region_name="us-east-1", endpoint_url=self.endpoint, aws_access_key_id=ACCOUNT,
            aws_secret_access_key="local",
        )  # fmt: skip

    def running(self, word: str) -> list[psutil.Process]:
        """The processes of this home whose command line has the word."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            line = process.info["cmdline"] or []
            here = any(str(self.home) in part for part in line)
            if here and line[0] != "bwrap" and any(word in part for part in line):
                found.append(process)
        return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path / "home")
    yield running
    running.stop()
    wait_for(lambda: not running.running("orchestrator.runtime"))


MARKS = """
import os, time
with open({marks!r}, "a") as marks: marks.write("x")
print("first"); time.sleep(0.4); print("last")
open(os.environ["SM_MODEL_DIR"] + "/made", "w").write("1")
"""


@pytest.mark.parametrize("seconds", [0.1, 0.7])
def test_a_training_job_runs_once_however_often_the_server_dies(seconds: float, server: Server, tmp_path: Path) -> None:
    workshop, marks = Workshop(server), tmp_path / "marks"
    workshop.begin(workshop.script(MARKS.format(marks=str(marks))))
    for _ in range(2):
        time.sleep(seconds)
        server.kill()
        server.start()
    job = workshop.finished()
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert marks.read_text() == "x"
    assert workshop.keys("out/job/output/") == ["out/job/output/model.tar.gz"]
    assert len(workshop.sagemaker.list_training_jobs()["TrainingJobSummaries"]) == 1
    lines = workshop.messages("/aws/sagemaker/TrainingJobs")
    assert [line for line in lines if line in ("first", "last")] == ["first", "last"]
    steps = [step["Status"] for step in job["SecondaryStatusTransitions"]]
    assert steps == ["Starting", "Downloading", "Training", "Uploading", "Completed"]


SCRIPT = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
ECHO = """
def model_fn(model_dir): return "model"
def input_fn(body, content_type): return body
def predict_fn(body, model): return body
def output_fn(answer, accept): return "heard " + answer, "text/plain"
"""


def prepare(workshop: Workshop) -> None:
    data = workshop.put("models/echo.tar.gz", archive(code_in_inference__py=ECHO))
    workshop.model(Image=SKLEARN, ModelDataUrl=data, Environment=SCRIPT)
    for name in ("config", "config2"):
        workshop.config(name)


def say(workshop: Workshop, word: str) -> str:
    return str(workshop.invoke(Body=word)["Body"].read().decode())


@pytest.mark.parametrize("seconds", [0.3])
def test_an_endpoint_comes_up_once_however_often_the_server_dies(seconds: float, server: Server) -> None:
    workshop = Workshop(server)
    prepare(workshop)
    workshop.sagemaker.create_endpoint(EndpointName="endpoint", EndpointConfigName="config")
    time.sleep(seconds)
    server.kill()
    server.start()
    assert workshop.settled()["EndpointStatus"] == "InService"
    workshop.sagemaker.update_endpoint(EndpointName="endpoint", EndpointConfigName="config2")
    time.sleep(seconds)
    server.kill()
    server.start()
    assert workshop.settled()["EndpointConfigName"] == "config2"
    assert say(workshop, "you") == "heard you"
    wait_for(lambda: len(server.running("serving.worker")) == 1)


def test_a_serving_process_outlives_the_server_and_is_taken_over(server: Server) -> None:
    workshop = Workshop(server)
    prepare(workshop)
    workshop.endpoint()
    (worker,) = server.running("serving.worker")
    server.kill()
    server.start()
    assert say(workshop, "again") == "heard again"
    assert server.running("serving.worker") == [worker]
    server.kill()
    for process in (*server.running("orchestrator.runtime.serving"), worker):
        with contextlib.suppress(psutil.NoSuchProcess):
            os.kill(process.pid, signal.SIGKILL)
    server.start()
    assert say(workshop, "after the machine's own end") == "heard after the machine's own end"
    wait_for(lambda: len(server.running("serving.worker")) == 1)
