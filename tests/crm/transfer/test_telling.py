"""Imports that start connectors, when they are asked to."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.actions.kinds.stop import StopRun
from apps.core.transfer import importing
from apps.crm import attributes
from apps.crm.models import Contact, Tag
from apps.crm.news import What
from apps.crm.transfer import telling
from apps.crm.transfer.people import Person
from apps.engine.models import CrmTrigger, Event, Run
from tests.crm.transfer.conftest import counts
from tests.factories import AttributeFactory, ContactFactory, published

pytestmark = pytest.mark.django_db

ANNA, BEN, CARA = "+4915112345678", "+4915112345679", "+4915112345670"


@pytest.fixture
def told():
    """What is told of, by an event for each: what, who, and what of it."""
    asked = [What.CONTACT_CREATED, What.CONTACT_CHANGED, What.OWNER_CHANGED]
    asked += [What.TAG_ADDED, What.CATEGORY_ADDED]
    connectors = {}
    for what in asked:
        connector = published([(StopRun, {})])
        CrmTrigger.objects.create(connector=connector, what=what)
        connectors[connector.pk] = what.value

    def read():
        return sorted(
            (
                connectors[event.connector_id],
                event.payload["contact"]["phone"],
                event.payload.get("tag")
                or event.payload.get("category")
                or ",".join(event.payload.get("changed", [])),
            )
            for event in Event.objects.filter(source="crm")
        )

    return read


@pytest.fixture
def anna(clock):
    anna = Contact.objects.create(phone=ANNA, name="Anna", email="anna@example.org")
    anna.tag_links.create(tag=Tag.objects.create(name="vip"))
    attributes.set_attribute(anna, AttributeFactory(name="plan", key="plan"), "Gold")
    attributes.set_attribute(anna, AttributeFactory(name="city", key="city"), "Bonn")
    return anna


FILE = (
    "phone,email,name,owner,tags,categories,plan,city\n"
    f"{ANNA},anna@example.org,Anna B,olga@shop.example,VIP;new,Leads,Gold,Berlin\n"
    f"{BEN},,Ben,,new,,Silver,\n"
    f"{CARA},,,,,,,\n"
)


@pytest.fixture(autouse=True)
def olga(django_user_model):
    django_user_model.objects.create_user("olga", email="olga@shop.example")


@pytest.mark.parametrize("size", [1, 1000])
def test_what_really_changed_is_told(imported, anna, told, monkeypatch, size):
    monkeypatch.setattr(importing, "SLICE", size)
    job = imported(FILE, tells=True)
    assert told() == [
        ("category_added", ANNA, "Leads"),
        ("contact_changed", ANNA, "name,attr.city"),
        ("contact_created", CARA, ""),
        ("contact_created", BEN, ""),
        ("owner_changed", ANNA, "owner"),
        ("tag_added", ANNA, "new"),
        ("tag_added", BEN, "new"),
    ]
    assert {(row.cause, row.cause_id) for row in Event.objects.all()} == {("import", job.pk)}
    assert set(Run.objects.values_list("state", flat=True)) == {"stopped"}


def test_the_same_once_more_tells_nothing(imported, anna, told):
    imported(FILE)
    imported(FILE, tells=True)
    assert told() == []


def test_nothing_is_told_unless_that_was_asked_for(imported, anna, told):
    job = imported(FILE)
    assert counts(job) == (2, 1, 0, 0)
    assert told() == []


def test_an_emptied_value_has_changed(imported, anna, told):
    imported(f"phone,plan,city\n{ANNA},Gold,\n", clear_blanks=True, tells=True)
    assert told() == [("contact_changed", ANNA, "attr.city")]


def test_many_are_told_of_in_a_few_statements(told):
    people = [Person(ContactFactory(), is_new=True) for _ in range(100)]
    with CaptureQueriesContext(connection) as queries:
        telling.tell(people, {}, [], cause="import", cause_id=1)
    assert len(queries) < 20
    assert len(told()) == 100
