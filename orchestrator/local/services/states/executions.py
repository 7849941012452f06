"""Executions as durable things: every move of the interpreter is one transaction.

The document, its new history, the calls that now have to be made and the times to wake up are written together;
a killed process finds either all of a move or nothing of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from orchestrator.local.services.states import history
from orchestrator.local.services.states.machine import Machine, new_execution
from orchestrator.local.store import Key
from orchestrator.local.world import World

LOGGER = logging.getLogger(__name__)

ADVANCE = "states-execution"
CALL = "states-call"
ANNOUNCE = "states-event"
LOG = "states-log"
LARGEST_EVENT_DATA_BYTES = 248 * 1024
"""Above this, an event leaves the execution's input out (User Guide, "Step Functions events")."""


class Executions:
    """Starts, advances, stops and announces executions."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = world.store
        world.tasks.register(ADVANCE, self._advance, by_clock=True)
        world.tasks.register(ANNOUNCE, self._announce)
        world.tasks.register(LOG, self._log)

    def start(self, machine: dict[str, Any], key: Key, name: str, input_text: str) -> dict[str, Any]:
        """Write and begin a new execution under ``key``; raises AlreadyExists."""
        document = new_execution(
            machine["definition"],
            input_text,
            executionArn=machine["stateMachineArn"].replace(":stateMachine:", ":execution:") + f":{name}",
            name=name,
            stateMachineArn=machine["stateMachineArn"],
            stateMachineName=machine["name"],
            machine={field: machine[field] for field in ("revisionId", "loggingConfiguration", "updateDate")},
            roleArn=machine["roleArn"],
            region=key.region,
            startDate=self.world.now(),
            outbox=["RUNNING"],
            logged=0,
        )
        with self.store.transaction():
            self.store.create(key, document)
            self.change(key, Machine.start)
        return document

    def change(self, key: Key, action: Callable[[Machine], None]) -> None:
        """Let the interpreter do something to a running execution; nothing happens to one that has ended."""
        with self.store.transaction():
            wake = self._change(key, action)
            if wake is not None:
                self.world.tasks.schedule(ADVANCE, key, wake)

    def _advance(self, key: Key) -> float | None:
        return self._change(key, Machine.advance)

    def _change(self, key: Key, action: Callable[[Machine], None]) -> float | None:
        """Returns the seconds until the execution has to go on by itself."""
        with self.store.transaction():
            document = self.store.get(key)
            if document is None or document["status"] != "RUNNING":
                return None
            now = self.world.now()
            machine = Machine(document, now)
            action(machine)
            self._place_calls(key, machine)
            history.append(self.store, key, machine.events)
            if not machine.running:
                document["outbox"].append(document["status"])
            self.store.put(key, document)
            if document["outbox"]:
                self.world.tasks.schedule(ANNOUNCE, key)
            if machine.events and document["machine"]["loggingConfiguration"].get("level", "OFF") != "OFF":
                self.world.tasks.schedule(LOG, key)
            wake = machine.next_wake()
            return None if wake is None else max(0.0, wake - now)

    def _place_calls(self, key: Key, machine: Machine) -> None:
        for call, members in machine.calls.items():
            if call not in machine.given_up:
                self.store.put(call_key(key, call), {**members, "roleArn": machine.document["roleArn"]})
                self.world.tasks.schedule(CALL, call_key(key, call))
        for call in machine.given_up:
            if self.store.patch(call_key(key, call), givenUp=True):
                self.world.tasks.schedule(CALL, call_key(key, call))

    def _announce(self, key: Key) -> None:
        """Tell EventBridge of the changes of status, in order; each leaves the outbox once it is told."""
        while (document := self.store.get(key)) and document["outbox"]:
            detail = event_detail(document, document["outbox"][0])
            self.world.emit(
                key.account,
                key.region,
                "aws.states",
                "Step Functions Execution Status Change",
                detail,
                [document["executionArn"]],
            )
            self.store.update(key, lambda current: current.update(outbox=current["outbox"][1:]))

    def _log(self, key: Key) -> None:
        """Write new history to the log group; as on AWS, a log that cannot be written stops nothing."""
        document = self.store.get(key)
        if document is None:
            return
        events = list(history.read(self.store, key, document["logged"] + 1))
        if not events:
            return
        settings = document["machine"]["loggingConfiguration"]
        lines = [
            {
                "timestamp": int(event["timestamp"] * 1000),
                "message": history.log_line(event, document["executionArn"], data=settings["includeExecutionData"]),
            }
            for event in events
            if history.logged(event, settings["level"])
        ]
        if lines:
            group = settings["destinations"][0]["cloudWatchLogsLogGroup"]["logGroupArn"].removesuffix(":*")
            self._put_lines(key, document, group, lines)
        self.store.patch(key, logged=events[-1]["id"])

    def _put_lines(self, key: Key, document: dict[str, Any], group_arn: str, lines: list[dict[str, Any]]) -> None:
        logs = self.world.client("logs", key.account, key.region)  # the delivery of logs is a service of its own
        group = group_arn.split(":log-group:")[1]
        stream = f"states/{document['stateMachineName']}/{document['name']}"
        try:
            try:
                logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=lines)
            except logs.exceptions.ResourceNotFoundException:
                logs.create_log_stream(logGroupName=group, logStreamName=stream)
                logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=lines)
        except ClientError as problem:
            LOGGER.warning("the log group %s takes no events of %s: %s", group, document["executionArn"], problem)


def call_key(execution: Key, call: str) -> Key:
    """Where a call of an execution is kept."""
    return execution._replace(type="Call", name=f"{execution.name}/{call}")


def event_detail(document: dict[str, Any], status: str) -> dict[str, Any]:
    """The detail of a status change event (EventBridge, "Step Functions Execution Status Change")."""
    ended = status != "RUNNING"
    output = document.get("output") if ended else None
    small = len(document["input"]) + len(output or "") <= LARGEST_EVENT_DATA_BYTES
    return {
        "executionArn": document["executionArn"],
        "stateMachineArn": document["stateMachineArn"],
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "name": document["name"],
        "status": status,
        "startDate": int(document["startDate"] * 1000),
        "stopDate": int(document["stopDate"] * 1000) if ended else None,
        "input": document["input"] if small else None,
        "inputDetails": {"included": small},
        "output": output,
        "outputDetails": {"included": True} if output is not None else None,
        "error": document.get("error") if ended else None,
        "cause": document.get("cause") if ended else None,
        "redriveCount": 0,
        "redriveDate": None,
        "redriveStatus": "NOT_REDRIVABLE",
        "redriveStatusReason": "The embedded AWS does not redrive executions",
    }
