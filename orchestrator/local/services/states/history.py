"""The history of an execution: kept in pieces, so that adding to a long one stays cheap, and written to logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from orchestrator.local.services.states.intrinsics import to_json
from orchestrator.local.store import Key, Store

Event = dict[str, Any]

EVENTS_A_PIECE = 100
DATA_MEMBERS = ("input", "inputDetails", "output", "outputDetails", "parameters")
FATAL = frozenset({"ExecutionAborted", "ExecutionFailed", "ExecutionTimedOut"})
ERRORS = FATAL | {"FailStateEntered", "ParallelStateFailed", "TaskFailed", "TaskTimedOut"}


def append(store: Store, execution: Key, events: Iterable[Event]) -> None:
    """Add events, whose ids go on where the last ones stopped."""
    for piece, group in groupby(events, key=_piece_of):
        key = _key(execution, piece)
        document = store.get(key) or {"events": []}
        document["events"] += group
        store.put(key, document)


def read(store: Store, execution: Key, first: int = 1) -> Iterator[Event]:
    """The events from an id on, oldest first."""
    piece = (first - 1) // EVENTS_A_PIECE
    while document := store.get(_key(execution, piece)):
        yield from (event for event in document["events"] if event["id"] >= first)
        piece += 1


def forget(store: Store, execution: Key) -> None:
    """Remove the whole history."""
    piece = 0
    while store.delete(_key(execution, piece)):
        piece += 1


def details_member(kind: str) -> str:
    """The member of a history event that holds the details of this kind of event."""
    if kind.endswith("StateEntered"):
        return "stateEnteredEventDetails"
    if kind.endswith("StateExited"):
        return "stateExitedEventDetails"
    return f"{kind[0].lower()}{kind[1:]}EventDetails"


def without_data(event: Event) -> Event:
    """The event without what the states worked on."""
    return {
        name: {member: text for member, text in value.items() if member not in DATA_MEMBERS}
        if isinstance(value, dict)
        else value
        for name, value in event.items()
    }


def logged(event: Event, level: str) -> bool:
    """Whether a log of this level takes the event (Developer Guide, "CloudWatch Logs event types")."""
    return level == "ALL" or event["type"] in {"ERROR": ERRORS, "FATAL": FATAL}.get(level, frozenset())


def log_line(event: Event, execution_arn: str, *, data: bool) -> str:
    """The event as Step Functions writes it to CloudWatch Logs."""
    shown = event if data else without_data(event)
    details: Event = next((value for name, value in shown.items() if name.endswith("EventDetails")), {})
    return to_json(
        {
            "id": str(event["id"]),
            "type": event["type"],
            "details": details,
            "previous_event_id": str(event["previousEventId"]),
            "event_timestamp": str(int(event["timestamp"] * 1000)),
            "execution_arn": execution_arn,
            "redrive_count": "0",
        }
    )


def _piece_of(event: Event) -> int:
    return (int(event["id"]) - 1) // EVENTS_A_PIECE


def _key(execution: Key, piece: int) -> Key:
    return execution._replace(type="History", name=f"{execution.name}/{piece}")
