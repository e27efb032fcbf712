"""Runs whose contact was merged or deleted while they slept."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.delay import Delay
from apps.actions.kinds.send_message import SendMessage
from apps.crm import attributes, services
from apps.crm.erasing import delete_contact
from apps.crm.merging import merge
from apps.crm.models import Contact
from apps.engine.models import Run
from apps.messaging.models import Message
from tests.factories import AttributeFactory, ChannelFactory, ContactFactory, published

pytestmark = pytest.mark.django_db

ANA, ANNA = "+4915112345678", "+4915187654321"
BY_PHONE = {"phone": "{{ event.phone }}"}


@pytest.fixture
def asleep(post, drain, clock):
    """A run of the contact with ANA's number; it goes on after an hour."""
    hello = {
        "channel": ChannelFactory(),
        "recipients": [{"to": "{{ contact.phone }}"}],
        "text": "Hello {{ contact.name }}, {{ attr.plan }}",
    }
    steps = [(Delay, {"amount": 1}), (AddTag, {"new_tags": "woken"}), (SendMessage, hello)]
    post(published(steps, mapping=BY_PHONE), {"phone": ANA})
    drain()
    return Run.objects.get(state="waiting")


def woken(run, clock, drain):
    clock.tick(hours=1)
    drain()
    run.refresh_from_db()
    return run


def test_they_go_on_with_the_survivor(asleep, clock, drain):
    anna, last = ContactFactory(phone=ANNA), ContactFactory(phone="+4915100000000", name="Last")
    attributes.set_attribute(last, AttributeFactory(key="plan"), "Gold")
    merge(asleep.contact_id, anna.pk, "ben")
    merge(anna.pk, last.pk, "ben")
    run = woken(asleep, clock, drain)
    assert (run.state, run.contact) == ("done", last)
    assert [str(link) for link in last.tag_links.all()] == ["woken"]
    message = Message.objects.get()
    assert (message.address, message.text) == (last.phone, "Hello Last, Gold")
    assert message.contact == last


def test_events_for_the_old_number_are_the_survivors(post, drain, clock):
    ana, anna = ContactFactory(phone=ANA), ContactFactory(phone=ANNA)
    merge(ana.pk, anna.pk, "ben")
    post(published([(AddTag, {"new_tags": "x"})], mapping=BY_PHONE), {"phone": ANA})
    drain()
    assert Run.objects.get().contact == anna
    assert anna.tag_links.count() == 1


def test_without_their_contact_they_go_on_without_one(asleep, clock, drain):
    delete_contact(Contact.objects.get())
    run = woken(asleep, clock, drain)
    assert run.state == "done"
    assert services.tags_called(["woken"]) == [] and not Message.objects.exists()


def test_loading_contacts_that_were_not_merged_takes_one_query(asleep, clock, drain):
    clock.tick(hours=1)
    with CaptureQueriesContext(connection) as captured:
        drain()
    reads = [q["sql"] for q in captured if 'FROM "crm_contact"' in q["sql"]]
    assert len(reads) == 1
