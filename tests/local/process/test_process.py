"""``python -m orchestrator.local`` as a process: start, announcement, locks, stop, start again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.local.protocol.models import client_maker

ROOT = Path(__file__).parents[3]


class Running:
    """The process and what it announced."""

    def __init__(self, home: Path, *options: str) -> None:
        command = [sys.executable, "-m", "orchestrator.local", "--home", str(home), *options]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while not self._is_announced(home / "local.json"):
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        self.announcement = json.loads((home / "local.json").read_text())
        self.endpoint = self.announcement["endpoint"]

    def _is_announced(self, path: Path) -> bool:
        return path.exists() and json.loads(path.read_text())["pid"] == self.process.pid

    def client(self, service, account="111111111111"):
        return client_maker().client(
            service,
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id=account,
            aws_secret_access_key="x",
        )

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(30)
        return code, self.process.stderr.read()


@pytest.fixture
def start(tmp_path):
    started = []

    def make(*options, home=tmp_path / "home"):
        started.append(Running(home, *options))
        return started[-1]

    yield make
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
        running.process.wait()
        running.process.stdout.close()
        running.process.stderr.close()


def test_from_start_to_stop_and_again(start, tmp_path):
    home = tmp_path / "home"
    running = start("--accounts", "orchestrator=555555555555,dev=666666666666", "--region", "eu-west-1")
    assert running.announcement == {
        "endpoint": running.endpoint,
        "pid": running.process.pid,
        "accounts": {"orchestrator": "555555555555", "dev": "666666666666"},
        "region": "eu-west-1",
        "authorization": "enforce",
    }
    assert home.stat().st_mode & 0o777 == 0o700
    running.client("s3").create_bucket(Bucket="bucket")

    second = subprocess.run(
        [sys.executable, "-m", "orchestrator.local", "--home", str(home)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert f"is held by process {running.process.pid}, started " in second.stderr and "Traceback" not in second.stderr

    code, talk = running.stop()
    assert code == 0 and "Traceback" not in talk
    assert not (home / "local.json").exists()

    again = start("--port", running.endpoint.rpartition(":")[2])
    assert again.endpoint == running.endpoint
    assert again.client("s3").list_buckets()["Buckets"][0]["Name"] == "bucket"
    assert again.stop(signal.SIGINT)[0] == 0


def test_a_killed_process_leaves_no_lock(start, tmp_path):
    running = start()
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait()
    assert (tmp_path / "home" / "local.json").exists()  # nobody was there to remove it
    assert start().stop()[0] == 0
    assert not (tmp_path / "home" / "local.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--accounts", "dev=12"], "'dev=12' is not name=<12 digits>"),
        (["--accounts", "=111111111111"], "is not name=<12 digits>"),
        (["--port", "TAKEN"], "cannot be used: Address already in use."),
    ],
)
def test_what_cannot_be_is_said_in_one_line(tmp_path, options, message):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "orchestrator.local", "--home", str(tmp_path / "home")]
        command += [port if option == "TAKEN" else option for option in options]
        done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode in (1, 2)
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "home" / "local.json").exists()


def test_children_do_not_inherit_the_lock_or_the_port(tmp_path):
    from orchestrator.local.embedded import EmbeddedAws

    first = EmbeddedAws(tmp_path / "home", services=[])
    first.start()
    port = int(first.endpoint.rpartition(":")[2])
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        first.stop()
        second = EmbeddedAws(tmp_path / "home", port, services=[])
        second.start()
        second.stop()
    finally:
        child.stdin.close()
        child.wait()
