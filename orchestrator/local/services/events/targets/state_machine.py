"""Step Functions state machines: an event starts an execution."""

from __future__ import annotations

from botocore.exceptions import ClientError

from orchestrator.local.services.events.target import Delivery, Target


class StateMachine(Target):
    """The execution is named after the event, so an event delivered twice starts one."""

    service = "states"
    resource = r"stateMachine:[A-Za-z0-9\-_]+(:[A-Za-z0-9\-_]+)?"
    needs_role = True

    def send(self, delivery: Delivery) -> None:
        try:
            delivery.client("stepfunctions").start_execution(
                stateMachineArn=str(delivery.arn), name=delivery.token, input=delivery.body
            )
        except ClientError as problem:
            if problem.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise


TARGET = StateMachine
