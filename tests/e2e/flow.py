"""What tests of the flow page share."""

from django.urls import reverse
from playwright.sync_api import Page, expect


def flow_of(connector):
    return reverse("admin:connectors_connector_flow", args=[connector.pk])


def actions(page: Page, step="Say thanks"):
    return page.locator(f'.flow-step[data-name="{step}"] .flow-action')


def add(page: Page, title):
    """Choose a kind in the palette, by typing."""
    page.get_by_role("button", name="Add action to Say thanks").click()
    page.get_by_role("searchbox", name="Search actions").fill(title.lower())
    # Help texts are searched too; names come first, and Enter takes the first.
    expect(page.locator(".flow-tile:visible").first).to_contain_text(title)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Add {title}")).to_be_visible()


def saved(page: Page, times):
    """After an edit the page carries the next version of the draft."""
    expect(page.locator("#flow-bar")).to_have_attribute("data-version", str(times))
