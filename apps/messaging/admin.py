"""The operators' pages of messaging: messages in both directions, and channels."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import validate_email
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import action, display

from apps.core import phone
from apps.core.pages import LargeTableAdmin, RefusesUsed, badge, cause_link, clipped, link, related
from apps.crm.models import Contact
from apps.crm.sections import Section, contact_section
from apps.messaging import list_pages
from apps.messaging.addresses import spelled
from apps.messaging.models import Application, Channel, Message
from apps.messaging.settling import settle_by_hand

__all__ = ["list_pages"]

STATE_COLOURS = {
    "queued": "info",
    "leased": "info",
    "sending": "info",
    "sent": "success",
    "refused": "danger",
    "failed": "danger",
    "unknown": "warning",
    "cancelled": "",
    "received": "",
}
SENT, NOT_SENT = "sent", "not-sent"
_QUESTIONS = {
    SENT: "Mark as sent what has no known outcome? Nothing is sent by this.",
    NOT_SENT: "Mark as not sent what has no known outcome? Nothing is sent by this.",
}
_BUTTONS = {SENT: "Mark as sent", NOT_SENT: "Mark as not sent"}


@admin.register(Message)
class MessageAdmin(LargeTableAdmin):
    list_display = ["number", "state_label", "channel_column", "address", "text_column"]
    list_display += ["created_at", "cause_column"]
    list_filter = ["state", ("channel", RelatedDropdownFilter)]
    list_filter_submit = True
    search_fields = ["address"]
    search_help_text = "Search by the whole number or email address"
    actions = ["mark_as_sent", "mark_as_not_sent"]
    page_template = "messaging/message.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        return super().get_queryset(request).prefetch_related("channel", "contact")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        if search_term:
            address = phone.normalise(search_term) or search_term.strip()
            queryset = queryset.filter(address__in={address, *spelled([address])})
        return queryset, False

    @display(description="Message")
    def number(self, message: Message) -> str:
        return f"#{message.pk}"

    @display(description="State", label=STATE_COLOURS)
    def state_label(self, message: Message) -> tuple[str, str]:
        return message.state, message.get_state_display()

    @display(description="Channel")
    def channel_column(self, message: Message) -> str:
        return str(related(message, "channel") or "–")

    @display(description="Text")
    def text_column(self, message: Message) -> SafeString:
        """The text and, below it, why it was not sent."""
        reason = clipped(message.reason) if message.reason else ""
        return format_html("<span>{}{}</span>", clipped(message.text), reason)

    @display(description="Caused by")
    def cause_column(self, message: Message) -> SafeString | str:
        return cause_link(message.cause, message.cause_id) or "–"

    def page_context(self, request: HttpRequest, row: Message) -> dict[str, Any]:
        contact = related(row, "contact") if row.contact_id else None
        if contact is not None and contact.deleted_at:
            contact = None
        return {
            "title": f"Message {row.pk}",
            "channel": related(row, "channel"),
            "contact": link("admin:crm_contact_change", contact.pk, contact) if contact else "",
            "cause": cause_link(row.cause, row.cause_id),
            "unknown": row.state == Message.State.UNKNOWN,
        }

    def get_urls(self) -> list[Any]:
        settle = self.admin_site.admin_view(self.settle_view)
        return [
            path("<int:pk>/mark-as-<str:outcome>/", settle, name="messaging_message_settle"),
            *super().get_urls(),
        ]

    def settle_view(self, request: HttpRequest, pk: int, outcome: str) -> HttpResponse:
        """*Mark as sent* and *Mark as not sent*: asks first; only from *Outcome unknown*."""
        if outcome not in _BUTTONS or not self.has_act_permission(request):
            raise PermissionDenied
        message = self.find(request, str(pk))
        page = reverse("admin:messaging_message_change", args=[message.pk])
        if request.method != "POST":
            return self.ask(request, _QUESTIONS[outcome], _BUTTONS[outcome], {}, page)
        self._settle(request, [message.pk], outcome)
        return HttpResponseRedirect(page)

    def _settle(self, request: HttpRequest, chosen: list[int], outcome: str) -> None:
        count = settle_by_hand(chosen, outcome == SENT, request.user.get_username())
        note = f"Settled: {count} of {len(chosen)} messages."
        if count < len(chosen):
            note += " Only messages with an unknown outcome can be settled by hand."
        self.message_user(request, note, messages.SUCCESS if count else messages.WARNING)

    def _settle_chosen(
        self, request: HttpRequest, queryset: QuerySet[Message], name: str, outcome: str
    ) -> HttpResponse | None:
        chosen = self.ask_about(request, queryset, name, _QUESTIONS[outcome], _BUTTONS[outcome])
        if isinstance(chosen, HttpResponse):
            return chosen
        self._settle(request, chosen, outcome)
        return None

    @action(description="Mark as sent", permissions=["act"])
    def mark_as_sent(self, request: HttpRequest, queryset: QuerySet[Message]) -> Any:
        return self._settle_chosen(request, queryset, "mark_as_sent", SENT)

    @action(description="Mark as not sent", permissions=["act"])
    def mark_as_not_sent(self, request: HttpRequest, queryset: QuerySet[Message]) -> Any:
        return self._settle_chosen(request, queryset, "mark_as_not_sent", NOT_SENT)


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        address = (cleaned.get("address") or "").strip()
        if not address or self.errors:
            return cleaned
        if cleaned["application"] == Application.EMAIL:
            try:
                validate_email(address)
            except ValidationError as error:
                self.add_error("address", error)
        else:
            address = phone.normalise(address) or ""
            if not address:
                self.add_error(
                    "address",
                    "This is not a valid mobile number: it needs the country code.",
                )
        return {**cleaned, "address": address}


@admin.register(Channel)
class ChannelAdmin(RefusesUsed, ModelAdmin):
    form = ChannelForm
    list_display = ["name", "application", "driver", "address", "enabled"]
    list_filter = ["application", "enabled"]
    search_fields = ["name", "address"]
    fields = ["name", "application", "driver", "address", "enabled"]

    def refusal(self, row: Model) -> str:
        # Asked first: collecting what refers to the channel would load all its messages.
        if Message.objects.filter(channel=row.pk).exists():
            return (
                f'The channel "{row}" can\'t be deleted: there are messages of it. '
                "Switch it off instead."
            )
        return super().refusal(row)


@contact_section
def latest_messages(request: HttpRequest, contact: Contact, limit: int) -> Section | None:
    """On a contact's page."""
    if not request.user.has_perm("messaging.view_message"):
        return None
    found = (
        Message.objects.filter(contact__in=contact.ids).order_by("-pk").prefetch_related("channel")
    )
    rows = [
        [
            link("admin:messaging_message_change", message.pk, f"Message {message.pk}"),
            related(message, "channel") or "–",
            badge(message.state, message.get_state_display()),
            " ".join(message.text.split())[:80],
            message.created_at,
        ]
        for message in found[:limit]
    ]
    return Section("Latest messages", ["Message", "Channel", "State", "Text", "Created"], rows)
