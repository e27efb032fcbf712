"""HTTP API: an event comes in, a real server on loopback is asked, its answer is used."""

import json
import uuid
from datetime import timedelta

import pytest
from django.apps import apps
from django.db import connection, models

from apps.actions.http import alerts, mapping
from apps.actions.http.alerts import HttpAlert
from apps.actions.http.mapping import HttpMapping
from apps.actions.kinds.http_api import HttpApi
from apps.actions.kinds.stop import StopRun
from apps.connectors.exporting import export
from apps.connectors.frozen import freeze
from apps.connectors.on_error import OnError
from apps.connectors.publish import find_problems
from apps.engine.models import Attempt, Call, Run
from tests.factories import CredentialFactory, StepFactory, published

pytestmark = pytest.mark.django_db

SLASHED = "as PHP writes it"
NOT_JSON = "Response Mapping Not Done, Only JSON can be mapped as Response"


def ask(server, **columns):
    return HttpApi, {"label": "Ask", "url": f"{server.url}/ask", **columns}


def tell(server, body):
    """A second call, that sends what the first one gave."""
    return HttpApi, {
        "label": "Tell",
        "url": f"{server.url}/tell",
        "body_type": "json",
        "body": json.dumps(body),
    }


def told_to(server):
    (asked,) = [a for a in server.asked if a.path == "/tell"]
    return asked.json


def row(name, value):
    return {"name": name, "value": value}


# --- requests -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_every_method_arrives(server, happen, method):
    run = happen(
        [ask(server, method=method, url=server.url + "/x?a={{ event.a }}")], event={"a": "ö&"}
    )
    assert [(a.method, a.path) for a in server.asked] == [(method, "/x?a=%C3%B6%26")]
    assert Attempt.objects.get(run=run).result == "done"


@pytest.mark.parametrize(
    "columns, path, kind, body",
    [
        ({"method": "GET", "body_type": "query"}, "/ask?a=1+%26&b=", None, b""),
        (
            {"body_type": "query"},
            "/ask",
            "application/x-www-form-urlencoded",
            b"a=1+%26&b=",
        ),
        ({"body_type": "form"}, "/ask", "application/x-www-form-urlencoded", b"a=1+%26&b="),
        (
            {"body_type": "raw", "body": '<a n="{{ event.n }}">{{ event.a }}</a>'},
            "/ask",
            None,
            b'<a n="7">1 &</a>',
        ),
        (
            {"body_type": "json", "body": '{"n": "{{ event.n }}", "t": "n={{ event.n }}"}'},
            "/ask",
            "application/json",
            b'{"n":7,"t":"n=7"}',
        ),
    ],
)
def test_bodies_are_sent_as_their_kind_says(server, happen, columns, path, kind, body):
    fields = [row("a", "{{ event.a }}"), row("b", "")]
    happen([ask(server, fields=fields, **columns)], event={"a": "1 &", "n": 7})
    (asked,) = server.asked
    assert (asked.path, asked.headers.get("Content-Type"), asked.body) == (path, kind, body)


def test_a_multipart_form_and_headers_are_sent(server, happen):
    happen(
        [
            ask(
                server,
                body_type="multipart",
                fields=[row("name", "{{ event.name }}")],
                headers=[row("X-Shop", "{{ event.shop }}")],
            )
        ],
        event={"name": "Zoë", "shop": "a\r\nX-Evil: 1"},
    )
    (asked,) = server.asked
    assert asked.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert 'name="name"' in asked.body.decode() and "Zoë" in asked.body.decode()
    assert "X-Evil" not in asked.headers


# --- answers --------------------------------------------------------------------------------------


def test_the_answer_can_be_used_in_later_steps(server, happen):
    server.says({"id": 7, "items": [{"sku": "A"}], "Full name": "Ana"}, status=201)
    body = {
        "id": "{{ http.ask.id }}",
        "sku": "{{ http.ask.items[0].sku }}",
        "name": '{{ http.ask["Full name"] }}',
        "status": "{{ http.ask.status }}",
    }
    happen([ask(server)], [tell(server, body)])
    assert told_to(server) == {"id": 7, "sku": "A", "name": "Ana", "status": 201}


def test_status_is_always_that_of_the_answer(server, happen):
    server.says({"status": "paid", "id": 1})
    body = {"http": "{{ http.ask.status }}", "own": "{{ http.ask.body.status }}"}
    happen([ask(server)], [tell(server, body)])
    assert told_to(server) == {"http": 200, "own": "paid"}


@pytest.mark.parametrize("answer, path", [([1, 2], "items[1]"), (2, "value")])
def test_answers_that_are_no_object_have_a_name(server, happen, answer, path):
    server.says(answer)
    happen([ask(server)], [tell(server, {"x": "{{ http.ask." + path + " }}"})])
    assert told_to(server) == {"x": 2}


@pytest.mark.parametrize("body", [b"plain text", b"[NaN]", b"[" * 5000 + b"]" * 5000, b"\xff\xfe"])
def test_an_answer_that_is_no_json_is_no_failure(server, happen, body):
    server.answer = lambda asked: (200, {}, body)
    run = happen([ask(server)], [(StopRun, {})])
    attempt = Attempt.objects.filter(run=run).first()
    assert (attempt.result, attempt.note) == ("done", f"200 OK. {NOT_JSON}")
    assert attempt.came_out["body"] == body.decode("utf-8", "replace")
    assert not HttpMapping.objects.exists()


def test_an_answer_that_has_no_body_by_its_kind_is_no_mapping_error(server, happen, told):
    server.answer = lambda asked: (204, {}, b"")
    run = happen([ask(server, method="DELETE")])
    assert told(run, "http_api").note == "204 No Content"


@pytest.mark.parametrize(
    "on_error, state", [(OnError.CONTINUE, "stopped"), (OnError.STOP, "failed")]
)
def test_from_400_on_it_has_failed_and_the_answer_can_be_read(server, happen, on_error, state):
    server.says({"error": "gone"}, status=404)
    run = happen([ask(server, on_error=on_error)], [(StopRun, {})])
    attempt = Attempt.objects.filter(run=run).first()
    assert (attempt.result, attempt.note) == ("failed", "The server answered 404 Not Found")
    assert attempt.came_out == {"status": 404, "error": "gone"}
    assert run.state == state
    assert not HttpMapping.objects.exists()  # what an error looks like says nothing


def test_nobody_there_is_a_failure_in_a_sentence(server, happen, told):
    run = happen([ask(server, url="http://127.0.0.1:1/")])
    assert told(run, "http_api").result == "failed"
    assert "127.0.0.1:1" in told(run, "http_api").note


# --- mapping --------------------------------------------------------------------------------------


def mapped_paths():
    return {path for path, _ in HttpMapping.objects.get().structure}


def test_the_first_json_answer_is_mapped_and_later_ones_are_read_by_it(server, post, drain):
    connector = published(
        [ask(server)], [tell(server, {"id": "{{ http.ask.id }}", "new": "{{ http.ask.extra }}"})]
    )
    server.says({"id": 1, "name": "Ana", "tags": [], "note": None})
    post(connector, {})
    drain()
    first = HttpMapping.objects.get(action_uid=HttpApi.objects.get(label="Ask").uid)
    assert [".id", "number"] in first.structure
    assert first.mapped_by_run == Run.objects.get().pk

    # Nulls, empty lists and absent keys are no change.
    server.says({"id": None, "tags": []})
    post(connector, {})
    drain()
    first.refresh_from_db()
    assert first.changed_at is None

    server.asked.clear()
    server.says({"id": 3, "extra": 5})
    post(connector, {})
    drain()
    assert told_to(server) == {"id": 3, "new": None}
    first.refresh_from_db()
    assert first.has_changed
    notes = Attempt.objects.filter(label="Ask").order_by("pk").values_list("note", flat=True)
    assert list(notes) == ["200 OK", "200 OK", "200 OK. JSON Structure Change Detected"]

    server.says({"id": 4})  # the flag stays, but this one is as mapped
    post(connector, {})
    drain()
    assert Attempt.objects.filter(label="Ask").latest("pk").note == "200 OK"

    server.says({"id": 3, "extra": 5})
    first.remap()
    server.asked.clear()
    post(connector, {})
    drain()
    assert told_to(server) == {"id": 3, "new": 5}


def test_what_was_empty_when_it_was_mapped_is_filled_in_without_asking(server, post, drain):
    connector = published([ask(server)])
    for answer in (
        {"customer": None, "items": []},
        {"customer": {"name": "Ana"}, "items": [{"sku": "A"}]},
    ):
        server.says(answer)
        post(connector, {})
        drain()
    assert not HttpMapping.objects.get().has_changed
    assert {".customer.name", ".items[].sku"} <= mapped_paths()


def test_another_type_is_a_change_and_is_noted_once(server, post, drain):
    connector = published([ask(server)])
    for answer in ({"id": 1}, {"id": "1"}, {"id": [1]}, {"id": "2"}):
        server.says(answer)
        post(connector, {})
        drain()
    found = HttpMapping.objects.get()
    assert found.structure == [[".id", "number"]]
    assert sorted(found.changed_structure) == [
        [".id", "array"],
        [".id", "string"],
        [".id[]", "number"],
    ]


def test_an_unchanged_structure_costs_one_query_a_turn_and_no_write(
    server, post, drain, django_assert_num_queries
):
    from django.test.utils import CaptureQueriesContext

    server.says({"id": 1})
    connector = published([ask(server)])
    post(connector, {})
    drain()
    for n in range(10):
        post(connector, {"n": n})
    with CaptureQueriesContext(connection) as seen:
        drain()
    assert Run.objects.filter(state="done").count() == 11
    about = [q["sql"] for q in seen if "httpmapping" in q["sql"].lower()]
    assert about and all(sql.startswith("SELECT") for sql in about)
    assert len(about) <= 10


def test_a_lost_turn_maps_once(server, happen, lost_turn):
    server.says({"id": 1})
    happen([ask(server)], [tell(server, {"id": "{{ http.ask.id }}"})])
    assert lost_turn and HttpMapping.objects.count() == 2


def test_another_worker_may_be_the_first_to_map(server, happen, told, monkeypatch):
    """It commits between our look and our insert: then ours is compared with it."""
    connector_of = ask(server)
    uid = uuid.uuid4()
    HttpMapping.objects.create(action_uid=uid, structure=[[".id", "number"]])
    monkeypatch.setattr(mapping, "of", lambda action_uid: None)
    server.says({"id": 1, "extra": 2})
    run = happen([(connector_of[0], {**connector_of[1], "uid": uid})])
    assert HttpMapping.objects.get().has_changed
    assert Attempt.objects.get(run=run).came_out == {"status": 200, "id": 1}


def test_keys_of_any_kind_are_mapped_and_read(server, post, drain):
    odd = {"Full name": 1, "a.b": {"[]": [1]}, 'quo"te': 2, "x" * 500: 3, "größe": 4, "": 5}
    connector = published([ask(server)])
    for answer in (odd, odd, {**odd, "new": 1}):
        server.says(answer)
        post(connector, {})
        drain()
    assert len(mapped_paths()) == 8
    assert Attempt.objects.latest("pk").came_out == {"status": 200, **odd}


def test_answers_whose_keys_are_data_do_not_grow_without_end(server, post, drain):
    connector = published([ask(server)])
    for start in range(0, 4000, 600):
        server.says({f"key{n}": n for n in range(start, start + 600)})
        post(connector, {})
        drain()
    found = HttpMapping.objects.get()
    assert len(found.structure) == 600
    assert len(found.changed_structure) < 2 * mapping.MOST_PATHS


# --- secrets --------------------------------------------------------------------------------------


def everything_stored():
    """All text of all tables."""
    for model in apps.get_models():
        fields = [
            f
            for f in model._meta.concrete_fields
            if isinstance(f, models.CharField | models.TextField | models.JSONField)
        ]
        for values in model._base_manager.values_list(*(f.name for f in fields)):
            yield from (f"{model.__name__}: {value}" for value in values)


@pytest.mark.parametrize(
    "place, name, where",
    [
        ("bearer", "", lambda a: a.headers["Authorization"] == "Bearer s3cr/t-Kay+1"),
        ("basic", "", lambda a: a.headers["Authorization"].startswith("Basic ")),
        ("header", "X-Api-Key", lambda a: a.headers["X-Api-Key"] == "s3cr/t-Kay+1"),
        ("query", "key", lambda a: a.path == "/ask?key=s3cr%2Ft-Kay%2B1"),
    ],
)
def test_a_credential_reaches_the_server_and_nothing_else(server, happen, place, name, where):
    import base64

    pair = base64.b64encode(b"ana:s3cr/t-Kay+1").decode()
    server.answer = lambda asked: (
        200,
        {"X-Echo": asked.headers.get("Authorization", ""), "Location": asked.path},
        json.dumps({"headers": asked.headers, "url": asked.path, "more": SLASHED})
        .replace(SLASHED, "s3cr\\/t-Kay+1")
        .encode(),
    )
    made = CredentialFactory(name="Shop API", username="ana", secret="s3cr/t-Kay+1")
    run = happen([ask(server, credential=made, credential_as=place, credential_name=name)])
    assert where(server.asked[0])
    assert Attempt.objects.get(run=run).result == "done"
    stored = list(everything_stored())
    assert any("•••" in text or "\\u2022" in text for text in stored)
    for secret in ("s3cr/t-Kay+1", "s3cr%2Ft", "s3cr%2ft", pair):
        assert not [text for text in stored if secret in text]
    assert "Shop API" in json.dumps(freeze(run.connector))


def test_what_looks_like_a_secret_is_masked_in_timeline_and_log(server, happen):
    server.answer = lambda asked: (200, {}, json.dumps(asked.headers).encode())
    happen(
        [
            ask(
                server,
                method="GET",
                url=server.url + "/ask?access_token={{ event.token }}&n=1",
                headers=[row("X-Auth-Token", "Token {{ event.token }}")],
                body_type="query",
                fields=[row("password", "{{ event.token }}")],
            )
        ],
        event={"token": "tok-12345"},
    )
    (asked,) = server.asked
    assert asked.headers["X-Auth-Token"] == "Token tok-12345"
    assert asked.path == "/ask?access_token=tok-12345&n=1&password=tok-12345"
    call = Call.objects.get()
    assert call.request["url"] == server.url + "/ask?access_token=•••&n=1&password=•••"
    leaks = [text for text in everything_stored() if "tok-12345" in text]
    assert all(text.startswith("Event:") for text in leaks)


def test_secrets_that_stand_in_a_draft_do_not_leave_with_an_export():
    step = StepFactory()
    url = "https://ana:s3cret@x.example/?api_key=s3cret&n={{ event.n }}&token={{ event.t }}"
    headers = [row("Authorization", "Bearer s3cret"), row("X-Shop", "berlin")]
    action = HttpApi.objects.create(step=step, url=url, headers=headers, fields=headers)
    text = export(step.connector)
    assert "s3cret" not in text and "berlin" in text
    assert "https://•••@x.example/?api_key=•••&n={{ event.n }}&token={{ event.t }}" in text
    assert "s3cret" not in action.summary_line


# --- problems -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "columns, problem",
    [
        ({"url": ""}, "Fill in the URL."),
        ({"url": "ftp://x.example/"}, "Only http and https"),
        ({"url": "shop.example/x"}, "must look like https://"),
        ({"url": "https://ana:pw@x.example/"}, "user name or a password. Make a credential"),
        ({"url": "https://x.example/?api_key=abc"}, 'parameter "api_key". Make a credential'),
        (
            {"headers": [row("Authorization", "Bearer abc")]},
            'header "Authorization" contains a secret',
        ),
        ({"headers": [row("X-Api-Key", '{{ "abc" }}')]}, 'header "X-Api-Key" contains a secret'),
        ({"headers": [row("Private-Token", "abc")]}, 'header "Private-Token" contains a secret'),
        ({"headers": [row("Cookie", "sid=abc")]}, 'header "Cookie" contains a secret'),
        ({"headers": [row("Host", "x")]}, 'header "Host" is set by Switchboard'),
        (
            {"headers": [row("Content-Length", "1")]},
            'header "Content-Length" is set by Switchboard',
        ),
        ({"headers": [row("X Shop", "x")]}, "can't be the name of a header"),
        (
            {"body_type": "json", "body": '{"a": {{ event.a }}}'},
            "The body is not valid JSON (line 1",
        ),
        ({"body_type": "json", "body": '{"a": "{{ event.a"}'}, "An attribute can't be read"),
        (
            {"method": "GET", "body_type": "query", "fields": [row("token", "abc")]},
            'parameter "token" contains a secret',
        ),
    ],
)
def test_what_would_not_work_or_show_a_secret_keeps_it_from_being_published(columns, problem):
    step = StepFactory()
    HttpApi.objects.create(step=step, **{"url": "https://x.example/", **columns})
    found = [p.text for p in find_problems(step.connector)]
    assert len(found) == 1 and problem in found[0] and found[0].endswith(".")


@pytest.mark.parametrize(
    "columns",
    [
        {"url": "{{ event.url }}"},
        {
            "url": "https://{{ event.shop }}.example:{{ event.port }}/{{ event.id }}"
            "?token={{ event.t }}"
        },
        {"headers": [row("Authorization", "Bearer {{ event.token }}")]},
        {"headers": [row("X-Shop", "berlin"), row("Accept", "text/plain")]},
        {"body_type": "json", "body": '{"a": "{{ event[\\"Full name\\"] }}"}'},
    ],
)
def test_attributes_and_harmless_headers_may_be_published(columns):
    step = StepFactory()
    HttpApi.objects.create(step=step, **{"url": "https://x.example/", **columns})
    assert not find_problems(step.connector)


@pytest.mark.parametrize(
    "columns, problem",
    [
        ({"credential_as": "basic"}, "no user name"),
        ({"credential_as": "header"}, "Name the header"),
        ({"credential_as": "query"}, "Name the parameter"),
        ({"headers": [row("authorization", "{{ event.a }}")]}, "given twice"),
    ],
)
def test_an_incomplete_credential_is_a_problem(columns, problem):
    step = StepFactory()
    made = CredentialFactory()
    HttpApi.objects.create(step=step, url="https://x.example/", credential=made, **columns)
    (found,) = find_problems(step.connector)
    assert problem in found.text


def test_a_deleted_credential_fails_the_action_with_its_name(server, post, drain):
    made = CredentialFactory(name="Old key")
    connector = published([ask(server, credential=made)])
    HttpApi.objects.update(credential=None)
    made.delete()
    post(connector, {})
    drain()
    assert Attempt.objects.get().note == 'Credential "Old key" was deleted'
    assert not server.asked


def test_a_credential_that_cannot_be_read_fails_the_action_in_a_sentence(server, happen, told):
    made = CredentialFactory()
    type(made).objects.update(key_version=9)
    run = happen([ask(server, credential=made)])
    note = "The key of version 9 is missing: restore it from your backup."
    assert (told(run, "http_api").note, server.asked) == (note, [])


# --- alerts ---------------------------------------------------------------------------------------


def test_failures_are_mailed_once_an_hour(server, post, drain, clock, run_tasks, smtp, settings):
    server.says({"error": "x"}, status=500)
    emails = "ops@shop.example, boss@shop.example"
    connector = published([ask(server, method="GET", alert_emails=emails)], name="Shop")
    for _ in range(3):
        post(connector, {})
    drain()
    run_tasks()
    (mail,) = smtp.mails
    assert mail.recipients == ["ops@shop.example", "boss@shop.example"]
    assert "Shop" in mail.subject and "Ask" in mail.subject
    assert "The server answered 500 Internal Server Error" in mail.text
    action = HttpApi.objects.get()
    assert f"/admin/actions/httpapi/{action.pk}/logs/" in mail.text

    clock.tick(minutes=59)
    post(connector, {})
    drain()
    run_tasks()
    assert len(smtp.mails) == 1
    clock.tick(minutes=2)
    post(connector, {})
    drain()
    run_tasks()
    assert len(smtp.mails) == 2


def test_reset_mail_timeout_lets_the_next_failure_be_mailed(
    server, post, drain, clock, run_tasks, smtp
):
    server.says({}, status=500)
    connector = published([ask(server, alert_emails="ops@shop.example")])
    for _ in range(2):
        post(connector, {})
        drain()
        run_tasks()
        alerts.reset(HttpApi.objects.get().uid)
    assert len(smtp.mails) == 2


def test_only_one_worker_takes_the_hour(clock):
    uid = uuid.uuid4()
    assert [alerts._claim(uid), alerts._claim(uid)] == [True, False]
    clock.tick(hours=1)
    assert [alerts._claim(uid), alerts._claim(uid)] == [True, False]


def test_over_the_rate_limit_is_mailed_and_what_goes_well_is_not(
    server, post, drain, clock, run_tasks, smtp, settings
):
    settings.HTTP_PER_MINUTE = 1
    connector = published([ask(server, alert_emails="ops@shop.example")])
    post(connector, {})
    drain()
    run_tasks()
    assert not smtp.mails
    post(connector, {})
    drain()
    run_tasks()
    assert "Rate Limit Exceeded" in smtp.mails[0].text


def test_a_mail_that_cannot_be_sent_does_not_use_up_the_hour(server, happen, run_tasks, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    server.says({}, status=500)
    happen([ask(server, alert_emails="ops@shop.example")])
    assert HttpAlert.objects.get().mailed_at is not None
    with pytest.raises(OSError):
        run_tasks()
    assert HttpAlert.objects.get().mailed_at is None


def test_without_a_mail_server_nothing_is_queued(server, happen, settings):
    from django_q.models import OrmQ

    settings.EMAIL_HOST = ""
    server.says({}, status=500)
    happen([ask(server, alert_emails="ops@shop.example")])
    assert not OrmQ.objects.exists() and not HttpAlert.objects.exists()


# --- retries --------------------------------------------------------------------------------------


def retrying(**columns):
    return {"on_error": OnError.RETRY, "retry_times": 2, "retry_wait": 60, **columns}


def test_a_retry_waits_as_long_as_the_server_asks(server, post, drain, clock):
    answers = [(503, {"Retry-After": "600"}, b"{}"), (200, {}, b'{"id": 7}')]
    server.answer = lambda asked: answers[len(server.asked) - 1]
    post(published([ask(server, **retrying())], [(StopRun, {})]), {})
    drain()
    clock.tick(seconds=599)
    drain()
    assert len(server.asked) == 1
    assert Run.objects.get().state == "waiting"
    clock.tick(seconds=1)
    drain()
    assert len(server.asked) == 2
    assert Run.objects.get().state == "stopped"
    assert len({a.headers["Idempotency-Key"] for a in server.asked}) == 1
    results = (
        Attempt.objects.filter(kind="http_api").order_by("pk").values_list("result", flat=True)
    )
    assert list(results) == ["retrying", "done"]


def test_the_alert_comes_after_the_last_retry(server, post, drain, clock, run_tasks, smtp):
    server.says({}, status=500)
    post(published([ask(server, alert_emails="ops@shop.example", **retrying())]), {})
    for asked in (1, 2, 3):
        assert not smtp.mails
        drain()
        run_tasks()
        assert len(server.asked) == asked
        clock.tick(minutes=10)
    assert "All 2 retries have failed." in smtp.mails[0].text
    assert Run.objects.get().state == "failed"


def test_an_unknown_outcome_is_mailed_and_never_retried(
    server, post, drain, clock, run_tasks, smtp
):
    server.answer = lambda asked: None
    post(published([ask(server, alert_emails="ops@shop.example", **retrying())]), {})
    drain()
    clock.tick(hours=1)
    drain()
    run_tasks()
    assert len(server.asked) == 1
    assert "Outcome unknown" in smtp.mails[0].text
    assert Run.objects.get().state == "failed"


# --- retry-after ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["120", "Mon, 02 Mar 2026 12:02:00 GMT"])
def test_a_server_may_ask_to_be_left_alone(server, clock, value):
    from apps.actions.http.answers import retry_after
    from apps.core.http.messages import Response

    answer = Response(503, "", (("Retry-After", value),), b"", "", 0)
    assert retry_after(answer, clock.now) == timedelta(minutes=2)


@pytest.mark.parametrize("value", ["", "soon", "-5", "Mon, 02 Mar 2020 12:02:00 GMT", "9" * 30])
def test_nonsense_is_not_heeded(server, clock, value):
    from apps.actions.http.answers import retry_after
    from apps.core.http.messages import Response

    answer = Response(503, "", (("Retry-After", value),), b"", "", 0)
    assert retry_after(answer, clock.now) is None
