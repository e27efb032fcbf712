"""Export, import and restore in a browser, as an operator uses them."""

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from apps.actions.kinds.add_tag import AddTag
from apps.actions.kinds.http_api import HttpApi
from apps.actions.kinds.send_message import SendMessage
from apps.connectors.exporting import export
from apps.connectors.models import Connector
from apps.messaging.models import Channel
from tests.factories import ChannelFactory, TagFactory, published

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    """Published, then edited."""
    message = {
        "channel": ChannelFactory(name="Old line"),
        "recipients": [{"to": "{{ contact.phone }}"}],
        "text": "Thank you for order {{ event.order.id }}!",
    }
    made = published(
        [(SendMessage, message), (AddTag, {"rows": {"tags": [{"tag": TagFactory(name="vip")}]}})],
        name="Shop orders",
    )
    SendMessage.objects.update(text="Edited", summary_line="Edited")
    return made


def flow_of(connector):
    return reverse("admin:connectors_connector_flow", args=[connector.pk])


def test_a_file_goes_out_and_comes_back_elsewhere(owner_page: Page, shop, tmp_path):
    owner_page.goto(flow_of(shop))
    with owner_page.expect_download() as download:
        owner_page.get_by_role("link", name="Export", exact=True).click()
    assert download.value.suggested_filename == "shop-orders.json"
    file = tmp_path / "shop-orders.json"
    download.value.save_as(file)
    Connector.objects.all().delete()
    Channel.objects.all().delete()

    owner_page.goto(reverse("admin:connectors_connector_changelist"))
    owner_page.get_by_role("link", name="Import", exact=True).click()
    owner_page.wait_for_load_state()
    name = owner_page.get_by_label("Name", exact=True)
    expect(name).to_be_visible()
    owner_page.get_by_label("File").set_input_files(file)
    expect(name).to_have_value("")
    name.fill("Shop again")
    owner_page.get_by_role("button", name="Review").click()
    expect(owner_page.get_by_role("heading", name='Import "Shop again"?')).to_be_visible()
    expect(owner_page.get_by_text("{{ contact.phone }}")).to_be_visible()
    expect(owner_page.get_by_text('Channel "Old line" does not exist here')).to_be_visible()
    assert not Connector.objects.exists()
    owner_page.get_by_role("button", name="Import").click()
    expect(owner_page.get_by_role("heading", name="Shop again")).to_be_visible()
    missing = 'Channel "Old line" does not exist here: create it or choose another one.'
    expect(owner_page.locator(".flow-action").get_by_text(missing)).to_be_visible()
    expect(owner_page.get_by_role("button", name="Publish")).to_be_disabled()


@pytest.fixture
def calling():
    """With texts that are longer than any screen is wide."""
    made = published([(AddTag, {"new_tags": "seen"})], name="Far and wide", response_body="x" * 300)
    step = made.steps.get()
    long = {"url": f"https://api.example/{'x' * 300}", "alert_emails": f"{'y' * 60}@example.org"}
    HttpApi.objects.create(step=step, position=1, label="z" * 80, **long)
    return made


@pytest.mark.parametrize("width", [1440, 390])
def test_a_review_is_read_to_its_end_and_cancelled(owner_page: Page, calling, tmp_path, width):
    file = tmp_path / "long.json"
    file.write_text(export(calling))
    owner_page.set_viewport_size({"width": width, "height": 844})
    owner_page.goto(reverse("admin:connectors_connector_import"))
    owner_page.get_by_label("File").set_input_files(file)
    owner_page.get_by_label("Name", exact=True).fill("A copy")
    owner_page.get_by_role("button", name="Review").click()
    expect(owner_page.get_by_text(f"POST https://api.example/{'x' * 300}")).to_be_visible()
    assert owner_page.evaluate("document.documentElement.scrollWidth") == width
    owner_page.locator("form.flow-review").get_by_role("link", name="Cancel").click()
    expect(owner_page.get_by_role("link", name="Far and wide").first).to_be_visible()
    assert not Connector.objects.filter(name="A copy").exists()


def test_the_form_shows_what_is_chosen(owner_page: Page, shop):
    owner_page.goto(reverse("admin:connectors_connector_import"))
    expect(owner_page.get_by_label("Connector", exact=True)).to_be_hidden()
    owner_page.get_by_text("The draft of a connector that is here").click()
    expect(owner_page.get_by_label("Connector", exact=True)).to_be_visible()
    expect(owner_page.get_by_label("Name", exact=True)).to_be_hidden()


def test_a_revision_comes_back(owner_page: Page, shop):
    owner_page.goto(flow_of(shop))
    owner_page.get_by_role("link", name="Restore revision 1 into the draft").click()
    expect(owner_page.get_by_text("changes that were never published")).to_be_visible()
    owner_page.get_by_role("button", name="Restore into draft").click()
    expect(owner_page.get_by_text("The draft is revision 1 again.")).to_be_visible()
    expect(owner_page.locator(".flow-action").first).to_contain_text("Thank you for order")


@pytest.mark.parametrize("width", [1440, 390])
def test_no_page_is_wider_than_its_screen(owner_page: Page, shop, width):
    owner_page.set_viewport_size({"width": width, "height": 844})
    for name, args in [
        ("import", []),
        ("restore", [shop.pk, 1]),
        ("flow", [shop.pk]),
        ("changelist", []),
    ]:
        owner_page.goto(reverse(f"admin:connectors_connector_{name}", args=args))
        assert owner_page.evaluate("document.documentElement.scrollWidth") == width, name
