"""The express lane: what is everyday is stored as the usual way would, and nothing else is."""

import hashlib
import hmac

import pytest
from django.db import OperationalError, connection
from django.test import Client, override_settings

from apps.actions.kinds.add_tag import AddTag
from apps.connectors.models import Connector
from apps.engine import express, intake, rate, together
from apps.engine.models import Event, Run
from tests.factories import CredentialFactory, published

pytestmark = pytest.mark.django_db

HOST = b"Host: 127.0.0.1:8000\r\n"
JSON = b"Content-Type: application/json\r\n"
on_postgresql = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="only PostgreSQL stores posts together"
)


def connector(**columns):
    made = published([(AddTag, {"new_tags": "seen"})], **columns)
    intake.lookup(made.token)
    return made


def request(made, body=b'{"id": 7}', more=b"", line=b"POST /hooks/%s HTTP/1.1\r\n", host=HOST):
    length = b"Content-Length: %d\r\n" % len(body)
    return line % made.token.encode() + host + length + more + b"\r\n" + body


def row(model):
    """What was stored, without what differs for each."""
    own = ("id", "event_id", "cause_id", "received_at", "wake_at", "started_at")
    rows = list(model.objects.order_by("pk").values())
    return [{name: value for name, value in one.items() if name not in own} for one in rows]


@on_postgresql
@pytest.mark.parametrize("body", [b'{"id": 7}', b"[1]", b"", b'"\\u0000"', b"\xef\xbb\xbf{}"])
def test_it_stores_what_the_usual_way_stores(body, clock):
    made = connector()
    path = b"POST /hooks/%s/?source=shop&lang=de&lang=en HTTP/1.1\r\n"
    post = express.read(request(made, body, JSON, path))
    (answer,) = express.store([post])
    event = Event.objects.get()
    assert answer.startswith(b"HTTP/1.1 202 Accepted\r\n")
    assert answer.endswith(b'\r\n\r\n{"status":"ok","event_id":%d}' % event.pk)
    usual = Client().generic(
        "POST",
        f"/hooks/{made.token}/?source=shop&lang=de&lang=en",
        body,
        CONTENT_TYPE="application/json",  # the client leaves it out of a post without body
    )
    assert usual.json() == {"status": "ok", "event_id": event.pk + 1}
    for header in ("Content-Type", "Content-Security-Policy", "X-Content-Type-Options"):
        assert f"\r\n{header}: {usual[header]}\r\n".encode() in answer
    for model in (Event, Run):
        first, second = row(model)
        assert first == second


@on_postgresql
def test_each_of_many_gets_its_own_answer():
    one, two = connector(), connector()
    posts = [express.read(request(made, b'{"n": %d}' % n)) for n in range(3) for made in (one, two)]
    Connector.objects.filter(pk=two.pk).update(version=two.version + 5)
    answers = express.store(posts)
    assert [answer is not None for answer in answers] == [True, False] * 3
    assert list(Event.objects.order_by("pk").values_list("body", flat=True)) == [
        '{"n": 0}',
        '{"n": 1}',
        '{"n": 2}',
    ]


@on_postgresql
def test_a_database_that_is_away_is_told_as_the_usual_way_tells_it(monkeypatch, caplog):
    def away(posts):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(together, "_store", away)
    (answer,) = express.store([express.read(request(connector()))])
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nContent-Security-Policy: default-src 'none'; sandbox\r\n" in answer
    assert b"Retry-After: 60" in answer and b"Post it again in a minute." in answer
    assert not Event.objects.exists()


def test_it_counts_towards_the_rate_and_leaves_the_refusal_to_the_usual_way():
    made = connector(inbound_per_minute=2)
    rate.forget()
    assert [express.read(request(made)) is None for _ in range(4)] == [False, False, True, True]


def test_a_signed_post_is_everyday_and_a_forged_one_is_not():
    made = connector(auth="github", credential=CredentialFactory(secret="hush"))
    body = b'{"id": 7}'
    signature = hmac.new(b"hush", body, hashlib.sha256).hexdigest().encode()
    header = b"x-hub-signature-256: sha256=%s\r\n"
    assert express.read(request(made, body, header % signature))
    assert express.read(request(made, body, header % signature[::-1])) is None
    assert express.read(request(made, body)) is None


@pytest.mark.parametrize(
    "columns",
    [
        {"response_body": "thanks"},
        {"dedupe_by": "body"},
        {"enabled": False},
    ],
    ids=str,
)
def test_connectors_that_ask_for_more(columns):
    assert express.read(request(connector(**columns))) is None


def test_a_connector_that_nobody_has_looked_up_goes_the_usual_way():
    made = published([(AddTag, {"new_tags": "seen"})])
    intake._cache.clear()
    assert express.read(request(made)) is None


@pytest.mark.parametrize(
    "more",
    [
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 9\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"Connection: Upgrade\r\n",
        b"Content-Encoding: gzip\r\n",
        b"X_Underscore: 1\r\n",
        b"X-Folded: a\r\n b\r\n",
        b"X-Space : 1\r\n",
        b"X-Control: a\x00b\r\n",
        b"X-Latin: \xe4\r\n",
        b"X-Newline: a\nX-Other: b\r\n",
        b"Host: 127.0.0.1\r\n",
        b"no colon\r\n",
        b"X-Long: " + b"a" * 5000 + b"\r\n",
        b"".join(b"X-%d: 1\r\n" % n for n in range(70)),
    ],
    ids=lambda more: more[:24].decode("latin-1"),
)
def test_heads_that_are_not_plain(more):
    assert express.read(request(connector(), more=more)) is None


@pytest.mark.parametrize(
    "line",
    [
        b"GET /hooks/%s HTTP/1.1\r\n",
        b"POST /hooks/%s HTTP/1.0\r\n",
        b"POST /hooks/%s/more HTTP/1.1\r\n",
        b"POST /hooks/%s#part HTTP/1.1\r\n",
        b"POST  /hooks/%s HTTP/1.1\r\n",
        b"POST http://127.0.0.1/hooks/%s HTTP/1.1\r\n",
        b"POST /hooks/%s?a=\xff HTTP/1.1\r\n",
        b"POST /hooks/%s HTTP/1.1\n",
    ],
    ids=repr,
)
def test_lines_that_are_not_plain(line):
    assert express.read(request(connector(), line=line)) is None


@pytest.mark.parametrize("host", [b"", b"Host: evil.example\r\n", b"Host: 127.0.0.1@evil\r\n"])
def test_hosts_that_are_not_ours(host):
    assert express.read(request(connector(), host=host)) is None


def test_where_https_is_a_must_the_proxy_must_say_so():
    made = connector()
    told = ("HTTP_X_FORWARDED_PROTO", "https")
    with override_settings(SECURE_SSL_REDIRECT=True, SECURE_PROXY_SSL_HEADER=told):
        assert express.read(request(made)) is None
        assert express.read(request(made, more=b"X-Forwarded-Proto: http\r\n")) is None
        assert express.read(request(made, more=b"X-Forwarded-Proto: https\r\n"))
    with override_settings(SECURE_SSL_REDIRECT=True, SECURE_PROXY_SSL_HEADER=None):
        assert express.read(request(made, more=b"X-Forwarded-Proto: https\r\n")) is None


@pytest.mark.parametrize("data", [b"", b"POST /hooks/", b"\0" * 100])
def test_what_is_no_whole_request(data):
    assert express.read(data) is None


def test_a_request_that_has_not_arrived_whole_or_has_another_behind_it():
    whole = request(connector())
    assert express.read(whole)
    assert express.read(whole[:-1]) is None
    assert express.read(whole + whole) is None


def test_a_body_that_can_not_be_read():
    assert express.read(request(connector(), b"{", JSON)) is None


def test_it_is_offered_where_posts_are_stored_together():
    assert express.is_offered() is (connection.vendor == "postgresql")
