"""HTTP API: secrets that stand in a request themselves are found, keep it from being published, and
are masked."""

import json
from time import process_time

import pytest

from apps.actions.http.checks import host_of
from apps.actions.http.exposed import find
from apps.actions.http.literals import in_text
from apps.actions.kinds.http_api import HttpApi
from apps.connectors.exporting import export
from apps.connectors.importing import import_new
from apps.connectors.publish import find_problems
from tests.actions.kinds.asking import row
from tests.actions.kinds.test_http_api_secrets import everything_stored
from tests.factories import StepFactory

pytestmark = pytest.mark.django_db

# Made up, in the shapes that services give their keys.
SECRETS = [
    "T0A1B2C3D4/B0A1B2C3D4/abcdEFGHijklMNOPqrstUVWX",
    "123456789:AAF-abcDEF_ghiJKLmnoPQRstuVWXyz12345",
    "sk_" + "live_4eC39HqLyjWDarjtT1zdp7dc",
    "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "glpat-" + "x7Kq2mZp9vLt4RwN8sYd",
    "xoxb-" + "1234567890-abcdefghij",
    "AKIA" + "IOSFODNN7EXAMPLE",
    "AIza" + "SyA-1234567890abcdefghijklmnopqrstu",
    "SG." + "ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf-09kqeF8tAmbihYzrnopKc-1s5cr",
    "key-"
    + "3ax6xnjp29jd6fds4gc373sgvjxteol0".translate(str.maketrans("gjlnopstvx", "abcdefabcd")),
    "shpat_" + "fee5f9fb8a3d1e5c1f2b3c4d5e6f7a8b",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "550e8400-e29b-41d4-a716-446655440000",
    "9f86d081884c7d659a2feaa0c55ad015",
    "x8k2mfp0q9wz7r4tn3vb6yhs1djc5lga",
    "hJ8s-Kd02lPqmZ7Xn4vBtY6wRfGc3eUi",
    "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA==",
    "kAjRbDwPqXzLmNvTgHs",
]
HARMLESS = [
    "https://api.shop.example/v2beta1/contacts/order_confirmation_template_2024",
    "https://graph.facebook.com/v19.0/106540352242922/messages",
    "HelloWorldThisIsCamelCaseText",
    "order-confirmation-for-customers-2026-11-29",
    "{{ event.line_items_with_a_long_name_a1b2c3d4e5f6g7 }}",
    "internationalization_considerations",
    "UPPER_CASE_CONSTANT_NAME_12345",
    "The quick brown fox +491701234567 4915112345678901",
    "application/vnd.api+json",
    "2026-11-29T18:54:17+00:00",
    "getCustomerByPhoneNumberAndEmail",
    "Rechtsschutzversicherungsgesellschaften",
    "utm_source=newsletter_2024_spring&utm_campaign=black_friday_week_3",
]
PLACES = {
    "path": lambda s: {"url": f"https://x.example/{s}/send"},
    "query": lambda s: {"url": f"https://x.example/?v={s}"},
    "header": lambda s: {"headers": [row("X-Shop", s)]},
    "json": lambda s: {"body_type": "json", "body": json.dumps({"a": [{"b": s}]})},
    "row": lambda s: {"body_type": "raw", "body": f"<a>{s}</a>"},
    "form": lambda s: {"body_type": "form", "fields": [row("v", s)]},
    "beside": lambda s: {"headers": [row("X-Shop", f"{s} {{{{ event.n }}}}")]},
    "quoted": lambda s: {"headers": [row("X-Shop", f"{{{{ event.n | default: '{s}' }}}}")]},
}


def action_with(**columns):
    return HttpApi.objects.create(
        step=StepFactory(), **{"url": "https://x.example/", "label": "Ask", **columns}
    )


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_known_by_its_shape_or_its_look(secret):
    (found,) = in_text(f"https://x.example/a/{secret}")
    assert found in secret and len(found) > len(secret) * 0.8


@pytest.mark.parametrize("text", HARMLESS)
def test_words_numbers_and_paths_are_none(text):
    assert in_text(text) == ()


@pytest.mark.parametrize("place", PLACES)
def test_wherever_it_stands_it_keeps_the_flow_from_being_published(place):
    secret = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
    action = action_with(**PLACES[place](secret))
    (problem,) = find_problems(action.step.connector)
    assert "looks like a secret (ghp_…)" in problem.text and secret not in problem.text
    assert secret not in action.summary() and secret not in export(action.step.connector)


@pytest.mark.parametrize(
    "columns",
    [
        {"headers": [row("Authorization", "Bearer abc123x{{ event.n }}")]},
        {"url": "https://x.example/?token=abc123x{{ event.n }}"},
        {"body_type": "json", "body": '{"password": "abc123x"}'},
        {"body_type": "json", "body": '{"password": "abc123x{{ event.n }}"}'},
        {"body_type": "json", "body": '{"password": "abc123x\\"y"}'},
        {"body_type": "raw", "body": "password=abc123x&n={{ event.n }}"},
        {"body_type": "raw", "body": "<apiKey>abc123x</apiKey>"},
        {"body_type": "raw", "body": '<wsse:Password Type="x">abc123x</wsse:Password>'},
        {"body_type": "raw", "body": "<password><![CDATA[abc123x]]></password>"},
        {"body_type": "raw", "body": "password: abc123x"},
        {"body_type": "raw", "body": 'mutation { in(password: "abc123x") { id } }'},
        {"body_type": "raw", "body": "{'password': 'abc123x'}"},
        {"body_type": "json", "body": '{"passwords": ["a"], "password": ["abc123x"]}'},
        {"body_type": "json", "body": '{"pass\\u0077ord": "abc123x"}'},
        {"body_type": "json", "body": '{"values": [{"name": "api_key", "value": "abc123x"}]}'},
        {"body_type": "form", "fields": [row("api_key", "abc123x")]},
    ],
)
def test_under_a_name_that_says_secret_less_is_enough(columns):
    action = action_with(**columns)
    (problem,) = find_problems(action.step.connector)
    assert "secret" in problem.text and "abc123x" not in problem.text
    assert "abc123x" not in export(action.step.connector)


@pytest.mark.parametrize(
    "columns",
    [
        {"body_type": "json", "body": '{"signature": "Team Nova GmbH", "pass": "yes"}'},
        {"body_type": "json", "body": '{"password_reset_url": "https://x.example/reset"}'},
        {"body_type": "json", "body": '{"authorization_required": true, "token": "{{ event.t }}"}'},
        {"url": "https://x.example/?page_token=first&auth=none"},
        {
            "body_type": "raw",
            "body": "<img src='data:image/png;base64," + "iVBORw0KGgo1" * 500 + "'>",
        },
    ],
)
def test_everyday_flows_are_not_in_the_way(columns):
    assert not action_with(**columns).exposed()


@pytest.mark.parametrize("place", PLACES)
def test_an_operator_can_say_that_it_is_none(place):
    secret = "550e8400-e29b-41d4-a716-446655440000"
    action = action_with(**PLACES[place](secret))
    action.no_secrets = [one.fingerprint for one in action.exposed()]
    action.save()
    assert not find_problems(action.step.connector)
    assert secret in export(action.step.connector)


def test_what_an_export_left_out_is_missed_before_publishing():
    action = action_with(**PLACES["path"](SECRETS[0]))
    assert "https://x.example/a" in export(action_with(url="https://x.example/a").step.connector)
    imported = import_new(export(action.step.connector).encode(), "Copy").connector
    (problem,) = find_problems(imported)
    assert problem.text.startswith("A secret was left out where ••• stands.")


@pytest.mark.parametrize("place", [name for name in PLACES if name != "quoted"])
def test_it_is_masked_in_timeline_and_log(server, happen, place, monkeypatch):
    """Of a flow that was published before it was looked for."""
    secret = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
    columns = PLACES[place](secret)
    columns["url"] = columns.get("url", "https://x.example/").replace(
        "https://x.example", server.url
    )
    monkeypatch.setattr("apps.connectors.publish.find_problems", lambda connector: [])
    happen([(HttpApi, {"label": "Ask", **columns})], event={"n": 1})
    (asked,) = server.asked
    assert secret in f"{asked.path} {asked.headers} {asked.body}"
    leaks = [text for text in everything_stored() if secret in text]
    # The flow itself has it, where it was written.
    assert {text.partition(":")[0] for text in leaks} <= {"HttpApi", "Revision"}


def test_an_answer_with_what_looks_like_one_is_read_as_it_is(server, happen):
    """Ids of products and templates look like secrets as well, and later steps need them."""
    known = "550e8400-e29b-41d4-a716-446655440000"
    server.answer = lambda asked: (200, {}, json.dumps({"id": known}).encode())
    action = HttpApi(url=f"{server.url}/products/{known}", label="Look up", method="GET")
    columns = {"url": action.url, "label": "Look up", "method": "GET"}
    columns["no_secrets"] = [one.fingerprint for one in action.exposed()]
    then = {"label": "Tell", "url": f"{server.url}/tell", "body_type": "json"}
    then["body"] = '{"product": "{{ http.look_up.id }}"}'
    happen([(HttpApi, columns), (HttpApi, then)])
    assert server.asked[1].json == {"product": known}


@pytest.mark.parametrize(
    "columns",
    [
        {"url": "/?token={{ event.t }}"},
        {"body_type": "form", "fields": [row("password", "{{ event.t }}")]},
        {"headers": [row("X-Api-Key", "{{ event.t }}")]},
    ],
)
def test_what_is_named_like_one_is_masked_in_the_answer_too(server, happen, columns):
    server.answer = lambda asked: (
        200,
        {},
        json.dumps([asked.path, asked.headers, asked.body.decode()]).encode(),
    )
    happen(
        [(HttpApi, {"label": "Ask", **columns, "url": server.url + columns.get("url", "/")})],
        event={"t": "tok-12345"},
    )
    leaks = [text for text in everything_stored() if "tok-12345" in text]
    assert all(text.startswith("Event:") for text in leaks)


@pytest.mark.parametrize(
    "columns",
    [
        {"url": "https://evil.example/x", "fields": [row("token", "evil.example")]},
        {"url": "https://evil.example/x", "body": '{"password": "evil.example"}'},
        {"url": "https://x8k2mfp0q9wz7r4tn3vb6yhs1djc5lga.evil.example/x"},
    ],
)
def test_where_a_request_goes_is_never_hidden(columns):
    action = action_with(**columns)
    assert "evil.example" in action.summary()
    assert "evil.example/x" in export(action.step.connector)


@pytest.mark.parametrize(
    "text",
    [
        "{{",
        "{%",
        "eyJaaaaaaaa-",
        "eyJ-",
        "SG.aaaaaaaaaa",
        "=",
        '"a":"',
        "<a>",
        "a=",
        "A1b2-",
        "12345:",
    ],
)
def test_long_texts_are_looked_through_in_time(text):
    """Linear: a quadratic look would take minutes."""
    text *= 200_000 // len(text)
    begun = process_time()
    find(f"https://x.example/{text}", [row("X", text)], [row("a", text)], text)
    host_of(f"https://{text}")
    assert process_time() - begun < 20
