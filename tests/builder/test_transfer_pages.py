"""Export and restore from the pages."""

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from apps.actions.kinds.add_tag import AddTag
from apps.connectors.exporting import export
from tests.factories import StepFactory, published

pytestmark = pytest.mark.django_db


def said(answer):
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def restore_url(connector, number=1):
    return reverse("admin:connectors_connector_restore", args=[connector.pk, number])


@pytest.fixture
def shop():
    return published([(AddTag, {"new_tags": "seen"})], name="Shop")


# --- export ---------------------------------------------------------------------------------------


def test_the_flow_page_leads_to_the_file(operator, shop):
    page = operator.get(reverse("admin:connectors_connector_flow", args=[shop.pk]))
    address = reverse("admin:connectors_connector_export", args=[shop.pk])
    assert f'href="{address}"' in page.content.decode()
    answer = operator.get(address)
    assert answer.content.decode() == export(shop)
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Disposition"] == 'attachment; filename="shop.json"'
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert operator.post(address).status_code == 405


def test_a_revision_has_a_file_of_its_own(operator, shop):
    before = export(shop)
    AddTag.objects.update(new_tags="edited")
    address = reverse("admin:connectors_connector_export", args=[shop.pk, 1])
    answer = operator.get(address)
    assert answer.content.decode() == before
    assert "shop-revision-1.json" in answer["Content-Disposition"]
    missing = reverse("admin:connectors_connector_export", args=[shop.pk, 2])
    assert operator.get(missing).status_code == 404


# --- restore --------------------------------------------------------------------------------------


def test_a_revision_is_restored_after_a_question(operator, shop):
    AddTag.objects.update(new_tags="edited")
    flow = operator.get(reverse("admin:connectors_connector_flow", args=[shop.pk]))
    assert f'href="{restore_url(shop)}"' in flow.content.decode()
    page = operator.get(restore_url(shop)).content.decode()
    assert "Restore revision 1 of Shop into the draft?" in page
    assert "changes that were never published" in page
    assert AddTag.objects.get().new_tags == "edited"
    answer = operator.post(restore_url(shop), {"version": shop.draft_version})
    assert said(answer) == "The draft is revision 1 again."
    assert AddTag.objects.get().new_tags == "seen"
    assert operator.get(answer.url).context["state"] == "live"
    history = operator.get(reverse("admin:connectors_connector_history", args=[shop.pk]))
    assert "Restored revision 1 into the draft." in history.content.decode()


def test_what_would_be_lost_is_named_only_where_it_is(operator, shop):
    assert "never published" not in operator.get(restore_url(shop)).content.decode()


@pytest.mark.parametrize("version", ["", "x", "0", "9" * 30])
def test_what_was_edited_meanwhile_is_not_lost(operator, edit, shop, version):
    edit(shop, "add-step", name="By somebody else")
    answer = operator.post(restore_url(shop), {"version": version})
    page = answer.content.decode()
    assert "changed in another tab or by somebody else. Look at it again, then restore." in page
    assert 'name="version" value="1"' in page
    assert shop.steps.count() == 2


def test_what_can_not_be_restored_is_told(operator, shop):
    document = shop.published.document
    document["steps"][0]["actions"][0]["config"]["new_tags"] = "{{ broken"
    type(shop.published).objects.filter(pk=shop.published.pk).update(document=document)
    answer = operator.post(restore_url(shop), {"version": shop.draft_version})
    assert "Not restored. Step 1, action 1 (Add Tag): Tags by name:" in answer.content.decode()
    assert AddTag.objects.get().new_tags == "seen"


def test_a_revision_that_was_never_published_is_not_found(operator):
    step = StepFactory()
    assert operator.get(restore_url(step.connector)).status_code == 404
    assert operator.post(restore_url(step.connector), {"version": 0}).status_code == 404
