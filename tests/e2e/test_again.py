"""Retrying and running again in a browser."""

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.filter import Filter
from apps.actions.kinds.map_contact import MapContact
from apps.actions.kinds.send_message import SendMessage
from apps.builder.links import kind_url
from apps.engine.models import Event, Run
from apps.messaging.sandbox.models import PhoneMessage
from tests.factories import ChannelFactory, published

ANA = "+4915112345678"


@pytest.fixture
def failed(post, drain, live_server):
    """A run that has thanked and then failed, since the event names no colleague."""
    big = [{"left": "event.total", "operator": "number:greater", "right": "50"}]
    thanks = {
        "label": "Say thanks",
        "channel": ChannelFactory(name="Shop line"),
        "recipients": [{"to": "{{ contact.phone }}"}],
        "text": "Thank you for order {{ event.id }}!",
    }
    connector = published(
        [
            (Filter, {"conditions": big, "label": "Only large orders"}),
            (SendMessage, thanks),
            (AddTag, {"new_tags": "buyer"}),
        ],
        [
            (MapContact, {"label": "Colleague", "phone": "{{ event.care }}", "on_error": "stop"}),
            (SendMessage, {**thanks, "label": "Tell the colleague"}),
        ],
        name="Shop orders",
        mapping={"phone": "{{ event.phone }}", "name": "Ana Lima"},
    )
    post(connector, {"id": 7, "total": 99, "phone": ANA})
    drain()
    return Run.objects.get()


def test_a_failed_run_goes_on_from_a_chosen_action(owner_page: Page, failed, drain):
    assert failed.state == "failed"
    owner_page.goto(reverse("admin:engine_run_change", args=[failed.pk]))
    owner_page.get_by_role("link", name="Run again").click()
    expect(owner_page.get_by_text("The run failed here.")).to_be_visible()
    owner_page.get_by_role("link", name="Run again from here (Say thanks)").click()
    expect(owner_page.get_by_text(f"Done once so far. Messages went to {ANA}.")).to_be_visible()
    Event.objects.update(body='{"id": 7, "care": "+4915199999999"}')
    owner_page.get_by_role("button", name="Run again").click()
    expect(owner_page.get_by_text('goes on from "Say thanks" in pass 2.')).to_be_visible()
    drain()
    owner_page.reload()
    second = owner_page.get_by_role("list").filter(has_text='Run again from "Say thanks"')
    expect(second.get_by_role("heading", name="Tell the colleague")).to_be_visible()
    expect(owner_page.get_by_role("heading", name="Pass 2")).to_be_visible()
    arrived = PhoneMessage.objects.order_by("pk").values_list("address", flat=True)
    assert list(arrived) == [ANA, ANA, "+4915199999999"]


def test_failed_runs_go_on_from_the_list(owner_page: Page, failed, drain):
    owner_page.goto(reverse("admin:engine_run_changelist"))
    owner_page.locator("tbody input.action-select").check()
    label = "Run again from the failed action"
    owner_page.locator("select[name=action]").select_option(label=label)
    owner_page.get_by_role("button", name="Run", exact=True).click()
    expect(owner_page.get_by_text('1 run of Shop orders from "Colleague"')).to_be_visible()
    owner_page.get_by_role("button", name="Run again").click()
    expect(owner_page.get_by_text("Run again: 1 of 1 runs.")).to_be_visible()
    failed.refresh_from_db()
    assert (failed.state, failed.passage) == ("due", 2)


def test_retries_show_where_they_are_chosen(owner_page: Page, failed):
    action = AddTag.objects.get()
    owner_page.goto(kind_url(AddTag, "change", action.pk))
    times = owner_page.get_by_label("Number of retries")
    expect(times).to_be_hidden()
    owner_page.get_by_label("On error").select_option("retry")
    expect(times).to_be_visible()
    times.fill("3")
    owner_page.get_by_label("First retry after").select_option("5 minutes")
    owner_page.get_by_role("button", name="Save", exact=True).click()
    expect(owner_page.get_by_text('"Add Tag" was saved.')).to_be_visible()
    action.refresh_from_db()
    assert (action.on_error, action.retry_times, action.retry_wait) == ("retry", 3, 300)


@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_are_no_wider_than_their_screen(owner_page: Page, failed, width):
    owner_page.set_viewport_size({"width": width, "height": 844})
    url = reverse("admin:engine_run_again", args=[failed.pk])
    for address in (url, f"{url}?from=0"):
        owner_page.goto(address)
        assert owner_page.evaluate("document.documentElement.scrollWidth") == width, address
