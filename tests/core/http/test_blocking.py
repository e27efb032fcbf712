"""requests' surface on the same transport."""

import pytest
import requests
from django.test import override_settings

from apps.core.http.blocking import CallFailed, call, session
from apps.core.http.guard import AllowList
from apps.core.http.messages import Kind, Request
from tests.core.http.conftest import OPEN
from tests.core.http.server import once, steadily

pytestmark = pytest.mark.once


@pytest.fixture
def open_session():
    with session(OPEN) as opened:
        yield opened


def test_a_call_and_its_answer(open_session, serve):
    server = serve(steadily(b'{"id": 7}', "201 Made", "Content-Type: application/json", "X-A: b"))
    answer = open_session.post(
        server.url, params={"q": "ü"}, json={"a": 1}, headers={"X-C": "d"}, auth=("me", "secret")
    )
    assert (answer.status_code, answer.reason, answer.ok) == (201, "Made", True)
    assert answer.json() == {"id": 7}
    assert answer.headers["x-a"] == "b"
    [received] = server.received
    assert received.line == "POST /?q=%C3%BC HTTP/1.1"
    assert received.body == b'{"a": 1}'
    assert received.headers["content-type"] == "application/json"
    assert received.headers["x-c"] == "d"
    assert received.headers["authorization"].startswith("Basic ")


def test_forms_files_and_several_calls_on_one_connection(open_session, serve):
    server = serve(steadily())
    assert open_session.post(server.url, data={"a": "b"}).text == "ok"
    assert open_session.put(server.url, files={"f": ("a.txt", b"hello")}).text == "ok"
    assert open_session.get(server.url).text == "ok"
    assert server.received[0].body == b"a=b"
    assert b"hello" in server.received[1].body
    assert server.connections == 1


def test_errors_are_statuses_or_sentences(open_session, serve):
    with pytest.raises(requests.HTTPError):
        open_session.get(serve(steadily(b"", "500 Oops")).url).raise_for_status()
    with pytest.raises(CallFailed, match="without an answer") as caught:
        open_session.post(serve(once(b"")).url, data=b"x")
    assert (caught.value.failure.kind, caught.value.failure.sent) == (Kind.LOST, True)
    assert isinstance(caught.value, requests.RequestException)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/",
        "http://localhost/",
        "file:///etc/passwd",
        "ftp://example.com/",
    ],
)
def test_the_guard_is_on_by_default(url):
    with session() as guarded, pytest.raises(requests.RequestException):
        guarded.get(url)


def test_redirects_are_followed_and_checked(open_session, serve):
    end = serve(steadily(b"end"))
    there = serve(steadily(b"", "302 Found", f"Location: {end.url}/a"))
    inside = serve(steadily(b"", "302 Found", "Location: http://10.0.0.1/"))
    answer = open_session.get(there.url, headers={"Authorization": "Bearer secret"})
    assert (answer.text, answer.url) == ("end", f"{end.url}/a")
    assert "authorization" not in end.received[0].headers
    assert open_session.get(there.url, allow_redirects=False).status_code == 302
    with pytest.raises(CallFailed, match="private network"):
        open_session.get(inside.url)


def test_limits(serve):
    slow = serve(lambda talk: talk.read() and talk.read())
    with session(OPEN, deadline=0.2, max_bytes=1) as limited:
        with pytest.raises(CallFailed, match="within"):
            limited.get(slow.url)
        with pytest.raises(CallFailed, match="larger"):
            limited.get(serve(steadily()).url)
    with session(OPEN) as patient, pytest.raises(CallFailed, match="within"):
        patient.get(slow.url, timeout=(0.1, 0.1))


def test_trust_and_proxies_are_not_a_callers_choice(open_session, serve, monkeypatch):
    server, proxy = serve(steadily()), serve(steadily(b"proxy"))
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    assert open_session.get(server.url).text == "ok"
    for choice in ({"verify": False}, {"cert": "a.pem"}, {"proxies": {"http": proxy.url}}):
        with pytest.raises(ValueError, match="settings of the installation"):
            open_session.get(server.url, **choice)


def test_one_call_without_a_session(serve):
    server = serve(steadily())
    assert call(Request("GET", server.url)).kind == Kind.REFUSED
    with override_settings(HTTP_ALLOW=AllowList.read([f"127.0.0.1:{server.port}"])):
        assert call(Request("GET", server.url)).body == b"ok"
