"""A worker that was stopped between its claim and its request harms nobody when it goes on."""

from datetime import timedelta

import pytest

from apps.engine import turn
from apps.messaging import delivery, outbox
from apps.messaging.models import BlacklistEntry, Message
from apps.messaging.sandbox.models import PhoneMessage
from apps.messaging.settling import settle_by_hand
from tests.factories import ChannelFactory

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_late_send_harms_nobody(clock, monkeypatch):
    """A worker that was stopped between the mark and its request does not send any more."""
    outbox.queue(ChannelFactory(), ["+4915112345678"], "Pay now", key="test")
    taken = delivery.claim()
    clock.tick(seconds=70)
    Message.expire()
    delivery.send(taken)
    assert not PhoneMessage.objects.exists()
    assert Message.objects.get().state == "queued"
    mine = delivery.mark_sending(delivery.claim())
    clock.tick(seconds=70)
    assert Message.expire() == 1
    assert settle_by_hand([mine[0].pk], sent=False, who="ana")
    delivery.ask_again(mine[0], delivery.Again(timedelta(), "late"))
    assert Message.objects.get().state == "failed"
    assert turn.take_turn() == 0


def test_a_late_send_to_the_phone_does_not_leave(clock, monkeypatch):
    """Nor is it unknown what became of it: whoever was late knows."""
    outbox.queue(ChannelFactory(), ["+4915112345678"], "Pay now", key="test")
    monkeypatch.setattr(delivery, "uptime", lambda: -100.0)
    delivery.turn()
    assert not PhoneMessage.objects.exists()
    clock.tick(seconds=70)
    assert Message.expire() == 1
    assert Message.objects.get().state == "unknown"
    delivery.turn(claims=False)
    assert Message.objects.get().state == "failed"
    assert Message.objects.get().reason.startswith("It was not accepted: It did not leave")


def test_who_was_stopped_before_it_asked_says_nothing_of_what_others_send(clock):
    """The address was on the blacklist, and is not any more when another worker sends."""
    channel = ChannelFactory()
    outbox.queue(channel, ["+4915112345678"], "Hi", key="test")
    (stale,) = delivery.claim()
    clock.tick(seconds=70)
    Message.expire()
    (fresh,) = delivery.mark_sending(delivery.claim())
    BlacklistEntry.objects.create(channel=channel, address="+4915112345678")
    assert delivery.judge_again([stale]) == []
    assert Message.objects.get().state == "sending"
    delivery.settle(fresh, Message.State.SENT, provider_id="p-1")
    assert Message.objects.get().state == "sent"
