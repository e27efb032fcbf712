"""The pages of tags and categories."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.filter import Filter
from apps.crm.models import Category, ContactCategory, ContactTag, Tag
from apps.crm.services import add_categories, add_tags
from tests.factories import CategoryFactory, ContactFactory, TagFactory, published

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.parametrize("mark", [TagFactory, CategoryFactory]),
]


def page(name, mark, *args):
    return reverse(f"admin:crm_{kind(mark)}_{name}", args=args)


def kind(mark):
    return mark._meta.model._meta.model_name


def put(contact, mark):
    (add_tags if isinstance(mark, Tag) else add_categories)(contact, [mark])


def test_the_list_counts_contacts_with_the_same_queries_for_any_number(admin_client, mark):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            text = admin_client.get(page("changelist", mark)).content.decode()
        return len(captured), text

    vip = mark(name="vip")
    for _ in range(3):
        put(ContactFactory(), vip)
    few, text = queries()
    assert 'data-label="Contacts">3</td>' in text
    for _ in range(20):
        put(ContactFactory(), mark())
    many, text = queries()
    assert many == few and text.count('data-label="Contacts">1</td>') == 20


def test_names_are_unique_ignoring_case(admin_client, mark):
    mark(name="vip")
    text = admin_client.post(page("add", mark), {"name": "VIP"}).content.decode()
    assert f"There is a {kind(mark)} with this name already." in text
    assert mark._meta.model.objects.count() == 1


def using(mark, made):
    """An action that names it."""
    if mark is TagFactory:
        return AddTag, {"label": "Mark", "rows": {"tags": [{"tag": made}]}}
    asked = {"what": "in_category", "category": made}
    return Filter, {"label": "Mark", "rows": {"memberships": [asked]}}


def test_what_is_in_use_is_not_deleted_and_the_page_says_where_it_is_used(admin_client, mark):
    vip = mark(name="vip")
    step = published([using(mark, vip)], name="Orders").steps.get()
    answer = admin_client.post(page("delete", mark, vip.pk), {"post": "yes"}, follow=True)
    assert f"it is used by Orders › {step.name} › Mark." in answer.content.decode()
    chosen = {"action": "delete_selected", "_selected_action": [vip.pk], "post": "yes"}
    answer = admin_client.post(page("changelist", mark), chosen)
    assert "it is used by Orders" in answer.content.decode()
    assert mark._meta.model.objects.filter(pk=vip.pk).exists()


def test_deleting_one_names_how_many_contacts_lose_it(admin_client, mark):
    vip = mark(name="vip")
    for _ in range(3):
        put(ContactFactory(), vip)
    asked = admin_client.get(page("delete", mark, vip.pk)).content.decode()
    assert f"The {kind(mark)} &quot;vip&quot;, from 3 contacts" in asked
    admin_client.post(page("delete", mark, vip.pk), {"post": "yes"})
    for model in (Tag, Category, ContactTag, ContactCategory):
        assert not model.objects.exists()


def test_a_contacts_page_names_them(admin_client, mark):
    contact, other = ContactFactory(), ContactFactory()
    for name in ("vip", "new"):
        put(contact, mark(name=name))
    put(other, mark(name="somebody else"))
    text = admin_client.get(reverse("admin:crm_contact_change", args=[contact.pk])).text
    assert ">new</option>" in text and ">vip</option>" in text and "somebody else" not in text
