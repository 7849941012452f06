"""HTTP/1.1 as clients really speak it."""

from __future__ import annotations

import http.client
import socket
import threading
import time

import pytest

from orchestrator.local.gateway.http_server import PortInUse, Server
from orchestrator.local.messages import Response


@pytest.fixture
def serve():
    servers = []

    def start(answer, largest=1000):
        server = Server(0, answer, largest)
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


def echo(request):
    return Response(200, (("Content-Type", "text/plain"), ("X-Seen", request.method)), request.body[::-1])


def raw(server, data):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(data)
        connection.settimeout(1)
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except TimeoutError:
            pass
        return received


def test_a_connection_is_kept_and_bodies_end_where_they_end(serve):
    connection = http.client.HTTPConnection("127.0.0.1", serve(echo).port, timeout=5)
    for body in (b"abc", b"", b"x" * 1000):
        connection.request("POST", "/", body)
        socket_before = connection.sock
        assert connection.getresponse().read() == body[::-1]
        assert connection.sock is socket_before


def test_chunked_bodies(serve):
    answer = raw(
        serve(echo),
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    assert answer.count(b"HTTP/1.1 200") == 2 and b"edcba" in answer


def test_expect_continue_is_answered_at_once(serve):
    with socket.create_connection(("127.0.0.1", serve(echo).port), timeout=5) as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert b"cba" in connection.recv(1000)


def test_a_head_tells_the_length_and_sends_no_body(serve):
    server = serve(lambda request: Response(200, (("Content-Length", "42"),), b""))
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("HEAD", "/")
    response = connection.getresponse()
    assert response.getheader("Content-Length") == "42" and response.read() == b""
    connection.request("HEAD", "/")
    assert connection.getresponse().status == 200


def test_too_large_a_body_is_refused(serve):
    server = serve(echo, largest=10)
    assert b"413" in raw(server, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n12345678901")
    chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n"
    assert b"413" in raw(server, chunked)


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    ],
)
def test_bodies_whose_end_cannot_be_told_end_the_connection(serve, head):
    calls = []
    server = serve(lambda request: calls.append(request) or Response(200, ()))
    answer = raw(server, head + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 400 " in answer and b" 200 " not in answer and not calls


@pytest.mark.parametrize("line", [b"NONSENSE", b"GET / HTTP/9.9", b"GET /" + b"x" * 70000 + b" HTTP/1.1"])
def test_what_is_no_http_is_refused_without_a_page(serve, line):
    answer = raw(serve(echo), line + b"\r\n\r\n")
    assert b"<Error><Code>BadRequest</Code>" in answer and b"html" not in answer.lower()


def test_stop_lets_a_running_request_finish_and_closes_idle_connections(serve):
    inside, go = threading.Event(), threading.Event()

    def slow(request):
        inside.set()
        go.wait(5)
        return Response(200, (), b"done")

    server = serve(slow)
    idle = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    busy = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    busy.request("GET", "/")
    assert inside.wait(5)
    threading.Timer(0.2, go.set).start()
    began = time.monotonic()
    server.stop()
    assert 0.1 < time.monotonic() - began < 4
    assert busy.getresponse().read() == b"done"
    assert idle.recv(10) == b""
    idle.close()


def test_a_port_in_use_is_told(serve):
    server = serve(echo)
    with pytest.raises(PortInUse, match=f"Port {server.port} of 127.0.0.1"):
        Server(server.port, echo, 10)
