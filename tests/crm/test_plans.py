"""Finding people reads an index, however many there are."""

import pytest
from django.db import connection

from apps.crm.models import Contact
from apps.crm.services import Identity, find, find_many
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
