"""How a state fails: the names of the Amazon States Language and which of them a Retry or Catch may name."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

ALL = "States.ALL"
TASK_FAILED = "States.TaskFailed"
TIMEOUT = "States.Timeout"
RUNTIME = "States.Runtime"
BRANCH_FAILED = "States.BranchFailed"
NO_CHOICE_MATCHED = "States.NoChoiceMatched"
PARAMETER_PATH = "States.ParameterPathFailure"
RESULT_PATH = "States.ResultPathMatchFailure"
INTRINSIC = "States.IntrinsicFailure"
DATA_LIMIT = "States.DataLimitExceeded"

TERMINAL = frozenset({RUNTIME, DATA_LIMIT})
"""Errors that no Retry and no Catch sees (Step Functions Developer Guide, "Error names")."""

RETRY_INTERVAL_SECONDS = 1
RETRY_ATTEMPTS = 3
RETRY_BACKOFF = 2.0


class StateFailure(Exception):
    """A state failed with this error name and cause, as ``Error`` and ``Cause`` of a Catch show them."""

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


def matches(names: Sequence[str], error: str, *, of_branch: bool = False) -> bool:
    """Whether an ``ErrorEquals`` list takes this error.

    ``States.ALL`` takes all but the terminal errors; ``States.TaskFailed`` takes all of those but timeouts.
    A Parallel state fails with its branch's own error, which ``States.BranchFailed`` names too.
    """
    if error in TERMINAL:
        return False
    return (
        ALL in names
        or error in names
        or (TASK_FAILED in names and error != TIMEOUT)
        or (BRANCH_FAILED in names and of_branch)
    )


def retry_delay(rule: Mapping[str, Any], made: int) -> float:
    """The seconds before the next attempt, after ``made`` retries by this rule."""
    delay = rule.get("IntervalSeconds", RETRY_INTERVAL_SECONDS) * rule.get("BackoffRate", RETRY_BACKOFF) ** made
    delay = float(min(delay, rule.get("MaxDelaySeconds", float("inf"))))
    return random.uniform(0, delay) if rule.get("JitterStrategy") == "FULL" else delay  # noqa: S311
