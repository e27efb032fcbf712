"""A schedule in a browser: what is typed is read back while it is typed."""

import re

from django.urls import reverse
from playwright.sync_api import Page, expect

from apps.actions.kinds.stop import StopRun
from apps.engine.models import Schedule
from tests.factories import published


def test_a_schedule_is_added_and_reads_back_what_is_typed(owner_page: Page):
    connector = published([(StopRun, {})], name="Shop")
    flow = reverse("admin:connectors_connector_flow", args=[connector.pk])
    page = owner_page
    page.goto(flow)
    page.get_by_role("link", name="Add schedule").click()
    coming = page.locator(".bo-coming")
    expect(coming).to_contain_text("Type in the times")
    page.get_by_label("Name").fill("Mornings")
    page.get_by_label("Times").fill("0 9 * *")
    expect(coming).to_contain_text("write five fields such as 0 9 * * 1-5")
    page.get_by_label("Times").fill("0 9 * * 1-5")
    expect(coming).to_contain_text("At 09:00 on Monday through Friday")
    expect(coming.get_by_role("listitem")).to_have_count(5)
    page.get_by_label("Timezone").select_option("Europe/Berlin")
    expect(coming).to_contain_text("By the clock of Europe/Berlin")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page).to_have_url(re.compile(f"{flow}$"))
    schedules = page.get_by_role("region", name="Schedules")
    expect(schedules).to_contain_text("Mornings: At 09:00 on Monday through Friday")
    assert Schedule.objects.get().timezone == "Europe/Berlin"
