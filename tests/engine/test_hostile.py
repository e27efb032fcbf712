"""Whatever is posted is answered 2xx or with a clear 4xx. What was answered 2xx is kept as it came,
its run ends, and every page about it opens."""

import base64
import hashlib
import hmac
import json

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.filter import Filter
from apps.actions.kinds.map_contact import MapContact
from apps.actions.kinds.send_message import SendMessage
from apps.actions.kinds.set_attribute import SetAttribute
from apps.core import liquid
from apps.engine import bodies
from apps.engine.context import event_scope
from apps.engine.models import Event, Run
from tests.factories import AttributeFactory, ChannelFactory, CredentialFactory, published
from tests.payloads.hostile import ANY, FORM, HOSTILE, JSON, MULTIPART

pytestmark = pytest.mark.django_db

CALLER = Client()
SMALL = [case for case in HOSTILE if len(case.raw) < 20_000]
# Paths that the corpus has something under.
PATHS = ["event.a", "event.value", "event.items", "event.raw", "event", 'event[""]', "event.a.a.a"]


@pytest.fixture
def curious(db):
    """A connector that looks into everything that it is sent."""

    def make(**columns):
        conditions = [
            {"left": path, "operator": operator, "right": "{{ event.a }}"}
            for path in PATHS
            for operator in ("text:contains", "number:between", "datetime:on", "email:is")
        ]
        everything = " ".join(f"{{{{ {path} }}}}" for path in PATHS)
        return published(
            [
                (Filter, {"match": "any", "conditions": conditions}),
                (AddTag, {"new_tags": "{{ event.a }},{{ event.value }}"}),
            ],
            [
                (MapContact, {"phone": "{{ event.a }}", "email": "{{ event.value }}"}),
                (MapContact, {"phone": "+4915112345678", "name": "{{ event.a }}"}),
                (AddTag, {"new_tags": "{{ event.a }},{{ event.raw }}"}),
                (SetAttribute, {"attribute": AttributeFactory(), "value": everything}),
                (
                    SendMessage,
                    {
                        "channel": ChannelFactory(),
                        "recipients": [{"to": "{{ event.a }}"}, {"to": "{{ contact.phone }}"}],
                        "text": everything,
                    },
                ),
            ],
            [(Delay, {"counts_from": "custom", "date": "{{ event.a }}", "identifier": everything})],
            mapping={"phone": "{{ event.a }}", "email": "{{ event.value }}"},
            dedupe_by="none",
            **columns,
        )

    return make


def send(connector, raw, content_type, **headers):
    path = f"/hooks/{connector.token}"
    return CALLER.generic("POST", path, raw, content_type=content_type, **headers)


def kept(answer, raw, content_type):
    """The event of an answer, after checking that both are as they must be."""
    told = answer.json()
    event = Event.objects.get(pk=told["event_id"])
    if answer.status_code == 202:
        assert (told["status"], event.state, event.error) == ("ok", "accepted", "")
        assert event.payload == bodies.payload(event.form, event.body, event.content_type)
        assert Run.objects.filter(event=event.pk).count() == 1
    else:
        assert (answer.status_code, told["status"], event.state) == (400, "error", "rejected")
        assert event.error == told["detail"] and event.error.isprintable()
        assert event.error[0].isupper() and event.error.endswith(".")
        assert base64.b64decode(event.body) == raw
        assert not Run.objects.filter(event=event.pk).exists()
    return event


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_it_is_taken_or_refused_and_every_page_about_it_opens(curious, drain, admin_client, case):
    connector = curious()
    answer = send(connector, case.raw, case.content_type)
    assert answer.status_code == case.status
    event = kept(answer, case.raw, case.content_type)
    assert case.payload is ANY or event.payload == case.payload
    drain()
    opens(admin_client, "admin:engine_event_change", event.pk)
    for run in Run.objects.filter(event=event.pk):
        assert run.state in ("done", "waiting")
        opens(admin_client, "admin:engine_run_change", run.pk)
        opens(admin_client, "admin:connectors_connector_test", connector.pk)
        form = opens(admin_client, "admin:actions_delay_change", Delay.objects.get().pk)
        for offered in form.context["event_attributes"]:
            value = liquid.evaluate(offered.path, event_scope(event))
            assert liquid.as_text(value)[:200] == offered.sample


def opens(client, page, *args):
    answer = client.get(reverse(page, args=args))
    assert answer.status_code == 200, page
    return answer


def test_lists_show_all_of_it(curious, drain, admin_client):
    connector = curious()
    for case in SMALL:
        send(connector, case.raw, case.content_type)
    drain()
    for name in ("engine_event", "engine_run", "engine_delay", "messaging_message", "crm_contact"):
        opens(admin_client, f"admin:{name}_changelist")


TYPES = [
    "",
    JSON,
    f"{JSON}; charset=utf-16",
    f"{JSON}; charset=latin-1",
    "application/cloudevents+json",
    FORM,
    f"{FORM}; charset=cp1252",
    MULTIPART,
    "text/plain",
    "text/html; charset=klingon",
    "application/octet-stream",
    "multipart/mixed; boundary=xx",
]


@pytest.mark.parametrize("content_type", TYPES)
def test_whatever_its_content_type_says(curious, drain, content_type):
    connector = curious()
    for case in SMALL:
        answer = send(connector, case.raw, content_type)
        assert answer.status_code in (202, 400), case.name
        kept(answer, case.raw, content_type)
    drain()
    assert set(Run.objects.values_list("state", flat=True)) <= {"done", "waiting"}


def digest(raw):
    return hmac.new(b"c2VjcmV0", raw, hashlib.sha256).digest()


def standard(raw, now):
    head = f"1.{int(now.timestamp())}.".encode()
    signature = hmac.new(base64.b64decode("c2VjcmV0"), head + raw, hashlib.sha256).digest()
    return {
        "HTTP_WEBHOOK_ID": "1",
        "HTTP_WEBHOOK_TIMESTAMP": str(int(now.timestamp())),
        "HTTP_WEBHOOK_SIGNATURE": f"v1,{base64.b64encode(signature).decode()}",
    }


def stripe(raw, now):
    at = int(now.timestamp())
    return {"HTTP_STRIPE_SIGNATURE": f"t={at},v1={digest(f'{at}.'.encode() + raw).hex()}"}


BASIC = base64.b64encode(b"ana:c2VjcmV0").decode()
PROOFS = {
    "header": lambda raw, now: {"HTTP_X_PROOF": "c2VjcmV0"},
    "basic": lambda raw, now: {"HTTP_AUTHORIZATION": f"Basic {BASIC}"},
    "github": lambda raw, now: {"HTTP_X_HUB_SIGNATURE_256": f"sha256={digest(raw).hex()}"},
    "meta": lambda raw, now: {"HTTP_X_HUB_SIGNATURE_256": f"sha256={digest(raw).hex()}"},
    "shopify": lambda raw, now: {
        "HTTP_X_SHOPIFY_HMAC_SHA256": base64.b64encode(digest(raw)).decode()
    },
    "stripe": stripe,
    "standard": standard,
    "hmac": lambda raw, now: {"HTTP_X_PROOF": digest(raw).hex()},
}


@pytest.mark.parametrize("auth", PROOFS)
def test_whatever_its_sender_has_to_show(curious, clock, auth):
    secret = CredentialFactory(kind="basic", username="ana", secret="c2VjcmV0")
    connector = curious(auth=auth, auth_header="X-Proof", credential=secret)
    for case in SMALL[::3]:
        proof = PROOFS[auth](case.raw, clock.now)
        answer = send(connector, case.raw, case.content_type, **proof)
        assert answer.status_code == case.status, case.name
        kept(answer, case.raw, case.content_type)
        forged = {name: f"{value[:-3]}\x00\xff=" for name, value in proof.items()}
        answer = send(connector, case.raw, case.content_type, **forged)
        assert answer.status_code == 401 and answer.json()["detail"].endswith(".")
    assert Event.objects.count() == len(SMALL[::3])


@pytest.mark.parametrize("rule", ["body", "path", "header"])
def test_whatever_names_an_event_once(curious, rule):
    connector = curious(dedupe_path="event", dedupe_header="X-Id")
    connector.published.document["dedupe"]["by"] = rule
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE connectors_revision SET document = %s WHERE id = %s",
            [json.dumps(connector.published.document), connector.published_id],
        )
    for case in SMALL[::3]:
        shown = {"HTTP_X_ID": case.raw.decode("latin-1")}
        first, second = (send(connector, case.raw, case.content_type, **shown) for _ in range(2))
        assert first.status_code == second.status_code == case.status, case.name
        if second.json().get("duplicate"):
            assert second.json()["event_id"] == first.json()["event_id"]


def test_methods_are_not_overridden(curious):
    connector = curious()
    for name in ("X_HTTP_METHOD_OVERRIDE", "X_METHOD_OVERRIDE", "X_HTTP_METHOD"):
        answer = send(connector, b"_method=DELETE", FORM, **{f"HTTP_{name}": "DELETE"})
        assert answer.status_code == 202
    assert Event.objects.count() == Run.objects.count() == 3


ALPHABET = st.sampled_from(sorted({case.raw for case in SMALL if len(case.raw) < 60}))
BODIES = st.one_of(
    st.binary(max_size=200),
    st.lists(ALPHABET | st.binary(max_size=4), max_size=6).map(b"".join),
    st.builds(lambda raw, at: raw[: at % (len(raw) + 1)], ALPHABET, st.integers(0, 99)),
)
CONTENT_TYPES = st.one_of(
    st.sampled_from([*TYPES, *{case.content_type for case in HOSTILE}]),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace").decode("latin-1")),
)


@pytest.fixture
def connector(curious):
    return curious()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(raw=BODIES, content_type=CONTENT_TYPES, query=st.binary(max_size=30))
def test_any_bytes_of_any_type(connector, drain, admin_client, raw, content_type, query):
    headers = {"QUERY_STRING": query.decode("latin-1")}
    answer = send(connector, raw, content_type, **headers)
    assert answer.status_code in (202, 400)
    event = kept(answer, raw, content_type)
    drain()
    assert set(Run.objects.values_list("state", flat=True)) <= {"done", "waiting"}
    opens(admin_client, "admin:engine_event_change", event.pk)
