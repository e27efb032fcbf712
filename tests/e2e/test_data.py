"""Counters, opt-out lists and the blacklist in a browser."""

import re

from django.urls import reverse
from playwright.sync_api import Page, expect

from apps.datastore import counters
from apps.datastore.models import Counter
from apps.messaging.models import BlacklistEntry
from tests.factories import ChannelFactory


def test_a_counter_is_made_with_what_concerns_it_and_reset(owner_page: Page):
    page = owner_page
    page.goto(reverse("admin:datastore_counter_add"))
    page.get_by_label("Name").fill("Orders today")
    expect(page.get_by_label("Timezone")).to_be_hidden()
    page.get_by_label("Automatically reset counter").select_option("Every day")
    expect(page.get_by_label("Timezone")).to_be_visible()
    page.get_by_label("Timezone").select_option("Europe/Berlin")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("{{ counters.orders_today }}")).to_be_visible()
    counter = Counter.objects.get()
    assert (counter.reset_unit, counter.timezone) == ("day", "Europe/Berlin")
    counters.add(counter, 41)
    page.locator("#result_list").get_by_role("link", name="Orders today").click()
    expect(page.get_by_text("41", exact=True)).to_be_visible()
    page.get_by_role("link", name="Reset now").click()
    page.get_by_role("button", name="Reset now").click()
    expect(page.get_by_text('The counter "Orders today" was reset.')).to_be_visible()
    expect(page.get_by_text("41", exact=True)).to_have_count(0)


def test_numbers_are_pasted_into_the_blacklist_and_one_is_removed(owner_page: Page):
    ChannelFactory(name="Shop")
    page = owner_page
    page.goto(reverse("admin:messaging_blacklistentry_changelist"))
    page.goto(reverse("admin:messaging_blacklistentry_add"))
    box = page.get_by_label("Numbers or email addresses")
    box.fill("+49 151 12345678\nnobody")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text('"nobody" is not a valid mobile number')).to_be_visible()
    box.fill("+49 151 12345678\n004915112345679")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("2 addresses were added.")).to_be_visible()
    row = page.get_by_role("row").filter(has_text="+4915112345678")
    row.get_by_role("link", name="Remove").click()
    expect(page.get_by_text("Remove +4915112345678 from the blacklist of Shop?")).to_be_visible()
    page.get_by_role("button", name="Remove").click()
    expect(page).to_have_url(re.compile("blacklistentry/$"))
    expect(page.get_by_text("+4915112345679", exact=True)).to_be_visible()
    assert BlacklistEntry.objects.get().address == "+4915112345679"
