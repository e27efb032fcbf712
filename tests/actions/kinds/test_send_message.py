import pytest

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.filter import Filter
from apps.actions.kinds.map_contact import MapContact
from apps.actions.kinds.send_message import SendMessage
from apps.crm.models import Contact
from apps.engine.models import Attempt
from apps.engine.turn import take_turn
from apps.messaging import delivery
from apps.messaging.models import BlacklistEntry, Message, OptOut, OptOutList
from apps.messaging.sandbox.models import PhoneMessage
from tests.factories import ChannelFactory, ContactFactory, published

pytestmark = pytest.mark.django_db

ANA, BEN, CLEO = "+4915112345678", "+4915112345679", "+4915112345670"


@pytest.fixture
def channel(db):
    return ChannelFactory(name="Shop")


def message(channel, *to, text="Hello", **columns):
    return SendMessage, {
        "channel": channel,
        "recipients": [{"to": number} for number in to],
        "text": text,
        **columns,
    }


def opt_out(channel, address):
    everything, _ = OptOutList.objects.get_or_create(is_system=True, defaults={"name": "All"})
    OptOut.objects.create(list=everything, channel=channel, address=address)


def arrived():
    return sorted(PhoneMessage.objects.values_list("address", "text"))


def test_every_number_gets_the_message(happen, told, channel):
    known = ContactFactory(phone=ANA, name="Ana")
    run = happen(
        [message(channel, "{{ contact.phone }}", "49{{ event.other }}", text="For {{ event.id }}")],
        event={"id": 7, "phone": ANA, "other": "15112345679"},
        mapping={"phone": "{{ event.phone }}"},
    )
    assert arrived() == [(ANA, "For 7"), (BEN, "For 7")]
    rows = Message.objects.order_by("pk").values_list("address", "contact", "cause", "cause_id")
    assert list(rows) == [(ANA, known.pk, "run", run.pk), (BEN, None, "run", run.pk)]
    entry = told(run, "send_message")
    assert (entry.result, entry.note) == ("done", f"Queued for {ANA}, {BEN}")
    assert entry.came_out["verdict"] == "send"


def test_a_number_written_twice_gets_it_once(happen, told, channel):
    run = happen([message(channel, ANA, "49 151 12345678", "0049151 12345678", "nope", "nope ")])
    assert arrived() == [(ANA, "Hello")]
    verdicts = told(run, "send_message").came_out["recipients"]
    assert [one["verdict"] for one in verdicts] == ["send", "invalid_number"]


def test_the_worst_verdict_counts_and_each_is_listed(happen, told, channel):
    opt_out(channel, ANA)
    BlacklistEntry.objects.create(channel=channel, address=BEN)
    run = happen([message(channel, ANA, BEN, CLEO)])
    entry = told(run, "send_message")
    assert arrived() == [(CLEO, "Hello")]
    assert entry.result == "done"  # at least one was queued
    assert entry.came_out["verdict"] == "blocked_blacklist"
    assert [(one["to"], one["verdict"]) for one in entry.came_out["recipients"]] == [
        (ANA, "blocked_optout"),
        (BEN, "blocked_blacklist"),
        (CLEO, "send"),
    ]
    refused = Message.objects.filter(state=Message.State.REFUSED).order_by("pk")
    assert [row.reason for row in refused] == [
        "The person opted out of messages on this channel.",
        "The address is on the blacklist of the channel.",
    ]


@pytest.mark.parametrize(("on_error", "state"), [("continue", "done"), ("stop", "failed")])
def test_nobody_left_to_send_to_is_a_failure(happen, told, channel, on_error, state):
    run = happen(
        [message(channel, "{{ event.phone }}", "{{ event.none }}", on_error=on_error)],
        [(MapContact, {"phone": ANA})],
        event={"phone": "12345"},
    )
    entry = told(run, "send_message")
    assert entry.result == "failed"
    assert entry.note == (
        "Nothing was queued. 12345: This is not a valid number with country code. "
        "(empty): This is not a valid number with country code."
    )
    assert (run.state, Contact.objects.count()) == (state, int(on_error == "continue"))
    assert not Message.objects.exists()


def test_a_later_filter_reads_the_verdict(happen, channel):
    """The way to an SMS when a number is not on WhatsApp."""
    is_invalid = {"left": "send.try_it.verdict", "operator": "text:is", "right": "invalid_number"}
    run = happen(
        [message(channel, "{{ event.phone }}", label="Try it")],
        [(Filter, {"conditions": [is_invalid]}), (MapContact, {"email": "sms@example.org"})],
        event={"phone": "12345"},
    )
    assert (run.state, Contact.objects.get().email) == ("done", "sms@example.org")


def test_an_empty_message_is_not_sent(happen, told, channel):
    run = happen([message(channel, ANA, text="{{ event.none }} ")])
    entry = told(run, "send_message")
    assert (entry.result, entry.note) == ("failed", "The message is empty, so it was not sent.")
    assert entry.missing == ["event.none"]
    assert not Message.objects.exists()


def test_it_needs_no_contact(happen, channel):
    happen([message(channel, ANA)])
    assert arrived() == [(ANA, "Hello")]


def test_an_optout_between_queueing_and_sending_counts(post, channel, clock):
    post(published([message(channel, ANA)]), {})
    take_turn()
    opt_out(channel, ANA)
    delivery.turn()
    row = Message.objects.get()
    assert (row.state, row.verdict) == ("refused", "blocked_optout")
    assert row.reason == "The person opted out of messages on this channel."
    assert not PhoneMessage.objects.exists()


def test_switched_off_the_channel_keeps_its_messages(post, drain, channel, clock):
    action = message(channel, ANA)
    made = published([action])
    channel.enabled = False
    channel.save()
    assert made.steps.get().actions.get().sendmessage.problems() == [
        'The channel "Shop" is switched off.'
    ]
    post(made, {})
    drain()
    assert (Message.objects.get().state, arrived()) == ("queued", [])
    channel.enabled = True
    channel.save()
    drain()
    assert arrived() == [(ANA, "Hello")]


def test_a_deleted_channel_is_named(post, drain, channel, clock):
    made = published([message(channel, ANA)])
    made.steps.all().delete()
    channel.delete()
    post(made, {})
    drain()
    entry = Attempt.objects.get()
    assert (entry.result, entry.note) == ("failed", 'Channel "Shop" was deleted')


def test_a_turn_done_again_sends_once(happen, lost_turn, channel):
    run = happen([message(channel, ANA)])
    assert (lost_turn, run.state, arrived()) == ([True], "done", [(ANA, "Hello")])


def test_the_same_action_in_two_runs_sends_twice(happen, channel):
    happen([message(channel, ANA)])
    happen([message(channel, ANA)])
    assert arrived() == [(ANA, "Hello")] * 2


def test_hostile_text_arrives_as_it_is(happen, channel):
    happen(
        [message(channel, ANA, text="{{ event.note }}"), (AddTag, {"new_tags": "x"})],
        event={"note": "{{ event.secret }}\r\n<b>\u0000\ud800 ok"},
    )
    assert arrived() == [(ANA, "{{ event.secret }}\r\n<b> ok")]


def test_what_is_missing_is_a_problem():
    assert SendMessage().problems() == [
        "Select the application that the message is sent from.",
        "Add at least one mobile number.",
        "Write the message.",
    ]
