import pytest

from apps.messaging import outbox
from apps.messaging.models import BlacklistEntry, Message
from apps.messaging.sandbox.models import PhoneMessage
from tests.factories import ChannelFactory, ContactFactory

pytestmark = pytest.mark.django_db

ANA, BEN, CLARA = "+4915112345678", "+4915112345679", "+4915112345680"


@pytest.fixture
def channel(db):
    return ChannelFactory()


def queue(channel, *to, key="k", **more):
    return outbox.queue(channel, list(to), "Hi", key=key, **more)


def rows():
    return list(Message.objects.order_by("pk").values_list("address", "state", "key"))


def test_each_recipient_gets_a_row_with_a_key_of_its_own(channel, clock):
    queue(channel, ANA, BEN)
    assert rows() == [(ANA, "queued", f"k:{ANA}"), (BEN, "queued", f"k:{BEN}")]
    assert set(Message.objects.values_list("wake_at", "settled_at")) == {(clock.now, None)}


def test_repeating_the_call_writes_nothing_twice_and_answers_the_same(channel):
    first = queue(channel, ANA, BEN)
    assert queue(channel, ANA, BEN) == first
    assert len(rows()) == 2
    queue(channel, ANA, key="other")
    assert len(rows()) == 3


def test_results_keep_the_order_of_the_recipients_and_drop_doubles(channel):
    results = queue(channel, "x", ANA, "49 151 12345678", " x", BEN, "")
    assert [(result.to, result.address, result.verdict) for result in results] == [
        ("x", "", "invalid_number"),
        (ANA, ANA, "send"),
        (BEN, BEN, "send"),
        ("", "", "invalid_number"),
    ]
    assert [address for address, _, _ in rows()] == [ANA, BEN]


def test_a_refused_recipient_has_a_settled_row_that_says_why(channel, clock):
    BlacklistEntry.objects.create(channel=channel, address=ANA)
    (result,) = queue(channel, ANA)
    row = Message.objects.get()
    assert (row.state, row.verdict, row.settled_at) == ("refused", result.verdict, clock.now)
    assert row.reason == result.reason == "The address is on the blacklist of the channel."


def test_repeating_the_call_leaves_what_was_refused_as_it_is(channel, clock):
    """A deliberate further try says so (`again`)."""
    BlacklistEntry.objects.create(channel=channel, address=ANA)
    queue(channel, ANA)
    before = Message.objects.values().get()
    BlacklistEntry.objects.all().delete()
    clock.tick(minutes=1)
    queue(channel, ANA)
    assert Message.objects.values().get() == before


def test_the_row_knows_its_contact_and_its_cause(channel):
    contact = ContactFactory(phone=ANA)
    queue(channel, ANA, BEN, contact=contact, cause="run", cause_id=7)
    assert list(Message.objects.order_by("pk").values_list("contact", "cause", "cause_id")) == [
        (contact.pk, "run", 7),
        (None, "run", 7),
    ]


def test_nobody_to_write_to_is_no_query(channel, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert queue(channel) == []


def test_a_further_try_judges_anew_what_was_refused_and_leaves_the_rest(channel, drain):
    """What an earlier try queued or sent is not written, and so not sent, a second time."""
    BlacklistEntry.objects.create(channel=channel, address=ANA)
    queue(channel, BEN)
    drain()
    queue(channel, ANA, BEN, CLARA)
    before = {row.address: row.pk for row in Message.objects.all()}
    BlacklistEntry.objects.all().delete()
    queue(channel, ANA, BEN, CLARA, again=True)
    after = {row.address: row for row in Message.objects.all()}
    assert {address: row.state for address, row in after.items()} == {
        ANA: "queued",
        BEN: "sent",
        CLARA: "queued",
    }
    assert after[ANA].pk != before[ANA]
    assert [after[address].pk for address in (BEN, CLARA)] == [before[BEN], before[CLARA]]
    drain()
    assert sorted(PhoneMessage.objects.values_list("address", flat=True)) == [ANA, BEN, CLARA]
