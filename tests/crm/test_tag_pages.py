"""The pages of tags."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.crm.models import ContactTag, Tag
from apps.crm.services import add_tags
from tests.factories import ContactFactory, TagFactory, published

pytestmark = pytest.mark.django_db
LIST = reverse("admin:crm_tag_changelist")


def delete(client, tag):
    url = reverse("admin:crm_tag_delete", args=[tag.pk])
    return client.post(url, {"post": "yes"}, follow=True).content.decode()


def test_the_list_counts_contacts_with_the_same_queries_for_any_number(admin_client):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            page = admin_client.get(LIST).content.decode()
        return len(captured), page

    vip = TagFactory(name="vip")
    for _ in range(3):
        add_tags(ContactFactory(), [vip])
    few, page = queries()
    assert 'data-label="Contacts">3</td>' in page
    for _ in range(20):
        add_tags(ContactFactory(), [TagFactory()])
    many, page = queries()
    assert many == few and page.count('data-label="Contacts">1</td>') == 20


def test_names_are_unique_ignoring_case(admin_client):
    TagFactory(name="vip")
    page = admin_client.post(reverse("admin:crm_tag_add"), {"name": "VIP"}).content.decode()
    assert "There is a tag with this name already." in page
    assert Tag.objects.count() == 1


def test_a_tag_in_use_is_not_deleted_and_the_page_says_where_it_is_used(admin_client):
    vip = TagFactory(name="vip")
    flow = [(AddTag, {"label": "Mark", "rows": {"tags": [{"tag": vip}]}})]
    step = published(flow, name="Orders").steps.get()
    page = delete(admin_client, vip)
    assert f"it is used by Orders › {step.name} › Mark." in page
    chosen = {"action": "delete_selected", "_selected_action": [vip.pk], "post": "yes"}
    assert "it is used by Orders" in admin_client.post(LIST, chosen).content.decode()
    assert Tag.objects.filter(pk=vip.pk).exists()


def test_deleting_a_tag_names_how_many_contacts_lose_it(admin_client):
    vip = TagFactory(name="vip")
    for _ in range(3):
        add_tags(ContactFactory(), [vip])
    asked = admin_client.get(reverse("admin:crm_tag_delete", args=[vip.pk])).content.decode()
    assert "from 3 contacts" in asked
    delete(admin_client, vip)
    assert not Tag.objects.exists() and not ContactTag.objects.exists()
