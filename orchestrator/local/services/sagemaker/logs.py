"""The output of jobs and endpoints in CloudWatch Logs, every line once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from orchestrator.local.world import World

LARGEST_BATCH = 500
LARGEST_LINE = 200_000
Stream = tuple[str, str, str, str]
"""Account, region, log group, log stream."""


class LogShipper:
    """Copies what a file has gained to its log stream.

    How far it got is kept in memory; after a restart the stream itself is counted, so no line is lost or doubled.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._positions: dict[Stream, int] = {}
        self._lock = threading.Lock()

    def ship(
        self, account: str, region: str, group: str, stream: str, path: Path, *, final: bool = False, role: str = ""
    ) -> None:
        """Send the whole lines that are new; with ``final`` also a last one without an end.

        With a role the lines are written with its rights, into a stream that is there already; raises botocore's
        ClientError when it has none.
        """
        name = (account, region, group, stream)
        with self._lock:
            position = self._positions.get(name)
        if not path.exists() or position == path.stat().st_size:
            return
        client = self._world.client("logs", account, region)
        if position is None:
            if not role:
                self._make(client, group, stream)
            position = _after_lines(path, self._count(client, group, stream))
        writer = self._world.client("logs", account, region, role) if role else client
        events: list[dict[str, Any]] = []
        now = int(self._world.now() * 1000)
        for line, end in _lines(path, position, final):
            if line.strip():
                events.append({"timestamp": now, "message": line[:LARGEST_LINE].replace("\t", "#011")})
            if len(events) == LARGEST_BATCH:
                writer.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
                events = []
            position = end
        if events:
            writer.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
        with self._lock:
            self._positions[name] = position

    def forget(self, account: str, region: str, group: str, stream: str) -> None:
        """The file is complete and gone."""
        with self._lock:
            self._positions.pop((account, region, group, stream), None)

    def _make(self, client: Any, group: str, stream: str) -> None:
        for make, names in (
            (client.create_log_group, {"logGroupName": group}),
            (client.create_log_stream, {"logGroupName": group, "logStreamName": stream}),
        ):
            try:
                make(**names)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                    raise

    def _count(self, client: Any, group: str, stream: str) -> int:
        total = 0
        token = ""
        while True:
            more: dict[str, str] = {"nextToken": token} if token else {}
            answer = client.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **more)
            total += len(answer["events"])
            if not answer["events"] or answer["nextForwardToken"] == token:
                return total
            token = answer["nextForwardToken"]


def _lines(path: Path, position: int, final: bool) -> Iterator[tuple[str, int]]:
    """The lines after a position, each with the position of its end."""
    with path.open("rb") as file:
        file.seek(position)
        for raw in file:
            if not raw.endswith(b"\n") and not final:
                return
            position += len(raw)
            yield raw.decode(errors="replace").rstrip("\r\n"), position


def _after_lines(path: Path, count: int) -> int:
    """The position after so many lines that were worth an event."""
    position = 0
    if not count:
        return 0
    for line, end in _lines(path, 0, final=False):
        count -= bool(line.strip())
        position = end
        if not count:
            break
    return position
