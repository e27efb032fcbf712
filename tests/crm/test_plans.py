"""Finding people reads an index, however many there are."""

import pytest
from django.contrib import admin
from django.db import connection

from apps.crm.admin import ContactAdmin
from apps.crm.known import find_many
from apps.crm.models import Contact
from apps.crm.searching import by_address
from apps.crm.services import Identity, find
from tests.engine.test_plans import assert_only_by_index, plans_of

pytestmark = pytest.mark.django_db

WANTED = [Identity(None, "p77@example.org"), Identity("+4915110000088", "")]


@pytest.fixture(autouse=True)
def many_contacts(db):
    Contact.objects.bulk_create(
        Contact(phone=f"+491511{n:07}" if n % 2 else None, email=f"p{n}@example.org")
        for n in range(20_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE crm_contact")


@pytest.mark.parametrize("identity", WANTED)
def test_one_person(identity):
    assert_only_by_index(plans_of(lambda: find(identity)), "crm_contact")


def test_many_people():
    assert_only_by_index(plans_of(lambda: find_many(WANTED)), "crm_contact")


@pytest.mark.parametrize("term", ["P77@example.org", "+4915110000088"])
def test_a_search(term):
    page = ContactAdmin(Contact, admin.site)
    search = lambda: list(page.get_search_results(None, Contact.objects.all(), term)[0][:50])  # noqa: E731
    assert_only_by_index(plans_of(search), "crm_contact")
    # As the values of counters are looked for.
    people = by_address(Contact.objects.all(), term)
    assert_only_by_index(plans_of(lambda: list(people[:50])), "crm_contact")
