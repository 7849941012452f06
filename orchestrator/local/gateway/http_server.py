"""A small threaded HTTP/1.1 server that keeps connections open.

werkzeug's development server closes the connection after every answer, which costs boto3 a new one per call;
this one reads every body to its end, so the next request line on the connection is always in its place.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from orchestrator.local.messages import Request, Response

Answer = Callable[[Request], Response]

LOGGER = logging.getLogger(__name__)
IDLE_SECONDS = 300
CHUNK = 1024 * 1024


class PortInUse(Exception):
    """The port belongs to another program."""


class BodyTooLarge(Exception):
    """The body is longer than the server takes."""


class Server(ThreadingMixIn, TCPServer):
    """Serves ``answer`` on loopback, one thread a connection.

    Bound once made; ``port`` 0 takes a free one. Raises PortInUse.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, answer: Answer, largest_body: int) -> None:
        try:
            super().__init__(("127.0.0.1", port), Connection)
        except OSError as problem:
            raise PortInUse(f"Port {port} of 127.0.0.1 cannot be used: {problem.strerror}.") from problem
        self.answer = answer
        self.largest_body = largest_body
        self._idle: set[socket.socket] = set()
        self._busy = 0
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="gateway", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self, grace_seconds: float = 5.0) -> None:
        """Take no more requests, let those that run finish for a while, and close every connection."""
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        self.server_close()
        with self._changed:
            self._closing = True
            for connection in self._idle:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._busy, grace_seconds)

    def begin(self, connection: socket.socket) -> bool:
        """A request arrived on the connection; whether it may still be answered."""
        with self._changed:
            self._idle.discard(connection)
            self._busy += not self._closing
            return not self._closing

    def finish(self) -> None:
        """The answer of a request is out."""
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()

    def wait(self, connection: socket.socket) -> bool:
        """The connection waits for its next request; whether there may be one."""
        with self._changed:
            if not self._closing:
                self._idle.add(connection)
            return not self._closing

    def forget(self, connection: socket.socket) -> None:
        """The connection is over."""
        with self._changed:
            self._idle.discard(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  socketserver's signature
        LOGGER.exception("connection from %s failed", client_address)


class Connection(BaseHTTPRequestHandler):
    """One connection: request after request until somebody closes it."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "EmbeddedAWS"
    sys_version = ""
    error_content_type = "application/xml"
    error_message_format = "<Error><Code>BadRequest</Code><Message>%(message)s</Message></Error>"
    wbufsize = 64 * 1024
    disable_nagle_algorithm = True  # with it a small answer waits 40 ms for the client's acknowledgement
    timeout = IDLE_SECONDS

    def handle(self) -> None:
        with suppress(ConnectionError, TimeoutError):
            try:
                super().handle()
            finally:
                self.server.forget(self.connection)

    def handle_one_request(self) -> None:
        """Read one request, answer it; ends the connection when its end cannot be told."""
        self.close_connection = True
        if not self.server.wait(self.connection):
            return
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.server.begin(self.connection):
            return
        try:
            if len(self.raw_requestline) > 65536:
                self.requestline = self.request_version = self.command = ""
                self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
            elif self.parse_request():
                self._answer()
            self.wfile.flush()
        finally:
            self.server.finish()

    def handle_expect_100(self) -> bool:
        """Tell the client to go on; botocore waits a second for it, so it must not stay in the buffer."""
        self.send_response_only(HTTPStatus.CONTINUE)
        self.end_headers()
        self.wfile.flush()
        return True

    def _answer(self) -> None:
        try:
            body = self._read_body()
        except BodyTooLarge:
            self.close_connection = True
            limit = self.server.largest_body
            message = f"<Error><Code>EntityTooLarge</Code><Message>The limit is {limit} bytes.</Message></Error>"
            self._write(Response(413, (("Content-Type", "application/xml"),), message.encode()))
            return
        except ValueError:
            self.close_connection = True
            self._write(Response(400, ()))
            return
        self._write(self.server.answer(Request(self.command, self.path, tuple(self.headers.items()), body)))

    def _read_body(self) -> bytes:
        """The whole body; raises BodyTooLarge, or ValueError when its framing is wrong."""
        lengths = set(self.headers.get_all("Content-Length", []))
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
        if chunked and not lengths:
            return self._read_chunks()
        if len(lengths) > 1 or chunked:
            raise ValueError("contradictory lengths")
        length = int(lengths.pop()) if lengths else 0
        if length < 0:
            raise ValueError("negative length")
        if length > self.server.largest_body:
            raise BodyTooLarge
        return self._read_exactly(length)

    def _read_chunks(self) -> bytes:
        parts, total = [], 0
        while size := int(self.rfile.readline(1024).split(b";")[0], 16):
            total += size
            if size < 0 or total > self.server.largest_body:
                raise BodyTooLarge
            parts.append(self._read_exactly(size))
            self.rfile.readline(3)
        while self.rfile.readline(65537) not in (b"\r\n", b"\n", b""):
            pass  # trailers say nothing the gateway needs
        return b"".join(parts)

    def _read_exactly(self, length: int) -> bytes:
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionResetError("the client went away in the middle of a body")
        return body

    def _write(self, response: Response) -> None:
        self.send_response(response.status)
        length = str(len(response.body))
        for name, value in response.headers:
            match name.lower():
                case "content-length" if self.command == "HEAD":
                    length = value  # of the body that a GET would have
                case "content-length" | "connection" | "transfer-encoding" | "date" | "server":
                    pass
                case _:
                    self.send_header(name, value)
        if response.status not in (204, 304):
            self.send_header("Content-Length", length)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and response.status not in (204, 304):
            self.wfile.write(response.body)

    def log_message(self, format: str, *args: Any) -> None:
        LOGGER.debug(format, *args)
