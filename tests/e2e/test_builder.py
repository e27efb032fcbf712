"""The flow builder in a browser, as an operator uses it."""

import re
from time import monotonic

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.stop import StopRun
from apps.builder.links import kind_url
from apps.connectors import registry
from apps.connectors.models import Action, Connector, Step
from apps.engine.models import Run
from apps.messaging.sandbox.models import PhoneMessage
from tests.e2e.flow import actions, add, flow_of, saved
from tests.factories import (
    ChannelFactory,
    ConnectorFactory,
    StepFactory,
    published,
)

ANA = "+4915112345678"
ORDER = {"order": {"id": 7, "total": 99}, "customer": {"name": "Ana", "phone": ANA}}


def test_from_an_empty_installation_to_a_message(page: Page, admin_user, drain, live_server):
    admin_user.set_password("secret of the owner")
    admin_user.save()
    ChannelFactory(name="Shop line")
    page.goto("/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("secret of the owner")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/admin/$"))

    page.get_by_role("main").or_(page.locator("#content")).get_by_role(
        "link", name=re.compile("^Connectors")
    ).click()
    page.locator('a[href$="/connector/add/"]').first.click()
    page.get_by_label("Name").fill("Shop orders")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="No steps yet")).to_be_visible()
    connector = Connector.objects.get()

    # The first post is kept as a sample and offers its attributes.
    hook = f"{live_server.url}/hooks/{connector.token}"
    assert page.request.post(hook, data=ORDER).status == 404

    page.get_by_role("button", name="Add step").click()
    page.get_by_label("Step name").fill("Say thanks")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Say thanks")).to_be_visible()

    add(page, "Filter")
    page.get_by_label("Attribute", exact=True).click()
    page.get_by_role("button", name="event.order.total").click()
    expect(page.get_by_label("Attribute", exact=True)).to_have_value("event.order.total")
    page.get_by_label("Operator").select_option("number:greater")
    page.get_by_label("Value").fill("50")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(actions(page)).to_have_count(1)
    expect(actions(page).first).to_contain_text("event.order.total greater than 50")

    add(page, "Send Message")
    page.get_by_label("Application").select_option(label="Shop line")
    page.get_by_role("textbox", name="Number", exact=True).click()
    page.get_by_role("button", name="event.customer.phone").click()
    expect(page.get_by_role("textbox", name="Number", exact=True)).to_have_value(
        "{{ event.customer.phone }}"
    )
    page.get_by_label("Message", exact=False).last.fill("Thanks for ")
    page.get_by_role("button", name="event.order.id").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(actions(page)).to_have_count(2)

    page.get_by_role("button", name="Publish").click()
    expect(page.locator(".flow-state")).to_have_text("Live")
    assert page.request.post(hook, data=ORDER).status == 202
    drain()
    assert PhoneMessage.objects.get().text == "Thanks for 7"
    page.get_by_role("link", name="Runs").last.click()
    page.get_by_role("link", name=f"#{Run.objects.get().pk}").click()
    expect(page.get_by_role("heading", name="Send Message")).to_be_visible()


def drag(page: Page, item, onto):
    """As a hand does it: move on over the target until the item has taken its place, let go then.
    SortableJS overlooks what comes while it still swaps the items before, so that one sweep of
    the mouse is not enough."""
    start, end = (item.locator(".flow-grip").bounding_box() for item in (item, onto))
    index = onto.evaluate("item => [...item.parentElement.children].indexOf(item)")
    held = page.locator(".flow-ghost")
    page.mouse.move(start["x"] + 8, start["y"] + 8)
    page.mouse.down()
    page.mouse.move(start["x"] + 8, start["y"] + 12)
    expect(held).to_be_visible()
    until = monotonic() + 20
    while held.evaluate("item => [...item.parentElement.children].indexOf(item)") != index:
        assert monotonic() < until, "The list makes no room for what is dragged."
        page.mouse.move(end["x"] + 8, end["y"] + 8)
        page.mouse.move(end["x"] + 8, end["y"] + 12)
    page.mouse.up()


def test_actions_are_dragged_into_another_order(owner_page: Page, three):
    owner_page.goto(flow_of(three.connector))
    drag(owner_page, actions(owner_page).first, actions(owner_page).last)
    saved(owner_page, 1)
    assert list(three.actions.values_list("label", flat=True)) == ["Two", "Three", "One"]
    owner_page.reload()
    expect(actions(owner_page).last).to_contain_text("One")


def test_actions_are_ordered_by_the_keyboard_alone(owner_page: Page, three):
    second = StepFactory(connector=three.connector, name="Later", position=three.position + 1)
    owner_page.goto(flow_of(three.connector))
    link = owner_page.get_by_role("link", name=re.compile("^One"))
    link.focus()
    for _ in range(3):
        owner_page.keyboard.press("Alt+ArrowDown")
    saved(owner_page, 3)
    expect(link).to_be_focused()
    expect(owner_page.locator("#flow-said")).to_have_text("One: position 1 of 1 in Later")
    assert list(three.actions.values_list("label", flat=True)) == ["Two", "Three"]
    assert list(second.actions.values_list("label", flat=True)) == ["One"]
    owner_page.keyboard.press("Alt+ArrowUp")
    saved(owner_page, 4)
    assert list(three.actions.values_list("label", flat=True)) == ["Two", "Three", "One"]
    owner_page.get_by_role("heading", name="Later").focus()
    owner_page.keyboard.press("Alt+ArrowUp")
    warning = "Check your filters again: the order of the steps has changed."
    expect(owner_page.get_by_role("status").filter(has_text=warning)).to_be_visible()
    assert list(three.connector.steps.values_list("name", flat=True)) == ["Later", "Say thanks"]


def test_buttons_move_switch_and_delete(owner_page: Page, three):
    owner_page.goto(flow_of(three.connector))
    actions(owner_page).first.hover()
    owner_page.get_by_role("button", name="Move One down").click()
    saved(owner_page, 1)
    assert list(three.actions.values_list("label", flat=True)) == ["Two", "One", "Three"]
    actions(owner_page).nth(0).locator("summary").click()
    owner_page.get_by_role("button", name="Switch off").click()
    expect(actions(owner_page).nth(0)).to_contain_text("Off")
    actions(owner_page).nth(1).locator("summary").click()
    actions(owner_page).nth(1).get_by_role("button", name="Delete").click()
    expect(owner_page.get_by_role("heading", name='Delete "One"?')).to_be_visible()
    owner_page.get_by_role("button", name="Cancel").click()
    expect(actions(owner_page)).to_have_count(3)
    actions(owner_page).nth(1).locator("summary").click()
    actions(owner_page).nth(1).get_by_role("button", name="Delete").click()
    owner_page.get_by_role("button", name="Delete action").click()
    expect(actions(owner_page)).to_have_count(2)
    labels = Action.objects.order_by("position").values_list("label", "enabled")
    assert list(labels) == [("Two", False), ("Three", True)]


def test_steps_are_renamed_and_deleted(owner_page: Page, three):
    owner_page.goto(flow_of(three.connector))
    menu = owner_page.locator(".flow-step > header summary")
    menu.click()
    owner_page.get_by_role("button", name="Rename").click()
    owner_page.get_by_label("Step name").fill("Say goodbye")
    owner_page.get_by_role("dialog").get_by_role("button", name="Rename").click()
    expect(owner_page.get_by_role("heading", name="Say goodbye")).to_be_visible()
    menu.click()
    owner_page.locator("[data-delete-step]").click()
    title = 'Delete "Say goodbye" with its 3 actions?'
    expect(owner_page.get_by_role("heading", name=title)).to_be_visible()
    owner_page.get_by_role("button", name="Delete step").click()
    expect(owner_page.get_by_role("heading", name="No steps yet")).to_be_visible()
    assert not Step.objects.exists()


def test_a_stale_tab_is_told_to_reload(owner_page: Page, three, complaints):
    owner_page.goto(flow_of(three.connector))
    Connector.objects.update(draft_version=5)
    owner_page.get_by_role("link", name=re.compile("^One")).focus()
    owner_page.keyboard.press("Alt+ArrowDown")
    toast = owner_page.locator("#flow-toast")
    expect(toast).to_contain_text("changed in another tab or by somebody else")
    toast.get_by_role("button", name="Reload").click()
    saved(owner_page, 5)
    assert list(three.actions.values_list("label", flat=True)) == ["One", "Two", "Three"]
    complaints.remove(next(text for text in complaints if "409" in text))


def test_the_url_is_copied_and_made_anew(owner_page: Page, context, live_server):
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=live_server.url)
    connector = published([(StopRun, {})])
    owner_page.goto(flow_of(connector))
    owner_page.get_by_role("button", name="Copy").first.click()
    expect(owner_page.get_by_role("button", name="Copied")).to_be_visible()
    assert owner_page.evaluate("navigator.clipboard.readText()") == connector.hook_url
    owner_page.get_by_role("link", name="Generate New URL").click()
    owner_page.get_by_role("button", name="Generate New URL").click()
    expect(owner_page.get_by_text("The webhook has a new URL.")).to_be_visible()
    field = owner_page.get_by_role("textbox", name="Webhook URL")
    expect(field).not_to_have_value(connector.hook_url)


def test_the_shell_works_without_inline_scripts(owner_page: Page, three):
    """django-unfold on Alpine's CSP build: the shim bridges what its templates take for granted."""
    owner_page.goto(reverse("admin:connectors_connector_changelist"))
    sidebar = owner_page.locator("#nav-sidebar-apps")
    expect(sidebar).to_be_visible()
    owner_page.get_by_role("button", name="Show or hide the menu").click()
    expect(sidebar).to_be_hidden()
    owner_page.reload()
    expect(sidebar).to_be_hidden()
    owner_page.get_by_role("button", name="Show or hide the menu").click()
    expect(sidebar).to_be_visible()
    owner_page.get_by_text("Filters").click()
    expect(owner_page.locator("#changelist-filter")).to_be_visible()
    owner_page.keyboard.press("Escape")
    owner_page.keyboard.press("Control+e")
    owner_page.keyboard.press("t")
    owner_page.keyboard.type("conn")
    found = owner_page.locator("#search-results").get_by_text("Connectors").first
    expect(found).to_be_visible()
    owner_page.keyboard.press("Escape")
    expect(found).to_be_hidden()
    owner_page.keyboard.press("Escape")
    owner_page.keyboard.press("t")
    owner_page.keyboard.type("tags")
    expect(owner_page.locator("#search-results a")).to_contain_text(["Tags"])
    owner_page.keyboard.press("ArrowDown")
    owner_page.keyboard.press("Enter")
    expect(owner_page).to_have_url(re.compile(r"/crm/tag/$"))
    owner_page.wait_for_load_state()
    owner_page.keyboard.press("Control+k")
    command = owner_page.locator("[x-ref=searchInputCommand]")
    expect(command).to_be_focused()
    command.press_sequentially("shop")
    expect(owner_page.locator("#command-results").get_by_text("Shop").first).to_be_visible()
    owner_page.keyboard.press("ArrowDown")
    owner_page.keyboard.press("Enter")
    expect(owner_page).to_have_url(re.compile(r"/connector/\d+/change/"))
    owner_page.goto(reverse("admin:connectors_connector_change", args=[three.connector_id]))
    owner_page.get_by_role("link", name="Add another Mapped field").click()
    owner_page.locator("select[name=mappings-0-field]").select_option("phone")
    owner_page.locator("textarea[name=mappings-0-value]").fill("{{ event.phone }}")
    owner_page.get_by_role("button", name="Save", exact=True).click()
    expect(owner_page.get_by_text("The settings were saved.")).to_be_visible()
    assert three.connector.mappings.get().value == "{{ event.phone }}"


@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (390, "light")])
def test_every_page_fits_and_complains_of_nothing(
    owner_page: Page, three, width, scheme, admin_user
):
    owner_page.emulate_media(color_scheme=scheme)
    owner_page.set_viewport_size({"width": width, "height": 844})
    long = ConnectorFactory(name="A name that says " + "very " * 15 + "much")
    StepFactory(connector=long, name="x" * 100)
    AddTag.objects.create(step=long.steps.get(), new_tags="{{ event.tags }}" * 30)
    pages = [
        "/admin/",
        "/admin/auth/user/",
        "/admin/auth/user/add/",
        f"/admin/auth/user/{admin_user.pk}/change/",
        f"/admin/auth/user/{admin_user.pk}/password/",
        "/admin/auth/group/add/",
        "/admin/password_change/",
        "/admin/django_q/failure/",
        "/admin/connectors/connector/",
        "/admin/connectors/connector/add/",
    ]
    for connector in (three.connector, long):
        base = f"/admin/connectors/connector/{connector.pk}"
        pages += [f"{base}/{name}/" for name in ("flow", "change", "publish", "new-url", "delete")]
    pages += [f"{kind_url(kind, 'add')}?step={three.pk}" for kind in registry.kinds().values()]
    for address in pages:
        owner_page.goto(address)
        assert owner_page.evaluate("document.documentElement.scrollWidth") == width, address
