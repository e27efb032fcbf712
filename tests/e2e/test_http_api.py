"""The HTTP API's form in a browser: Test, mapping, logs, a structure that changes."""

import pytest
from playwright.sync_api import Page, expect

from apps.actions.kinds.http_api import HttpApi
from apps.builder.links import kind_url
from apps.core.http.guard import AllowList
from tests.factories import ConnectorFactory, CredentialFactory, StepFactory
from tests.servers import serving


@pytest.fixture
def server(settings):
    settings.HTTP_ALLOW = AllowList.read(["127.0.0.1"])
    with serving() as made:
        yield made


def test_from_an_empty_form_to_a_mapped_answer(
    owner_page: Page, server, post, live_server, complaints
):
    page = owner_page
    step = StepFactory(name="Look up", connector=ConnectorFactory(name="Shop"))
    CredentialFactory(name="Shop API", secret="s3cret-value")
    post(step.connector, {"order": {"id": 7}})
    server.says({"contact": {"id": 12, "name": "Ana"}})

    page.goto(f"{kind_url(HttpApi, 'add')}?step={step.pk}")
    expect(page.locator("[name=body]")).to_be_hidden()
    page.locator("[name=label]").fill("Find contact")
    page.locator("[name=url]").fill(f"{server.url}/contacts")
    page.get_by_role("button", name="Add Header").click()
    page.locator("[data-column=name]").first.fill("X-Shop")
    page.locator("[data-column=value]").first.fill("berlin")
    page.locator("[name=body_type]").select_option("JSON")
    page.locator("[name=body]").fill('{"order": }')
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.locator("[data-test-result]")).to_contain_text("The body is not valid JSON")
    assert "422" in complaints.pop()
    page.locator("[name=body]").fill('{"order": "')
    page.get_by_role("button", name="event.order.id").click()
    page.locator("[name=body]").press("End")
    page.keyboard.type('"}')
    page.get_by_role("button", name="Test", exact=True).click()
    result = page.locator("[data-test-result]")
    expect(result).to_contain_text("200 OK")
    expect(page.get_by_role("cell", name="contact.id", exact=True)).to_be_visible()
    assert server.asked[-1].json == {"order": 7}
    assert server.asked[-1].headers["X-Shop"] == "berlin"

    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("link", name="Find contact").click()
    expect(page.get_by_role("heading", name="Response mapping")).to_be_visible()
    page.get_by_role("link", name="Logs").click()
    page.get_by_role("link", name="View").click()
    expect(page.get_by_label("Response body")).to_contain_text('"name": "Ana"')


def test_a_changed_structure_is_seen_and_remapped(owner_page: Page, server, live_server):
    page = owner_page
    step = StepFactory(name="Look up", connector__name="Shop")
    action = HttpApi.objects.create(step=step, label="Find", url=f"{server.url}/contacts")
    page.goto(kind_url(HttpApi, "change", action.pk))
    for answer in ({"id": 1}, {"number": 1}):
        server.says(answer)
        page.get_by_role("button", name="Test", exact=True).click()
        expect(page.locator("[data-test-result]")).to_contain_text(next(iter(answer)))
    expect(page.locator("[data-test-result]")).to_contain_text("JSON Structure Change Detected")
    page.locator("[name=label]").fill("Not saved yet")
    page.get_by_role("button", name="Remap").click()
    expect(page.get_by_text("The response was mapped anew")).to_be_visible()
    expect(page.get_by_role("cell", name="number", exact=True).first).to_be_visible()
    expect(page.locator("[name=label]")).to_have_value("Not saved yet")
    expect(page.get_by_role("button", name="Remap")).to_have_count(0)
