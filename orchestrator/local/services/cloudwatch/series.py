"""Metrics on disk: an identity for each, and its data points by the hour, each minute (or second) put together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator.local.services.cloudwatch.statistics import Aggregate, together
from orchestrator.local.store import Document, Key, Store

SERVICE = "cloudwatch"
HOUR_SECONDS = 3600
MINUTE_SECONDS = 60
FEW_HOURS = 48

Dimensions = Sequence[Mapping[str, str]]
Points = dict[int, dict[str, Aggregate]]
"""Second -> unit -> what was measured then."""


def metric_id(namespace: str, name: str, dimensions: Dimensions) -> str:
    """The identity of a metric, whatever the order of its dimensions."""
    pairs = sorted((one["Name"], one["Value"]) for one in dimensions)
    return hashlib.sha256(json.dumps([namespace, name, pairs]).encode()).hexdigest()[:24]


class Series:
    """The metrics of all accounts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, place: tuple[str, str], namespace: str, datum: Document, moment: float, part: Aggregate) -> str:
        """Add a measurement to a metric of an (account, region); returns the metric's identity. In a transaction."""
        dimensions = datum.get("Dimensions", [])
        identity = metric_id(namespace, datum["MetricName"], dimensions)
        resolution = 1 if datum.get("StorageResolution", MINUTE_SECONDS) < MINUTE_SECONDS else MINUTE_SECONDS
        second = int(moment // resolution * resolution)
        key = Key(*place, SERVICE, "Metric", identity)
        metric = self._store.get(key) or {"last": 0.0}
        described = {"namespace": namespace, "name": datum["MetricName"], "dimensions": dimensions}
        self._store.put(key, {**described, "last": max(metric["last"], moment)})
        hour = self._hour_key(place, identity, second // HOUR_SECONDS)
        document = self._store.get(hour) or {}
        units = document.setdefault(str(second), {})
        unit = datum.get("Unit", "None")
        units[unit] = (Aggregate.read(units[unit]).with_(part) if unit in units else part).written()
        self._store.put(hour, document)
        return identity

    def points(self, place: tuple[str, str], identity: str, start: float, end: float) -> Points:
        """The measurements of a metric from ``start`` until before ``end``, POSIX seconds."""
        return {
            int(second): {unit: Aggregate.read(part) for unit, part in units.items()}
            for document in self._hours(place, identity, start, end)
            for second, units in document.items()
            if start <= int(second) < end
        }

    def _hours(self, place: tuple[str, str], identity: str, start: float, end: float) -> Iterable[Document]:
        first, last = int(start // HOUR_SECONDS), int((end - 1) // HOUR_SECONDS)
        if last - first <= FEW_HOURS:
            keys = (self._hour_key(place, identity, hour) for hour in range(first, last + 1))
            return [found for key in keys if (found := self._store.get(key))]
        return [document for _, document in self._store.list(SERVICE, "Points", *place, prefix=f"{identity}/")]

    def metrics(self, place: tuple[str, str]) -> list[Document]:
        """Every metric of an account and region."""
        return [metric for _, metric in self._store.list(SERVICE, "Metric", *place)]

    @staticmethod
    def _hour_key(place: tuple[str, str], identity: str, hour: int) -> Key:
        return Key(*place, SERVICE, "Points", f"{identity}/{hour}")


def within(points: Points, start: float, end: float, unit: str | None = None) -> Aggregate | None:
    """What was measured from ``start`` until before ``end``, in one unit or in whatever unit."""
    found: list[Any] = [units for second, units in points.items() if start <= second < end]
    return together(part for units in found for name, part in units.items() if unit in (None, name))
