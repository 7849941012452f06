"""An embedded AWS in a process of its own, that can be killed at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from botocore.config import Config

from orchestrator.local.protocol.models import client_maker

ROOT = Path(__file__).parents[2]
SERVER = """
import sys, threading
from importlib import import_module
from pathlib import Path
from orchestrator.local.embedded import EmbeddedAws
services = [import_module(f"orchestrator.local.services.{name}").SERVICE for name in sys.argv[2:]]
aws = EmbeddedAws(Path(sys.argv[1]), services=services)
aws.start()
print(aws.endpoint, flush=True)
threading.Event().wait()
"""


class Process:
    """The embedded AWS of a home with some of our services, by the names of their folders."""

    def __init__(self, home: Path, *services: str) -> None:
        command = [sys.executable, "-c", SERVER, str(home), *services]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.endpoint = self._process.stdout.readline().strip()

    def client(self, service: str) -> Any:
        return client_maker().client(
            service,
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id="111111111111",
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 2}),
        )

    def clock(self, seconds: float = 0.0) -> float:
        """The time there, after moving it forward."""
        path, data = ("/advance", json.dumps({"seconds": seconds}).encode()) if seconds else ("", None)
        with urllib.request.urlopen(f"{self.endpoint}/_local/clock{path}", data=data) as answer:
            return float(json.loads(answer.read())["time"])

    def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
