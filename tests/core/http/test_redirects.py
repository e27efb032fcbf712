"""Every hop is a new request to be checked."""

import threading

import pytest

from apps.core.http.guard import AllowList, Guard
from apps.core.http.messages import Failure, Kind, Response
from apps.core.http.pool import Pool
from apps.core.http.redirects import same_server
from apps.core.http.urls import read
from tests.core.http.conftest import call
from tests.core.http.server import steadily

pytestmark = pytest.mark.once

SECRETS = (
    ("Authorization", "Bearer secret"),
    ("Cookie", "a=secret"),
    ("X-Api-Key", "secret"),
    ("apikey", "secret"),
    ("Content-Type", "text/plain"),
    ("Idempotency-Key", "7"),
)


@pytest.fixture
def redirecting(serve):
    """`redirecting(status, location)`: /start leads there, all else answers ok."""

    def start(status, location):
        def script(talk):
            while received := talk.read():
                if received.line.split()[1] == "/start":
                    talk.answer(b"moved", f"{status} Moved", f"Location: {location}")
                else:
                    talk.answer(b"ok")

        return serve(script)

    return start


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "GET", "GET"),
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "DELETE", "GET"),
        (303, "HEAD", "HEAD"),
        (301, "PUT", "PUT"),
        (302, "DELETE", "DELETE"),
        (302, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (308, "PATCH", "PATCH"),
    ],
)
def test_the_method_changes_as_in_browsers(pool, redirecting, status, method, then):
    server = redirecting(status, "/end?a=b")
    body = None if method in ("GET", "HEAD") else b"hello"
    answer = call(pool, method, server.url + "/start", body=body, headers=SECRETS)
    assert answer.url == server.url + "/end?a=b" or method == "HEAD"
    _, received = server.received
    assert received.line == f"{then} /end?a=b HTTP/1.1"
    assert received.body == (body if then == method and body else b"")
    assert ("content-type" in received.headers) == (then == method)
    assert received.headers["authorization"] == "Bearer secret"
    assert received.headers["x-api-key"] == "secret"


def test_secrets_stay_with_the_server_they_were_meant_for(pool, serve, redirecting):
    other = serve(steadily(b"other"))
    first = redirecting(307, other.url + "/end")
    answer = call(pool, "POST", first.url + "/start", body=b"hello", headers=SECRETS)
    assert answer.body == b"other"
    [received] = other.received
    assert not {"authorization", "cookie", "x-api-key", "apikey"} & set(received.headers)
    assert "secret" not in str(received)
    assert received.headers["content-type"] == "text/plain"
    assert received.headers["idempotency-key"] == "7"
    assert received.body == b"hello"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example/x", "https://a.example:443/y", True),
        ("http://a.example/", "https://a.example/", True),
        ("http://a.example:8080/", "https://a.example/", False),
        ("http://a.example/", "https://a.example:8443/", False),
        ("https://a.example/", "https://a.example:8443/", False),
        ("https://a.example/", "https://b.example/", False),
        ("https://a.example/", "https://a.example.evil.example/", False),
        ("https://example/", "https://a.example/", False),
        ("https://a.example/", "http://a.example/", False),
    ],
)
def test_who_counts_as_the_same_server(one, other, same):
    assert same_server(read(one), read(other)) is same


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://2130706433:8000/",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost/",
        "//10.0.0.1/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/x",
        "javascript:alert(1)",
        "ftp://example.com/",
        "http://user:password@example.com/",
        "http://example.com:25/",
        "http://example.com\\@127.0.0.1/",
        "http://[",
        "//[x]/",
        "/\x01",
    ],
)
def test_a_redirect_to_where_we_do_not_go_is_not_followed(redirecting, location):
    server = redirecting(302, location)
    pool = Pool(Guard(AllowList.read([f"127.0.0.1:{server.port}"])))
    result = call(pool, "POST", server.url + "/start", body=b"x")
    assert isinstance(result, Failure), result
    # The first server had the request: what it did with it is unknown.
    assert (result.kind, result.sent) == (Kind.REFUSED, True)
    assert len(server.received) == 1
    pool.close()


@pytest.mark.parametrize("most", [1, 3])
def test_a_loop_ends(pool, redirecting, most):
    server = redirecting(302, "/start")
    result = call(pool, "GET", server.url + "/start", max_redirects=most)
    assert result.reason == f"There were more than {most} redirects."
    assert len(server.received) == most + 1


def test_three_redirects_are_followed(pool, serve):
    def script(talk):
        while received := talk.read():
            number = int(received.line.split()[1][1:])
            if number == 3:
                talk.answer(b"end")
            else:
                talk.answer(b"", "302 Found", f"Location: /{number + 1}")

    server = serve(script)
    answer = call(pool, "GET", server.url + "/0")
    assert (answer.body, answer.url) == (b"end", server.url + "/3")
    assert server.connections == 1


def test_a_redirect_can_be_asked_for_as_it_is(pool, redirecting):
    server = redirecting(302, "/end")
    answer = call(pool, "GET", server.url + "/start", max_redirects=0)
    assert (answer.status, answer.header("Location"), answer.body) == (302, "/end", b"moved")


@pytest.mark.parametrize("status", [300, 304, 305])
def test_other_statuses_are_answers(pool, redirecting, status):
    assert call(pool, "HEAD", redirecting(status, "/end").url + "/start").status == status


def test_a_redirect_without_a_place_is_an_answer(pool, serve):
    answer = call(pool, "GET", serve(steadily(b"", "302 Found")).url)
    assert isinstance(answer, Response)
    assert answer.status == 302


def test_the_deadline_is_for_all_hops_together(pool, serve):
    def script(talk):
        while talk.read():
            threading.Event().wait(0.15)
            talk.answer(b"", "302 Found", "Location: /again")

    result = call(pool, "GET", serve(script).url, deadline=0.4, max_redirects=1000)
    assert (result.kind, result.sent) == (Kind.TIMEOUT, True)


def test_blanks_in_a_location_are_borne(pool, redirecting):
    server = redirecting(302, " /a b ")
    assert call(pool, "GET", server.url + "/start").url == server.url + "/a%20b"
