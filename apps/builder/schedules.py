"""Schedules: the form with its preview, and the list of all of them."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminExpandableTextareaWidget, UnfoldAdminSelectWidget

from apps.builder.permissions import may_view
from apps.builder.sources import SourceAdmin
from apps.core import clock, cron
from apps.core.pages import link
from apps.crm.services import timezones
from apps.engine import schedules
from apps.engine.models import Schedule

SHOWN = 5


def preview(expression: str, timezone: str) -> dict[str, Any]:
    """What an expression means and when it comes next, in words; or `error`, a sentence."""
    expression = " ".join(expression.split())
    error = cron.problem(expression)
    if not error and timezone not in timezones():
        error = f'"{timezone}" is not a timezone: choose one such as Europe/Berlin.'
    if error:
        return {"error": error}
    times = cron.next_times(expression, ZoneInfo(timezone), clock.now(), SHOWN)
    spelled = [f"{time:%A} {_spell(time)}" for time in times]
    return {"words": cron.explain(expression), "times": spelled, "timezone": timezone}


def _spell(time: datetime) -> str:
    return f"{time.day} {time:%B %Y, %H:%M %Z}"


def by_its_clock(schedule: Schedule, time: datetime | None) -> str | None:
    """A time in the schedule's own timezone, in the account's where that is gone."""
    if time is None:
        return None
    known = schedule.timezone in timezones()
    return _spell(time.astimezone(ZoneInfo(schedule.timezone) if known else None))


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "timezone" in self.fields:
            places = [(zone, zone.replace("_", " ")) for zone in sorted(timezones())]
            field = self.fields["timezone"]
            field.widget = UnfoldAdminSelectWidget(choices=places)
            # Django keeps what a default was when the form was made; what counts is the schedule.
            field.show_hidden_initial = False

    def clean_name(self) -> str:
        return " ".join(str(self.cleaned_data["name"]).split())

    def clean_cron(self) -> str:
        expression = " ".join(str(self.cleaned_data["cron"]).split())
        error = cron.problem(expression)
        if error:
            raise forms.ValidationError(error)
        return expression

    def clean_timezone(self) -> str:
        zone = str(self.cleaned_data["timezone"])
        if zone not in timezones():
            raise forms.ValidationError("This is not a timezone: choose one of the list.")
        return zone

    def clean_payload(self) -> str:
        text = str(self.cleaned_data["payload"])
        try:
            schedules.read_payload(text)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
        return text


@admin.register(Schedule)
class ScheduleAdmin(SourceAdmin):
    form = ScheduleForm
    list_display = ["name_link", "connector", "times", "next_column", "last_column"]
    list_filter = [("connector", RelatedDropdownFilter)]
    list_select_related = ["connector"]
    search_fields = ["name", "connector__name"]
    fields = ["connector", "name", "cron", "timezone", "coming", "payload", "enabled", "latest"]
    readonly_fields = ["coming", "latest"]
    change_form_template = "builder/schedule_form.html"

    # --- the list ---

    @display(description="Schedule", ordering="name")
    def name_link(self, schedule: Schedule) -> SafeString:
        return link("admin:engine_schedule_change", schedule.pk, schedule)

    @display(description="Times")
    def times(self, schedule: Schedule) -> SafeString:
        return format_html(
            '<span class="bo-latest">{}<br>{}</span>', in_words(schedule), schedule.timezone
        )

    @display(description="Next", ordering="next_at", empty_value="Switched off")
    def next_column(self, schedule: Schedule) -> str | None:
        return by_its_clock(schedule, schedule.next_at)

    @display(description="Last time")
    def last_column(self, schedule: Schedule) -> SafeString:
        return latest(schedule)

    # --- the form ---

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [name for name in self.fields if obj or name != "latest"]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "payload":
            kwargs["widget"] = UnfoldAdminExpandableTextareaWidget()
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @display(description="Comes next")
    def coming(self, schedule: Schedule) -> SafeString:
        return render_to_string(
            "builder/schedule_times.html",
            {
                "preview_url": reverse("admin:engine_schedule_preview"),
                "off": schedule.pk and not schedule.enabled,
                **(preview(schedule.cron, schedule.timezone) if schedule.cron else {}),
            },
        )

    @display(description="Last time")
    def latest(self, schedule: Schedule) -> SafeString:
        return latest(schedule)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Write only what was changed, since the schedule may come meanwhile; when it comes next
        is counted anew only if that depends on what was changed."""
        written = set(form.changed_data)
        if not change or written & {"cron", "timezone", "enabled"}:
            schedules.plan(obj)
            written |= {"next_at"}
        if not change:
            obj.save()
        elif written:
            obj.save(update_fields=written)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(preview_view)
        return [path("preview/", view, name="engine_schedule_preview"), *super().get_urls()]


@require_safe
def preview_view(request: HttpRequest) -> HttpResponse:
    """The preview of what is typed, for schedule.js."""
    if not may_view(request):
        raise PermissionDenied
    typed = preview(request.GET.get("cron", "")[:100], request.GET.get("timezone", ""))
    return render(request, "builder/schedule_preview.html", typed)


def in_words(schedule: Schedule) -> str:
    """The times of a schedule as a sentence would have them."""
    return schedule.cron if cron.problem(schedule.cron) else cron.explain(schedule.cron)


def latest(schedule: Schedule) -> SafeString:
    context = {"schedule": schedule, "at": by_its_clock(schedule, schedule.last_at)}
    return render_to_string("builder/schedule_latest.html", context)
