"""The mapped response: what it may say and be, and that nothing of it runs in a browser."""

import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.crm.models import Contact
from apps.engine.models import Event, Run
from tests.factories import ContactFactory, published

pytestmark = pytest.mark.django_db


def connector(**columns):
    return published([(AddTag, {"new_tags": "seen"})], **columns)


MAPPED = '{"hi": "{{ contact.name }}", "order": "{{ event.order }}", "event": {{ event_id }}}'


def test_the_mapped_response_speaks_of_the_event_and_of_a_contact_that_exists(post):
    made = connector(response_body=MAPPED, mapping={"phone": "{{ event.phone }}"})
    payload = {"phone": "0049 151 12345678", "order": 'A "quoted"\nline\u2028'}
    unknown = post(made, payload)
    assert unknown.json()["hi"] == ""
    assert not Contact.objects.exists()  # reading makes nobody
    ContactFactory(name="Zoë", phone="+4915112345678")
    answer = post(made, payload)
    assert (answer.status_code, answer["Content-Type"]) == (202, "application/json")
    assert answer.json() == {
        "hi": "Zoë",
        "order": payload["order"],
        "event": Event.objects.latest("pk").pk,
    }


@pytest.mark.parametrize(
    ("response_type", "expected"),
    [("text/plain", "<b> & é"), ("application/xml", "&lt;b&gt; &amp; é")],
)
def test_values_are_encoded_for_the_type_of_the_mapped_response(post, response_type, expected):
    made = connector(response_body="{{ event.text }}", response_type=response_type)
    answer = post(made, {"text": "<b> & é"})
    assert answer.content.decode() == expected
    assert answer["Content-Type"] == f"{response_type}; charset=utf-8"


@pytest.mark.parametrize(
    ("written", "answered"),
    [
        ("text/html", "text/plain; charset=utf-8"),
        ("text/javascript", "text/plain; charset=utf-8"),
        ("image/svg+xml", "text/plain; charset=utf-8"),
        ("application/xhtml+xml", "text/plain; charset=utf-8"),
        ("text/html; x=/json", "text/plain; charset=utf-8"),
        ("text/xml", "application/xml; charset=utf-8"),
        ("application/problem+json; charset=utf-8", "application/json"),
        ("text/plain\r\nX-Injected: 1", "text/plain; charset=utf-8"),
        ("", "text/plain; charset=utf-8"),
    ],
)
def test_no_revision_of_before_answers_with_what_a_browser_runs(post, written, answered):
    answer = post(connector(response_body="1", response_type=written), {})
    assert answer["Content-Type"] == answered


def test_an_answer_can_do_nothing_in_a_browser(post, client):
    made = connector(response_body="<a:script xmlns:a='http://www.w3.org/1999/xhtml'/>")
    answers = [
        post(made, {}),
        post(made, data="{", content_type="application/json"),
        client.get("/hooks/nobody"),
        client.delete(f"/hooks/{made.token}"),
        client.get(f"/hooks/{made.token}/and/more"),
        client.get(f"/hooks/{made.token}", HTTP_HOST="elsewhere.example"),
    ]
    assert [answer.status_code for answer in answers] == [202, 400, 404, 405, 404, 400]
    for answer in answers:
        assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert answer["X-Content-Type-Options"] == "nosniff"


def test_on_a_host_name_of_their_own_there_are_webhooks_alone(post, client, settings):
    settings.HOOKS_HOST = "hooks.shop.example"
    settings.ALLOWED_HOSTS = ["testserver", "hooks.shop.example"]
    made = connector()
    assert post(made, {}, HTTP_HOST="hooks.shop.example:443").status_code == 202
    for page in ("/", "/admin/", "/admin/login/", "/static/switchboard/shell.css", "//hooks/x"):
        for host in ("hooks.shop.example", "HOOKS.shop.example.", "hooks.shop.example:8443"):
            assert client.get(page, HTTP_HOST=host).status_code in (400, 404)
    assert client.get("/admin/login/").status_code == 200
    assert post(made, {}).status_code == 202  # who posts to the old address is not lost


@pytest.mark.parametrize(
    "broken",
    [
        {"response_body": "{{ event.text | divided_by: 0 }}"},
        {"response_body": "{% for i in (1..1000000) %}{{ i }}{% endfor %}"},
        {"response_body": "{{ unclosed"},
    ],
)
def test_a_broken_mapped_response_still_answers_202(post, broken):
    answer = post(connector(**broken), {"text": "x"})
    assert (answer.status_code, answer["Content-Type"]) == (202, "application/json")
    assert answer.json()["event_id"] == Event.objects.get().pk
    assert Run.objects.count() == 1


def test_a_mapped_response_can_tell_duplicates(post):
    made = connector(
        response_body='{"again": {{ duplicate }}, "id": {{ event_id }}}', dedupe_header="X-Id"
    )
    first, second = (post(made, {}, HTTP_X_ID="1").json() for _ in range(2))
    assert (first["again"], second["again"]) == (False, True)
    assert first["id"] == second["id"]
