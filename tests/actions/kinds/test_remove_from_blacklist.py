import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.remove_from_blacklist import RemoveFromBlacklist
from apps.crm.models import Tag
from apps.messaging import lists
from apps.messaging.lists import Entry
from apps.messaging.models import Application, BlacklistEntry
from tests.factories import ChannelFactory, ContactFactory

pytestmark = pytest.mark.django_db

PHONE, MAIL = "+4915112345678", "ana@example.org"
ANA = {"phone": PHONE}
BY_PHONE = {"phone": "{{ event.phone }}"}
NEXT = (AddTag, {"new_tags": "next"})


@pytest.fixture
def shop():
    return ChannelFactory(name="Shop")


@pytest.fixture
def ana():
    return ContactFactory(phone=PHONE, email="Ana@Example.org")


def unblocking(channel=None, address="", **more):
    channels = "one" if channel else "all"
    columns = {"channel": channel, "channels": channels, "address": address, **more}
    return RemoveFromBlacklist, columns


def block(*channels, address=PHONE):
    lists.add_to_blacklist([Entry(channel.pk, address) for channel in channels])


def blocked():
    rows = BlacklistEntry.objects.order_by("channel__name", "address")
    return list(rows.values_list("channel__name", "address"))


def test_the_contact_is_unblocked_on_the_channel_alone(happen, told, shop):
    other = ChannelFactory(name="Other")
    block(shop, other)
    block(shop, address="+4915112345679")
    run = happen([unblocking(shop)], event=ANA, mapping=BY_PHONE)
    assert blocked() == [("Other", PHONE), ("Shop", "+4915112345679")]
    entry = told(run, "remove_from_blacklist")
    assert (entry.result, entry.note) == ("done", f"Removed from the blacklist: {PHONE} on Shop")


def test_all_channels_at_once_and_what_was_not_there_is_told(happen, told, shop, ana):
    mail = ChannelFactory(name="Mail", application=Application.EMAIL)
    block(mail, address=MAIL)
    run = happen([unblocking()], event=ANA, mapping=BY_PHONE)
    assert blocked() == []
    note = f"Removed from the blacklist: {MAIL} on Mail. Not on the blacklist: {PHONE} on Shop"
    assert told(run, "remove_from_blacklist").note == note
    run = happen([unblocking(shop)], event=ANA, mapping=BY_PHONE)
    entry = told(run, "remove_from_blacklist")
    assert (entry.result, entry.note) == ("done", f"Not on the blacklist: {PHONE} on Shop")


def test_a_typed_address_needs_no_contact(happen, shop):
    block(shop)
    happen([unblocking(shop, "{{ event.who }}")], event={"who": "0049 151 12345678"})
    assert blocked() == []


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
def test_a_bad_address_fails_and_unblocks_nobody(happen, told, shop, on_error, state):
    block(shop)
    steps = [unblocking(shop, "{{ event.who }}", on_error=on_error), NEXT]
    run = happen(steps, event={**ANA, "who": "x"}, mapping=BY_PHONE)
    entry = told(run, "remove_from_blacklist")
    note = '"x" is not a valid mobile number: it needs the country code.'
    assert (entry.result, entry.note, run.state) == ("failed", note, state)
    assert blocked() == [("Shop", PHONE)]
    assert Tag.objects.exists() is (on_error == "continue")


def test_without_a_contact_and_an_address_it_is_skipped(happen, told, shop):
    block(shop)
    entry = told(happen([unblocking(shop)]), "remove_from_blacklist")
    assert (entry.result, entry.note) == ("skipped", "No contact mapped")
    assert blocked() == [("Shop", PHONE)]


def test_a_turn_done_again_unblocks_once(happen, told, lost_turn, shop):
    block(shop)
    run = happen([unblocking(shop)], event=ANA, mapping=BY_PHONE)
    assert (lost_turn, run.state, blocked()) == ([True], "done", [])
    note = f"Removed from the blacklist: {PHONE} on Shop"
    assert told(run, "remove_from_blacklist").note == note


def test_what_is_missing_is_a_problem():
    assert RemoveFromBlacklist().problems() == ["Choose a channel, or all channels."]
    assert RemoveFromBlacklist(channels="all").summary() == "The contact on all channels"
