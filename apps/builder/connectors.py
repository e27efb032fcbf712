"""Connectors: the list, the settings form, and what happens when one is deleted."""

from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminExpandableTextareaWidget

from apps.builder import flow_views, import_views, manual_views, publish_views, transfer_views
from apps.builder.flow import CHANGED, DRAFT, LIVE, OFF, STATES, state_of
from apps.builder.links import crumbs, flow_url
from apps.builder.permissions import PicksCredentials, may_add, may_change, may_view
from apps.connectors import draft
from apps.connectors.models import Connector, FieldMapping
from apps.connectors.publish import touch
from apps.core.clock import now
from apps.core.fields import TemplateField
from apps.core.pages import RefusesUsed
from apps.core.patience import patiently
from apps.engine.cancel import cancel_open, waiting_runs
from apps.engine.models import Ending, Event

COLOURS = {LIVE: "success", CHANGED: "warning", DRAFT: "info", OFF: ""}
FROZEN = {
    "dedupe_by",
    "dedupe_header",
    "dedupe_path",
    "response_body",
    "response_type",
    "in_order",
}
DELETED = "The connector was deleted."
_SIGNED = [auth for auth in Connector.Auth.values if auth != Connector.Auth.NONE]
# Which fields of the form show only for certain values of another, as kinds say it.
SHOWS_WHEN: dict[str, tuple[str, list[str]]] = {
    "credential": ("auth", _SIGNED),
    "auth_header": ("auth", ["header", "hmac"]),
    "auth_tolerance": ("auth", ["stripe", "standard"]),
    "dedupe_header": ("dedupe_by", ["header"]),
    "dedupe_path": ("dedupe_by", ["path"]),
}


class FieldMappingInline(TabularInline):  # type: ignore[misc]
    model = FieldMapping
    extra = 0
    hide_title = True
    verbose_name = "mapped field"
    verbose_name_plural = "Field mapping (in force with the next publication)"
    formfield_overrides = {TemplateField: {"widget": UnfoldAdminExpandableTextareaWidget}}

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_view(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_change(request) or may_add(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_change(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_change(request)


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, STATES[state][0]) for state in (LIVE, CHANGED, DRAFT, OFF)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Connector]) -> QuerySet[Connector]:
        published, same = Q(published__isnull=False), Q(published_draft=F("draft_version"))
        wanted = {
            OFF: Q(enabled=False),
            DRAFT: Q(enabled=True) & ~published,
            CHANGED: Q(enabled=True) & published & ~same,
            LIVE: Q(enabled=True) & published & same,
        }
        return queryset.filter(wanted[self.value()]) if self.value() in wanted else queryset


@admin.register(Connector)
class ConnectorAdmin(PicksCredentials, RefusesUsed, ModelAdmin):  # type: ignore[misc]
    list_display = ["flow_link", "state", "revision", "last_event", "settings_link"]
    list_display_links = None
    list_filter = [StateFilter]
    search_fields = ["name", "description"]
    readonly_fields = ["webhook"]
    inlines = [FieldMappingInline]
    warn_unsaved_form = True
    formfield_overrides = {models.TextField: {"widget": UnfoldAdminExpandableTextareaWidget}}
    change_form_template = "builder/connector_form.html"
    conditional_fields = {
        field: " || ".join(f"{other} == '{value}'" for value in values)
        for field, (other, values) in SHOWS_WHEN.items()
    }
    add_fieldsets = [(None, {"fields": ["name", "description"]})]
    fieldsets = [
        (None, {"fields": ["name", "description", "enabled", "capture"]}),
        ("Webhook", {"fields": ["webhook"]}),
        (
            "Who may post (in force at once)",
            {
                "fields": [
                    "auth",
                    "credential",
                    "auth_header",
                    "auth_tolerance",
                    "inbound_per_minute",
                ]
            },
        ),
        (
            "Receiving events (in force with the next publication)",
            {
                "fields": [
                    "dedupe_by",
                    "dedupe_header",
                    "dedupe_path",
                    "response_body",
                    "response_type",
                ]
            },
        ),
        ("Running (in force with the next publication)", {"fields": ["in_order"]}),
    ]

    # --- the list ---

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connector]:
        newest = Event.objects.filter(connector=OuterRef("pk")).order_by("-pk")
        return (
            super()
            .get_queryset(request)
            .annotate(
                revision_number=F("published__number"),
                last_event_at=Subquery(
                    newest.values("received_at")[:1], output_field=models.DateTimeField()
                ),
            )
        )

    @display(description="Connector", ordering="name")
    def flow_link(self, connector: Connector) -> SafeString:
        note = connector.description.partition("\n")[0]
        note = note if len(note) <= 90 else f"{note[:89]}…"
        return format_html(
            '<a class="bo-name" href="{}">{}</a><span class="bo-note">{}</span>',
            flow_url(connector.pk),
            connector.name,
            note,
        )

    @display(description="State", label={STATES[s][0]: colour for s, colour in COLOURS.items()})
    def state(self, connector: Connector) -> str:
        changed = connector.published_draft != connector.draft_version
        return STATES[state_of(connector, changed)][0]

    @display(description="Revision", ordering="revision_number", empty_value="–")
    def revision(self, connector: Any) -> Any:
        return connector.revision_number

    @display(description="Last event", ordering="last_event_at", empty_value="None yet")
    def last_event(self, connector: Any) -> Any:
        return connector.last_event_at

    @display(description="Settings")
    def settings_link(self, connector: Connector) -> SafeString:
        page = reverse("admin:connectors_connector_change", args=[connector.pk])
        return format_html('<a class="sb-link" href="{}">Settings</a>', page)

    # --- the form ---

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        return list(self.inlines) if obj else []

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return list(self.readonly_fields)

    @display(description="Webhook URL")
    def webhook(self, connector: Connector) -> SafeString:
        until = connector.previous_token_until
        context = {"connector": connector, "old_until": until if until and until > now() else None}
        return render_to_string("builder/webhook.html", context)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who may not change the connector does not see its URL: it is a secret."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj and not may_change(request):
            return [part for part in fieldsets if "webhook" not in part[1]["fields"]]
        return fieldsets

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context: dict[str, Any] = {"show_save_and_add_another": False}
        connector = self.get_object(request, object_id) if object_id else None
        if connector is not None:
            context["flow_url"] = flow_url(connector.pk)
            context["crumbs"] = crumbs(connector, "Settings")
        elif not object_id:
            context["crumbs"] = crumbs(None, "Add connector")
        return super().changeform_view(
            request, object_id, form_url, {**context, **(extra_context or {})}
        )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Write only what was changed: publishing and new URLs may happen meanwhile."""
        if not change:
            obj.save()
        elif form.changed_data:
            obj.save(update_fields=form.changed_data)
            touch(obj.pk)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        frozen = FROZEN & set(form.changed_data)
        if frozen or any(formset.has_changed() for formset in formsets):
            draft.bump(form.instance.pk)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        if "_popup" in request.POST:
            return super().response_add(request, obj, post_url_continue)
        messages.success(request, f'Connector "{obj}" was added. Now add its first step.')
        return HttpResponseRedirect(flow_url(obj.pk))

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        if "_continue" in request.POST or "_popup" in request.POST:
            return super().response_change(request, obj)
        messages.success(request, "The settings were saved.")
        return HttpResponseRedirect(flow_url(obj.pk))

    # --- deleting: events and runs stay, with what they did ---

    def deletion_summary(self, objs: Any, request: HttpRequest) -> Any:
        """In one line per connector: its hundreds of parts would not help to decide."""
        lines = []
        for connector in objs:
            waiting = waiting_runs(connector.pk)
            wait = f" ({waiting:,} {'waits' if waiting == 1 else 'wait'} now)" if waiting else ""
            lines.append(
                f'The connector "{connector}" with its steps, event sources and revisions. Its URL '
                f"is dead at once, runs that have not ended{wait} are cancelled and can't be run "
                "again; events and runs stay listed."
            )
        return lines, {"connectors": len(lines)}, set(), []

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return patiently(lambda: super(ConnectorAdmin, self).delete_view(request, object_id))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._say_what_ended(request, [self._delete(request, obj)])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Connector]) -> None:
        endings = patiently(lambda: [self._delete(request, connector) for connector in queryset])
        self._say_what_ended(request, endings)

    @staticmethod
    def _delete(request: HttpRequest, connector: Connector) -> Ending:
        pk = connector.pk
        connector.delete()
        connector.pk = pk
        return cancel_open(connector, DELETED, **publish_views.by_user(request))

    @staticmethod
    def _say_what_ended(request: HttpRequest, endings: list[Ending]) -> None:
        for ending in endings:
            if ending.total:
                text = f"{ending.connector_name}: {publish_views.cancelled(ending)}"
                messages.info(request, text)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        own = [flow_views, publish_views, manual_views, import_views, transfer_views]
        return [*(url for pages in own for url in pages.urls(view)), *super().get_urls()]
