"""Events: what was posted, kept as it came; rejected bodies and samples too."""

import base64
import json
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Left
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display

from apps.core.pages import LargeTableAdmin, as_id, cause_link, clipped, link
from apps.core.readable import pretty_json
from apps.engine.admin.columns import connector_link, connector_name
from apps.engine.models import Event, Run

PREVIEW = 160  # a multiple of four, so that base64 can be cut there
STATE_COLOURS = {"accepted": "success", "sample": "info", "rejected": "danger"}
LARGE_BODY = 200_000


def preview(form: str, opening: str) -> str:
    """The beginning of a kept body as text."""
    if form == "empty":
        return "(no body)"
    if form == "raw":
        opening = base64.b64decode(opening).decode(errors="replace")
    return opening


def readable_body(form: str, body: str) -> tuple[str, str]:
    """A kept body as (what it is, its text)."""
    if form == "empty":
        return "Empty", ""
    if form == "raw":
        raw = base64.b64decode(body)
        try:
            return "Text", raw.decode()
        except UnicodeDecodeError:
            return f"{len(raw):,} bytes that are not text, in base64", body
    name = "Form fields" if form == "fields" else "JSON"
    # Indenting multiplies a large body; what is shown then is the body as it came.
    return name, pretty_json(json.loads(body)) if len(body) <= LARGE_BODY else body


def source(event: Event) -> SafeString | str:
    """Where it came from, and what caused it if that was in this house."""
    name = event.get_source_display()
    by = cause_link(event.cause, event.cause_id)
    return format_html('<span class="sb-source">{} by {}</span>', name, by) if by else name


@admin.register(Event)
class EventAdmin(LargeTableAdmin):
    list_display = ["number", "connector_column", "state_label", "received_at", "source_column"]
    list_display += ["preview_column", "run_link"]
    list_filter = ["state", ("connector", RelatedDropdownFilter)]
    list_filter_submit = True
    search_fields = ["id"]
    search_help_text = "Search by event id"
    page_template = "engine/event.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        first_run = Run.objects.filter(event=OuterRef("pk")).order_by("pk").values("pk")[:1]
        events = super().get_queryset(request).prefetch_related("connector").defer("body")
        return events.annotate(opening=Left("body", PREVIEW), run_id=Subquery(first_run))

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        if search_term:
            queryset = queryset.filter(pk=as_id(search_term))
        return queryset, False

    @display(description="Event")
    def number(self, event: Event) -> str:
        return f"#{event.pk}"

    @display(description="Connector")
    def connector_column(self, event: Event) -> str:
        return connector_name(event)

    @display(description="State", label=STATE_COLOURS)
    def state_label(self, event: Event) -> tuple[str, str]:
        return event.state, event.get_state_display()

    @display(description="Source")
    def source_column(self, event: Event) -> SafeString | str:
        return source(event)

    @display(description="Body")
    def preview_column(self, event: Any) -> SafeString:
        return clipped(event.error or preview(event.form, event.opening))

    @display(description="Run")
    def run_link(self, event: Any) -> SafeString | str:
        if event.run_id is None:
            return "–"
        return link("admin:engine_run_change", event.run_id, f"Run {event.run_id}")

    def page_context(self, request: HttpRequest, row: Event) -> dict[str, Any]:
        kind, body = readable_body(row.form, row.body)
        scheduled = row.payload if row.source == Event.Source.SCHEDULE else None
        return {
            "connector": connector_link(row),
            "source": source(row),
            "body_kind": kind,
            "body": body,
            "scheduled": scheduled,
            "scheduled_for": scheduled and datetime.fromisoformat(scheduled["scheduled_at"]),
            "variables": pretty_json(row.query) if row.query else "",
            "runs": Run.objects.filter(event=row.pk).order_by("pk").defer("values")[:50],
        }
