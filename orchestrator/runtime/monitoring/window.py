"""The hours a job looks at, and what S3 holds of them: captured calls and ground truth, brought to the job's disk.

Both are filed by the hour: ``<capture>/<endpoint>/<variant>/yyyy/mm/dd/hh/`` and ``<ground truth>/yyyy/mm/dd/hh/``,
in UTC.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
and https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-merge.html
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from orchestrator.runtime.monitoring.clients import AwsRefused, refusals
from orchestrator.runtime.monitoring.definition import Monitor, Place
from orchestrator.runtime.monitoring.failures import InputUnreadable, MonitoringError

AT_ONCE = 8
HOUR = timedelta(hours=1)
SPARE_BYTES = 256 << 20
"""Left free on the disk, for what the analysis itself writes there."""


class DiskTooSmall(MonitoringError):
    """What is to be fetched does not fit on the job's disk."""


@dataclass(frozen=True, slots=True)
class Hours:
    """From ``begin`` until before ``end``, whole hours of UTC; labels count that came before ``labelled``."""

    begin: datetime
    end: datetime
    labelled: datetime

    def captured(self) -> Iterator[str]:
        """The folder of each hour of calls: ``2026/11/21/09``."""
        return _folders(self.begin, self.end)

    def labels(self) -> Iterator[str]:
        """The folder of each hour in which labels of these calls may have come."""
        return _folders(self.begin, self.labelled)

    @property
    def folder(self) -> str:
        """Where the results belong: the hour in which the window ends."""
        return f"{self.end:%Y/%m/%d/%H}"

    def __str__(self) -> str:
        return f"{self.begin:%Y-%m-%dT%H:%MZ} to {self.end:%Y-%m-%dT%H:%MZ}"


def moment(text: str) -> datetime:
    """A time of ISO 8601 as UTC; without an offset it is UTC already. Raises InputUnreadable."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputUnreadable(
            f"--until {text!r} is no time.", hint="Write it as ISO 8601: 2026-11-21T10:00:00Z."
        ) from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def hours(until: datetime, window_hours: int, delay_hours: int = 0) -> Hours:
    """The last whole hours before a time, ``delay_hours`` of them passed over."""
    whole = until.replace(minute=0, second=0, microsecond=0)
    end = whole - delay_hours * HOUR
    return Hours(end - window_hours * HOUR, end, whole)


def _folders(begin: datetime, end: datetime) -> Iterator[str]:
    while begin < end:
        yield f"{begin:%Y/%m/%d/%H}"
        begin += HOUR


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was brought: folders of files (the second is absent where no labels are asked for), how many, and what
    was remarkable about it, as a sentence."""

    captured: Path
    ground_truth: Path | None
    calls: int
    labels: int
    remark: str = ""


def fetch(s3: Any, monitor: Monitor, wanted: Hours, folder: Path) -> Fetched:
    """Bring the calls and labels of the hours into the folder, one object after the other.

    Raises AwsRefused (it tells the permission that is missing) and DiskTooSmall, before anything is written.
    """
    store = Bucket(s3, monitor.capture)
    endpoint = monitor.told.endpoint
    variants = [monitor.variant] if monitor.variant else store.folders(endpoint)
    calls = [
        item for variant in variants for hour in wanted.captured() for item in store.items(endpoint, variant, hour)
    ]
    labels: list[Item] = []
    truths = Bucket(s3, monitor.ground_truth) if monitor.ground_truth else None
    if truths:
        labels = [item for hour in wanted.labels() for item in truths.items(hour)]
    captured, labelled = folder / "captured", folder / "ground_truth"
    captured.mkdir(parents=True)
    labelled.mkdir()
    check_room([*calls, *labels], folder)
    store.bring(calls, captured, endpoint)
    if truths:
        truths.bring(labels, labelled)
    remark = "" if variants else (
        f"nothing was ever captured below s3://{monitor.capture.bucket}/{monitor.capture.key(endpoint)}:"
        " has the endpoint data capture?"
    )  # fmt: skip
    return Fetched(captured, labelled if truths else None, len(calls), len(labels), remark)


def check_room(items: Sequence[Item], folder: Path) -> None:
    """Raise DiskTooSmall when the objects do not fit on the folder's disk."""
    needed, free = sum(item.size for item in items), shutil.disk_usage(folder).free
    if needed + SPARE_BYTES > free:
        raise DiskTooSmall(
            f"The window's {len(items):,} objects have {needed:,} bytes, and the job's disk has {free:,} free.",
            hint="Give the job a larger volume, or make the window shorter.",
        )


@dataclass(frozen=True, slots=True)
class Item:
    """An object."""

    key: str
    size: int


class Bucket:
    """A place in S3, read."""

    def __init__(self, s3: Any, place: Place) -> None:
        self._s3 = s3
        self._place = place

    def folders(self, *parts: str) -> list[str]:
        """The names of the folders directly below."""
        prefix = self._place.key(*parts)
        return [
            str(each["Prefix"])[len(prefix) :].strip("/")
            for page in self._pages(prefix, Delimiter="/")
            for each in page.get("CommonPrefixes", [])
        ]

    def items(self, *parts: str) -> list[Item]:
        """The objects below that hold something."""
        return [
            Item(each["Key"], int(each["Size"]))
            for page in self._pages(self._place.key(*parts))
            for each in page.get("Contents", [])
            if each["Size"] and not each["Key"].endswith("/")
        ]

    def bring(self, items: Sequence[Item], folder: Path, *parts: str) -> None:
        """Download the objects, some at a time; each lies below the folder as it lies below the place."""
        prefix = self._place.key(*parts)
        for item in items:
            if ".." in PurePosixPath(item.key).parts:
                raise InputUnreadable(f"The key {item.key} leads out of its folder.", hint="Rename the object.")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(lambda item: self._bring(item, folder / item.key[len(prefix) :]), items):
                pass

    def _bring(self, item: Item, target: Path) -> None:
        bucket = self._place.bucket
        target.parent.mkdir(parents=True, exist_ok=True)
        resource = f"arn:aws:s3:::{bucket}/{self._place.key()}*"
        with refusals(f"Reading s3://{bucket}/{item.key}", "s3:GetObject", resource):
            self._s3.download_file(bucket, item.key, str(target))

    def _pages(self, prefix: str, **members: str) -> Iterator[Any]:
        bucket = self._place.bucket
        with refusals(f"Listing s3://{bucket}/{prefix}", "s3:ListBucket", f"arn:aws:s3:::{bucket}"):
            try:
                yield from self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **members)
            except self._s3.exceptions.NoSuchBucket as error:
                raise AwsRefused(
                    f"The bucket {bucket} does not exist.", hint="Check capture.location and ground_truth.location."
                ) from error
