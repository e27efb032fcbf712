"""Whether a contact's addresses are on the opt-out list and the blacklist."""

import pytest

from apps.messaging.lists import addresses_of, is_blacklisted, is_opted_out
from apps.messaging.models import Application, BlacklistEntry, OptOut, OptOutList
from tests.factories import ChannelFactory, ContactFactory

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
