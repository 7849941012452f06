"""The kinds of monitors: one module each, found by its name; this file says what a kind is.

A kind is a module here with two functions::

    baseline(data: Source, definition: Definition, predict: Predict | None) -> Result
    analyze(window: Window, baseline: Path, definition: Definition, predict: Predict | None) -> Result

and, where the documents it writes suffice to draw the report again, a third one::

    page(baseline: Path, window: Path) -> str

They only read and compute. What they return is written by the caller, all of it or nothing, and is the same whether
it was a job in AWS, a process on a laptop, or ``mlops monitor``.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from orchestrator.runtime.monitoring.failures import InputUnreadable

Predict = Callable[[Sequence[Sequence[Any]]], list[list[float]]]
"""Asks the monitored model: rows of features (in the order of the baseline's columns) to rows of scores."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What a monitor is told: ``definition.json``.

    ``monitor`` names the kind, ``name`` the schedule. ``settings`` are the kind's own: problem type, which attribute
    is the prediction, facets, SHAP settings. ``policy`` are its thresholds. ``columns`` names the features of captured
    CSV payloads by place; empty: the baseline's.
    """

    monitor: str
    name: str
    endpoint: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    columns: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """What is looked at: a folder of captured calls (or of plain data), and one of ground truth where there is any."""

    captured: Path
    ground_truth: Path | None = None
    header: bool = True


@dataclass(frozen=True, slots=True)
class Result:
    """What a run found. ``files``: name -> JSON document or text, to be written. ``violations``: as in
    ``constraint_violations.json``. ``metrics``: name -> number, for CloudWatch. ``findings``: what was noticed that
    stopped nothing. ``rows``: how many rows were looked at."""

    files: Mapping[str, Any]
    rows: int
    violations: Sequence[Mapping[str, Any]] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    findings: Sequence[Mapping[str, Any]] = ()


def names() -> list[str]:
    """The kinds there are."""
    return sorted(each.name for each in pkgutil.iter_modules(__path__))


def find(name: str) -> ModuleType:
    """The module of a kind. Raises InputUnreadable when there is none of that name."""
    if name not in names():
        raise InputUnreadable(f"There is no monitor {name!r}.", hint=f"There are: {', '.join(names())}.")
    return import_module(f"{__name__}.{name}")
