"""Typed attributes: what is kept, what is refused, and how they are read in texts."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.urls import reverse

from apps.crm import attributes
from apps.crm.attributes import BadValue
from apps.crm.models import Attribute, AttributeValue, Contact
from tests.factories import AttributeFactory, ContactFactory

pytestmark = pytest.mark.django_db

EMPTY = 'The value is empty, so "{}" was left as it is. Clear Attribute empties it.'
GOLD = [{"choice": "Silver"}, {"choice": "Gold"}]


def made(type="text", **columns):
    choices = GOLD if type == "choice" else []
    return AttributeFactory(name="Plan", key="plan", type=type, choices=choices, **columns)


def kept():
    row = AttributeValue.objects.get()
    filled = {name: getattr(row, name) for name in ("text", "number", "date", "datetime")}
    return {name: value for name, value in filled.items() if value is not None}


@pytest.mark.parametrize(
    ("type", "raw", "column", "value"),
    [
        ("text", "  two\nlines ", "text", "two\nlines"),
        ("number", " 42 ", "number", Decimal(42)),
        ("number", "-0.1250", "number", Decimal("-0.125")),
        ("number", "123456789012345", "number", Decimal(123456789012345)),
        ("number", "+.0000000001", "number", Decimal("0.0000000001")),
        ("date", "2026-03-31", "date", date(2026, 3, 31)),
        ("date", "2026-03-31T23:30:00-05:00", "date", date(2026, 4, 1)),
        ("datetime", "2026-03-31T10:00:00+02:00", "datetime", datetime(2026, 3, 31, 8, tzinfo=UTC)),
        ("datetime", "1774944000", "datetime", datetime(2026, 3, 31, 8, tzinfo=UTC)),
        ("website", "https://example.org/a?b=1", "text", "https://example.org/a?b=1"),
        ("email", " Ana@Example.org ", "text", "ana@example.org"),
        ("choice", "gold", "text", "Gold"),
        ("file", "https://example.org/a.pdf", "text", "https://example.org/a.pdf"),
    ],
)
def test_a_value_is_kept_in_the_column_of_its_type(type, raw, column, value):
    returned = attributes.set_attribute(ContactFactory(), made(type), raw, "run", 7)
    assert kept() == {column: value}
    assert returned == value
    row = AttributeValue.objects.get()
    assert (row.cause, row.cause_id) == ("run", 7)


@pytest.mark.parametrize(
    ("type", "raw", "sentence"),
    [
        ("number", "abc", '"abc" is not a number.'),
        ("number", "1,000", '"1,000" is not a number.'),
        ("number", "1e5", '"1e5" is not a number.'),
        ("number", "NaN", '"NaN" is not a number.'),
        ("number", "१२", '"१२" is not a number.'),
        (
            "number",
            "1234567890123456",
            '"1234567890123456" has too many digits: 15 are kept, 10 of them behind the point.',
        ),
        ("date", "31.03.2026", '"31.03.2026" is not a date: write it like 2026-03-31.'),
        ("datetime", "x", '"x" is not a date with a time: write it like 2026-03-31 18:00.'),
        (
            "datetime",
            "0001-01-01T00:00:00+05:00",
            '"0001-01-01T00:00:00+05:00" is not a date with a time: write it like '
            "2026-03-31 18:00.",
        ),
        ("website", "example", '"example" is not a web address: it begins with https://.'),
        ("file", "ftp://a.org/b", '"ftp://a.org/b" is not a web address: it begins with https://.'),
        ("email", "ana at home", '"ana at home" is not an email address.'),
        ("choice", "Bronze", '"Bronze" is not a choice of "Plan": Silver, Gold.'),
        ("text", "x" * 10_001, "The text is longer than 10,000 characters."),
        (
            "text",
            " ",
            EMPTY.format("Plan"),
        ),
    ],
)
def test_a_bad_value_is_refused_with_a_sentence_and_the_old_one_stays(type, raw, sentence):
    contact, attribute = ContactFactory(), made(type)
    AttributeValue.objects.create(contact=contact, attribute=attribute, text="old")
    with pytest.raises(BadValue) as refused:
        attributes.set_attribute(contact, attribute, raw)
    assert str(refused.value) == sentence
    assert kept() == {"text": "old"}


def test_a_contact_has_one_value_of_an_attribute(django_assert_num_queries):
    contact, plan = ContactFactory(), made()
    attributes.set_attribute(contact, plan, "Silver", "run", 1)
    with django_assert_num_queries(2):  # the other one asks whether anybody wants to hear of it
        attributes.set_attribute(contact, plan, "Gold", "run", 2)
    assert kept() == {"text": "Gold"}
    assert AttributeValue.objects.get().cause_id == 2


def test_clearing_forgets_the_value_and_says_whether_there_was_one():
    contact, plan = ContactFactory(), made()
    attributes.set_attribute(contact, plan, "Gold")
    attributes.set_attribute(ContactFactory(), plan, "Gold")
    assert attributes.clear_attribute(contact, plan) is True
    assert attributes.clear_attribute(contact, plan) is False
    assert AttributeValue.objects.count() == 1


def test_the_values_of_any_number_of_contacts_are_one_query(django_assert_num_queries):
    plan, age = made(), made_number()
    contacts = [ContactFactory() for _ in range(5)]
    for number, contact in enumerate(contacts):
        attributes.set_attribute(contact, plan, f"plan {number}")
        attributes.set_attribute(contact, age, f"{number}.5")
    with django_assert_num_queries(1):
        values = attributes.values_of([contact.pk for contact in contacts])
    assert values[contacts[3].pk] == {"plan": "plan 3", "age": 3.5}


def made_number():
    return AttributeFactory(name="Age", key="age", type="number")


# --- the contact's own fields --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "raw", "value"),
    [
        ("name", " Ana  Maria ", "Ana Maria"),
        ("email", "Ana@Example.org", "ana@example.org"),
        ("timezone", "Europe/Berlin", "Europe/Berlin"),
        ("country", "de", "DE"),
    ],
)
def test_a_field_of_the_contact_is_set_alone_and_cleared(field, raw, value):
    contact = ContactFactory(name="", email="")
    Contact.objects.update(owner=None, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert attributes.set_field(contact, field, raw) == value
    assert getattr(contact, field) == getattr(Contact.objects.get(), field) == value
    assert Contact.objects.get().created_at.day == 1
    assert attributes.clear_field(contact, field) is True
    assert attributes.clear_field(contact, field) is False
    assert getattr(Contact.objects.get(), field) == ""


@pytest.mark.parametrize(
    ("field", "raw", "sentence"),
    [
        ("name", "x" * 201, "The name is longer than 200 characters."),
        (
            "name",
            "",
            EMPTY.format("Name"),
        ),
        ("email", "nobody", '"nobody" is not an email address.'),
        ("timezone", "Berlin", '"Berlin" is not a timezone: write it like Europe/Berlin.'),
        ("country", "Germany", '"Germany" is not a country: write two letters, like DE.'),
    ],
)
def test_a_bad_field_is_refused_with_a_sentence(field, raw, sentence):
    contact = ContactFactory(name="Ana")
    with pytest.raises(BadValue) as refused:
        attributes.set_field(contact, field, raw)
    assert str(refused.value) == sentence
    assert Contact.objects.get().name == "Ana"


def test_an_email_address_that_says_who_somebody_is_is_neither_taken_nor_cleared():
    ContactFactory(phone=None, email="ben@example.org")
    ana = ContactFactory(phone=None, email="ana@example.org")
    with pytest.raises(BadValue, match='Another contact is known by the email address "ben@'):
        attributes.set_field(ana, "email", "BEN@example.org")
    with pytest.raises(BadValue, match="The email address stays"):
        attributes.clear_field(ana, "email")
    by_phone = ContactFactory()
    assert attributes.set_field(by_phone, "email", "ben@example.org") == "ben@example.org"


# --- the pages -----------------------------------------------------------------------------------

ADD = reverse("admin:crm_attribute_add")


def form(**values):
    return {"name": "Plan", "key": "", "type": "text", "choices": "[]", **values}


def test_the_key_is_made_from_the_name_and_never_changes(admin_client):
    admin_client.post(ADD, form(name="Größe (cm)"))
    made = Attribute.objects.get()
    assert made.key == "groe_cm"
    page = reverse("admin:crm_attribute_change", args=[made.pk])
    admin_client.post(page, {"name": "Height", "key": "other", "type": "number"})
    made.refresh_from_db()
    assert (made.name, made.key, made.type) == ("Height", "groe_cm", "text")
    assert "{{ attr.groe_cm }}" in admin_client.get(reverse("admin:crm_attribute_changelist")).text


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"name": "生日"}, "Fill in the key: the name begins with no letter a-z."),
        ({"key": "My Plan"}, "Write it in small letters, digits and underscores, a letter first."),
        ({"key": "taken"}, "Attribute with this Key already exists."),
        ({"type": "choice"}, "Add at least one choice."),
    ],
)
def test_what_can_be_no_attribute_is_refused(admin_client, values, sentence):
    AttributeFactory(key="taken")
    assert sentence in admin_client.post(ADD, form(**values)).text
    assert Attribute.objects.count() == 1


def test_choices_are_edited_as_rows(admin_client):
    admin_client.post(ADD, form(type="choice", choices='[{"choice": "Gold"}, {"choice": " "}]'))
    made = Attribute.objects.get()
    assert made.options == ["Gold"]
    page = admin_client.get(reverse("admin:crm_attribute_change", args=[made.pk])).text
    assert "Add choice" in page


def test_deleting_an_attribute_says_what_goes_with_it(admin_client):
    attribute = made()
    attributes.set_attribute(ContactFactory(), attribute, "Gold")
    page = reverse("admin:crm_attribute_delete", args=[attribute.pk])
    assert "The attribute &quot;Plan&quot; with all of its values" in admin_client.get(page).text
    admin_client.post(page, {"post": "yes"})
    assert not AttributeValue.objects.exists()
