"""HTTP API: secrets stay where they belong, and what would show one is a problem."""

import base64
import html
import json
import re
from urllib.parse import quote

import pytest
from django.apps import apps
from django.db import models

from apps.actions.kinds.http_api import HttpApi
from apps.connectors.exporting import export
from apps.connectors.frozen import freeze
from apps.connectors.publish import find_problems
from apps.engine.models import Attempt, Call
from tests.actions.kinds.asking import ask, row
from tests.factories import CredentialFactory, StepFactory, published

pytestmark = pytest.mark.django_db

# What a path may hold as it is.
IN_PATH = ":@!$&'()*+,;=-._~/"
SLASHED = "as PHP writes it"


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


@pytest.mark.parametrize(
    "spell",
    [
        lambda s: json.dumps({"k": s}),
        lambda s: f'{{"k": "{"".join(chr(92) + f"u{ord(c):04x}" for c in s)}"}}',
        lambda s: json.dumps({"k": s}).replace("+", "\\u002B").replace("/", "\\/"),
        lambda s: json.dumps({"k": s}).encode("utf-16").decode("latin-1"),
        lambda s: quote(s, safe=""),
        lambda s: re.sub("%..", lambda found: found.group().lower(), quote(s, safe="")),
        lambda s: f"/send/{quote(s, safe=IN_PATH)}",
        lambda s: f"<p>{html.escape(s)}</p>",
        lambda s: base64.b64encode(s.encode()).decode(),
    ],
)
def test_a_server_may_spell_a_credential_in_many_ways(server, happen, spell):
    secret = "S3cr/t-Käy+1&x"
    server.answer = lambda asked: (200, {}, spell(secret).encode("latin-1", "replace"))
    if "Kä" in spell(secret):
        server.answer = lambda asked: (200, {}, spell(secret).encode())
    happen([ask(server, credential=CredentialFactory(secret=secret))])
    stored = "\n".join(everything_stored())
    for text in {secret, spell(secret), quote(secret), html.escape(secret)}:
        assert text not in stored


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
    made = CredentialFactory(hosts="x.example")
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
