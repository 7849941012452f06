"""What endpoints did, as CloudWatch metrics of ``AWS/SageMaker`` for each variant: counted here, written each minute.

``Invocations``, ``InvocationsPerInstance``, ``Invocation4XXErrors``, ``Invocation5XXErrors`` and
``InvocationModelErrors`` (a 0 or 1 for each request), ``ModelLatency`` and ``OverheadLatency`` (microseconds, kept to
three digits). Counts of the running minute are in memory: a clean stop writes them, a kill loses them.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator.local.store import Key
from orchestrator.local.world import World

TASK = "sagemaker-runtime.metrics"
NAMESPACE = "AWS/SageMaker"
MINUTE_SECONDS = 60
MOST_VALUES = 150
MOST_DATA = 1000
"""A data point takes so many different values, a request so many data points."""
NO_UNIT, MICROSECONDS = "None", "Microseconds"
UNITS = {"ModelLatency": MICROSECONDS, "OverheadLatency": MICROSECONDS}
DIGITS = 3

Place = tuple[str, int, str]
"""Variant, minute, metric."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One request: the status of the model's answer (0: there was none), how long the model and the whole took in
    seconds, and how many instances the variant has."""

    variant: str
    status: int
    model_seconds: float
    seconds: float
    instances: int = 1

    def values(self) -> dict[str, float]:
        """What is measured of it."""
        failed = not 200 <= self.status < 300
        return {
            "Invocations": 1.0,
            "InvocationsPerInstance": 1.0 / max(1, self.instances),
            "Invocation4XXErrors": float(400 <= self.status < 500),
            "Invocation5XXErrors": float(failed and not 400 <= self.status < 500),
            "InvocationModelErrors": float(failed),
            "ModelLatency": _microseconds(self.model_seconds),
            "OverheadLatency": _microseconds(max(0.0, self.seconds - self.model_seconds)),
        }


class Meter:
    """Counts invocations, and writes what was counted."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._counts: dict[Key, dict[Place, Counter[float]]] = {}
        self._lock = threading.Lock()
        world.tasks.register(TASK, self._step)

    def count(self, endpoint: Key, invocation: Invocation) -> None:
        """Count one request; the first one of a minute sees to it that the minute is written."""
        now = self._world.now()
        minute = int(now // MINUTE_SECONDS)
        with self._lock:
            first = endpoint not in self._counts
            counts = self._counts.setdefault(endpoint, {})
            for name, value in invocation.values().items():
                counts.setdefault((invocation.variant, minute, name), Counter())[value] += 1
        if first:
            self._world.tasks.schedule(TASK, endpoint, (minute + 1) * MINUTE_SECONDS - now)

    def close(self) -> None:
        """Write what there is of the running minute."""
        for endpoint in list(self._counts):
            self._write(endpoint)

    def _step(self, endpoint: Key) -> None:
        self._write(endpoint)

    def _write(self, endpoint: Key) -> None:
        with self._lock:
            counts = self._counts.pop(endpoint, {})
        data = list(_data(endpoint.name, counts))
        for begin in range(0, len(data), MOST_DATA):
            client = self._world.client("cloudwatch", endpoint.account, endpoint.region)
            client.put_metric_data(Namespace=NAMESPACE, MetricData=data[begin : begin + MOST_DATA])


def _data(endpoint: str, counts: dict[Place, Counter[float]]) -> Iterator[dict[str, Any]]:
    for (variant, minute, name), counted in counts.items():
        values = sorted(counted)
        for begin in range(0, len(values), MOST_VALUES):
            part = values[begin : begin + MOST_VALUES]
            yield {
                "MetricName": name,
                "Dimensions": [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}],
                "Timestamp": minute * MINUTE_SECONDS,
                "Unit": UNITS.get(name, NO_UNIT),
                "Values": part,
                "Counts": [counted[value] for value in part],
            }


def _microseconds(seconds: float) -> float:
    return float(f"{seconds * 1e6:.{DIGITS}g}")
