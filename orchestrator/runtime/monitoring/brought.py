"""Settings that name objects in S3: a job brings them to its disk, and the kind reads a file.

A kind says which of its settings may (``FILES``: the path of each into the settings), so that nothing else is fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from orchestrator.runtime.monitoring.clients import refusals
from orchestrator.runtime.monitoring.failures import InputUnreadable
from orchestrator.runtime.monitoring.kinds import Definition

SCHEME = "s3://"


def brought(kind: ModuleType, told: Definition, s3: Callable[[], Any], folder: Path) -> Definition:
    """The definition with each such setting naming a file in the folder. ``s3`` makes the client, when one is needed.

    Raises AwsRefused and InputUnreadable.
    """
    settings = told.settings
    for path in getattr(kind, "FILES", ()):
        uri = _at(settings, path)
        if isinstance(uri, str) and uri.startswith(SCHEME):
            bucket, _, key = uri.removeprefix(SCHEME).partition("/")
            name = key.rpartition("/")[2]
            if not bucket or not name:
                raise InputUnreadable(f"{'.'.join(path)} {uri!r} names no object.", hint="Write s3://bucket/key.")
            target = folder / f"{len(list(folder.iterdir()))}-{name}"
            with refusals(f"Reading {uri}", "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}"):
                s3().download_file(bucket, key, str(target))
            settings = _with(settings, path, str(target))
    return replace(told, settings=settings)


def _at(settings: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = settings
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _with(settings: Mapping[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    first, *rest = path
    return {**settings, first: _with(settings[first], rest, value) if rest else value}
