"""What happened to alarms: their settings, states and actions, each an entry that outlives the alarm."""

from __future__ import annotations

import json
import uuid
from typing import Any

from orchestrator.local.store import Document, Key, Store

KEPT = 500
"""Entries of one alarm; AWS keeps them for 30 days."""


def note(store: Store, alarm: Key, kind: str, moment: float, summary: str, data: Document) -> None:
    """Add an entry. ``kind`` is ConfigurationUpdate, StateUpdate or Action."""
    entry = {"kind": kind, "time": moment, "summary": summary[:255], "data": json.dumps(data)[:4095]}
    with store.transaction():
        store.put(alarm._replace(type="History", name=f"{alarm.name}/{uuid.uuid4()}"), entry)
        kept = store.list(alarm.service, "History", alarm.account, alarm.region, f"{alarm.name}/")
        for key, _ in kept[:-KEPT]:
            store.delete(key)


def entries(store: Store, service: str, account: str, region: str, alarm: str | None) -> list[Document]:
    """The entries of an alarm, or of all, as the API shows them, oldest first."""
    found: list[dict[str, Any]] = []
    for key, entry in store.list(service, "History", account, region, f"{alarm}/" if alarm else ""):
        name = key.name.rpartition("/")[0]
        if alarm in (None, name):
            found.append({
                "AlarmName": name,
                "AlarmType": "MetricAlarm",
                "Timestamp": entry["time"],
                "HistoryItemType": entry["kind"],
                "HistorySummary": entry["summary"],
                "HistoryData": entry["data"],
            })  # fmt: skip
    return found
