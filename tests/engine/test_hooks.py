"""The webhook: what is stored, what is answered, and that no input is ever answered with a 5xx."""

import json
import logging
from io import BytesIO

import pytest
from django.db import InternalError, OperationalError
from django.test import Client
from psycopg import errors

from apps.actions.kinds.add_tag import AddTag
from apps.connectors.models import Connector
from apps.engine import hooks, intake
from apps.engine.models import Event, Run
from config.logs import LineFormatter
from tests.factories import ConnectorFactory, published

pytestmark = pytest.mark.django_db

UNKNOWN = "There is no connector at this address."
UNPUBLISHED = "This connector has not been published yet."


def connector(**columns):
    return published([(AddTag, {"new_tags": "seen"})], **columns)


def problem(answer):
    """(status, sentence) of a refusal, after checking its form."""
    assert answer["Content-Type"] == "application/json"
    assert answer.json()["status"] == "error"
    return answer.status_code, answer.json()["detail"]


def test_an_event_is_stored_with_its_run_and_answered_with_its_id(post, clock):
    made = connector()
    answer = post(made, {"id": 7}, path="?source=shop&lang=de&lang=en")
    event = Event.objects.get()
    assert (answer.status_code, answer.json()) == (202, {"status": "ok", "event_id": event.pk})
    assert (event.state, event.source, event.connector_id) == ("accepted", "webhook", made.pk)
    assert (event.payload, event.received_at) == ({"id": 7}, clock.now)
    assert event.query == {"source": "shop", "lang": ["de", "en"]}
    run = Run.objects.get()
    assert (run.event_id, run.revision_id, run.state) == (event.pk, made.published_id, "due")
    assert (run.cause, run.cause_id) == ("event", event.pk)


@pytest.mark.parametrize("method", ["post", "put", "get"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_post_put_and_get_are_taken_with_and_without_a_final_slash(method, slash):
    answer = getattr(Client(), method)(f"/hooks/{connector().token}{slash}?a=1")
    assert answer.status_code == 202
    event = Event.objects.get()
    assert (event.payload, event.query) == ({}, {"a": "1"})
    assert Run.objects.count() == 1


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND"])
def test_other_methods_are_refused(method):
    answer = Client().generic(method, f"/hooks/{connector().token}")
    assert (answer.status_code, answer["Allow"]) == (405, "GET, POST, PUT")
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "path", ["x" * 43, "short", "x" * 65, "x" * 42 + "%0A", "%00" * 43, "ü" * 43]
)
def test_an_unknown_address_is_not_found(path):
    answer = Client().post(f"/hooks/{path}", "{}", "application/json")
    assert problem(answer) == (404, UNKNOWN)
    assert Client().delete(f"/hooks/{path}").status_code == 405


def test_another_host_name_is_refused_with_a_sentence(settings):
    settings.ALLOWED_HOSTS = ["shop.example"]
    answer = Client().post(f"/hooks/{connector().token}", "{}", "application/json")
    status, sentence = problem(answer)
    assert status == 400 and "SWITCHBOARD_ALLOWED_HOSTS" in sentence
    page = Client().get("/admin/")
    assert (page.status_code, page["Content-Type"]) == (400, "text/plain")
    assert page.content.decode() == sentence
    assert not Event.objects.exists()


def test_a_connector_that_is_switched_off_takes_nothing(post):
    made = connector()
    assert post(made, {}).status_code == 202
    Connector.objects.update(enabled=False)
    assert problem(post(made, {})) == (404, UNKNOWN)
    assert problem(post(made, data="{")) == (404, UNKNOWN)
    assert Event.objects.count() == Run.objects.count() == 1
    Connector.objects.update(enabled=True)
    assert post(made, {}).status_code == 202


def test_before_the_first_publication_samples_are_kept(post):
    made = ConnectorFactory()
    for number in range(25):
        assert problem(post(made, {"number": number})) == (404, UNPUBLISHED)
    kept = Event.objects.filter(state="sample").order_by("pk")
    assert [event.payload["number"] for event in kept] == list(range(5, 25))
    assert problem(post(made, data="{"))[0] == 400  # kept as rejected, for the operator to see
    assert Event.objects.filter(state="rejected").count() == 1
    assert not Run.objects.exists()


def test_without_capture_nothing_is_kept_before_the_first_publication(post):
    made = ConnectorFactory(capture=False)
    assert problem(post(made, {})) == (404, UNPUBLISHED)
    assert problem(post(made, data="{")) == (404, UNPUBLISHED)
    assert not Event.objects.exists()


def test_bad_json_is_kept_with_the_reason_and_makes_no_run(post):
    raw = b'{"name": "\xff\x00'
    answer = post(connector(), data=raw)
    status, sentence = problem(answer)
    assert (status, sentence) == (
        400,
        "The body is not valid JSON: its characters can't be read.",
    )
    event = Event.objects.get(pk=answer.json()["event_id"])
    assert (event.state, event.error, event.form) == ("rejected", sentence, "raw")
    assert event.payload["raw"] == "eyJuYW1lIjogIv8A"
    assert not Run.objects.exists()


def test_the_size_limit(post, settings):
    settings.MAX_PAYLOAD_BYTES = 100
    made = connector()
    assert post(made, data=b'"' + b"x" * 98 + b'"').status_code == 202
    answer = problem(post(made, data=b'"' + b"x" * 99 + b'"'))
    assert answer == (413, "The body is larger than 100 bytes.")
    assert Event.objects.count() == 1


def test_a_body_of_exactly_one_mebibyte_is_taken(post):
    raw = b'"' + b"x" * (1024 * 1024 - 2) + b'"'
    made = connector()
    assert post(made, data=raw).status_code == 202
    assert post(made, data=raw + b" ").status_code == 413


def test_what_breaks_before_the_view_is_told_in_the_webhooks_own_form(post, monkeypatch):
    def broken(self, request):
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(hooks.HookView, "handle_exception", broken)
    made = connector()
    monkeypatch.setattr(intake, "accept", broken)
    client = Client(raise_request_exception=False)
    answer = client.post(f"/hooks/{made.token}", {}, content_type="application/json")
    assert answer.status_code == 503
    assert answer.json()["status"] == "error"
    assert "Post it again" in answer.json()["detail"]


@pytest.mark.parametrize("length", ["7", "abc", "1e3", "9" * 5000])
def test_a_wrong_content_length_is_no_server_error(post, length):
    answer = post(connector(), {}, CONTENT_LENGTH=length)
    assert answer.status_code in (400, 413)
    assert not Event.objects.exists()


HOSTILE = [
    "\x00",
    "\\u0000",
    "\ud800",
    "\\ud800",
    "\x7f\x80\xff",
    "{{ event }}",
    "{% for i in (1..1000000000) %}x{% endfor %}",
    "'; DROP TABLE engine_event; --",
    "%s%(now)s%%",
    "\u202e\u2066\ufeff\U0001f600",
    "../../etc/passwd\r\nX-Injected: 1",
    "x" * 5000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_in_every_place_of_json_is_taken_and_comes_back(post, drain, text):
    payload = {text: [text, {"deep": text}], "phone": text, "email": text}
    made = connector(mapping={"phone": "{{ event.phone }}", "email": "{{ event.email }}"})
    assert post(made, payload).status_code == 202
    assert Event.objects.get().payload == payload
    drain()
    assert Run.objects.get().state == "done"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_headers_and_queries_are_taken(text):
    on_the_wire = text.encode(errors="surrogatepass").decode("latin-1")  # as WSGI has it
    answer = Client().generic(
        "POST",
        f"/hooks/{connector(dedupe_header='X-Event-Id').token}",
        b"{}",
        content_type=f"application/json; {on_the_wire}",
        QUERY_STRING=on_the_wire,
        HTTP_X_EVENT_ID=on_the_wire,
        HTTP_ACCEPT=on_the_wire,
    )
    assert answer.status_code == 202
    assert Event.objects.get().query


CORPUS = [
    (b"", "application/json"),
    (b"\x00" * 1000, "application/json"),
    (b"\x00" * 1000, ""),
    (b"\xff\xfe", "application/json"),
    (b"\xff\xfe{\x00}\x00", "application/json"),
    (b'{"a": "\xed\xa0\x80"}', "application/json"),
    (b"[" * 1_000_000, "application/json"),
    (b'{"a":' * 200_000, "text/plain"),
    (b"1" * 1_000_000, "application/json"),
    (b"1e1000000000", "application/json"),
    (b'{"__proto__": {"a": 1}, "constructor": null}', "application/json"),
    (b'{"custom_variables": 1, "event": 2, "contact": 3}', "application/json"),
    (b"a=%00&b=%ED%A0%80&c=%FF", "application/x-www-form-urlencoded"),
    (b"a=1&" * 20_000, "application/x-www-form-urlencoded"),
    (b"&" * 100_000, "application/x-www-form-urlencoded; charset=utf-16"),
    (b"\xc3\x28" * 1000, "application/x-www-form-urlencoded; charset=punycode"),
    (b"--x\r\n" * 50_000, "multipart/form-data; boundary=x"),
    (b"--x\r\n\r\n", "multipart/form-data; boundary=x"),
    (b"--x", "multipart/form-data; boundary=" + "x" * 5000),
    (b"hello", "multipart/form-data; boundary=\x00"),
    (b"hello", "\x00/\xed\xa0\x80"),
    (b"\x1f\x8b\x08\x00garbage", "application/json"),
    (b"<a/>", "application/xml; charset=\xed\xa0\x80"),
    (b"hello", "x" * 10_000),
]


@pytest.mark.parametrize(("raw", "content_type"), CORPUS)
def test_hostile_bodies_are_taken_or_refused(drain, raw, content_type):
    made = connector()
    answer = Client().generic("POST", f"/hooks/{made.token}", raw, content_type=content_type)
    assert answer.status_code in (202, 400)
    event = Event.objects.get(pk=answer.json()["event_id"])
    assert isinstance(event.payload, dict)
    assert Run.objects.count() == (answer.status_code == 202)
    assert bool(event.error) == (answer.status_code == 400)
    drain()
    assert not Run.objects.exclude(state="done").exists()


def test_what_the_caller_accepts_does_not_matter(post):
    answer = post(connector(), {}, path="?format=xml", HTTP_ACCEPT="text/html")
    assert (answer.status_code, answer["Content-Type"]) == (202, "application/json")
    assert Event.objects.get().query == {"format": "xml"}


def refused(error):
    """As Django raises what psycopg raised."""
    wrapped = InternalError(str(error))
    wrapped.__cause__ = error
    return wrapped


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("the connection is closed"),
        refused(errors.ReadOnlySqlTransaction("cannot execute INSERT")),
        refused(errors.UndefinedTable("relation does not exist")),
    ],
    ids=["away", "read-only", "half migrated"],
)
def test_when_the_database_refuses_the_caller_is_told_to_post_again(post, monkeypatch, error):
    made = connector()

    def fail(*args):
        raise error

    monkeypatch.setattr(intake, "accept", fail)
    answer = post(made, {})
    assert problem(answer)[0] == 503
    assert answer["Retry-After"] == "60"


# --- The secret ----------------------------------------------------------------------------------


def test_the_token_is_in_no_error_answer_and_in_no_log_line(post, caplog):
    made = connector()
    answers = [
        post(made, data="{"),
        post(made, data=b"x" * 2_000_000),
        Client().delete(f"/hooks/{made.token}"),
        Client().post("/hooks/" + "y" * 43),
    ]
    assert [answer.status_code for answer in answers] == [400, 413, 405, 404]
    assert not any(made.token in answer.content.decode() for answer in answers)
    formatter = LineFormatter()
    lines = [formatter.format(record) for record in caplog.records]
    assert any(f"/hooks/{made.token[:4]}…" in line for line in lines)
    assert not any(made.token in line or "y" * 43 in line for line in lines)


def test_the_token_is_cut_out_of_tracebacks_too():
    try:
        raise RuntimeError("/hooks/" + "z" * 43)
    except RuntimeError as error:
        record = logging.LogRecord("x", 40, "x.py", 1, "Broken", (), (type(error), error, None))
    assert "/hooks/zzzz…" in LineFormatter().format(record)


def test_the_server_holds_no_more_of_a_body_than_the_limit(settings):
    """A chunked body has no length: reading stops soon after the limit."""
    settings.MAX_PAYLOAD_BYTES = 10

    class Endless(BytesIO):
        taken = 0

        def read(self, size):
            self.taken += size
            return b"x" * size

    endless = Endless()
    path = f"/hooks/{connector().token}"
    environ = {"wsgi.input": endless, "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    answer = Client().post(path, "{}", "application/json", **environ)
    assert answer.status_code == 413
    assert endless.taken <= 11 + hooks.CHUNK * hooks.DISCARDED_CHUNKS
    assert json.loads(answer.content)["detail"] == "The body is larger than 10 bytes."
