"""Deleting a contact: hidden at once, erased slice by slice."""

import pytest

from apps.crm import attributes, erasing, services
from apps.crm.erasing import delete_contact
from apps.crm.merging import merge, undo
from apps.crm.models import AttributeValue, Contact, ContactTag, Erasure, Merge, Note
from apps.crm.services import Identity
from apps.engine import jobs
from apps.messaging import outbox
from apps.messaging.models import BlacklistEntry, Message
from tests.factories import (
    AttributeFactory,
    ChannelFactory,
    ContactFactory,
    TagFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

PHONE = "+4915112345678"


@pytest.fixture
def ana(clock):
    ana = ContactFactory(phone=PHONE, email="ana@example.org", name="Ana")
    services.add_tags(ana, [TagFactory() for _ in range(3)])
    services.add_categories(ana, [services.category_named("Leads")])
    attributes.set_attribute(ana, AttributeFactory(), "Gold")
    services.add_note(ana, "Called", "ben")
    return ana


def test_at_once_it_is_hidden_and_its_number_and_address_are_free(ana):
    assert delete_contact(ana)
    assert not Contact.objects.exists()
    assert services.find(Identity(PHONE, "")) is None
    contact, created = services.identify(Identity(PHONE, "ana@example.org"), {"name": "Eva"})
    assert created and contact != ana
    assert not delete_contact(ana)
    assert Erasure.objects.count() == 1


def test_the_rest_goes_in_slices(ana, drain, monkeypatch):
    monkeypatch.setattr(erasing, "SLICE", 2)
    monkeypatch.setattr(jobs, "SECONDS", 0)
    other = ContactFactory()
    services.add_tags(other, [TagFactory()])
    delete_contact(ana, cause="user", cause_id=7)
    jobs.turn()
    job = Erasure.objects.get()
    assert (ContactTag.objects.filter(contact=ana).count(), job.done) == (1, 2)
    drain()
    assert list(Contact.everyone.all()) == [other]
    assert ContactTag.objects.count() == 1
    assert not AttributeValue.objects.exists() and not Note.objects.exists()
    job.refresh_from_db()
    assert (job.state, job.cause, job.cause_id) == ("done", "user", 7)


def test_what_was_merged_into_it_goes_too(ana, drain):
    anna = ContactFactory(phone="+4915187654321")
    merge(anna.pk, ana.pk, "ben")
    delete_contact(anna)  # read before the merge
    assert services.find(Identity("+4915187654321", "")) is None
    drain()
    assert not Contact.everyone.exists() and not Merge.objects.exists()


def test_what_is_written_in_the_meantime_goes_too(ana, drain):
    delete_contact(ana)
    services.add_note(ana, "By a run in hand", "ben")
    drain()
    assert not Contact.everyone.exists() and not Note.objects.exists()


def test_waiting_messages_are_cancelled_and_the_lists_stay(ana):
    channel = ChannelFactory()
    outbox.queue(channel, [PHONE], "Hello", key="a", contact=ana)
    outbox.queue(channel, [PHONE], "Somebody else typed the number", key="b")
    BlacklistEntry.objects.create(channel=channel, address=PHONE)
    delete_contact(ana)
    mine, other = Message.objects.order_by("pk")
    assert (mine.state, mine.reason) == ("cancelled", "The contact was deleted.")
    assert other.state == "queued"
    assert BlacklistEntry.objects.count() == 1


def test_at_once_nothing_of_the_person_is_left_in_the_row(ana, clock):
    who = {
        "timezone": "Europe/Berlin",
        "country": "DE",
        "owner": UserFactory(),
        "last_interaction_at": clock.now,
    }
    Contact.objects.filter(pk=ana.pk).update(**who)
    anna = ContactFactory(name="Anna", country="AT")
    merge(anna.pk, ana.pk, "ben")
    delete_contact(ana)
    for row in Contact.everyone.all():
        kept = (row.name, row.phone, row.email, row.timezone, row.country)
        assert kept == ("", None, "", "", "")
        assert (row.owner, row.last_interaction_at, row.deleted_at) == (None, None, clock.now)


@pytest.mark.parametrize("leaves", ["loser", "survivor"])
def test_a_merge_that_was_undone_tells_nothing_of_who_was_erased(ana, drain, leaves):
    """Merge.moved holds the name, the number and the address of the loser, and more."""
    anna = ContactFactory(name="Anna")
    pair = {"loser": ana, "survivor": anna}
    undo(merge(ana.pk, anna.pk, "ben").pk, "ben")
    delete_contact(pair.pop(leaves))
    drain()
    assert list(Contact.everyone.all()) == list(pair.values())
    assert not Merge.objects.exists()
