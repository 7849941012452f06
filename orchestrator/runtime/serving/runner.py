"""Where a prediction is computed: in the event loop while it is quick, in a thread of its own when it is not.

A hop to a thread halves the throughput of a model that answers in 100 microseconds; computing a slow one in the
loop would leave pings unanswered. With ``batch_predict_fn``, requests that wait are computed together: what is
there is taken at once, nobody waits for company.
"""

from __future__ import annotations

import asyncio
import math
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from orchestrator.runtime.serving.contract import Handler, InferenceError, Reply, Request
from orchestrator.runtime.serving.user_module import MOST_IN_A_BATCH, UserModel

T = TypeVar("T")

QUICK_SECONDS = 0.001


class Runner:
    """Calls one handler, never twice at once."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._under_way = 0
        self._seconds = math.inf  # the running mean of a call; unknown means slow

    async def run(self, request: Request) -> Reply:
        """The handler's answer, or the error it raised as an answer."""
        if self._under_way == 0 and self._seconds < QUICK_SECONDS:
            return self._timed(request)
        return await self.in_thread(lambda: self._timed(request))

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do some work in the model's thread."""
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._under_way -= 1

    def _timed(self, request: Request) -> Reply:
        begin = time.perf_counter()
        reply = guarded(lambda: self._handler.invoke(request))
        took = time.perf_counter() - begin
        self._seconds = took if math.isinf(self._seconds) else 0.8 * self._seconds + 0.2 * took
        return reply


class BatchRunner(Runner):
    """Calls a model that can answer many requests at once."""

    def __init__(self, model: UserModel) -> None:
        super().__init__(model)
        self._model = model
        self._waiting: list[tuple[Request, asyncio.Future[Reply]]] = []
        self._task: asyncio.Task[None] | None = None

    async def run(self, request: Request) -> Reply:
        """Join the requests that wait; the answer comes with theirs."""
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, answer))
        if self._task is None:
            self._task = asyncio.create_task(self._drain())
        return await answer

    async def _drain(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting[:MOST_IN_A_BATCH], self._waiting[MOST_IN_A_BATCH:]
            requests = [request for request, _ in taken]
            replies = await self.in_thread(lambda work=requests: self._model.invoke_together(work))  # type: ignore[misc]
            for (_, answer), reply in zip(taken, replies, strict=True):
                if not answer.done():
                    answer.set_result(reply if isinstance(reply, Reply) else error_reply(reply))
        self._task = None


def guarded(work: Callable[[], Reply]) -> Reply:
    """The answer, or the error as one."""
    try:
        return work()
    except Exception as error:
        return error_reply(error)


def error_reply(error: Exception) -> Reply:
    """An exception as HTTP: its own ``status_code`` if it has one, else 500; the traceback goes to the log."""
    status = getattr(error, "status_code", 500)
    if not (isinstance(status, int) and 400 <= status <= 599):
        status = 500
    if not isinstance(error, InferenceError):
        traceback.print_exception(error)
    return Reply((str(error) or type(error).__name__).encode(), "text/plain; charset=utf-8", status)
