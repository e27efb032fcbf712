"""Finding, creating and tagging contacts."""

import pytest

from apps.crm import services
from apps.crm.models import Contact, ContactTag, Tag
from apps.crm.services import Identity, InvalidContact
from tests.factories import CategoryFactory, ContactFactory, TagFactory

pytestmark = pytest.mark.django_db

PHONE = "+4915112345678"


def identify(phone="", email="", **details):
    identity = Identity.read(phone, email)
    assert identity is not None
    return services.identify(identity, details)


# --- Who it is -----------------------------------------------------------------------------------


def test_an_identity_is_a_phone_number_or_an_email_address():
    assert Identity.read("0049 151 12345678", " Ana@Example.COM ") == Identity(
        PHONE, "ana@example.com"
    )
    assert Identity.read(None, "ana@example.com") == Identity(None, "ana@example.com")
    assert Identity.read(" ", None) is None


@pytest.mark.parametrize(
    ("phone", "email", "sentence"),
    [
        ("12", "", '"12" is not a valid mobile number: it needs the country code.'),
        ("12", "ana", '"12" is not a valid mobile number: it needs the country code.'),
        ("", "ana", '"ana" is not an email address.'),
        ("", "a" * 250 + "@example.com", '"' + "a" * 60 + '" is not an email address.'),
    ],
)
def test_what_identifies_nobody_is_refused_with_a_sentence(phone, email, sentence):
    with pytest.raises(InvalidContact) as refused:
        Identity.read(phone, email)
    assert str(refused.value) == sentence


def test_beside_one_that_can_be_read_the_other_is_left_out():
    assert Identity.read("0151 12345678", "ana@example.com") == Identity(None, "ana@example.com")
    assert Identity.read(PHONE, "not an address") == Identity(PHONE, "")
    assert Identity.read(PHONE, "a" * 250 + "@example.com") == Identity(PHONE, "")


def test_an_email_address_finds_the_contact_known_by_it_alone_then_the_oldest():
    older = ContactFactory(phone="+4915187654321", email="Ana@Example.com")
    ContactFactory(phone="+4915112345678", email="ana@example.com")
    by_email = Identity(None, "ana@example.com")
    assert services.find(by_email) == older
    alone = ContactFactory(phone=None, email="ANA@example.com")
    assert services.find(by_email) == alone


def test_the_phone_number_wins_over_the_email_address():
    ContactFactory(phone=None, email="ana@example.com")
    ben = ContactFactory(phone=PHONE, email="ben@example.com")
    contact, created = identify(PHONE, "ana@example.com")
    assert (contact, created) == (ben, False)
    ben.refresh_from_db()
    assert ben.email == "ana@example.com"


# --- Creating and updating -----------------------------------------------------------------------


def test_a_new_contact_gets_the_mapped_details():
    contact, created = identify(
        PHONE, "Ana@example.com", name=" Ana  Maria ", timezone="Europe/Berlin", country="de"
    )
    assert created
    contact.refresh_from_db()
    assert (contact.phone, contact.email, contact.name) == (PHONE, "ana@example.com", "Ana Maria")
    assert (contact.timezone, contact.country) == ("Europe/Berlin", "DE")


def test_blank_and_unreadable_details_change_nothing():
    identify(PHONE, "ana@example.com", name="Ana", timezone="Europe/Berlin", country="DE")
    contact, created = identify(PHONE, name=" ", timezone="Middle/Earth", country="Germany")
    assert not created
    contact.refresh_from_db()
    assert (contact.name, contact.email) == ("Ana", "ana@example.com")
    assert (contact.timezone, contact.country) == ("Europe/Berlin", "DE")


def test_only_what_changed_is_written(django_assert_num_queries):
    identify(PHONE, name="Ana")
    with django_assert_num_queries(1):
        identify(PHONE, name="Ana")
    Contact.objects.update(country="DE")
    contact, _ = identify(PHONE, name="Ana Maria")
    contact.refresh_from_db()
    assert (contact.name, contact.country) == ("Ana Maria", "DE")


def test_a_very_long_name_is_cut():
    contact, _ = identify(PHONE, name="x" * 500)
    assert Contact.objects.get().name == contact.name == "x" * 200


def test_somebody_known_by_email_gains_the_phone_number():
    known, _ = identify(email="ana@example.com", name="Ana")
    contact, created = identify(PHONE, "ANA@example.com")
    assert (contact, created) == (known, False)
    assert Contact.objects.get().phone == contact.phone == PHONE


def test_another_phone_number_with_a_known_email_address_is_another_contact():
    identify(PHONE, "ana@example.com")
    other, created = identify("+4915187654321", "ana@example.com")
    assert created
    assert Contact.objects.filter(email="ana@example.com").count() == 2
    assert other.phone == "+4915187654321"


def test_a_contact_that_a_parallel_run_just_created_is_taken_and_updated(monkeypatch):
    find, parallel = services.find, []

    def miss_once(identity):
        if not parallel:
            parallel.append(ContactFactory(phone=PHONE, name="Parallel"))
            return None
        return find(identity)

    monkeypatch.setattr(services, "find", miss_once)
    contact, _ = identify(PHONE, name="Ana")
    assert contact == parallel[0]
    assert Contact.objects.get().name == contact.name == "Ana"


# --- Tags ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vip", "Ärger", "ÇA VA", "İstanbul", "ß", "x" * 150])
def test_a_tag_is_made_once_however_often_it_is_named(name):
    tag = services.tag_named(name)
    assert services.tag_named(f"  {name} ") == tag
    assert Tag.objects.get() == tag


def test_tags_are_found_whatever_their_case():
    tag = TagFactory(name="Very Important")
    assert services.tag_named("very  IMPORTANT") == tag


def test_adding_tags_counts_the_new_ones():
    contact, first, second = ContactFactory(), TagFactory(), TagFactory()
    assert services.add_tags(contact, [first], "run", 7) == 1
    assert services.add_tags(contact, [first, second], "run", 8) == 1
    assert services.add_tags(contact, []) == 0
    links = ContactTag.objects.order_by("pk").values_list("tag", "cause", "cause_id")
    assert list(links) == [(first.pk, "run", 7), (second.pk, "run", 8)]


# --- Categories ----------------------------------------------------------------------------------


def test_a_contact_is_in_each_category_once_and_leaves_it_once():
    contact, other = ContactFactory(), ContactFactory()
    first, second = CategoryFactory(), CategoryFactory()
    assert services.add_categories(contact, [first], "run", 7) == 1
    assert services.add_categories(contact, [first, second], "run", 8) == 1
    assert services.add_categories(other, [first]) == 1
    assert services.add_categories(contact, []) == 0
    links = contact.category_links.order_by("pk").values_list("category", "cause", "cause_id")
    assert list(links) == [(first.pk, "run", 7), (second.pk, "run", 8)]
    assert services.remove_categories(contact, [first]) == 1
    assert services.remove_categories(contact, [first]) == 0
    assert services.remove_categories(contact, []) == 0
    assert [str(link) for link in contact.category_links.all()] == [second.name]
    assert other.category_links.count() == 1


@pytest.mark.parametrize("faster", ["+4915199999999", None])
def test_of_two_numbers_for_one_address_at_the_same_moment_the_first_stays(monkeypatch, faster):
    """Both runs saw somebody who was known by the address alone."""
    ana = ContactFactory(phone=None, email="ana@example.org")
    real = services.find

    def slowly(identity):
        found = real(identity)
        if faster and found == ana and found.phone is None:
            Contact.objects.filter(pk=ana.pk).update(phone=faster)
        return found

    monkeypatch.setattr(services, "find", slowly)
    number = "+4915112345678"
    contact, created = services.identify(Identity(number, "ana@example.org"), {})
    ana.refresh_from_db()
    assert (contact.phone, ana.phone) == (number, faster or number)
    assert (created, contact == ana) == (bool(faster), not faster)
