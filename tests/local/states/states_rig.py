"""An embedded AWS with Step Functions, Lambda and a stand-in for SageMaker, and shortcuts to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from states_sagemaker import StandInSageMaker

from orchestrator.local.embedded import EmbeddedAws
from orchestrator.local.services.lambda_.service import Lambda
from orchestrator.local.services.states.service import StepFunctions
from tests.local.waiting import until

ACCOUNT, REGION = "111111111111", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/machine"


class Rig:
    """An embedded AWS with Step Functions and the stand-in, and shortcuts to both."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = 0
        self.start()

    def start(self) -> None:
        self.embedded = EmbeddedAws(self.home, self.port, services=[StepFunctions, StandInSageMaker, Lambda])
        self.port = int(self.embedded.endpoint.rpartition(":")[2])
        self.embedded.start()
        self.world = self.embedded.world
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.embedded.services["stepfunctions"].world.emit = (  # type: ignore[method-assign]
            lambda account, region, source, kind, detail, resources=(): self.events.append((source, detail))
        )
        self.sfn = self.client("stepfunctions")

    def client(self, service: str) -> Any:
        return self.world.client(service, ACCOUNT, REGION)

    @property
    def sagemaker(self) -> StandInSageMaker:
        return self.embedded.services["sagemaker"]  # type: ignore[return-value]

    def restart(self) -> None:
        self.embedded.stop()
        self.start()

    def create(self, machine: dict[str, Any], name: str = "m", **members: Any) -> str:
        text = json.dumps(machine)
        return str(
            self.sfn.create_state_machine(name=name, definition=text, roleArn=ROLE, **members)["stateMachineArn"]
        )

    def begin(self, machine: dict[str, Any], data: Any = None, name: str = "m") -> str:
        arn = self.create(machine, name)
        return str(
            self.sfn.start_execution(stateMachineArn=arn, name="e", input=json.dumps(data or {}))["executionArn"]
        )

    def ended(self, arn: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found = self.sfn.describe_execution(executionArn=arn)
            return found if found["status"] != "RUNNING" else None

        return until(look)

    def run(self, machine: dict[str, Any], data: Any = None) -> Any:
        ended = self.ended(self.begin(machine, data))
        assert ended["status"] == "SUCCEEDED", ended
        return json.loads(ended["output"])
