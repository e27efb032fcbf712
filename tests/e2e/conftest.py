"""A real browser against a real server. Pages that complain, break or call elsewhere fail."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from apps.actions.kinds.stop import StopRun
from apps.connectors.models import Step
from tests.factories import StepFactory

# A busy machine may take its time; a page that is right is never waited for.
expect.set_options(timeout=20_000)

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[Any]) -> None:
    for item in items:
        if Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        missing = f"There is no Chromium at {CHROMIUM}; CHROMIUM names another one."
        if os.environ.get("REQUIRE_CHROMIUM") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    # Playwright runs an event loop in this thread; tests may use the database all the same.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield started
        started.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def context(browser: Browser, live_server: Any) -> Iterator[BrowserContext]:
    made = browser.new_context(
        base_url=live_server.url, viewport={"width": 1440, "height": 900}, locale="en-GB"
    )
    made.set_default_timeout(30_000)
    # Chromium asks for it by itself and would log that there is none.
    made.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    yield made
    made.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the page complained of; a test that expects a complaint removes it."""
    return []


@pytest.fixture
def page(context: BrowserContext, live_server: Any, complaints: list[str]) -> Iterator[Page]:
    """A page that fails its test on console errors, uncaught errors and requests elsewhere."""
    own = urlsplit(live_server.url).netloc
    opened = context.new_page()
    opened.on("console", _note_errors(complaints))
    opened.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))

    def note_foreign(request: Any) -> None:
        url = urlsplit(request.url)
        if url.scheme in ("http", "https", "ws", "wss") and url.netloc != own:
            complaints.append(f"request to another host: {request.url}")

    context.on("request", note_foreign)
    yield opened
    # Requests under way must not outlive the test's database.
    opened.goto("about:blank")
    assert not complaints, "\n".join(complaints)


def _note_errors(complaints: list[str]) -> Callable[[Any], None]:
    def note(message: Any) -> None:
        if message.type == "error":
            where = message.location.get("url", "")
            complaints.append(f"console: {message.text} ({where})")

    return note


@pytest.fixture
def owner_page(page: Page, context: BrowserContext, admin_user: Any, live_server: Any) -> Page:
    """The page, logged in as the owner."""
    client = Client()
    client.force_login(admin_user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": cookie.value, "url": live_server.url}]
    )
    return page


@pytest.fixture
def three(db: None) -> Step:
    """A step with three actions."""
    step = StepFactory(name="Say thanks", connector__name="Shop")
    for place, label in enumerate(["One", "Two", "Three"]):
        StopRun.objects.create(step=step, position=place, label=label)
    return step
