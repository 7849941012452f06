"""The web application of a model process: raw ASGI, because the frameworks cost more than the predictions."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from typing import Any

from orchestrator.runtime.serving.contract import Reply, Request
from orchestrator.runtime.serving.runner import Runner

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LARGEST_BODY = 6 * 1024 * 1024
"""InvokeEndpoint's limit; SAGEMAKER_MAX_REQUEST_SIZE sets another."""


class Application:
    """``GET /ping``, ``POST /invocations``, ``GET /execution-parameters``; nothing else."""

    def __init__(self, runner: Runner, largest_body: int = LARGEST_BODY) -> None:
        self._runner = runner
        self._largest = largest_body

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        route = (scope.get("method"), scope.get("path"))
        if route == ("POST", "/invocations"):
            reply = await self._invoke(scope, receive)
        elif route == ("GET", "/ping"):
            reply = Reply(b"\n", "application/json")
        elif route == ("GET", "/execution-parameters"):
            reply = self._parameters()
        elif route[1] in ("/ping", "/invocations", "/execution-parameters"):
            reply = Reply(b"Method Not Allowed", "text/plain", 405)
        else:
            reply = Reply(b"Not Found", "text/plain", 404)
        await self._send(reply, send)

    async def _invoke(self, scope: Mapping[str, Any], receive: Receive) -> Reply:
        parts: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return Reply(b"", "text/plain", 499)
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._largest:
                return Reply(f"The body is larger than {self._largest} bytes.".encode(), "text/plain", 413)
            more = message.get("more_body", False)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        return await self._runner.run(
            Request(b"".join(parts), headers.get("content-type", ""), headers.get("accept", ""), headers)
        )

    def _parameters(self) -> Reply:
        """What batch transform asks before it sends records."""
        answer = {
            "MaxConcurrentTransforms": 1,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": self._largest // 1024**2,
        }
        return Reply(json.dumps(answer).encode(), "application/json")

    async def _send(self, reply: Reply, send: Send) -> None:
        headers = [(b"content-type", reply.content_type.encode("latin-1"))]
        body = reply.body
        if isinstance(body, bytes):
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        if isinstance(body, bytes):
            await send({"type": "http.response.body", "body": body})
        else:
            await self._send_pieces(body, send)

    async def _send_pieces(self, pieces: Iterator[bytes], send: Send) -> None:
        while (piece := await self._runner.in_thread(lambda: next(pieces, None))) is not None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
