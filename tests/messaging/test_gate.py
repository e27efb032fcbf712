import pytest

from apps.messaging import gate
from apps.messaging.gate import BLOCKED_BLACKLIST, BLOCKED_OPTOUT, INVALID_NUMBER, SEND
from apps.messaging.models import BlacklistEntry, OptOut, OptOutList
from tests.factories import ChannelFactory

pytestmark = pytest.mark.django_db

ANA, BEN = "+4915112345678", "+4915112345679"


@pytest.fixture
def everything():
    return OptOutList.objects.get_or_create(is_system=True, defaults={"name": "All messages"})[0]


def test_the_blacklist_is_worse_than_the_optout_and_both_are_by_channel(everything):
    one, two = ChannelFactory(), ChannelFactory()
    OptOut.objects.create(list=everything, channel=one, address=ANA)
    OptOut.objects.create(list=everything, channel=two, address=BEN)
    BlacklistEntry.objects.create(channel=two, address=ANA)
    BlacklistEntry.objects.create(channel=two, address=BEN)
    targets = [(channel.pk, address) for channel in (one, two) for address in (ANA, BEN)]
    verdicts = gate.judge(targets)
    assert [verdicts[target] for target in targets] == [
        BLOCKED_OPTOUT,
        SEND,
        BLOCKED_BLACKLIST,
        BLOCKED_BLACKLIST,
    ]


def test_a_list_of_ones_own_does_not_stop_automation(everything):
    channel = ChannelFactory()
    newsletter = OptOutList.objects.create(name="Newsletter")
    OptOut.objects.create(list=newsletter, channel=channel, address=ANA)
    assert gate.judge([(channel.pk, ANA)]) == {(channel.pk, ANA): SEND}


def test_a_list_of_ones_own_stops_what_names_it(everything, django_assert_num_queries):
    channel = ChannelFactory()
    newsletter = OptOutList.objects.create(name="Newsletter")
    offers = OptOutList.objects.create(name="Offers")
    OptOut.objects.create(list=newsletter, channel=channel, address=ANA)
    OptOut.objects.create(list=everything, channel=channel, address=BEN)
    targets = [(channel.pk, ANA), (channel.pk, BEN)]
    with django_assert_num_queries(1):
        named = gate.judge(targets, lists=[newsletter.pk, offers.pk])
    assert list(named.values()) == [BLOCKED_OPTOUT, BLOCKED_OPTOUT]
    assert gate.judge(targets, lists=[offers.pk]) == {
        targets[0]: SEND,
        targets[1]: BLOCKED_OPTOUT,
    }


@pytest.mark.parametrize("count", [0, 1, 300])
def test_any_number_of_addresses_takes_one_query(django_assert_num_queries, count):
    channel = ChannelFactory()
    targets = [(channel.pk, f"+49151{number:08d}") for number in range(count)]
    with django_assert_num_queries(1 if count else 0):
        assert len(gate.judge(targets)) == count


def test_only_send_is_no_refusal_and_a_refusal_has_a_reason():
    assert not SEND.refused
    for verdict in (BLOCKED_BLACKLIST, BLOCKED_OPTOUT, INVALID_NUMBER):
        assert verdict.refused and verdict.reason.endswith(".")


def test_the_worst_of_several():
    codes = ["send", "blocked_optout", "blocked_blacklist", "invalid_number"]
    for index, code in enumerate(codes):
        assert gate.worst(codes[: index + 1][::-1]) == code
