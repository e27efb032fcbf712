"""HTTP API: an event comes in, a real server on loopback is asked, its answer is used."""

import uuid

import pytest
from django.db import connection

from apps.actions.http import mapping
from apps.actions.http.mapping import HttpMapping
from apps.actions.kinds.http_api import HttpApi
from apps.actions.kinds.stop import StopRun
from apps.connectors.on_error import OnError
from apps.engine.models import Attempt, Run
from tests.actions.kinds.asking import ask, row, tell, told_to
from tests.factories import published

pytestmark = pytest.mark.django_db

NOT_JSON = "Response Mapping Not Done, Only JSON can be mapped as Response"


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
