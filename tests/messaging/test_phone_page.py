"""The sandbox phone's page."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.core import clock as core_clock
from apps.messaging.sandbox import views
from apps.messaging.sandbox.models import PhoneMessage
from tests.factories import ChannelFactory

pytestmark = pytest.mark.django_db
PHONE = reverse("admin:sandbox_phone")
ANA, BEN = "+4915112345678", "+4915112345999"


def arrive(channel, address, text):
    return PhoneMessage.objects.create(
        channel=channel, address=address, text=text, arrived_at=core_clock.now()
    )


def bubbles(page):
    return re.findall(r'<div class="ph-bubble"><p>(.*?)</p>', page, re.S)


def open_phone(client, **query):
    return client.get(PHONE, query).content.decode()


def test_the_empty_phone_says_how_to_get_a_message(admin_client):
    page = open_phone(admin_client)
    assert PHONE == "/admin/sandbox/phone/"
    assert "publish a connector with a Send Message action" in page


def test_conversations_stand_newest_first_and_the_newest_is_open(admin_client, clock):
    shop, alerts = ChannelFactory(name="Shop"), ChannelFactory(name="Alerts")
    arrive(shop, ANA, "one")
    clock.tick(minutes=5)
    arrive(alerts, ANA, "alert")
    arrive(shop, BEN, "for Ben")
    arrive(shop, ANA, "two <b>")
    page = open_phone(admin_client)
    rows = re.findall(r'href="\?channel=(\d+)&amp;address=%2B(\d+)"', page)
    assert rows == [(str(shop.pk), ANA[1:]), (str(shop.pk), BEN[1:]), (str(alerts.pk), ANA[1:])]
    assert bubbles(page) == ["one", "two &lt;b&gt;"]
    assert page.count('aria-current="page"') == 1
    assert '<time datetime="2026-03-02T12:05:00+00:00">12:05</time>' in page
    assert "<b>Shop</b>" in page
    chosen = open_phone(admin_client, channel=alerts.pk, address=ANA)
    assert bubbles(chosen) == ["alert"] and "<b>Alerts</b>" in chosen


def test_what_is_fetched_again_is_the_panes_alone(admin_client):
    channel = ChannelFactory()
    arrive(channel, ANA, "hello")
    part = open_phone(admin_client, channel=channel.pk, address=ANA, fragment="")
    assert bubbles(part) == ["hello"]
    assert "<html" not in part and f'data-address="{ANA}"' in part


@pytest.mark.parametrize("channel", ["x", "", "9" * 40, "12345"])
def test_an_unknown_conversation_is_no_error(channel, admin_client):
    arrive(ChannelFactory(), ANA, "hello")
    assert admin_client.get(PHONE, {"channel": channel, "address": "\0"}).status_code == 200


def test_the_phone_takes_the_same_queries_and_a_limited_page_for_any_number_of_messages(
    admin_client,
):
    channel = ChannelFactory()
    arrive(channel, ANA, "hello")

    def queries():
        with CaptureQueriesContext(connection) as captured:
            page = open_phone(admin_client, channel=channel.pk, address=ANA)
        return len(captured), len(bubbles(page))

    few, _ = queries()
    for number in range(views.BUBBLES + 5):
        arrive(channel, ANA, f"text {number}")
        arrive(ChannelFactory(), BEN, f"text {number}")
    assert queries() == (few, views.BUBBLES)
