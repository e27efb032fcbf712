"""The hand-spelled statements keep and give back what the ORM would."""

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import uuid4

import pytest

from apps.actions.http.mapping import HttpMapping
from apps.core import rows
from apps.crm.models import AttributeValue, Contact, ContactTag
from apps.engine.models import Attempt
from tests.factories import AttributeFactory, ContactFactory, TagFactory

pytestmark = pytest.mark.django_db
AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def test_inserted_rows_read_as_the_orm_reads_them():
    told = Attempt(
        run_id=7,
        kind="add_tag",
        label='Tag "é\t\\N\n',
        result="done",
        note="a | b \\. \u2028",
        went_in={"nul": "a\x00b", "half": "\ud800", "list": [1, None, 2.5]},
        came_out={},
        missing=["event.x"],
        at=AT,
        duration_us=12,
    )
    rows.insert([told, Attempt(run_id=8, kind="x", label="", result="failed", at=AT)])
    kept, plain = Attempt.objects.order_by("run_id")
    for field in Attempt._meta.concrete_fields[1:]:
        assert getattr(kept, field.attname) == getattr(told, field.attname), field
    assert (plain.action_uid, plain.went_in, plain.at) == (None, {}, AT)
    rows.insert([])


def test_a_taken_place_is_left_alone():
    made = rows.insert_unless_taken(Contact(phone="+4915100000001", name="Ana"))
    assert Contact.objects.get() == made
    assert (made.name, made.owner_id, made.email) == ("Ana", None, "")
    assert made.created_at == Contact.objects.get().created_at
    assert rows.insert_unless_taken(Contact(phone="+4915100000001", name="Eve")) is None
    assert rows.select(Contact, "phone = %s", ["+4915100000001"])[0].name == "Ana"
    assert rows.select(Contact, "name = %s", ["Eve"]) == []


def test_a_second_upsert_replaces_every_value():
    contact, attribute = ContactFactory(), AttributeFactory()
    who = {"contact": contact, "attribute": attribute, "updated_at": AT}
    for values in ({"text": "a", "cause": "run", "cause_id": 1}, {"number": Decimal("12.5")}):
        rows.upsert(AttributeValue(**who, **values), ["contact_id", "attribute_id"])
    kept = AttributeValue.objects.get()
    assert (kept.text, kept.number, kept.cause, kept.cause_id) == (None, Decimal("12.5"), "", None)
    rows.upsert(AttributeValue(**who, date=date(2026, 3, 2)), ["contact_id", "attribute_id"])
    kept.refresh_from_db()
    assert (kept.number, kept.date) == (None, date(2026, 3, 2))


def test_a_moment_comes_back_aware():
    link = ContactTag.objects.create(contact=ContactFactory(), tag=TagFactory(), created_at=AT)
    assert rows.select(ContactTag, "id = %s", [link.pk])[0].created_at == AT


def test_many_new_rows_come_back_without_those_whose_place_is_taken(monkeypatch):
    monkeypatch.setattr(rows, "_MOST_VALUES", 20)  # several statements
    ContactFactory(phone="+4915100000003", name="Here")
    given = [Contact(phone=f"+491510000000{n}", name=f"N{n}") for n in range(8)]
    stored = rows.insert_new(given)
    assert {c.phone: c.name for c in stored} == {c.phone: c.name for c in given if c.name != "N3"}
    assert all(Contact.objects.get(pk=c.pk) == c for c in stored)
    assert Contact.objects.get(phone="+4915100000003").name == "Here"
    assert rows.insert_new([]) == []


def test_missing_rows_are_added():
    contact, tags = ContactFactory(), [TagFactory() for _ in range(3)]
    for some in (tags[:2], tags):
        rows.insert_missing([ContactTag(contact=contact, tag=tag) for tag in some])
    assert contact.tag_links.count() == 3
    rows.insert_missing([])


def test_many_values_are_added_or_replaced():
    contact, attributes = ContactFactory(), [AttributeFactory() for _ in range(2)]
    for text, some in (("old", attributes[:1]), ("new", attributes)):
        values = [AttributeValue(contact=contact, attribute=a, text=text) for a in some]
        rows.upsert_many(values, ["contact_id", "attribute_id"])
    assert [value.text for value in contact.attribute_values.all()] == ["new", "new"]
    rows.upsert_many([], ["contact_id"])


def test_rows_are_found_by_their_keys_and_by_a_unique_column():
    ana, ben, _ = (ContactFactory() for _ in range(3))
    assert rows.by_key(Contact, [ben.pk, ana.pk, 0]) == {ana.pk: ana, ben.pk: ben}
    assert rows.by_key(Contact, []) == {}
    mapping = HttpMapping.objects.create(action_uid=uuid4(), structure=[[".id", "number"]])
    found = rows.one(HttpMapping, "action_uid", mapping.action_uid)
    assert (found, found.structure) == (mapping, [[".id", "number"]])
    assert rows.one(HttpMapping, "action_uid", uuid4()) is None
