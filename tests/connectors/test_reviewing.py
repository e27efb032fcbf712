"""What a review tells of a file, and that nothing is written before it is accepted."""

import json

import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.cancel_delay import CancelDelay
from apps.actions.kinds.http_api import HttpApi
from apps.actions.kinds.route_to_connector import RouteToConnector
from apps.actions.kinds.send_message import SendMessage
from apps.actions.kinds.stop import StopRun
from apps.connectors.exporting import export
from apps.connectors.frozen import freeze
from apps.connectors.importing import import_into, import_new
from apps.connectors.models import Action, Connector
from apps.connectors.reach import Reach
from apps.connectors.reviewing import import_if
from apps.core.models import Credential
from apps.messaging.models import Channel
from tests.factories import (
    ChannelFactory,
    ConnectorFactory,
    CredentialFactory,
    TagFactory,
    published,
)

pytestmark = pytest.mark.django_db


def reviewed(raw, name="Copy", may_use_credentials=True):
    review, imported = import_if(
        lambda review: False, lambda: import_new(raw, name, may_use_credentials)
    )
    assert imported is None
    return review


@pytest.fixture
def shop():
    """It calls, writes, hands on and cancels, among actions that do nothing outside."""
    crm = ConnectorFactory(name="CRM")
    call = {
        "method": "GET",
        "url": "https://api.example/{{ event.id }}?page=1",
        "credential": CredentialFactory(name="Shop key", kind="key", hosts="api.example"),
        "alert_emails": "ops@example.org, ann@example.org",
        "label": "Ask the shop",
    }
    numbers = [{"to": "{{ contact.phone }}"}, {"to": "+4915112345678"}]
    message = {"channel": ChannelFactory(name="Line"), "recipients": numbers, "text": "Hi"}
    return published(
        [
            (AddTag, {"rows": {"tags": [{"tag": TagFactory(name="vip")}]}}),
            (HttpApi, call),
            (SendMessage, {**message, "enabled": False}),
            (RouteToConnector, {"connector": crm}),
            (CancelDelay, {"rows": {"targets": [{"connector": crm, "identifier": "x"}]}}),
            (StopRun, {}),
        ],
        name="Shop",
    )


def file_of(connector):
    return export(connector).encode()


def test_it_tells_by_action_what_is_reached(shop):
    review = reviewed(file_of(shop))
    step = shop.steps.get().name
    assert [(p.step, p.action, p.kind, p.enabled) for p in review.places] == [
        (step, "Ask the shop", "HTTP API", True),
        (step, "Send Message", "Send Message", False),
        (step, "Route to Another Connector", "Route to Another Connector", True),
        (step, "Cancel Delay", "Cancel Delay", True),
    ]
    assert [place.reaches for place in review.places] == [
        (
            Reach("URL", "GET https://api.example/{{ event.id }}?page=1"),
            Reach("Credential", "Shop key", "Key or token, sent as: Bearer token"),
            Reach("Recipient", "ops@example.org", "alert when a request has failed"),
            Reach("Recipient", "ann@example.org", "alert when a request has failed"),
        ),
        (
            Reach("Recipient", "{{ contact.phone }}"),
            Reach("Recipient", "+4915112345678"),
            Reach("Channel", "Line"),
        ),
        (Reach("Connector", "CRM", "gets the event"),),
        (Reach("Connector", "CRM", "delays are cancelled"),),
    ]
    assert review.in_all == [
        ("URL", 1),
        ("recipient", 4),
        ("channel", 1),
        ("credential", 1),
        ("connector", 1),
    ]
    assert not review.reaches_nothing


def test_nothing_is_written_by_it(shop):
    target = ConnectorFactory(name="Target")
    before = [freeze(each) for each in Connector.objects.all()]
    versions = list(Connector.objects.values_list("draft_version", "version"))
    reviewed(file_of(shop))
    _, imported = import_if(lambda review: False, lambda: import_into(target, file_of(shop)))
    assert imported is None
    assert [freeze(each) for each in Connector.objects.all()] == before
    assert list(Connector.objects.values_list("draft_version", "version")) == versions


def test_what_is_accepted_is_what_was_reviewed(shop):
    before = reviewed(file_of(shop))
    review, imported = import_if(
        lambda review: review == before, lambda: import_new(file_of(shop), "Copy")
    )
    assert (review, imported.connector) == (before, Connector.objects.get(name="Copy"))


def test_a_literal_secret_of_a_file_made_by_hand_is_not_shown(shop):
    raw = file_of(shop).replace(b"https://api", b"https://ann:hunter2@api")
    raw = raw.replace(b"?page=1", b"?page=1&token=hush-hush")
    (call, *_) = reviewed(raw).places
    assert call.reaches[0].text == "GET https://•••@api.example/{{ event.id }}?page=1&token=•••"


def test_what_is_reached_has_the_name_that_it_has_here(shop):
    """At home an id wins: a file may call a credential by any name that it likes."""
    bank = CredentialFactory(name="Bank key", kind="basic", username="x", hosts="api.example")
    document = json.loads(file_of(shop))
    call = document["steps"][0]["actions"][1]
    call["refs"]["credential"] = {"id": bank.pk, "name": "Harmless"}
    place = reviewed(json.dumps(document).encode()).places[0]
    assert place.reaches[1] == Reach(
        "Credential", "Bank key", "User name and password, sent as: Bearer token"
    )


def test_characters_that_nobody_sees_are_spelled(shop):
    raw = file_of(shop).replace(b"https://api.example", "https://\u202eelpmaxe.\u200bipa".encode())
    assert (
        reviewed(raw)
        .places[0]
        .reaches[0]
        .text.startswith("GET https://[U+202E]elpmaxe.[U+200B]ipa/")
    )


def test_what_is_not_here_stands_at_its_action(shop):
    raw = file_of(shop)
    shop.delete()
    Credential.objects.all().delete()
    Channel.objects.all().delete()
    call, message, *_ = reviewed(raw).places
    assert call.unresolved == (
        'Credential "Shop key" does not exist here: create it or choose another one.',
    )
    assert message.unresolved == (
        'Channel "Line" does not exist here: create it or choose another one.',
    )
    assert Reach("Channel", "Line") not in message.reaches


def test_a_connector_that_routes_to_itself():
    origin = ConnectorFactory(name="Origin")
    step = origin.steps.create(name="One")
    RouteToConnector.objects.create(step=step, connector=origin)
    (place,) = reviewed(file_of(origin)).places
    assert place.reaches == (Reach("Connector", "Copy", "this connector itself, gets the event"),)


def test_a_flow_that_reaches_nothing():
    review = reviewed(file_of(published([(AddTag, {"new_tags": "seen"})], name="Shop")))
    assert review.reaches_nothing and review.places == () and review.in_all == []


def test_the_mapped_response(shop):
    assert reviewed(file_of(shop)).response == ""
    Connector.objects.filter(pk=shop.pk).update(
        response_body="<ok>{{ event.id }}</ok>", response_type="application/xml"
    )
    review = reviewed(file_of(Connector.objects.get(pk=shop.pk)))
    assert (review.response, review.response_type) == ("<ok>{{ event.id }}</ok>", "XML")


def test_what_is_in_force_at_once(shop):
    kept = "Kept from what is posted, until it is first published"
    assert dict(reviewed(file_of(shop)).settings) == {
        "Who posts must show": "Nothing else: the URL is the secret",
        "Sample events": kept,
        "Events a minute": "Up to the installation's limit",
    }
    signed = {"auth": "stripe", "auth_tolerance": 90_000, "inbound_per_minute": 30}
    Connector.objects.filter(pk=shop.pk).update(
        **signed, credential=CredentialFactory(name="Hook secret"), capture=False
    )
    raw = file_of(Connector.objects.get(pk=shop.pk))
    assert dict(reviewed(raw).settings) == {
        "Who posts must show": "Signature of Stripe",
        "Credential": "Hook secret (Signing secret)",
        "Tolerance": "90,000 seconds",
        "Sample events": "Not kept",
        "Events a minute": "Up to 30",
    }
    Connector.objects.filter(pk=shop.pk).update(credential=None)
    Credential.objects.filter(name="Hook secret").delete()
    review = reviewed(raw)
    assert dict(review.settings)["Credential"].startswith("None: every post is refused")
    assert review.unresolved == (
        'Credential "Hook secret" does not exist here: create it or choose another one.',
    )


def test_a_draft_that_is_replaced_keeps_its_settings(shop):
    target = ConnectorFactory(name="Target")
    review, _ = import_if(lambda review: False, lambda: import_into(target, file_of(shop)))
    assert (review.name, review.settings, review.unresolved) == ("Target", (), ())
    assert len(review.places) == 4


def test_who_may_not_use_credentials_learns_not_which_there_are(shop):
    credential = CredentialFactory(name="Hook key")
    Connector.objects.filter(pk=shop.pk).update(auth="stripe", credential=credential)
    shop.refresh_from_db()
    raw = file_of(shop)
    there = reviewed(raw, may_use_credentials=False)
    Action.objects.filter(kind="http_api").delete()
    Connector.objects.update(credential=None)
    Credential.objects.all().delete()
    assert reviewed(raw, may_use_credentials=False) == there
    assert "Shop key" not in [each.text for place in there.places for each in place.reaches]
