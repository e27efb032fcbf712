"""HTTP API: a Row body that is JSON, as its headers say, is what it is made of whatever comes."""

import json

import pytest

from apps.actions.http import raw
from apps.actions.http.trial import try_out
from apps.actions.kinds.http_api import HttpApi
from apps.core import json_text
from apps.engine.models import Call, Event
from tests.actions.kinds.asking import ask, row

EVIL = 'Ana", "admin": true, "x": "'
BODY = '{"name": "{{ event.name }}", "total": {{ event.total }}, "note": {{ event.none }}}'
READ = {"name": EVIL, "total": 9.5, "note": None}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON ; charset=utf-8",
        "text/json",
        "application/vnd.api+json;v=1",
        "application/problem+JSON",
        "application/x-ndjson",
        "application/jsonl",
    ],
)
def test_what_is_json(content_type):
    headers = [("X-Shop", "1"), ("content-TYPE", content_type)]
    assert raw.place(headers) == json_text.PLACE


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/xml; a=application/json",
        "application/jsonp",
        "x+json",
        "json",
    ],
)
def test_what_is_not(content_type):
    assert raw.place([("Content-Type", content_type)]) == "plain"
    assert raw.place([("X-Content-Type", "application/json")]) == "plain"


def told_json(server, value="application/json", **columns):
    headers = [row("content-type", value)]
    return ask(server, body_type="raw", headers=headers, **{"body": BODY, **columns})


@pytest.mark.django_db
@pytest.mark.parametrize("header", ["application/json", "application/{{ event.kind }}; v=1"])
def test_no_value_breaks_it_or_adds_to_it_and_the_log_and_a_test_say_the_same(
    server, happen, told, header
):
    run = happen(
        [told_json(server, header)], event={"name": EVIL, "total": 9.5, "kind": "vnd.api+json"}
    )
    (asked,) = server.asked
    assert json.loads(asked.body) == READ
    entry = told(run, "http_api")
    assert (entry.went_in["body"], entry.missing) == (asked.body.decode(), ["event.none"])
    assert Call.objects.get().request["body"] == asked.body.decode()

    trial = try_out(HttpApi.objects.get(), run.connector, Event.objects.get(), {})
    assert server.asked[1].body == asked.body
    assert trial.row.request["body"] == asked.body.decode()


@pytest.mark.django_db
def test_a_body_of_another_type_is_text_as_it_was(server, happen):
    happen([told_json(server, "text/{{ event.kind }}")], event={"name": EVIL, "kind": "plain"})
    assert server.asked[0].body.decode() == f'{{"name": "{EVIL}", "total": , "note": }}'


@pytest.mark.django_db
def test_what_is_no_json_is_sent_as_it_was_written(server, happen):
    body = "{'name': {{ event.name }},}\n\n{{ event.name }} // and so on"
    happen([told_json(server, body=body)], event={"name": "Zoë"})
    assert server.asked[0].body.decode() == '{\'name\': "Zoë",}\n\n"Zoë" // and so on'
