"""The gate, the lists and the outbox know one number by either of its spellings."""

import pytest

from apps.messaging import gate, lists, outbox
from apps.messaging.addresses import canonical, spelled
from apps.messaging.lists import Entry
from apps.messaging.models import BlacklistEntry, Message, OptOut, OptOutList
from tests.factories import ChannelFactory, ContactFactory

pytestmark = pytest.mark.django_db

LONG, SHORT = "+5511987654321", "+551187654321"
BOTH = [(LONG, SHORT), (SHORT, LONG)]


@pytest.fixture
def channel():
    return ChannelFactory()


@pytest.fixture
def everything():
    return OptOutList.objects.get_or_create(is_system=True, defaults={"name": "All messages"})[0]


def test_an_address_has_one_form_that_stands_for_all():
    assert canonical("Ana@Example.org") == "ana@example.org"
    assert canonical(SHORT) == canonical(LONG) == LONG
    assert spelled(["+4915112345678", SHORT, "B@x.org"]) == {
        "+4915112345678",
        LONG,
        SHORT,
        "b@x.org",
    }


@pytest.mark.parametrize(("listed", "asked"), BOTH)
def test_the_gate_refuses_either_spelling_by_one_query(
    channel, everything, listed, asked, django_assert_num_queries
):
    OptOut.objects.create(list=everything, channel=channel, address=listed)
    with django_assert_num_queries(1):
        assert gate.judge([(channel.pk, asked)]) == {(channel.pk, asked): gate.BLOCKED_OPTOUT}
    BlacklistEntry.objects.create(channel=channel, address=listed)
    assert gate.judge([(channel.pk, asked)]) == {(channel.pk, asked): gate.BLOCKED_BLACKLIST}


@pytest.mark.parametrize(("listed", "own"), BOTH)
def test_the_lists_know_a_contact_by_either(channel, everything, listed, own):
    ana = ContactFactory(phone=own)
    addresses = lists.addresses_of(ana, channel)
    assert addresses == [LONG]
    OptOut.objects.create(list=everything, channel=channel, address=listed)
    BlacklistEntry.objects.create(channel=channel, address=listed)
    assert lists.is_opted_out(addresses, channel) and lists.is_blacklisted(addresses, channel)


@pytest.mark.parametrize(("typed", "own"), BOTH)
def test_a_message_goes_to_the_number_as_typed_once_and_is_the_contacts(channel, typed, own):
    ana = ContactFactory(phone=own)
    outbox.queue(channel, [typed, own], "Hello", key="a", contact=ana)
    message = Message.objects.get()
    assert (message.address, message.contact) == (typed, ana)


@pytest.mark.parametrize("typed", [LONG, SHORT, "+55 11 8765-4321"])
def test_a_list_has_a_number_once_however_it_was_typed(channel, typed):
    entries = lists.entries_at(typed, [channel])
    assert entries == [Entry(channel.pk, LONG)]
    assert lists.add_to_blacklist(entries) == set(entries)
    assert not lists.add_to_blacklist(lists.entries_of(ContactFactory(phone=SHORT), [channel]))
    assert BlacklistEntry.objects.get().address == LONG


@pytest.mark.parametrize("kept", [LONG, SHORT])
def test_a_number_leaves_lists_in_whatever_spelling_it_was_kept(channel, everything, kept):
    OptOut.objects.create(list=everything, channel=channel, address=kept)
    BlacklistEntry.objects.create(channel=channel, address=kept)
    entries = lists.entries_at(SHORT, [channel])
    assert lists.drop_inbound(channel, SHORT) and lists.drop_inbound(channel, LONG)
    assert lists.remove_from_blacklist(entries) == set(entries)
    assert {row.entry for row in lists.remove_from_optout([everything], entries)} == set(entries)
    assert not BlacklistEntry.objects.exists() and not OptOut.objects.exists()


@pytest.mark.parametrize("kept", [LONG, SHORT])
def test_the_pages_find_either_spelling(admin_client, channel, kept):
    entry = BlacklistEntry.objects.create(channel=channel, address=kept)
    ana = ContactFactory(phone=SHORT)
    page = admin_client.get(f"/admin/messaging/blacklistentry/?q={SHORT}").content.decode()
    assert kept in page
    shown = admin_client.get(f"/admin/crm/contact/{ana.pk}/change/").content.decode()
    assert f"/admin/messaging/blacklistentry/{entry.pk}/remove/" in shown
