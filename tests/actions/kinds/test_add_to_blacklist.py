import pytest
from django.db.models import RestrictedError

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.add_to_blacklist import AddToBlacklist
from apps.actions.kinds.send_message import SendMessage
from apps.crm.models import Tag
from apps.engine.models import Run
from apps.messaging.models import Application, BlacklistEntry
from tests.factories import ChannelFactory, ContactFactory, published

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


def blacklisting(channel=None, address="", **more):
    channels = "one" if channel else "all"
    return AddToBlacklist, {"channel": channel, "channels": channels, "address": address, **more}


def blocked():
    rows = BlacklistEntry.objects.order_by("channel__name", "address")
    return list(rows.values_list("channel__name", "address"))


def test_the_contact_is_blocked_on_the_channel(happen, told, shop):
    ChannelFactory(name="Other")
    run = happen([blacklisting(shop)], event=ANA, mapping=BY_PHONE)
    assert blocked() == [("Shop", PHONE)]
    entry = told(run, "add_to_blacklist")
    assert (entry.result, entry.note) == ("done", f"Blacklisted: {PHONE} on Shop")
    row = BlacklistEntry.objects.get()
    assert (row.cause, row.cause_id) == ("run", run.pk)


def test_all_channels_take_the_address_that_each_reaches(happen, told, shop, ana):
    ChannelFactory(name="Mail", application=Application.EMAIL)
    ChannelFactory(name="Support")
    run = happen([blacklisting()], event=ANA, mapping=BY_PHONE)
    assert blocked() == [("Mail", MAIL), ("Shop", PHONE), ("Support", PHONE)]
    note = f"Blacklisted: {MAIL} on Mail; {PHONE} on Shop, Support"
    assert told(run, "add_to_blacklist").note == note


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("0049 151 123-45678", [("Shop", PHONE)]),
        ("Ben@Example.org", [("Mail", "ben@example.org")]),
    ],
)
def test_a_typed_address_needs_no_contact(happen, shop, typed, expected):
    ChannelFactory(name="Mail", application=Application.EMAIL)
    happen([blacklisting(None, "{{ event.who }}")], event={"who": typed})
    assert blocked() == expected


def test_what_is_blocked_already_stays_once_and_is_told(happen, told, shop):
    happen([blacklisting(shop)], event=ANA, mapping=BY_PHONE)
    ChannelFactory(name="Other")
    run = happen([blacklisting()], event=ANA, mapping=BY_PHONE)
    note = f"Blacklisted: {PHONE} on Other. On the blacklist already: {PHONE} on Shop"
    assert told(run, "add_to_blacklist").note == note
    run = happen([blacklisting(shop)], event=ANA, mapping=BY_PHONE)
    note = f"On the blacklist already: {PHONE} on Shop"
    assert told(run, "add_to_blacklist").note == note
    assert blocked() == [("Other", PHONE), ("Shop", PHONE)]


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
@pytest.mark.parametrize(
    ("typed", "note"),
    [
        ("12345", '"12345" is not a valid mobile number: it needs the country code.'),
        (MAIL, f'"{MAIL}" is not a valid mobile number: it needs the country code.'),
        ("", "The number or email address is empty, so no list was changed."),
    ],
)
def test_a_bad_address_fails_and_blocks_nobody(happen, told, shop, typed, note, on_error, state):
    steps = [blacklisting(shop, "{{ event.who }}", on_error=on_error), NEXT]
    run = happen(steps, event={**ANA, "who": typed}, mapping=BY_PHONE)
    entry = told(run, "add_to_blacklist")
    assert (entry.result, entry.note, run.state) == ("failed", note, state)
    assert not blocked()
    assert Tag.objects.exists() is (on_error == "continue")


def test_a_bad_address_for_all_channels(happen, told, shop):
    ChannelFactory(name="Mail", application=Application.EMAIL)
    run = happen([blacklisting(None, "nobody")])
    note = '"nobody" is not a valid mobile number or email address.'
    assert told(run, "add_to_blacklist").note == note


def test_a_contact_that_the_channel_does_not_reach(happen, told):
    mail = ChannelFactory(name="Mail", application=Application.EMAIL)
    run = happen([blacklisting(mail)], event=ANA, mapping=BY_PHONE)
    entry = told(run, "add_to_blacklist")
    assert (entry.result, entry.note) == (
        "failed",
        "The contact has no email address, so no list was changed.",
    )


def test_without_a_contact_and_an_address_it_is_skipped(happen, told, shop):
    run = happen([blacklisting(shop)])
    entry = told(run, "add_to_blacklist")
    assert (entry.result, entry.note, run.state) == ("skipped", "No contact mapped", "done")
    assert not blocked()


def test_without_any_channel_it_fails(happen, told):
    run = happen([blacklisting(None, PHONE)])
    assert told(run, "add_to_blacklist").note == "There is no channel: choose one and publish."


def test_a_turn_done_again_blocks_once(happen, lost_turn, shop):
    run = happen([blacklisting(shop)], event=ANA, mapping=BY_PHONE)
    assert (lost_turn, run.state, blocked()) == ([True], "done", [("Shop", PHONE)])


def test_messages_are_refused_from_then_on(happen, told, shop):
    sending = (SendMessage, {"channel": shop, "recipients": [{"to": PHONE}], "text": "Hi"})
    run = happen([blacklisting(shop), sending], event=ANA, mapping=BY_PHONE)
    assert told(run, "send_message").came_out["verdict"] == "blocked_blacklist"


def test_the_entry_outlives_the_contact(happen, shop, ana):
    happen([blacklisting(shop)], event=ANA, mapping=BY_PHONE)
    ana.delete()
    assert blocked() == [("Shop", PHONE)]


def test_a_channel_that_is_gone_fails(post, drain, clock, told, shop):
    connector = published([blacklisting(shop)], mapping=BY_PHONE)
    with pytest.raises(RestrictedError):
        shop.delete()
    AddToBlacklist.objects.all().delete()
    shop.delete()
    post(connector, ANA)
    drain()
    assert told(Run.objects.get(), "add_to_blacklist").note == 'Channel "Shop" was deleted'


def test_what_is_missing_is_a_problem(shop):
    assert AddToBlacklist().problems() == ["Choose a channel, or all channels."]
    assert AddToBlacklist(channels="all").problems() == []
    assert AddToBlacklist(channel=shop).problems() == []
    assert AddToBlacklist(channel=shop).summary() == "The contact on Shop"
    assert AddToBlacklist(channels="all", address=PHONE).summary() == f"{PHONE} on all channels"
