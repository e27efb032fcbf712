"""The delivery lane: order, the second look of the gate, what a gateway can answer."""

from datetime import timedelta

import pytest
from django.db import OperationalError, connections
from django.db.models import QuerySet

from apps.core import clock as core_clock
from apps.messaging import delivery, outbox
from apps.messaging.gateways.base import Rejected
from apps.messaging.gateways.sandbox import SandboxGateway
from apps.messaging.models import BlacklistEntry, Message
from apps.messaging.sandbox.models import PhoneMessage
from tests.factories import ChannelFactory

pytestmark = pytest.mark.django_db

ANA, BEN = "+4915112345678", "+14155552671"


@pytest.fixture
def channel():
    return ChannelFactory()


def queue(channel, *numbers, text="Hi"):
    for place, number in enumerate(numbers):
        outbox.queue(channel, [number], f"{text} {place}", key=f"test:{place}:{text}")


def test_one_address_gets_its_messages_one_by_one_in_order(channel, clock):
    queue(channel, ANA, ANA, BEN)
    first = delivery.claim()
    assert [(m.address, m.text) for m in first] == [(ANA, "Hi 0"), (BEN, "Hi 2")]
    assert delivery.claim() == []
    delivery.send(first)
    assert delivery.claim() == []
    delivery.settle_answered()
    assert [m.text for m in delivery.claim()] == ["Hi 1"]


def test_who_lost_its_lease_does_not_settle_what_another_sends(channel, clock, monkeypatch):
    """Between its claim and its judging the worker was stopped for longer than a lease."""
    queue(channel, ANA, BEN)
    late = delivery.claim()
    clock.tick(seconds=70)
    Message.expire()
    delivery.mark_sending(delivery.claim())
    BlacklistEntry.objects.create(channel=channel, address=ANA)
    assert [m.address for m in delivery.judge_again(late)] == [BEN]
    monkeypatch.setattr(SandboxGateway, "request", lambda self, message: int("x"))
    delivery.send([m for m in late if m.address == BEN])
    assert set(Message.objects.values_list("state", flat=True)) == {"sending"}


@pytest.mark.parametrize("asks", ["request", "read"])
def test_a_gateway_that_the_database_fails_fails_no_message(channel, drain, monkeypatch, asks):
    def away(self, given):
        raise OperationalError("the connection is closed")

    queue(channel, ANA)
    with monkeypatch.context() as patch:
        patch.setattr(SandboxGateway, asks, away)
        with pytest.raises(OperationalError):
            delivery.turn()
            delivery.turn()
    delivery.recover()
    assert Message.objects.get().state == ("queued" if asks == "request" else "sending")
    drain()
    assert Message.objects.get().state == "sent"
    assert PhoneMessage.objects.count() == 1


def test_a_channel_whose_gateway_is_gone_says_so(channel, drain):
    queue(channel, ANA)
    type(channel).objects.update(driver="gone")
    drain()
    reason = 'It can\'t be sent: This installation has no gateway "gone".'
    assert Message.objects.values_list("state", "reason").get() == ("failed", reason)


def test_an_unknown_outcome_does_not_hold_the_next(channel, clock, drain, monkeypatch):
    def lost(self, answer):
        raise TimeoutError

    queue(channel, ANA)
    with monkeypatch.context() as patch:
        patch.setattr(SandboxGateway, "read", lost)
        drain()
    queue(channel, ANA, text="Next")
    drain()
    states = list(Message.objects.order_by("pk").values_list("state", flat=True))
    assert states == ["unknown", "sent"]


def on_the_phone():
    return list(PhoneMessage.objects.values_list("text", flat=True))


def test_what_the_phone_could_not_write_down_is_asked_for_again(channel, clock, drain, monkeypatch):
    """The database refuses it (it is full, locked, gone): then certainly nothing stands there."""

    def refused(*args, **kwargs):
        raise OperationalError("no space left")

    queue(channel, ANA)
    with monkeypatch.context() as patch:
        patch.setattr(QuerySet, "bulk_create", refused)
        drain()
    message = Message.objects.get()
    assert (message.state, message.tries) == ("queued", 1)
    assert message.reason == "sandbox-phone took nothing: no space left"
    clock.tick(seconds=2)
    drain()
    assert (Message.objects.get().state, on_the_phone()) == ("sent", ["Hi 0"])


@pytest.mark.django_db(transaction=True)
def test_of_a_phone_whose_commit_lost_its_word_nobody_knows(channel, clock, drain, monkeypatch):
    database = type(connections["default"])
    commit = database._commit

    def lost(self):
        commit(self)
        if PhoneMessage.objects.exists():
            patch.undo()
            raise OperationalError("the connection is lost")

    queue(channel, ANA)
    with monkeypatch.context() as patch:
        patch.setattr(database, "_commit", lost)
        drain()
    clock.tick(minutes=1)
    drain()
    assert (Message.objects.get().state, on_the_phone()) == ("unknown", ["Hi 0"])


def test_who_wakes_late_puts_nothing_on_the_phone(channel, clock, drain, monkeypatch):
    """The process was stopped between the mark and the request: by now others may have sent it."""
    mark, sleep = delivery.mark_sending, []

    def and_stop(*args):
        marked = mark(*args)
        sleep.append(delivery.LEAVES_WITHIN + 1)
        return marked

    true_time = core_clock._seconds
    monkeypatch.setattr(core_clock, "_seconds", lambda: true_time() + sum(sleep))
    queue(channel, ANA)
    with monkeypatch.context() as patch:
        patch.setattr(delivery, "mark_sending", and_stop)
        delivery.turn()
    assert on_the_phone() == []
    drain()
    assert (Message.objects.get().state, on_the_phone()) == ("sent", ["Hi 0"])


def test_a_gateway_that_says_no_fails_the_message_with_its_reason(channel, drain, monkeypatch):
    no = Rejected("The number is not on WhatsApp.")
    monkeypatch.setattr(SandboxGateway, "read", lambda self, answer: no)
    queue(channel, ANA)
    drain()
    message = Message.objects.get()
    assert (message.state, message.reason) == ("failed", "The number is not on WhatsApp.")


def test_the_gate_looks_again_when_the_message_is_claimed(channel, drain):
    queue(channel, ANA, BEN)
    BlacklistEntry.objects.create(channel=channel, address=ANA)
    drain()
    refused = Message.objects.get(address=ANA)
    assert (refused.state, refused.verdict) == ("refused", "blocked_blacklist")
    assert [m.address for m in PhoneMessage.objects.all()] == [BEN]


def test_a_switched_off_channel_keeps_its_messages(channel, drain):
    queue(channel, ANA)
    channel.enabled = False
    channel.save()
    drain()
    assert Message.objects.get().state == "queued"
    channel.enabled = True
    channel.save()
    drain()
    assert Message.objects.get().state == "sent"


def test_a_lost_lease_is_not_sent(channel, clock):
    queue(channel, ANA)
    taken = delivery.claim()
    Message.objects.update(lease_owner="another/worker/1/1")
    assert delivery.mark_sending(taken) == []


@pytest.mark.parametrize("state", ["leased", "sending"])
def test_the_next_message_waits_while_the_one_before_is_in_somebodys_hands(
    channel, clock, drain, state
):
    queue(channel, ANA, ANA)
    first, second = Message.objects.order_by("pk")
    held = Message.objects.filter(pk=first.pk)
    held.update(
        state=state, lease_owner="another/worker/1/1", lease_until=clock.now + timedelta(minutes=1)
    )
    drain()
    second.refresh_from_db()
    assert second.state == "queued" and not PhoneMessage.objects.exists()
    held.update(state="sent", lease_until=None, settled_at=clock.now)
    drain()
    second.refresh_from_db()
    assert second.state == "sent"


@pytest.mark.parametrize("ended", ["sent", "failed", "refused", "cancelled"])
def test_what_has_ended_is_not_settled_again(channel, clock, ended):
    queue(channel, ANA)
    message = Message.objects.get()
    earlier = clock.now
    settled = {"state": ended, "reason": "As it was.", "settled_at": earlier}
    Message.objects.update(**settled)
    clock.tick(minutes=1)
    for late in {"sent", "failed", "unknown"} - {ended}:
        delivery.settle(message, late, reason="Too late.")
    assert Message.objects.values(*settled).get() == settled


@pytest.mark.parametrize("state", ["leased", "sending", "unknown"])
def test_settling_ends_the_lease_and_whoever_held_it_has_lost_the_message(channel, clock, state):
    queue(channel, ANA)
    (message,) = delivery.claim()
    Message.objects.update(state=state)
    delivery.settle(message, "sent", reason="Found.")
    row = Message.objects.get()
    assert (row.state, row.reason, row.settled_at) == ("sent", "Found.", clock.now)
    assert (row.lease_until, row.lease_epoch) == (None, message.lease_epoch + 1)
