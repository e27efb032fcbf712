"""The opt-out lists and the blacklist: who is on them, and putting them there."""

import pytest

from apps.crm.models import Contact
from apps.messaging import lists
from apps.messaging.lists import Entry, Listed, addresses_of, is_blacklisted, is_opted_out
from apps.messaging.models import Application, BlacklistEntry, OptOut, OptOutList
from tests.factories import ChannelFactory, ContactFactory, OptOutListFactory

pytestmark = pytest.mark.django_db

PHONE = "+4915112345678"


@pytest.fixture
def whatsapp():
    return ChannelFactory()


@pytest.fixture
def mail():
    return ChannelFactory(application=Application.EMAIL)


@pytest.fixture
def system_list():
    return OptOutList.objects.get_or_create(is_system=True, defaults={"name": "All messages"})[0]


def test_a_channel_reaches_a_contact_by_number_or_by_email(whatsapp, mail):
    ana = ContactFactory(phone=PHONE, email="Ana@Example.org")
    assert addresses_of(ana, whatsapp) == [PHONE]
    assert addresses_of(ana, mail) == ["ana@example.org"]
    assert addresses_of(ana, None) == [PHONE, "ana@example.org"]
    assert addresses_of(ContactFactory(phone=None, email="b@example.org"), whatsapp) == []


def test_the_blacklist_counts_for_its_channel(whatsapp, mail):
    BlacklistEntry.objects.create(channel=whatsapp, address=PHONE)
    assert is_blacklisted([PHONE], whatsapp)
    assert is_blacklisted(["x@example.org", PHONE], None)
    assert not is_blacklisted([PHONE], mail)
    assert not is_blacklisted(["+4915112345679"], whatsapp)
    assert not is_blacklisted([], None)


def test_only_the_systems_list_is_the_opt_out_list(whatsapp, mail, system_list):
    newsletter = OptOutList.objects.create(name="Newsletter")
    OptOut.objects.create(list=newsletter, channel=whatsapp, address=PHONE)
    assert not is_opted_out([PHONE], whatsapp)
    OptOut.objects.create(list=system_list, channel=whatsapp, address=PHONE)
    assert is_opted_out([PHONE], whatsapp)
    assert is_opted_out([PHONE], None)
    assert not is_opted_out([PHONE], mail)


# --- changing ------------------------------------------------------------------------------------


def test_adding_and_removing_again_say_what_they_changed(whatsapp, mail, system_list):
    other = OptOutListFactory()
    ana, ben = Entry(whatsapp.pk, PHONE), Entry(mail.pk, "ben@example.org")
    assert lists.add_to_blacklist([ana], "run", 7) == {ana}
    assert lists.add_to_blacklist([ana, ben, ana], "run", 8) == {ben}
    causes = BlacklistEntry.objects.order_by("cause_id").values_list("cause", "cause_id")
    assert list(causes) == [("run", 7), ("run", 8)]
    assert lists.remove_from_blacklist([ana]) == {ana}
    assert lists.remove_from_blacklist([ana, ben]) == {ben}

    both = [system_list, other]
    assert lists.add_to_optout([other], [ana], "user", 3) == {Listed(other.pk, *ana)}
    assert lists.add_to_optout(both, [ana], "user", 3) == {Listed(system_list.pk, *ana)}
    assert lists.remove_from_optout([other], [ana, ben]) == {Listed(other.pk, *ana)}
    assert lists.remove_from_optout(both, [ana]) == {Listed(system_list.pk, *ana)}
    assert not OptOut.objects.exists() and not BlacklistEntry.objects.exists()


def test_nothing_is_nothing(whatsapp):
    assert lists.add_to_blacklist([]) == lists.remove_from_blacklist([]) == set()
    assert lists.add_to_optout([], [Entry(whatsapp.pk, PHONE)]) == set()


def test_thousands_at_once_take_a_few_statements(whatsapp, django_assert_num_queries):
    many = [Entry(whatsapp.pk, f"+49151{number:08d}") for number in range(2_500)]
    with django_assert_num_queries(3):
        assert lists.add_to_blacklist(many) == set(many)
    with django_assert_num_queries(3):
        assert lists.remove_from_blacklist(many) == set(many)


def test_the_systems_list_is_there_and_is_made_again(system_list):
    assert lists.system_list() == system_list
    assert system_list.name == lists.SYSTEM_LIST
    OptOutList.objects.all().delete()
    OptOutListFactory(name=lists.SYSTEM_LIST.upper())
    made = lists.system_list()
    assert (made.is_system, made.name) == (True, f"{lists.SYSTEM_LIST} 2")
    assert lists.system_list() == made


@pytest.mark.parametrize(
    ("application", "raw", "address"),
    [
        ("official", "0049 151 123-45678", PHONE),
        ("official", "ana@example.org", None),
        ("official", "12345", None),
        ("email", " Ana@Example.ORG ", "ana@example.org"),
        ("email", PHONE, None),
        ("email", "", None),
    ],
)
def test_an_address_is_spelled_as_its_channel_needs(application, raw, address):
    assert lists.read_address(raw, ChannelFactory(application=application)) == address


def test_what_comes_in_from_the_blacklist_is_dropped_and_counted(whatsapp, mail):
    lists.add_to_blacklist([Entry(whatsapp.pk, PHONE), Entry(mail.pk, "ana@example.org")])
    assert lists.drop_inbound(whatsapp, "4915112345678@c.us")
    assert lists.drop_inbound(whatsapp, PHONE)
    assert lists.drop_inbound(mail, "Ana@example.org")
    assert not lists.drop_inbound(mail, "ben@example.org")
    assert not lists.drop_inbound(whatsapp, "+4915112345679")
    assert not lists.drop_inbound(ChannelFactory(), PHONE)
    counted = BlacklistEntry.objects.order_by("pk").values_list("dropped", flat=True)
    assert list(counted) == [2, 1]
    assert not Contact.objects.exists()
