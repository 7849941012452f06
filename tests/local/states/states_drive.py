"""Drives the interpreter without a server: calls are answered from a list, time jumps to where it is waited for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from orchestrator.local.services.states.machine import Machine, new_execution

START = 1_700_000_000.0
MACHINE_ARN = "arn:aws:states:us-east-1:111111111111:stateMachine:m"
SDK = "arn:aws:states:::aws-sdk:"
LIST = {"Type": "Task", "Resource": SDK + "sagemaker:listModels", "Parameters": {}}


def execution(definition: dict[str, Any], data: Any = None) -> dict[str, Any]:
    return new_execution(
        json.dumps(definition),
        json.dumps({} if data is None else data),
        executionArn=MACHINE_ARN.replace("stateMachine", "execution") + ":e",
        name="e",
        stateMachineArn=MACHINE_ARN,
        stateMachineName="m",
        roleArn="arn:aws:iam::111111111111:role/r",
        region="us-east-1",
        startDate=START,
    )


class Drive:
    """One execution; the document goes through JSON between any two moves, as it does in the store."""

    def __init__(self, definition: dict[str, Any], data: Any = None) -> None:
        self.document = execution(definition, data)
        self.now = START
        self.events: list[dict[str, Any]] = []
        self.open: dict[str, dict[str, Any]] = {}
        self.made: list[Any] = []
        self.given_up: list[str] = []
        self.move(Machine.start)

    def move(self, action: Callable[[Machine], None]) -> None:
        self.document = json.loads(json.dumps(self.document))
        machine = Machine(self.document, self.now)
        action(machine)
        self.events += machine.events
        self.open |= machine.calls
        self.made += [call["parameters"] for call in machine.calls.values()]
        for call in machine.given_up:
            del self.open[call]
            self.given_up.append(call)

    def wait(self) -> None:
        """Jump to the next moment at which something happens by itself."""
        wake = Machine(self.document, self.now).next_wake()
        assert wake is not None, "nothing is waited for"
        self.now = max(self.now, wake)
        self.move(Machine.advance)

    def answer(self, output: Any = None, failure: Any = None) -> None:
        """Answer the oldest open call."""
        call = next(iter(self.open))
        del self.open[call]
        self.move(lambda machine: machine.finished(call, output=output, failure=failure))

    def run(self, *answers: Any) -> Drive:
        """Answer calls and jump in time until the end; an exception among the answers is a failure."""
        left = list(answers)
        while self.document["status"] == "RUNNING":
            if self.open and left:
                answer = left.pop(0)
                failed = isinstance(answer, Exception)
                self.answer(None if failed else answer, answer if failed else None)
            else:
                self.wait()
        return self

    @property
    def output(self) -> Any:
        assert self.document["status"] == "SUCCEEDED", self.document
        return json.loads(self.document["output"])

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]


def one(state: dict[str, Any], **others: dict[str, Any]) -> dict[str, Any]:
    """A machine that starts with the state ``S``, which ends unless it says otherwise."""
    ends = "Next" not in state and state["Type"] not in ("Choice", "Succeed", "Fail")
    return {"StartAt": "S", "States": {"S": {**state, **({"End": True} if ends else {})}, **others}}


def result(state: dict[str, Any], data: Any = None, *answers: Any) -> Any:
    """The output of a machine of one state."""
    return Drive(one(state), data).run(*answers).output
