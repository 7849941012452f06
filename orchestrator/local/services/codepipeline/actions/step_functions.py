"""Invoke/StepFunctions: runs a state machine and waits for it.

https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-StepFunctions.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from orchestrator.local.services.codepipeline.action import DAY, Action, ActionFailed, Success

if TYPE_CHECKING:
    from orchestrator.local.services.codepipeline.work import Work

RUNNING = ("RUNNING", "PENDING_REDRIVE")


class StepFunctions(Action):
    """The execution's name is the action execution's id, so it is started once however often the step runs."""

    category = "Invoke"
    provider = "StepFunctions"
    required = frozenset({"StateMachineArn"})
    optional = frozenset({"ExecutionNamePrefix", "InputType", "Input"})
    inputs = (0, 1)
    timeout = 7 * DAY

    def faults(self, declaration: Mapping[str, Any]) -> Iterator[str]:
        configuration = declaration["configuration"]
        kind = configuration.get("InputType", "Literal")
        if kind not in ("Literal", "FilePath"):
            yield f"InputType must be Literal or FilePath, not {kind!r}"
        elif kind == "FilePath" and not (configuration.get("Input") and declaration["inputArtifacts"]):
            yield "InputType FilePath needs Input and an input artifact"

    def advance(self, work: Work) -> float | Success:
        machine = work.configuration["StateMachineArn"]
        client = work.client("stepfunctions")
        execution = work.memory.get("external")
        if execution is None:
            execution = self._start(work, client, machine)
            work.remember(external=execution)
        answer = client.describe_execution(executionArn=execution)
        if answer["status"] in RUNNING:
            return work.pause()
        if answer["status"] != "SUCCEEDED":
            message = f"The state machine execution {execution} ended as {answer['status']}."
            raise ActionFailed(message, external=execution)
        return Success(
            summary="The state machine execution succeeded.",
            external=execution,
            variables={"ExecutionArn": execution, "StateMachineArn": machine},
        )

    def _start(self, work: Work, client: Any, machine: str) -> str:
        prefix = work.configuration.get("ExecutionNamePrefix")
        name = f"{prefix}-{work.id}" if prefix else work.id
        text = work.configuration.get("Input", "{}")
        if work.configuration.get("InputType") == "FilePath":
            text = work.read_file(next(iter(work.inputs)), text)
        try:
            return str(client.start_execution(stateMachineArn=machine, name=name, input=text)["executionArn"])
        except ClientError as problem:
            if problem.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise
            return f"{machine.replace(':stateMachine:', ':execution:')}:{name}"  # begun before a crash, and over


ACTION = StepFunctions
