"""The sandbox phone: a page that shows what arrived, as a phone would."""

from typing import Any, NamedTuple

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.http import urlencode

from apps.messaging.models import Channel
from apps.messaging.sandbox.models import PhoneMessage

# The list is made of this many latest messages, a conversation shows this many.
LATEST = 1_000
BUBBLES = 100


class Conversation(NamedTuple):
    """All messages of one channel to one address."""

    channel_id: int
    address: str


def phone(request: HttpRequest) -> HttpResponse:
    """The whole page or, with `?fragment`, the part of it that phone.js fetches anew."""
    if not request.user.has_perm("sandbox.view_phonemessage"):
        raise PermissionDenied
    chosen = _chosen(request)
    conversations = _conversations()
    shown = chosen or (conversations[0]["key"] if conversations else None)
    context = {
        "title": "Sandbox phone",
        "conversations": [{**c, "current": c["key"] == shown} for c in conversations],
        "chosen": chosen,
        "shown": shown,
        "channel": Channel.objects.filter(pk=shown.channel_id).first() if shown else None,
        "bubbles": _bubbles(shown) if shown else [],
    }
    if "fragment" in request.GET:
        return TemplateResponse(request, "sandbox/panes.html", context)
    context = {**admin.site.each_context(request), **context}
    return TemplateResponse(request, "sandbox/phone.html", context)


def _chosen(request: HttpRequest) -> Conversation | None:
    channel, address = request.GET.get("channel", ""), request.GET.get("address", "")
    if not channel.isdecimal() or len(channel) > 18 or not address:
        return None
    return Conversation(int(channel), address.replace("\0", ""))


def _conversations() -> list[dict[str, Any]]:
    """The conversations among the latest messages, newest first, each with its last message."""
    latest = PhoneMessage.objects.order_by("-pk").select_related("channel")[:LATEST]
    found: dict[Conversation, dict[str, Any]] = {}
    for message in latest:
        key = Conversation(message.channel_id, message.address)
        if key not in found:
            query = urlencode({"channel": key.channel_id, "address": key.address})
            found[key] = {"key": key, "last": message, "query": query}
    return list(found.values())


def _bubbles(shown: Conversation) -> list[PhoneMessage]:
    rows = PhoneMessage.objects.filter(address=shown.address, channel=shown.channel_id)
    return list(reversed(rows.order_by("-pk")[:BUBBLES]))
