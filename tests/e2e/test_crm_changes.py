"""A CRM change in a browser: the form shows what concerns the choice, and a tag is searched for."""

import re

from django.urls import reverse
from playwright.sync_api import Page, expect

from apps.actions.kinds.stop import StopRun
from apps.engine.models import CrmTrigger
from tests.factories import TagFactory, published


def test_a_crm_change_is_added_and_shows_what_concerns_it(owner_page: Page):
    connector = published([(StopRun, {})], name="Shop")
    TagFactory(name="vip")
    flow = reverse("admin:connectors_connector_flow", args=[connector.pk])
    page = owner_page
    page.goto(flow)
    page.get_by_role("link", name="Add CRM change").click()
    when = page.get_by_label("When")
    tag, changed = page.locator(".field-tag"), page.locator(".field-field")
    attribute = page.locator(".field-attribute")
    for hidden in (tag, changed, attribute):
        expect(hidden).to_be_hidden()
    when.select_option("Contact changed")
    expect(changed).to_be_visible()
    expect(attribute).to_be_hidden()
    page.get_by_label("What has changed").select_option("An attribute")
    expect(attribute).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Choose the attribute.")).to_be_visible()
    when.select_option("Tag added")
    expect(attribute).to_be_hidden()
    tag.locator(".select2-selection").click()
    page.locator(".select2-search__field").fill("vi")
    page.locator(".select2-results__option", has_text="vip").click()
    expect(tag.locator(".select2-selection")).to_contain_text("vip")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page).to_have_url(re.compile(f"{flow}$"))
    panel = page.get_by_role("region", name="CRM changes")
    expect(panel).to_contain_text("Tag added: vip")
    assert str(CrmTrigger.objects.get()) == "Tag added: vip"
