"""Sends to a provider over HTTP: what each answer comes to; nobody waits for a slow one."""

from threading import Event

import pytest

from apps.actions.kinds.stop import StopRun
from apps.core.http.guard import AllowList
from apps.core.http.outgoing import outgoing
from apps.engine.models import Run
from apps.messaging import delivery, outbox
from apps.messaging.models import Message
from tests.factories import ChannelFactory, published
from tests.gateways import HttpGateway, http_gateway
from tests.servers import serving

pytestmark = pytest.mark.django_db
ANA, BEN = "+4915112345678", "+14155552671"


@pytest.fixture
def server(settings):
    settings.HTTP_ALLOW = AllowList.read(["127.0.0.1"])
    with serving() as made:
        made.answer = lambda asked: (200, {}, b'{"id": "p-%d"}' % len(made.asked))
        yield made


@pytest.fixture
def provider(server):
    with http_gateway(server.url) as made:
        yield made


def channel():
    return ChannelFactory(driver=HttpGateway.driver)


def queue(on, *numbers, text="Hi", key="test"):
    for place, number in enumerate(numbers):
        outbox.queue(on, [number], f"{text} {place}", key=f"{key}:{place}")


def rows():
    return list(Message.objects.order_by("pk").values_list("state", "tries"))


def test_what_the_provider_accepts_is_sent_once_with_its_id(server, provider, drain):
    queue(channel(), ANA, BEN)
    drain()
    assert sorted(asked.json["to"] for asked in server.asked) == [BEN, ANA]
    assert set(Message.objects.values_list("state", "provider_id")) == {
        ("sent", "p-1"),
        ("sent", "p-2"),
    }
    assert delivery.under_way() == []


def test_what_could_not_leave_in_time_does_not_leave_and_is_asked_for_again(
    server, provider, clock, drain, monkeypatch
):
    """The worker was stopped between the mark and the request."""
    queue(channel(), ANA)
    with monkeypatch.context() as patch:
        patch.setattr(delivery, "LEAVES_WITHIN", -1.0)
        delivery.turn()
        delivery.settle_answered()
    assert rows() == [("queued", 1)]
    assert not server.asked
    drain()
    assert rows() == [("sent", 1)]
    assert len(server.asked) == 1


def test_messages_to_one_address_leave_one_after_the_other(server, provider, drain):
    at_once, most = [0], [0]
    answer = server.answer

    def count(asked):
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        Event().wait(0.05)
        at_once[0] -= 1
        return answer(asked)

    server.answer = count
    queue(channel(), ANA, ANA, ANA)
    drain()
    assert [asked.json["text"] for asked in server.asked] == ["Hi 0", "Hi 1", "Hi 2"]
    assert most[0] == 1


def test_a_refusal_fails_the_message_in_the_providers_words(server, provider, drain):
    server.answer = lambda asked: (400, {}, b"Not on WhatsApp.")
    queue(channel(), ANA)
    drain()
    assert Message.objects.values_list("state", "reason").get() == ("failed", "Not on WhatsApp.")


def test_who_asks_to_come_again_is_heeded(server, provider, drain, clock):
    accept = server.answer
    server.answer = lambda asked: (429, {"Retry-After": "30"}, b"")
    queue(channel(), ANA)
    drain()
    assert rows() == [("queued", 1)]
    clock.tick(seconds=29)
    drain()
    assert len(server.asked) == 1
    server.answer = accept
    clock.tick(seconds=2)
    drain()
    assert (rows(), len(server.asked)) == ([("sent", 1)], 2)


def test_asking_again_ends_sometime(server, provider, drain, clock):
    server.answer = lambda asked: (429, {}, b"")
    queue(channel(), ANA)
    for _ in range(20):
        drain()
        clock.tick(minutes=6)
    message = Message.objects.get()
    assert (message.state, len(server.asked)) == ("failed", delivery.MAX_TRIES)
    assert message.reason.startswith("Not accepted in 12 tries: The provider asked")


def test_a_provider_that_is_not_there_is_tried_again_later(server, provider, drain, clock):
    provider.url = "http://127.0.0.1:1"
    queue(channel(), ANA)
    drain()
    assert rows() == [("queued", 1)]
    provider.url = server.url
    clock.tick(seconds=3)
    drain()
    assert rows() == [("sent", 1)]


@pytest.mark.parametrize("answer", [None, (502, {}, b""), (200, {}, b"no JSON")])
def test_what_nobody_knows_is_unknown_and_never_sent_again(server, provider, drain, clock, answer):
    server.answer = lambda asked: answer
    queue(channel(), ANA)
    drain()
    clock.tick(hours=1)
    drain()
    assert (rows(), len(server.asked)) == ([("unknown", 0)], 1)


def test_a_lost_answer_is_asked_for_again_where_that_is_harmless(server, provider, drain, clock):
    accept = server.answer
    server.answer = lambda asked: None
    provider.repeatable = True
    queue(channel(), ANA)
    drain()
    assert rows() == [("queued", 1)]
    server.answer = accept
    clock.tick(seconds=5)
    drain()
    assert rows() == [("sent", 1)]


def test_an_address_that_may_not_be_called_fails_with_a_sentence(server, provider, drain, settings):
    settings.HTTP_ALLOW = AllowList.read([])
    queue(channel(), ANA)
    drain()
    message = Message.objects.get()
    assert message.state == "failed"
    assert message.reason


def test_a_message_that_cannot_be_asked_for_fails_with_a_sentence(provider, drain, monkeypatch):
    def no(self, message):
        raise ValueError("The text is empty.")

    monkeypatch.setattr(HttpGateway, "request", no)
    queue(channel(), ANA)
    drain()
    assert Message.objects.get().reason == "It can't be sent: The text is empty."


def test_a_slow_provider_blocks_nobody(server, provider, post):
    """Its answer comes only when all others are through."""
    from apps.engine.agenda import look
    from apps.engine.rounds import round_of_lanes

    others = Event()
    accept = server.answer
    server.answer = lambda asked: others.wait(30) and accept(asked)
    queue(channel(), ANA)
    post(published([(StopRun, {})]), {})
    fast = ChannelFactory()
    queue(fast, BEN, key="fast")
    for _ in range(4):
        round_of_lanes(look().due())
    assert Run.objects.get().state == "stopped"
    assert Message.objects.get(channel=fast).state == "sent"
    assert Message.objects.exclude(channel=fast).get().state == "sending"
    others.set()
    outgoing().wait(10)
    round_of_lanes(())
    assert set(Message.objects.values_list("state", flat=True)) == {"sent"}


def test_a_slow_channel_leaves_lines_to_the_others(server, provider):
    others = Event()
    accept = server.answer
    server.answer = lambda asked: others.wait(30) and accept(asked)
    outgoing().share("sends").capacity = 44
    slow, fast = channel(), channel()
    queue(slow, *[f"+49151{n:08d}" for n in range(60)])
    for _ in range(4):
        delivery.turn()
    queue(fast, BEN, key="fast")
    delivery.turn()
    sending = Message.objects.filter(state="sending")
    assert (sending.filter(channel=slow).count(), sending.filter(channel=fast).count()) == (40, 1)
    others.set()


def test_an_answer_waits_until_it_is_written_down(server, provider, monkeypatch):
    queue(channel(), ANA)
    delivery.turn()
    outgoing().wait(10)
    with monkeypatch.context() as patch:
        patch.setattr(delivery, "settle", lambda *args, **more: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            delivery.turn()
    assert delivery.turn() == 1
    assert (rows(), len(server.asked)) == ([("sent", 0)], 1)


def test_what_was_claimed_or_marked_and_not_asked_for_is_queued_again(provider):
    queue(channel(), ANA, BEN)
    claimed = delivery.claim()
    delivery.mark_sending(claimed[:1])
    assert {m.state for m in Message.objects.all()} == {"leased", "sending"}
    assert delivery.recover() == (2, 0)
    assert rows() == [("queued", 0)] * 2


def test_at_the_end_a_send_under_way_is_given_up_on_purpose(server, provider):
    never = Event()
    server.answer = lambda asked: never.wait(20) and None
    queue(channel(), ANA)
    delivery.turn()
    outgoing().wait(0.2)
    assert delivery.let_go() == 1
    assert rows() == [("unknown", 0)]
    assert delivery.under_way() == []
    never.set()


def test_what_a_provider_calls_a_message_can_be_stored_whatever_it_is(server, provider, drain):
    server.answer = lambda asked: (200, {}, b'{"id": "p\\u0000\\ud800-%d"}' % len(server.asked))
    queue(channel(), ANA, BEN)
    drain()
    found = Message.objects.order_by("provider_id").values_list("state", "provider_id")
    assert list(found) == [("sent", "p-1"), ("sent", "p-2")]


def test_a_provider_can_put_a_message_off_for_a_day_at_most(server, provider, drain, clock):
    server.answer = lambda asked: (429, {"Retry-After": "80000000000"}, b"")
    queue(channel(), ANA)
    drain()
    assert Message.objects.get().wake_at == clock.now + delivery.LONGEST_ASKED
