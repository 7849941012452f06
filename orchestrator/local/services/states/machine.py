"""The interpreter: moves one execution forward, as far as it can go without waiting.

An execution is a JSON document. Its threads of control are *frames*: one for the machine itself and one for each
running branch of a Parallel state. A frame waits for a call, for a time, or for its branches; everything else
happens at once. Nothing here touches the world: calls to make and calls to give up are handed to the caller,
who writes them down together with the document.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from orchestrator.local.services.states import dataflow
from orchestrator.local.services.states.choice import chosen, timestamp
from orchestrator.local.services.states.dataflow import State
from orchestrator.local.services.states.errors import (
    INTRINSIC,
    PARAMETER_PATH,
    RESULT_PATH,
    RETRY_ATTEMPTS,
    RUNTIME,
    TIMEOUT,
    StateFailure,
    matches,
    retry_delay,
)
from orchestrator.local.services.states.history import details_member
from orchestrator.local.services.states.integrations import resolve
from orchestrator.local.services.states.intrinsics import Documents, to_json

Frame = dict[str, Any]
Event = dict[str, Any]

LONGEST_TEXT = {"error": 256, "cause": 32_768}
MOST_EVENTS = 25_000
"""An execution with a longer history fails, as on AWS."""


def new_execution(definition: str, input_text: str, **members: Any) -> dict[str, Any]:
    """The document of an execution that has not begun; ``members`` are the service's own (ARNs, role, ...)."""
    return {
        **members,
        "definition": definition,
        "input": input_text,
        "status": "RUNNING",
        "frames": {},
        "frameCount": 0,
        "callCount": 0,
        "eventCount": 0,
    }


class Machine:
    """One execution, being advanced at the moment ``now``.

    After ``start``, ``submitted``, ``finished``, ``stop`` or ``advance``: ``events`` are the new history events,
    ``calls`` the calls to make (by their id) and ``given_up`` the ids of calls nobody waits for any more.
    """

    def __init__(self, document: dict[str, Any], now: float) -> None:
        self.document = document
        self.now = now
        self.definition: State = json.loads(document["definition"])
        self.events: list[Event] = []
        self.calls: dict[str, dict[str, Any]] = {}
        self.given_up: list[str] = []

    @property
    def running(self) -> bool:
        """Whether the execution goes on."""
        return bool(self.document["status"] == "RUNNING")

    @property
    def frames(self) -> dict[str, Frame]:
        """The threads of control, by id."""
        frames: dict[str, Frame] = self.document["frames"]
        return frames

    def start(self) -> None:
        """Begin: the first event, the first state."""
        details = {"input": self.document["input"], "inputDetails": {"truncated": False}}
        first = self._event("ExecutionStarted", 0, {**details, "roleArn": self.document["roleArn"]})
        if "TimeoutSeconds" in self.definition:
            self.document["deadline"] = self.now + self.definition["TimeoutSeconds"]
        self._open(None, [], 0, json.loads(self.document["input"]), first)
        self.advance()

    def advance(self) -> None:
        """Go on with every frame that need not wait."""
        if self.running and self.now >= self.document.get("deadline", float("inf")):
            self._close("TIMED_OUT", "ExecutionTimedOut", {"error": TIMEOUT})
        moved = True
        while self.running and moved:
            moved = any(self._step(frame) for frame in list(self.frames.values()) if self.running)
            if self.running and self.document["eventCount"] >= MOST_EVENTS:
                cause = "The execution reached the maximum number of history events (25000)."
                self._close("FAILED", "ExecutionFailed", {"error": RUNTIME, "cause": cause})

    def next_wake(self) -> float | None:
        """When ``advance`` has something to do by itself again, or None."""
        if not self.running:
            return None
        times = [frame[name] for frame in self.frames.values() for name in ("until", "deadline") if name in frame]
        times += [self.document["deadline"]] if "deadline" in self.document else []
        return min(times, default=None)

    def submitted(self, call: str, output: Any) -> None:
        """A ``.sync`` call was accepted; its work goes on."""
        frame = self._waiting_for(call)
        if frame:
            text = {"output": to_json(output), "outputDetails": {"truncated": False}}
            self._note(frame, "TaskSubmitted", {**self._resource(frame), **text})

    def began(self, call: str) -> None:
        """A call is about to be made."""
        frame = self._waiting_for(call)
        if frame:
            self._note(frame, "TaskStarted", self._resource(frame))

    def finished(self, call: str, *, output: Any = None, failure: StateFailure | None = None) -> None:
        """A call came back with its output, or failed."""
        frame = self._waiting_for(call)
        if not frame:
            return
        frame.pop("deadline", None)
        del frame["call"]
        if failure is None:
            text = {"output": to_json(output), "outputDetails": {"truncated": False}}
            self._note(frame, "TaskSucceeded", {**self._resource(frame), **text})
            self._attempt(frame, lambda: self._leave(frame, self._output(frame, dataflow.within_limit(output))))
        else:
            text = {"error": failure.error, "cause": failure.cause}
            self._note(frame, "TaskFailed", {**self._resource(frame), **text})
            self._fail(frame, failure)
        self.advance()

    def stop(self, error: str | None, cause: str | None) -> None:
        """End as ABORTED."""
        self._close("ABORTED", "ExecutionAborted", {"error": error, "cause": cause})

    # --- frames

    def _open(self, parent: str | None, scope: list[Any], branch: int, data: Any, event: int) -> Frame:
        identifier = str(self.document["frameCount"])
        self.document["frameCount"] += 1
        frame: Frame = {"id": identifier, "parent": parent, "scope": scope, "branch": branch, "last": event}
        self.frames[identifier] = frame
        self._enter(frame, self._scope(frame)["StartAt"], data)
        return frame

    def _scope(self, frame: Frame) -> State:
        scope = self.definition
        for state, branch in frame["scope"]:
            scope = scope["States"][state]["Branches"][branch]
        return scope

    def _state(self, frame: Frame) -> State:
        state: State = self._scope(frame)["States"][frame["state"]]
        return state

    def _enter(self, frame: Frame, name: str, data: Any) -> None:
        frame.update(state=name, input=data, phase="ready", entered=_time(self.now), retries={}, retryCount=0)
        details = {"name": name, "input": to_json(data), "inputDetails": {"truncated": False}}
        self._note(frame, f"{self._state(frame)['Type']}StateEntered", details)
        frame["enteredEvent"] = frame["last"]

    def _leave(self, frame: Frame, data: Any, target: str | None = None) -> None:
        """Leave the state with its output, for a target or for what its Next says."""
        state = self._state(frame)
        details = {"name": frame["state"], "output": to_json(data), "outputDetails": {"truncated": False}}
        self._note(frame, f"{state['Type']}StateExited", details)
        target = target or state.get("Next")
        if target:
            self._enter(frame, target, data)
        elif frame["parent"] is None:
            self._close("SUCCEEDED", "ExecutionSucceeded", {"output": to_json(data)})
        else:
            self._join(frame, data)

    def _join(self, frame: Frame, data: Any) -> None:
        """A branch came to its end; with the last one the Parallel state is done."""
        parent = self.frames[frame["parent"]]
        del self.frames[frame["id"]]
        parent["results"][frame["branch"]] = data
        parent["open"] -= 1
        if parent["open"] == 0:
            parent["last"] = frame["last"]
            results = parent.pop("results")
            self._note(parent, "ParallelStateSucceeded", None)
            self._attempt(parent, lambda: self._leave(parent, self._output(parent, results)))

    def _waiting_for(self, call: str) -> Frame | None:
        return next((frame for frame in self.frames.values() if frame.get("call") == call), None)

    def _discard(self, frame: Frame) -> None:
        """Take away what a frame waits for: its call and its branches."""
        if "call" in frame:
            self.given_up.append(frame.pop("call"))
        for child in [each for each in self.frames.values() if each["parent"] == frame["id"]]:
            self._discard(child)
            del self.frames[child["id"]]
        for name in ("deadline", "until", "results", "open"):
            frame.pop(name, None)

    # --- steps

    def _step(self, frame: Frame) -> bool:
        """Do what the frame is ready for; whether there was anything."""
        if frame["id"] not in self.frames:
            return False
        if frame["phase"] == "ready":
            frame["phase"] = "working"
            self._attempt(frame, lambda: self._run(frame))
            return True
        if self.now >= frame.get("until", float("inf")):
            del frame["until"]
            if frame["phase"] == "retrying":
                frame["phase"] = "ready"
            else:
                self._attempt(frame, lambda: self._leave(frame, self._output(frame, frame.pop("held"))))
            return True
        if self.now >= frame.get("deadline", float("inf")):
            self._discard(frame)
            self._note(frame, "TaskTimedOut", {**self._resource(frame), "error": TIMEOUT})
            self._fail(frame, StateFailure(TIMEOUT))
            return True
        return False

    def _attempt(self, frame: Frame, action: Callable[[], None]) -> None:
        try:
            action()
        except StateFailure as failure:
            if failure.error in (RUNTIME, PARAMETER_PATH, RESULT_PATH, INTRINSIC):
                where = f"An error occurred while executing the state '{frame['state']}'"
                failure.cause = f"{where} (entered at the event id #{frame['enteredEvent']}). {failure.cause}"
            self._fail(frame, failure)

    def _run(self, frame: Frame) -> None:
        state = self._state(frame)
        kind = state["Type"]
        documents = self._documents(frame)
        if kind == "Task":
            self._call(frame, state, documents)
        elif kind == "Parallel":
            self._fork(frame, state, documents)
        elif kind == "Choice":
            data = dataflow.filtered(state, "InputPath", documents)
            target = chosen(state, {**documents, "$": data})
            self._leave(frame, dataflow.filtered(state, "OutputPath", {**documents, "$": data}), target)
        elif kind == "Wait":
            frame["until"] = self._until(state, documents)
            frame["held"] = dataflow.filtered(state, "InputPath", documents)
        elif kind == "Fail":
            texts = {name: dataflow.text(state, name, documents) for name in ("Error", "Cause")}
            raise StateFailure(texts["Error"], texts["Cause"])
        else:
            result = state["Result"] if "Result" in state else dataflow.parameters(state, documents)
            self._leave(frame, self._output(frame, result))

    def _call(self, frame: Frame, state: State, documents: Documents) -> None:
        parameters = dataflow.parameters(state, documents)
        seconds = state.get("TimeoutSeconds")
        if "TimeoutSecondsPath" in state:
            seconds = dataflow.lookup(state, "TimeoutSecondsPath", documents)
            if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 1:
                raise StateFailure(RUNTIME, f"TimeoutSecondsPath must yield a positive integer, not {seconds!r}")
        call = str(self.document["callCount"])
        self.document["callCount"] += 1
        frame["call"] = call
        details = {**self._resource(frame), "parameters": to_json(parameters), "region": self.document["region"]}
        if seconds:
            frame["deadline"] = self.now + seconds
            details["timeoutInSeconds"] = seconds
        self._note(frame, "TaskScheduled", details)
        self.calls[call] = {"resource": state["Resource"], "parameters": parameters}

    def _fork(self, frame: Frame, state: State, documents: Documents) -> None:
        data = dataflow.parameters(state, documents)
        frame.update(results=[None] * len(state["Branches"]), open=len(state["Branches"]))
        self._note(frame, "ParallelStateStarted", None)
        for number in range(len(state["Branches"])):
            scope = [*frame["scope"], [frame["state"], number]]
            self._open(frame["id"], scope, number, json.loads(to_json(data)), frame["last"])

    def _until(self, state: State, documents: Documents) -> float:
        if "Seconds" in state or "SecondsPath" in state:
            seconds = state["Seconds"] if "Seconds" in state else dataflow.lookup(state, "SecondsPath", documents)
            if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 0:
                raise StateFailure(RUNTIME, f"SecondsPath must yield a whole number of seconds, not {seconds!r}")
            return self.now + seconds
        text = state["Timestamp"] if "Timestamp" in state else dataflow.lookup(state, "TimestampPath", documents)
        moment = timestamp(text)
        if moment is None:
            raise StateFailure(RUNTIME, f"TimestampPath must yield a timestamp, not {text!r}")
        return moment.timestamp()

    def _output(self, frame: Frame, result: Any) -> Any:
        return dataflow.output(self._state(frame), result, self._documents(frame))

    # --- failures

    def _fail(self, frame: Frame, failure: StateFailure, *, of_branch: bool = False) -> None:
        """Retry, catch, or pass the failure on to the Parallel state around the frame, or end the execution."""
        state = self._state(frame)
        frame.pop("held", None)
        for number, rule in enumerate(state.get("Retry", ())):
            if matches(rule["ErrorEquals"], failure.error, of_branch=of_branch):
                made = frame["retries"].get(str(number), 0)
                if made < rule.get("MaxAttempts", RETRY_ATTEMPTS):
                    frame["retries"][str(number)] = made + 1
                    frame["retryCount"] += 1
                    frame.update(phase="retrying", until=self.now + retry_delay(rule, made))
                    return
                break
        for rule in state.get("Catch", ()):
            if matches(rule["ErrorEquals"], failure.error, of_branch=of_branch):
                self._attempt_catch(frame, rule, failure)
                return
        self._give_up(frame, failure)

    def _attempt_catch(self, frame: Frame, rule: dict[str, Any], failure: StateFailure) -> None:
        try:
            data = dataflow.place(rule, {"Error": failure.error, "Cause": failure.cause}, frame["input"])
        except StateFailure as problem:
            self._give_up(frame, problem)
        else:
            self._leave(frame, data, rule["Next"])

    def _give_up(self, frame: Frame, failure: StateFailure) -> None:
        if frame["parent"] is None:
            self._close("FAILED", "ExecutionFailed", {"error": failure.error, "cause": failure.cause})
            return
        parent = self.frames[frame["parent"]]
        self._discard(parent)
        parent["last"] = frame["last"]
        self._note(parent, "ParallelStateFailed", None)
        self._fail(parent, failure, of_branch=True)

    def _close(self, status: str, event: str, details: dict[str, Any]) -> None:
        """End the execution; calls that are still out are given up."""
        last = max((frame["last"] for frame in self.frames.values()), default=self.document["eventCount"])
        for frame in [each for each in self.frames.values() if each["parent"] is None]:
            self._discard(frame)
        self.frames.clear()
        given = {name: value[: LONGEST_TEXT.get(name)] for name, value in details.items() if value is not None}
        self.document.update(given, status=status, stopDate=self.now)
        extra = {"outputDetails": {"truncated": False}} if "output" in given else {}
        self._event(event, last, {**given, **extra})

    # --- documents and history

    def _documents(self, frame: Frame) -> Documents:
        """What the frame's paths are read from: its raw input and the context object."""
        document = self.document
        context = {
            "Execution": {
                "Id": document["executionArn"],
                "Input": json.loads(document["input"]),
                "Name": document["name"],
                "RoleArn": document["roleArn"],
                "StartTime": _time(document["startDate"]),
                "RedriveCount": 0,
            },
            "StateMachine": {"Id": document["stateMachineArn"], "Name": document["stateMachineName"]},
            "State": {"Name": frame["state"], "EnteredTime": frame["entered"], "RetryCount": frame["retryCount"]},
        }
        return {"$": frame["input"], "$$": context}

    def _resource(self, frame: Frame) -> dict[str, str]:
        integration = resolve(self._state(frame)["Resource"])
        return {"resourceType": integration.resource_type, "resource": integration.resource}

    def _note(self, frame: Frame, kind: str, details: dict[str, Any] | None) -> None:
        frame["last"] = self._event(kind, frame["last"], details)

    def _event(self, kind: str, previous: int, details: dict[str, Any] | None) -> int:
        self.document["eventCount"] += 1
        event: Event = {
            "id": self.document["eventCount"],
            "previousEventId": previous,
            "timestamp": self.now,
            "type": kind,
        }
        if details is not None:
            event[details_member(kind)] = details
        self.events.append(event)
        return int(event["id"])


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
