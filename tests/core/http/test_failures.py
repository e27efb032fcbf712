"""Servers that misbehave. What matters is whether the request can have arrived."""

import gzip
import socket
import threading
import zlib

import pytest

from apps.core.http.messages import Failure, Kind, Request, Response
from tests.core.http.conftest import PATIENCE, call, finish
from tests.core.http.server import once, steadily

pytestmark = pytest.mark.once

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def endlessly(start, piece):
    """The start of an answer, then pieces without end."""

    def script(talk):
        talk.read()
        talk.send(start)
        while True:
            talk.send(piece)

    return script


def slowly(start, piece):
    """The start of an answer, then a piece now and then."""

    def script(talk):
        talk.read()
        talk.send(start)
        while not threading.Event().wait(0.02):
            talk.send(piece)

    return script


# --- Nothing was sent -----------------------------------------------------------------------------


def test_nobody_listens(pool):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = call(pool, "POST", f"http://127.0.0.1:{port}/secret", body=b"x")
    assert (result.kind, result.sent) == (Kind.CONNECT, False)
    assert f"127.0.0.1:{port}" in result.reason
    assert "secret" not in result.reason


def test_an_unknown_name(pool):
    result = call(pool, "POST", "http://nobody.invalid/")
    assert (result.kind, result.sent) == (Kind.DNS, False)
    assert "nobody.invalid" in result.reason


def test_a_server_too_busy_to_accept(pool):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        url = f"http://127.0.0.1:{busy.getsockname()[1]}/"
        with socket.socket() as one, socket.socket() as other:
            for filler in (one, other):  # the queue of a listener that never accepts is now full
                filler.setblocking(False)
                filler.connect_ex(busy.getsockname())
            result = call(pool, "POST", url, deadline=0.3)
    assert (result.kind, result.sent) == (Kind.TIMEOUT, False)


def test_a_server_that_does_not_speak_tls(pool, serve):
    server = serve(lambda talk: talk.send(b"220 welcome\r\n"))
    result = call(pool, "POST", server.url.replace("http:", "https:"), body=b"x")
    assert (result.kind, result.sent) == (Kind.TLS, False)


# --- The outcome is unknown -----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_answer(pool, serve, method):
    server = serve(lambda talk: talk.read() and talk.read())
    result = call(pool, method, server.url, deadline=0.5)
    assert (result.kind, result.sent) == (Kind.TIMEOUT, True)
    assert "within 0.5 seconds" in result.reason


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\n",
        HEAD + b"Content-Length: 100\r\n\r\nhalf",
        CHUNKED + b"5\r\nhal",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"nonsense\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"<html>HTTP/0.9</html>",
        b"\x00\xff" * 200,
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
        HEAD + b"Content-Encoding: gzip, gzip, gzip, gzip, gzip, gzip\r\n\r\nhello",
    ],
)
def test_an_answer_that_is_cut_off_or_none(pool, serve, raw):
    server = serve(once(raw))
    result = call(pool, "POST", server.url, body=b"x")
    assert isinstance(result, Failure), result
    assert (result.kind, result.sent) == (Kind.LOST, True)
    assert len(server.received) == 1


def test_a_connection_that_is_reset(pool, serve):
    def script(talk):
        talk.read()
        talk.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    server = serve(script)
    result = call(pool, "POST", server.url, body=b"x")
    assert (result.kind, result.sent) == (Kind.LOST, True)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b"H"),
        (HEAD, b"X"),
        (HEAD + b"Content-Length: 100000\r\n\r\n", b"x"),
        (CHUNKED, b"1\r\nx\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_a_slow_drip_ends_with_the_deadline(pool, serve, start, piece):
    server = serve(slowly(start, piece))
    result = call(pool, "POST", server.url, deadline=0.5)
    assert result.sent is True
    assert result.kind == (Kind.LOST if piece == b"H" else Kind.TIMEOUT)


# --- Too much -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (HEAD + b"\r\n", b"x" * 1000),
        (HEAD + b"Content-Length: 99999999999\r\n\r\n", b"x" * 1000),
        (CHUNKED, b"3e8\r\n" + b"x" * 1000 + b"\r\n"),
    ],
)
def test_an_endless_answer_is_cut_at_the_limit(pool, serve, start, piece):
    server = serve(endlessly(start, piece))
    result = call(pool, "GET", server.url, max_bytes=50_000)
    assert (result.kind, result.sent) == (Kind.TOO_LARGE, True)
    assert "50,000 bytes" in result.reason


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
        (HEAD, b"X-More: and more\r\n"),
        (HEAD + b"X-Long: ", b"x" * 1000),
        (CHUNKED + b"1\r\nx\r\n0\r\n", b"X-Trailer: and more\r\n"),
        (CHUNKED + b"1;", b"extension=1;"),
    ],
)
def test_endless_headers_are_cut(pool, serve, start, piece):
    server = serve(endlessly(start, piece))
    result = call(pool, "POST", server.url, deadline=1)
    assert result.sent is True
    assert isinstance(result, Failure)


def test_an_answer_of_exactly_the_limit_is_taken(pool, serve):
    server = serve(steadily(b"x" * 1000))
    assert len(call(pool, "GET", server.url, max_bytes=1000).body) == 1000
    assert call(pool, "GET", server.url, max_bytes=999).kind == Kind.TOO_LARGE


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_answers_are_read(pool, serve, encoding):
    body = gzip.compress(b"hello") if encoding == "gzip" else zlib.compress(b"hello")
    server = serve(steadily(body, "200 OK", f"Content-Encoding: {encoding}"))
    assert call(pool, "GET", server.url).body == b"hello"
    assert "gzip" in server.received[0].headers["accept-encoding"]


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_bomb_is_cut_after_it_grew(pool, serve, layers):
    bomb = b"\0" * 100_000_000
    for _ in range(layers):
        bomb = gzip.compress(bomb, 9)
    encoding = ", ".join(["gzip"] * layers)
    server = serve(steadily(bomb, "200 OK", f"Content-Encoding: {encoding}"))
    result = call(pool, "GET", server.url)
    assert (result.kind, result.sent) == (Kind.TOO_LARGE, True)


# --- Others are not disturbed ---------------------------------------------------------------------


def test_a_good_call_ends_well_among_bad_ones(pool, serve):
    for number, script in enumerate(
        [
            once(b""),
            endlessly(CHUNKED, b"3e8\r\n" + b"x" * 1000 + b"\r\n"),
            lambda talk: talk.read(),
        ]
    ):
        pool.start(number, Request("POST", serve(script).url, deadline=5))
    pool.start("good", Request("GET", serve(steadily()).url, deadline=PATIENCE))
    results = finish(pool)
    assert isinstance(results.pop("good"), Response)
    assert all(isinstance(result, Failure) for result in results.values())
