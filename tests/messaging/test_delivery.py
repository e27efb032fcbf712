"""The delivery lane: order, the second look of the gate, what a gateway can answer."""

import pytest

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
