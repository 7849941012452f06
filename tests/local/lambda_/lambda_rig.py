"""An embedded AWS with Lambda only, and shortcuts to make and call functions."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from textwrap import dedent
from typing import Any

from orchestrator.local.embedded import EmbeddedAws
from orchestrator.local.services.lambda_.service import Lambda

ACCOUNT, REGION = "111111111111", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/function"


def archive(source: str, **files: str) -> bytes:
    """A zip archive with ``app.py``, and other files by their names without ``.py``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, text in {"app": source, **files}.items():
            opened.writestr(zipfile.ZipInfo(f"{name}.py"), dedent(text))
    return buffer.getvalue()


class Rig:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = 0
        self.start()

    def start(self) -> None:
        self.embedded = EmbeddedAws(self.home, self.port, services=[Lambda])
        self.port = int(self.embedded.endpoint.rpartition(":")[2])
        self.embedded.start()
        self.lambdas = self.embedded.world.client("lambda", ACCOUNT, REGION, patience=60)  # which never asks twice

    def client(self, service: str, account: str = ACCOUNT) -> Any:
        return self.embedded.world.client(service, account, REGION)

    def restart(self) -> None:
        self.embedded.stop()
        self.start()

    def create(self, source: str, name: str = "f", **members: Any) -> Any:
        defaults = {"Runtime": "python3.12", "Role": ROLE, "Handler": "app.handler", "Timeout": 20}
        code = members.pop("Code", None) or {"ZipFile": archive(source)}
        return self.lambdas.create_function(FunctionName=name, **{**defaults, "Code": code, **members})

    def invoke(self, event: Any = None, name: str = "f", **members: Any) -> Any:
        """The function's answer; ``FunctionError`` of the response must fit."""
        failed = members.pop("failed", False)
        answer = self.lambdas.invoke(FunctionName=name, Payload=json.dumps(event), **members)
        payload = json.loads(answer["Payload"].read())
        assert ("FunctionError" in answer) is failed, payload
        return payload

    def run(self, source: str, event: Any = None, **members: Any) -> Any:
        failed = members.pop("failed", False)
        self.create(source, **members)
        return self.invoke(event, failed=failed)
