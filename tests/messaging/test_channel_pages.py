"""The pages of channels."""

import pytest
from django.urls import reverse

from apps.actions.kinds.send_message import SendMessage
from apps.core import clock as core_clock
from apps.messaging.models import Channel, Message
from tests.factories import ChannelFactory, published

pytestmark = pytest.mark.django_db
ADD = reverse("admin:messaging_channel_add")
LIST = reverse("admin:messaging_channel_changelist")


def form(**values):
    defaults = {
        "name": "Shop",
        "application": "web_automation",
        "driver": "sandbox",
        "address": "",
        "enabled": "on",
    }
    return {**defaults, **values}


def test_a_channel_is_made_and_switched_off(admin_client):
    admin_client.post(ADD, form(address="+49 151 12345678"))
    channel = Channel.objects.get()
    assert (channel.address, channel.enabled) == ("+4915112345678", True)
    assert "Shop" in admin_client.get(LIST).content.decode()
    change = reverse("admin:messaging_channel_change", args=[channel.pk])
    admin_client.post(change, {**form(), "enabled": ""})
    channel.refresh_from_db()
    assert not channel.enabled


def test_the_own_number_is_checked(admin_client):
    page = admin_client.post(ADD, form(address="0151 1")).content.decode()
    assert "This is not a valid mobile number: it needs the country code." in page
    page = admin_client.post(ADD, form(application="email", address="shop")).content.decode()
    assert "Enter a valid email address." in page
    assert not Channel.objects.exists()
    admin_client.post(ADD, form(application="email", address="shop@example.com"))
    assert Channel.objects.get().address == "shop@example.com"


def delete(client, channel):
    url = reverse("admin:messaging_channel_delete", args=[channel.pk])
    return client.post(url, {"post": "yes"}, follow=True).content.decode()


def test_a_channel_in_use_is_not_deleted_and_the_page_says_where_it_is_used(admin_client):
    channel = ChannelFactory(name="Shop")
    recipients = [{"to": "+4915112345678"}]
    columns = {"channel": channel, "recipients": recipients, "text": "Hi", "label": "Thank you"}
    connector = published([(SendMessage, columns)], name="Orders")
    page = delete(admin_client, channel)
    step = connector.steps.get()
    sentence = "The channel &quot;Shop&quot; can&#x27;t be deleted: it is used by"
    assert f"{sentence} Orders › {step.name} › Thank you." in page
    assert Channel.objects.filter(pk=channel.pk).exists()


def test_a_channel_with_messages_is_switched_off_instead(admin_client):
    channel = ChannelFactory()
    Message.objects.create(channel=channel, address="+1", text="x", wake_at=core_clock.now())
    assert "Switch it off instead." in delete(admin_client, channel)
    chosen = {"action": "delete_selected", "_selected_action": [channel.pk], "post": "yes"}
    assert "Switch it off instead." in admin_client.post(LIST, chosen).content.decode()
    assert Channel.objects.exists()


def test_an_unused_channel_is_deleted(admin_client):
    delete(admin_client, ChannelFactory())
    assert not Channel.objects.exists()
