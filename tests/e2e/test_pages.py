"""The operators' pages in a browser: the run's timeline and the sandbox phone."""

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from apps.actions.kinds.delay import Delay as DelayAction
from apps.actions.kinds.send_message import SendMessage
from apps.engine.models import Delay, Run
from apps.messaging.sandbox.models import PhoneMessage
from tests.factories import ChannelFactory, published

PHONE = reverse("admin:sandbox_phone")
ANA = "+4915112345678"


@pytest.fixture
def say(post, drain, live_server):
    """Let a connector send `text` to a number's phone."""
    columns = {
        "channel": ChannelFactory(name="Shop line"),
        "recipients": [{"to": "{{ event.to }}"}],
        "text": "{{ event.text }}",
    }
    connector = published([(SendMessage, columns), (DelayAction, {"amount": 2})], name="Speaker")

    def send(text, to=ANA):
        post(connector, {"to": to, "text": text})
        drain()

    return send


def test_the_phone_shows_a_new_message_without_reload(owner_page: Page, say):
    owner_page.goto(PHONE)
    expect(owner_page.get_by_text("This phone needs no account.")).to_be_visible()
    owner_page.evaluate("window.sameDocument = true")
    say("Hello from the shop")
    log = owner_page.get_by_role("log")
    expect(log.get_by_text("Hello from the shop")).to_be_visible()
    expect(owner_page.get_by_role("link", name=ANA)).to_be_visible()
    say("And again")
    expect(log.get_by_text("And again")).to_be_visible()
    assert owner_page.evaluate("window.sameDocument") is True


def test_the_phone_stays_with_its_conversation_and_at_its_end(owner_page: Page, say):
    for number in range(30):
        say(f"Message {number}")
    owner_page.goto(PHONE)
    log = owner_page.get_by_role("log")
    expect(log.get_by_text("Message 29", exact=True)).to_be_in_viewport()
    owner_page.get_by_role("link", name=ANA).focus()
    say("For somebody else", to="+4915112345999")
    say("The newest")
    expect(owner_page.get_by_role("link", name="+4915112345999")).to_be_visible()
    expect(log.get_by_text("The newest")).to_be_in_viewport()
    expect(log.get_by_text("For somebody else")).to_have_count(0)
    expect(owner_page.get_by_role("link", name=ANA)).to_be_focused()


def test_the_phone_on_a_small_screen_is_a_list_then_a_conversation(owner_page: Page, say):
    say("https://shop.example/" + "track" * 60)
    owner_page.set_viewport_size({"width": 390, "height": 844})
    owner_page.goto(PHONE)
    log = owner_page.get_by_role("log")
    expect(log).to_be_hidden()
    owner_page.get_by_role("link", name=ANA).click()
    expect(log.get_by_text("https://shop.example/")).to_be_visible()
    expect(owner_page.get_by_role("link", name=ANA)).to_be_hidden()
    assert owner_page.evaluate("document.documentElement.scrollWidth") == 390
    assert log.evaluate("log => log.scrollWidth <= log.clientWidth")
    owner_page.get_by_role("link", name="All conversations").click()
    expect(log).to_be_hidden()


def test_the_phone_says_when_it_can_not_be_fresh(owner_page: Page, say, context):
    say("Hello")
    owner_page.goto(PHONE)
    context.clear_cookies()
    expect(owner_page.get_by_text("you may have been logged out")).to_be_visible()
    expect(owner_page.get_by_role("log").get_by_text("Hello")).to_be_visible()


def test_the_timeline_opens_its_details_and_cancels_its_delay(owner_page: Page, say):
    say("Hello from the shop")
    run = Run.objects.get()
    owner_page.goto(reverse("admin:engine_run_changelist"))
    owner_page.get_by_role("link", name=f"#{run.pk}").click()
    entry = owner_page.get_by_role("listitem").filter(
        has=owner_page.get_by_role("heading", name="Send Message")
    )
    rendered = entry.locator("pre").first
    expect(rendered).to_be_hidden()
    entry.get_by_text("What went in").click()
    expect(rendered).to_contain_text("Hello from the shop")
    expect(entry.get_by_text("Sent", exact=True)).to_be_visible()

    owner_page.get_by_role("link", name="Cancel the delay").click()
    owner_page.get_by_role("button", name="Cancel delay").click()
    expect(owner_page.get_by_text("The delay was cancelled.")).to_be_visible()
    assert Delay.objects.get().state == "cancelled"
    expect(owner_page.get_by_role("link", name="Cancel run")).to_have_count(0)


def test_the_chosen_runs_are_cancelled_from_the_list(owner_page: Page, say):
    say("One")
    say("Two")
    owner_page.goto(reverse("admin:engine_run_changelist"))
    for box in owner_page.locator("tbody input.action-select").all():
        box.check()
    owner_page.locator("select[name=action]").select_option(label="Cancel selected runs")
    owner_page.get_by_role("button", name="Run", exact=True).click()
    owner_page.get_by_role("button", name="Cancel runs").click()
    expect(owner_page.get_by_text("Cancelled: 2 of 2 runs.")).to_be_visible()
    assert set(Run.objects.values_list("state", flat=True)) == {"cancelled"}
    assert PhoneMessage.objects.count() == 2


@pytest.mark.parametrize("width", [1440, 390])
def test_no_page_is_wider_than_its_screen(owner_page: Page, say, width):
    say("https://shop.example/" + "track" * 60)
    owner_page.set_viewport_size({"width": width, "height": 844})
    run = Run.objects.get()
    pages = [
        reverse(f"admin:{name}_changelist")
        for name in (
            "engine_event",
            "engine_run",
            "engine_delay",
            "messaging_message",
            "messaging_channel",
            "crm_contact",
            "crm_tag",
            "crm_attribute",
        )
    ]
    pages.append(reverse("admin:engine_run_change", args=[run.pk]))
    pages.append(reverse("admin:engine_event_change", args=[run.event_id]))
    for address in pages:
        owner_page.goto(address)
        assert owner_page.evaluate("document.documentElement.scrollWidth") == width, address
