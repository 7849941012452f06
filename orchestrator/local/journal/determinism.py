"""Time and chance of one request: while a logged request runs, its thread lives at a fixed moment.

Running the same request again at the same moment with the same seed yields the same ids, keys and timestamps.
Threads that run no logged request (reads) see the real clock and real chance.
"""

from __future__ import annotations

import datetime as real_datetime
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any


class _Moment(threading.local):
    time: float | None = None
    chance: Random | None = None


MOMENT = _Moment()


@contextmanager
def moment(at: float, seed: int) -> Iterator[None]:
    """This thread's clock stands still at ``at`` and its chance follows from ``seed``."""
    MOMENT.time, MOMENT.chance = at, Random(seed)  # noqa: S311  repeatable on purpose
    try:
        yield
    finally:
        MOMENT.time = MOMENT.chance = None


def now() -> float:
    """What ``time.time`` is to a logged request."""
    return time.time() if MOMENT.time is None else MOMENT.time


def random_bytes(length: int) -> bytes:
    """What ``os.urandom`` is to a logged request."""
    return os.urandom(length) if MOMENT.chance is None else MOMENT.chance.randbytes(length)


class _LikeDatetime(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, real_datetime.datetime)


class Datetime(real_datetime.datetime, metaclass=_LikeDatetime):
    """``datetime.datetime`` whose ``now`` is the moment's; real datetimes pass as instances of it."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return real_datetime.datetime.fromtimestamp(now(), tz)


class View:
    """A module as another module sees it: the same but for some names."""

    def __init__(self, module: Any, **replaced: Any) -> None:
        self.__dict__.update(replaced)
        self.__dict__["_module"] = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_module"], name)


DATETIME_MODULE = View(real_datetime, datetime=Datetime)
TIME_MODULE = View(time, time=now)
OS_MODULE = View(os, urandom=random_bytes)
