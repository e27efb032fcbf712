"""One person by either spelling of a mobile number (core.phone)."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction

from apps.core import phone
from apps.crm import services
from apps.crm.models import Contact
from apps.crm.services import Identity
from tests.core.test_phone import TWO_SPELLINGS
from tests.factories import ContactFactory

pytestmark = pytest.mark.django_db


def identify(number, **details):
    return services.identify(Identity(number, ""), details)


@pytest.mark.parametrize("pair", TWO_SPELLINGS)
@pytest.mark.parametrize("turned", [False, True])
def test_whichever_is_typed_first_stays_and_both_find_the_contact(pair, turned):
    first, second = reversed(pair) if turned else pair
    made, created = identify(first, name="Ana")
    again, anew = identify(second, name="Ana Maria")
    assert (created, anew, again.pk) == (True, False, made.pk)
    assert (again.phone, Contact.objects.get().phone) == (first, first)
    assert Contact.objects.get().name == "Ana Maria"


def test_finding_takes_one_query_with_and_without_spellings(django_assert_num_queries):
    for number in ("+4915112345678", "+551187654321"):
        identify(number)
        with django_assert_num_queries(1):
            assert services.find(Identity(number, "")).phone == number


@pytest.mark.parametrize("pair", TWO_SPELLINGS)
def test_the_database_lets_in_one_of_two(pair, monkeypatch):
    """As when two workers look at the same moment and neither finds the other's."""
    find, looked = services.find, []

    def miss_once(identity):
        looked.append(identity)
        return None if len(looked) == 1 else find(identity)

    known = ContactFactory(phone=pair[0])
    monkeypatch.setattr(services, "find", miss_once)
    contact, created = identify(pair[1])
    assert (contact, created, len(looked)) == (known, False, 2)
    for number in pair:
        with pytest.raises(IntegrityError), transaction.atomic():
            ContactFactory(phone=number)


def test_the_database_means_the_same_by_canonical_as_core_phone():
    numbers = [
        *(f"+55{area}{n}7654321" for area in (11, 99) for n in (2, 5, 6, 9, 96, 92)),
        *(f"+52{n}5512345678"[:14] for n in ("", "1", "11", "2")),
        *(f"+54{n}1123456789" for n in ("", "9", "1", "99")),
        "+4915112345678",
    ]
    for number in numbers:
        for other in numbers:
            Contact.everyone.all().delete()
            ContactFactory(phone=number)
            same = phone.canonical(number) == phone.canonical(other)
            try:
                with transaction.atomic():
                    ContactFactory(phone=other)
                assert not same, (number, other)
            except IntegrityError:
                assert same, (number, other)


def test_the_page_says_that_there_is_a_contact_already(admin_client):
    ContactFactory(phone="+5511987654321", name="Ana")
    values = {"name": "", "phone": "+55 11 8765-4321", "email": "", "timezone": "", "country": ""}
    page = admin_client.post("/admin/crm/contact/add/", values).content.decode()
    assert "There is a contact with this mobile number already: Ana." in page
    assert Contact.objects.count() == 1


@pytest.mark.parametrize("typed", ["+5511987654321", "+55 11 8765-4321"])
def test_the_list_is_searched_by_either(admin_client, typed):
    ContactFactory(phone="+5511987654321", name="Ana")
    assert ">Ana<" in admin_client.get("/admin/crm/contact/", {"q": typed}).content.decode()


def test_contacts_of_older_installations_are_joined():
    """As the migration finds them, which makes the index afterwards."""
    join = import_module("apps.crm.migrations.0004_people").join_spellings
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX crm_contact_spelling")
    first, other = ContactFactory(phone="+541123456789"), ContactFactory(phone="+5491123456789")
    alone, foreign = ContactFactory(phone="+5511987654321"), ContactFactory()
    for contact, names in ((first, ["vip"]), (other, ["vip", "late"])):
        services.add_tags(contact, [services.tag_named(name) for name in names])
    with connection.cursor() as cursor:
        join(apps, SimpleNamespace(connection=connection, execute=cursor.execute))
    assert list(Contact.objects.order_by("pk")) == [first, alone, foreign]
    assert services.find(Identity("+5491123456789", "")) == first
    assert sorted(first.tag_links.values_list("tag__name", flat=True)) == ["late", "vip"]
