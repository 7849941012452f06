"""``definition.json``: what a monitor's jobs are told, checked before anything is read or computed.

    {"version": 1, "monitor": "data_quality", "name": "churn-data", "endpoint": "churn",
     "baseline": {"format": "auto", "header": true},
     "capture": {"location": "bucket/prefix", "variant": "AllTraffic"},
     "ground_truth": {"location": "bucket/prefix"},
     "window_hours": 1, "delay_hours": 0, "columns": ["age", "city"], "policy": {}, "settings": {},
     "metrics": {"namespace": "MLOps/Monitoring"}}

``capture.variant`` (absent: all variants), ``ground_truth``, ``delay_hours`` (0), ``columns`` (those of the baseline),
``policy``, ``settings``, ``baseline`` and ``metrics`` (absent: none are sent) may be left out. The window ends
``delay_hours`` before the moment the analysis is for, so that labels have time to come.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.runtime.monitoring import kinds
from orchestrator.runtime.monitoring.failures import InputMissing, InputUnreadable

VERSION = 1
MEMBERS = (
    "version", "monitor", "name", "endpoint", "baseline", "capture", "ground_truth", "window_hours", "delay_hours",
    "columns", "policy", "settings", "metrics",
)  # fmt: skip
FORMATS = ("auto", "csv", "jsonlines", "parquet", "capture")
MOST_WINDOW_HOURS = 24 * 31
MOST_DELAY_HOURS = 24 * 90
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
NAMESPACE = re.compile(r"(?!AWS/)[^:\s][^:]{0,254}")
"""CloudWatch keeps namespaces that begin with ``AWS/`` for itself.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
"""
NAME = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}")


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of S3: ``prefix`` is without slashes around it and may be empty."""

    bucket: str
    prefix: str

    def key(self, *parts: str) -> str:
        """The prefix of keys below, with a slash at its end."""
        return "/".join([part for part in (self.prefix, *parts) if part]) + "/"


@dataclass(frozen=True, slots=True)
class Monitor:
    """A definition that was checked. ``told`` is what the kind is given; ``namespace`` empty: no metrics."""

    told: kinds.Definition
    capture: Place
    variant: str = ""
    ground_truth: Place | None = None
    window_hours: int = 1
    delay_hours: int = 0
    namespace: str = ""
    format: str = "auto"
    header: bool = True


def read(path: Path) -> Monitor:
    """The definition in the file. Raises InputMissing, or InputUnreadable with all that is wrong with it."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputMissing(
            f"There is no {path}.", hint="The job needs the processing input 'definition' with definition.json in it."
        ) from error
    except (OSError, ValueError) as error:
        raise InputUnreadable(f"{path} is not JSON: {error}") from error
    return checked(document, path.name)


def checked(document: Any, place: str = "definition.json") -> Monitor:
    """The definition of a document. Raises InputUnreadable with all that is wrong with it."""
    if not isinstance(document, dict):
        raise InputUnreadable(f"{place} must be a JSON object, not {type(document).__name__}.")
    if document.get("version") != VERSION:
        raise InputUnreadable(
            f"{place} has version {document.get('version')!r}; this image reads version {VERSION}.",
            hint="Provision the monitor again, or use the image of the version that wrote it.",
        )
    reader = Reader(document)
    monitor = _monitor(reader)
    if reader.problems:
        raise InputUnreadable(f"{place} cannot be used: {'; '.join(reader.problems)}.")
    return monitor


def _monitor(reader: Reader) -> Monitor:
    baseline, capture = reader.inner("baseline"), reader.inner("capture")
    metrics = reader.inner("metrics")
    truth = reader.inner("ground_truth") if "ground_truth" in reader.document else None
    reader.only(MEMBERS)
    baseline.only(["format", "header"])
    capture.only(["location", "variant"])
    metrics.only(["namespace"])
    told = kinds.Definition(
        monitor=reader.one_of("monitor", kinds.names()),
        name=reader.text("name", NAME),
        endpoint=reader.text("endpoint", NAME),
        settings=reader.mapping("settings"),
        policy=reader.mapping("policy"),
        columns=reader.texts("columns"),
    )
    if truth:
        truth.only(["location"])
    return Monitor(
        told=told,
        capture=capture.place("location"),
        variant=capture.text("variant", NAME, default=""),
        ground_truth=truth.place("location") if truth else None,
        window_hours=reader.whole("window_hours", 1, MOST_WINDOW_HOURS),
        delay_hours=reader.whole("delay_hours", 0, MOST_DELAY_HOURS, default=0),
        namespace=metrics.text("namespace", NAMESPACE) if "metrics" in reader.document else "",
        format=baseline.one_of("format", FORMATS, default="auto"),
        header=baseline.truth("header", default=True),
    )


@dataclass(slots=True)
class Reader:
    """Takes members out of a JSON object and notes what is wrong with each; goes on with something of that type."""

    document: Mapping[str, Any]
    path: str = ""
    problems: list[str] = field(default_factory=list)

    def only(self, known: Sequence[str]) -> None:
        """Note members that nobody reads."""
        for name in self.document:
            if name not in known:
                self.problems.append(f"{self.path}{name} is not known; known are {', '.join(known)}")

    def inner(self, name: str) -> Reader:
        """The object under a name; its problems are noted here."""
        return Reader(self.mapping(name), f"{self.path}{name}.", self.problems)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """An object, empty when it is absent."""
        value = self._checked(name, lambda value: isinstance(value, dict), "an object", {})
        return dict(value)

    def text(self, name: str, pattern: re.Pattern[str], default: str | None = None) -> str:
        """A text of this pattern."""
        right: Callable[[Any], bool] = lambda value: isinstance(value, str) and bool(pattern.fullmatch(value))  # noqa: E731
        return str(self._checked(name, right, f"a text like {pattern.pattern}", default))

    def one_of(self, name: str, allowed: Sequence[str], default: str | None = None) -> str:
        """One of some texts."""
        return str(self._checked(name, lambda value: value in allowed, f"one of {', '.join(allowed)}", default))

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts, empty when it is absent."""
        right: Callable[[Any], bool] = lambda value: (  # noqa: E731
            isinstance(value, list) and all(isinstance(each, str) for each in value)
        )
        return tuple(self._checked(name, right, "a list of texts", []))

    def whole(self, name: str, least: int, most: int, default: int | None = None) -> int:
        """A whole number between two others."""
        right: Callable[[Any], bool] = lambda value: (  # noqa: E731
            isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        )
        return int(self._checked(name, right, f"a whole number from {least} to {most}", default) or 0)

    def truth(self, name: str, *, default: bool) -> bool:
        """true or false."""
        return bool(self._checked(name, lambda value: isinstance(value, bool), "true or false", default))

    def place(self, name: str) -> Place:
        """``bucket/prefix``, with or without ``s3://`` before it."""
        text = self._checked(name, _is_location, "bucket/prefix", None)
        bucket, _, prefix = str(text or "").removeprefix("s3://").partition("/")
        return Place(bucket, prefix.strip("/"))

    def _checked(self, name: str, right: Callable[[Any], bool], allowed: str, default: Any) -> Any:
        value = self.document.get(name)
        if value is None:
            if default is None:
                self.problems.append(f"{self.path}{name} is missing; it must be {allowed}")
            return default
        if right(value):
            return value
        self.problems.append(f"{self.path}{name} must be {allowed}, not {json.dumps(value)[:100]}")
        return default


def _is_location(value: Any) -> bool:
    return isinstance(value, str) and bool(BUCKET.fullmatch(value.removeprefix("s3://").partition("/")[0]))
