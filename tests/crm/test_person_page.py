"""The page of one contact: all that is known, edited in one form, and what was written down."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.crm import attributes, services
from apps.crm.contact_form import value_as_text
from apps.crm.models import AttributeValue, Contact, ContactTag, Note
from apps.messaging.models import BlacklistEntry
from tests.factories import (
    AttributeFactory,
    CategoryFactory,
    ChannelFactory,
    ContactFactory,
    TagFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
PHONE = "+4915112345678"


@pytest.fixture
def ana():
    return ContactFactory(name="Ana", phone=PHONE, email="")


@pytest.fixture
def plan():
    choices = [{"choice": "Silver"}, {"choice": "Gold"}]
    return AttributeFactory(name="Plan", key="plan", type="choice", choices=choices)


def page_of(contact):
    return reverse("admin:crm_contact_change", args=[contact.pk])


def form(contact, **values):
    """What the browser posts when nothing was touched, but for `values`."""
    columns = ("name", "phone", "email", "timezone", "country")
    posted = {name: getattr(contact, name) or "" for name in columns}
    posted["owner"] = contact.owner_id or ""
    posted["tags"] = list(contact.tag_links.values_list("tag", flat=True))
    posted["categories"] = list(contact.category_links.values_list("category", flat=True))
    for row in contact.attribute_values.all():
        posted[f"attribute_{row.attribute_id}"] = value_as_text(row)
    return {**posted, **values}


def logged_in(client, *permissions):
    user = UserFactory(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return user


# --- the form ------------------------------------------------------------------------------------


def test_tags_and_categories_are_added_and_taken_off(admin_client, admin_user, ana):
    old, kept, new, gold = *(TagFactory() for _ in range(3)), CategoryFactory()
    services.add_tags(ana, [old, kept], "run", 7)
    admin_client.post(page_of(ana), form(ana, tags=[kept.pk, new.pk], categories=[gold.pk]))
    links = ContactTag.objects.order_by("pk").values_list("tag", "cause", "cause_id")
    assert list(links) == [(kept.pk, "run", 7), (new.pk, "user", admin_user.pk)]
    assert [str(link) for link in ana.category_links.all()] == [gold.name]


def test_attributes_are_set_changed_and_emptied_by_their_types(admin_client, admin_user, ana, plan):
    born = AttributeFactory(key="born", type="date")
    attributes.set_attribute(ana, born, "2000-01-01", "run", 7)
    values = {f"attribute_{plan.pk}": "Gold", f"attribute_{born.pk}": ""}
    admin_client.post(page_of(ana), form(ana, **values))
    row = AttributeValue.objects.get()
    assert (row.attribute, row.text) == (plan, "Gold")
    assert (row.cause, row.cause_id) == ("user", admin_user.pk)


def test_a_bad_value_is_refused_with_its_sentence_and_nothing_is_saved(admin_client, ana):
    age = AttributeFactory(name="Age", type="number")
    values = {f"attribute_{age.pk}": "old", "name": "Ana B."}
    answer = admin_client.post(page_of(ana), form(ana, **values))
    assert "&quot;old&quot; is not a number." in answer.text
    ana.refresh_from_db()
    assert ana.name == "Ana" and not AttributeValue.objects.exists()


@pytest.mark.parametrize(
    ("type", "typed", "shown"),
    [
        ("text", "two\nlines", "two\nlines"),
        ("number", "12.50", "12.5"),
        ("number", "1200", "1200"),
        ("date", "2026-03-31", "2026-03-31"),
        ("datetime", "2026-03-31T18:00", "2026-03-31T18:00"),
        ("datetime", "2026-03-31T18:00:05", "2026-03-31T18:00:05"),
        ("website", "https://example.org", "https://example.org"),
    ],
)
def test_what_is_not_touched_is_not_written(admin_client, ana, clock, type, typed, shown):
    attributes.set_attribute(ana, AttributeFactory(type=type), typed)
    row = AttributeValue.objects.get()
    assert value_as_text(row) == shown
    clock.tick(hours=1)
    posted = form(ana, name="New")
    # As browsers send line ends.
    posted = {
        name: value.replace("\n", "\r\n") if isinstance(value, str) else value
        for name, value in posted.items()
    }
    assert admin_client.post(page_of(ana), posted).status_code == 302
    assert AttributeValue.objects.get().updated_at == clock.now - timedelta(hours=1)
    assert Contact.objects.get().name == "New"


def test_a_choice_that_is_none_any_more_is_shown_and_may_stay(admin_client, ana, plan):
    attributes.set_attribute(ana, plan, "Gold")
    plan.choices = [{"choice": "Silver"}]
    plan.save()
    assert "Gold (not a choice any more)" in admin_client.get(page_of(ana)).text
    answer = admin_client.post(page_of(ana), form(ana, name="New"))
    assert answer.status_code == 302 and AttributeValue.objects.get().text == "Gold"


def test_a_new_contact_gets_them_too(admin_client, plan):
    tag = TagFactory()
    empty = dict.fromkeys(("name", "email", "timezone", "country", "owner"), "")
    values = {**empty, "phone": PHONE, "tags": [tag.pk], f"attribute_{plan.pk}": "Silver"}
    admin_client.post(reverse("admin:crm_contact_add"), values)
    ana = Contact.objects.get()
    assert ana.tag_links.get().tag == tag
    assert attributes.values_of([ana.pk]) == {ana.pk: {"plan": "Silver"}}


def test_an_address_that_is_somebody_elses_identity_is_refused(admin_client, ana):
    ContactFactory(phone=None, email="ben@example.org")
    values = form(ana, phone="", email="BEN@example.org")
    assert "a contact with this email address already" in admin_client.post(
        page_of(ana), values
    ).text.replace("&#x27;", "'")


def test_the_page_takes_the_same_queries_whatever_there_is(admin_client, ana):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(page_of(ana)).status_code == 200
        return len(captured)

    def more():
        services.add_tags(ana, [TagFactory()])
        services.add_categories(ana, [CategoryFactory()])
        attributes.set_attribute(ana, AttributeFactory(), "x")
        services.add_note(ana, "Hi", "ben")
        BlacklistEntry.objects.create(channel=ChannelFactory(), address=PHONE)

    more()
    few = queries()
    for _ in range(5):
        more()
    assert queries() == few


def test_who_may_only_look_sees_all_and_changes_nothing(client, ana, plan):
    logged_in(client, "view_contact")
    services.add_tags(ana, [TagFactory(name="vip")])
    attributes.set_attribute(ana, plan, "Gold")
    services.add_note(ana, "Hi there", "ben")
    text = client.get(page_of(ana)).text
    assert "vip" in text and "<td>Gold</td>" in text and "Hi there" in text
    assert "Add note" not in text and "Merge with" not in text
    assert client.post(page_of(ana), form(ana, name="New")).status_code == 403
    for name, args in (("note", [ana.pk]), ("merge", [ana.pk, ana.pk]), ("undo", [1])):
        assert client.post(reverse(f"admin:crm_contact_{name}", args=args)).status_code == 403
    assert client.post(reverse("admin:crm_contact_delete", args=[ana.pk])).status_code == 403
    assert Contact.objects.get().name == "Ana"


# --- notes ---------------------------------------------------------------------------------------


def test_a_note_is_added_and_ones_own_deleted(client, ana):
    user = logged_in(client, "view_contact", "change_contact")
    services.add_note(ana, "By a connector", "Connector: Orders")
    add = reverse("admin:crm_contact_note", args=[ana.pk])
    client.post(add, {"text": " <b>Hello</b>\nthere "})
    theirs, mine = Note.objects.order_by("pk")
    assert (mine.text, mine.author, mine.author_user) == (
        "<b>Hello</b>\nthere",
        user.username,
        user,
    )
    text = client.get(page_of(ana)).text
    assert text.index("&lt;b&gt;Hello") < text.index("By a connector")

    def delete(note):
        return reverse("admin:crm_contact_delete_note", args=[ana.pk, note.pk])

    assert delete(mine) in text and delete(theirs) not in text
    assert "Delete your note" in client.get(delete(mine)).text
    assert client.post(delete(theirs)).status_code == 403
    client.post(delete(mine))
    assert Note.objects.get() == theirs


@pytest.mark.parametrize("text", ["", " \n", "x" * 10_001])
def test_what_is_no_note_is_refused(admin_client, ana, text):
    add = reverse("admin:crm_contact_note", args=[ana.pk])
    answer = admin_client.post(add, {"text": text}, follow=True).text
    assert "Write the note first." in answer or "longer than 10,000 characters" in answer
    assert not Note.objects.exists()
    assert admin_client.get(add).status_code == 405


def test_many_notes_are_shown_on_demand(admin_client, ana):
    for number in range(25):
        services.add_note(ana, f"Note number {number}.", "ben")
    text = admin_client.get(page_of(ana)).text
    assert "number 24." in text and "number 4." not in text and "Show all notes" in text
    text = admin_client.get(page_of(ana), {"notes": "all"}).text
    assert "number 0." in text and "Show all notes" not in text
