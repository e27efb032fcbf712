"""Erasing a contact with its history: runs, their events and its messages keep nothing of it."""

import pytest
from django.core import serializers
from django.db.models import Model

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.send_message import SendMessage
from apps.crm import erasing
from apps.crm.erasing import delete_contact
from apps.crm.models import Contact
from apps.engine import jobs
from apps.engine.models import Attempt, Event, Run
from apps.messaging.models import Message
from apps.messaging.sandbox.models import PhoneMessage
from tests.factories import ChannelFactory, published

pytestmark = pytest.mark.django_db

PHONE, OTHER = "+4915112345678", "+4915187654321"


@pytest.fixture
def told(post, drain, clock):
    """Two people with two runs each, one asleep; what they sent was delivered."""
    columns = {
        "channel": ChannelFactory(),
        "recipients": [{"to": "{{ contact.phone }}"}],
        "text": "Dear {{ event.name }}",
    }
    steps = [(SendMessage, columns), (AddTag, {"new_tags": "{{ event.name }}"})]
    for connector in (
        published(steps, mapping={"phone": "{{ event.phone }}"}),
        published([*steps, (Delay, {"amount": 1})], mapping={"phone": "{{ event.phone }}"}),
    ):
        for phone, name in ((PHONE, "Secretive"), (OTHER, "Other")):
            post(connector, {"phone": phone, "name": name})
    drain()


def mentions(word):
    tables: list[type[Model]] = [Event, Run, Attempt, Message, PhoneMessage, Contact]
    return [
        model.__name__
        for model in tables
        if word in serializers.serialize("json", model._base_manager.all())
    ]


@pytest.mark.parametrize("slice_of", [1, 500])
def test_nothing_of_the_person_stays_and_others_lose_nothing(told, drain, monkeypatch, slice_of):
    monkeypatch.setattr(erasing, "SLICE", slice_of)
    monkeypatch.setattr(jobs, "SECONDS", 0)
    others = mentions("Other"), mentions(OTHER)
    runs, messages = Run.objects.count(), Message.objects.count()
    assert mentions("Secretive") and mentions(PHONE)
    delete_contact(Contact.objects.get(phone=PHONE), with_history=True)
    drain()
    assert (mentions("Secretive"), mentions(PHONE)) == ([], [])
    assert (mentions("Other"), mentions(OTHER)) == others
    assert (Run.objects.count(), Message.objects.count()) == (runs, messages)
    assert sorted(Run.objects.values_list("state", flat=True)) == [
        "cancelled",
        "done",
        "done",
        "waiting",
    ]


def test_without_its_history_what_happened_stays(told, drain):
    before = mentions("Secretive")
    delete_contact(Contact.objects.get(phone=PHONE))
    drain()
    assert mentions("Secretive") == before
    assert Run.objects.filter(state="waiting").count() == 2
