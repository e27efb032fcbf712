"""The gate, the lists and the outbox know one number by either of its spellings."""

import pytest

from apps.messaging import gate, lists, outbox
from apps.messaging.addresses import canonical, spelled
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
