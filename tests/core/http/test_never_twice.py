"""A request whose fate is unknown is never sent again behind our back.

libcurl repeats a request by itself when a kept connection dies before the first byte of the answer.
"""

import threading

import pytest

from apps.core.http import transfer
from apps.core.http.guard import Guard
from apps.core.http.messages import Kind, Response
from apps.core.http.pool import Pool
from tests.core.http.conftest import OPEN, PATIENCE, call
from tests.core.http.server import steadily

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """However slow the machine is, a connection has not rested for too long."""
    monkeypatch.setattr(transfer, "_REST", 600)


@pytest.fixture
def forgetful(serve):
    """Answers the first request of its first connection, reads the second and hangs up."""

    def script(talk):
        talk.read()
        talk.answer(b"first")
        talk.read()

    return serve(script)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_request_that_may_have_been_done_is_not_repeated(pool, forgetful, method):
    assert call(pool, "GET", forgetful.url).body == b"first"
    result = call(pool, method, forgetful.url, body=b"pay")
    assert [each.line.split()[0] for each in forgetful.received] == ["GET", method]
    assert forgetful.received[1].connection == 1, "The kept connection was not used: no proof"
    assert (result.kind, result.sent) == (Kind.LOST, True)
    assert "while the request was on its way" in result.reason
    assert call(pool, method, forgetful.url, body=b"pay").body == b"first"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_a_request_that_may_arrive_twice_is_repeated(pool, forgetful, method):
    call(pool, "GET", forgetful.url)
    result = call(pool, method, forgetful.url)
    assert isinstance(result, Response) or method == "HEAD"
    assert [each.line.split()[0] for each in forgetful.received] == ["GET", method, method]


def test_a_connection_that_was_closed_meanwhile_is_not_used(pool, serve):
    closed = threading.Event()

    def script(talk):
        talk.read()
        talk.answer(b"ok")
        talk.sock.close()
        closed.set()

    server = serve(script)
    for _ in range(2):
        closed.clear()
        answer = call(pool, "POST", server.url, body=b"x")
        assert answer.body == b"ok", answer
        assert closed.wait(PATIENCE)
    assert [each.connection for each in server.received] == [1, 2]


def test_a_connection_that_says_close_is_not_used_again(pool, serve):
    def script(talk):
        talk.read()
        talk.answer(b"ok", "200 OK", "Connection: close")
        talk.read()

    server = serve(script)
    for _ in range(2):
        assert call(pool, "POST", server.url, body=b"x").body == b"ok"
    assert [each.connection for each in server.received] == [1, 2]


@pytest.mark.parametrize("secure", [False, True])
def test_a_burst_of_posts_uses_one_connection(serve, certificate, secure):
    server = serve(steadily(), tls=certificate.server() if secure else None)
    pool = Pool(Guard(OPEN.allow, ca_file=certificate.ca_file))
    for _ in range(20):
        assert call(pool, "POST", server.url, body=b"x").body == b"ok"
    assert server.connections == 1
    pool.close()
