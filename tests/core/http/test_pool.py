"""Many calls at once, in one thread."""

import os
import socket
import threading
import time

import pytest

from apps.core.http.messages import Kind, Request
from apps.core.http.pool import Pool
from apps.core.http.transfer import Transfer
from tests.core.http.conftest import OPEN, PATIENCE, call, finish
from tests.core.http.server import steadily

pytestmark = pytest.mark.once


def test_a_call_says_everything_there_and_back(pool, serve):
    server = serve(steadily(b'{"id": 7}', "201 Made", "X-Id: 7", "Set-Cookie: a", "Set-Cookie: b"))
    headers = (("Content-Type", "application/json"), ("X-Name", "Zoë"), ("X-Empty", ""))
    answer = call(pool, "POST", server.url + "/a?b=c", headers=headers, body=b'{"a": "\xff"}')
    assert (answer.status, answer.reason, answer.body) == (201, "Made", b'{"id": 7}')
    assert answer.url == server.url + "/a?b=c"
    assert answer.header("x-id") == "7"
    assert [value for name, value in answer.headers if name == "Set-Cookie"] == ["a", "b"]
    assert answer.took_us > 0
    [received] = server.received
    assert received.line == "POST /a?b=c HTTP/1.1"
    assert received.body == b'{"a": "\xff"}'
    assert received.headers["content-type"] == "application/json"
    assert received.headers["x-name"].encode("latin-1").decode() == "Zoë"
    assert received.headers["x-empty"] == ""
    assert received.headers["user-agent"] == "Switchboard"
    assert "expect" not in received.headers


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT", "PATCH"])
def test_each_method_on_the_same_handle(pool, serve, method):
    server = serve(steadily(b"" if method == "HEAD" else b"ok"))
    assert call(pool, "POST", server.url, body=b"before").status == 200
    assert call(pool, method, server.url).status == 200
    _, received = server.received
    assert received.line == f"{method} / HTTP/1.1"
    assert received.body == b""
    assert "content-type" not in received.headers
    expected = "0" if method in ("POST", "PUT", "PATCH") else None
    assert received.headers.get("content-length") == expected


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH"])
def test_any_method_but_head_may_have_a_body(pool, serve, method):
    server = serve(steadily())
    assert call(pool, method, server.url, body=b"x=1").status == 200
    assert server.received[0].line == f"{method} / HTTP/1.1"
    assert server.received[0].body == b"x=1"


def test_200_calls_run_at_once_and_later_ones_use_their_connections(pool, serve):
    everybody = threading.Barrier(200)

    def script(talk):
        while received := talk.read():
            if "/first" in received.line:
                everybody.wait(PATIENCE)  # nobody is answered before all have asked
            talk.answer(received.line.encode())

    server = serve(script)
    for number in range(200):
        pool.start(number, Request("GET", f"{server.url}/first/{number}"))
    results = finish(pool)
    assert [results[n].body for n in range(200)] == [
        f"GET /first/{n} HTTP/1.1".encode() for n in range(200)
    ]
    assert server.connections == 200
    for number in range(1000):
        if not pool.room or pool.in_flight >= 50:
            pool.poll(PATIENCE)
        pool.start(number, Request("GET", f"{server.url}/later/{number}"))
    finish(pool)
    assert len(server.received) == 1200
    assert server.connections == 200


def test_the_capacity_bounds_the_calls_in_flight():
    pool = Pool(capacity=2)
    refused = Request("GET", "http://127.0.0.1/")
    pool.start("a", refused)
    pool.start("b", refused)
    assert (pool.in_flight, pool.room) == (2, 0)
    with pytest.raises(RuntimeError):
        pool.start("c", refused)
    assert {token for token, _ in pool.poll(0)} == {"a", "b"}
    assert (pool.in_flight, pool.room) == (0, 2)
    pool.close()


def test_poll_returns_when_another_descriptor_becomes_readable(pool, serve):
    server = serve(lambda talk: talk.read() and talk.read())
    pool.start("slow", Request("GET", server.url))
    bell, ringer = socket.socketpair()
    with bell, ringer:
        assert pool.poll(0.05, wake=[bell.fileno()]) == []
        ringer.send(b"!")
        before = time.monotonic()
        assert pool.poll(PATIENCE, wake=[bell.fileno()]) == []
        assert time.monotonic() - before < PATIENCE / 2
    assert pool.in_flight == 1


def test_poll_without_calls_waits_for_the_descriptor(pool):
    bell, ringer = socket.socketpair()
    with bell, ringer:
        ringer.send(b"!")
        assert pool.poll(PATIENCE, wake=[bell.fileno()]) == []
    assert pool.poll(0) == []


def test_a_pool_does_not_survive_a_fork(pool, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(RuntimeError):
        pool.start("one", Request("GET", "http://example.com/"))
    with pytest.raises(RuntimeError):
        pool.poll(0)


def test_a_closed_pool_lets_go_of_what_it_has(serve):
    gone = threading.Event()

    def script(talk):
        talk.read()
        assert talk.read() is None
        gone.set()

    server = serve(script)
    pool = Pool(OPEN)
    pool.start("slow", Request("GET", server.url))
    while not server.received:
        pool.poll(0.05)
    pool.close()
    assert gone.wait(PATIENCE)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_proxies_in_the_environment_are_ignored(pool, serve, monkeypatch, name):
    server, proxy = serve(steadily(b"direct")), serve(steadily(b"through"))
    monkeypatch.setenv(name, proxy.url)
    monkeypatch.setenv("no_proxy", "")
    assert call(pool, "GET", server.url).body == b"direct"
    assert proxy.connections == 0


@pytest.mark.parametrize(
    ("headers", "about"),
    [
        ((("X-A", "b\r\nX-C: d"),), "X-A"),
        ((("X-A", "b\nX-C: d"),), "X-A"),
        ((("X-A", "b\x00"),), "X-A"),
        ((("X-A", "\ud800"),), "X-A"),
        ((("X-A: b\r\nX-C", "d"),), "name of a header"),
        ((("X A", "b"),), "name of a header"),
        ((("", "b"),), "name of a header"),
        ((("X-Ä", "b"),), "name of a header"),
        ((("Host", "other.example"),), "Host"),
        ((("content-LENGTH", "3"),), "content-LENGTH"),
        ((("Transfer-Encoding", "chunked"),), "Transfer-Encoding"),
        ((("Connection", "close"),), "Connection"),
        ((("Expect", "100-continue"),), "Expect"),
        ((("Upgrade", "h2c"),), "Upgrade"),
        ((("X-Long", "a" * 70_000),), "longer"),
    ],
)
def test_headers_that_could_split_or_steer_a_request_are_refused(pool, serve, headers, about):
    server = serve(steadily())
    result = call(pool, "POST", server.url, headers=headers)
    assert about in result.reason
    assert result.sent is False
    assert server.connections == 0


@pytest.mark.parametrize("method", ["", "get", "GET /x", "GET\r\n", "CONNECT", "TRACE", "A" * 30])
def test_methods_that_are_none_are_refused(pool, method):
    assert "method" in call(pool, method, "http://127.0.0.1/").reason


def test_head_with_a_body_is_refused(pool):
    assert call(pool, "HEAD", "http://127.0.0.1/", body=b"x").sent is False


def test_an_answer_that_we_fail_at_ends_its_call_alone(pool, serve, monkeypatch):
    server = serve(steadily(b"ok"))
    read = Transfer.answered

    def fails(transfer):
        if transfer.token == "bad":
            raise ValueError("who would have thought")
        return read(transfer)

    monkeypatch.setattr(Transfer, "answered", fails)
    pool.start("bad", Request("POST", server.url))
    pool.start("good", Request("POST", server.url))
    results = finish(pool)
    assert (results["bad"].kind, results["bad"].sent) == (Kind.LOST, True)
    assert results["good"].status == 200
    assert call(pool, "POST", server.url).status == 200
    assert pool.room == pool.capacity


def test_what_has_not_left_can_be_taken_back(pool, serve):
    """A server that says nothing to our greeting gets no request."""
    never = threading.Event()
    silent = serve(lambda talk: never.wait(PATIENCE))
    server = serve(lambda talk: (talk.read(), never.wait(PATIENCE)))
    pool.start("not yet", Request("POST", silent.url.replace("http:", "https:")))
    pool.start("left", Request("POST", server.url))
    while not server.received:
        pool.poll(0.05)
    [(token, failure)] = pool.withdraw()
    assert (token, failure.kind, failure.sent) == ("not yet", Kind.LATE, False)
    assert (pool.in_flight, pool.withdraw()) == (1, [])
    never.set()
    assert set(finish(pool)) == {"left"}
    assert silent.received == []
