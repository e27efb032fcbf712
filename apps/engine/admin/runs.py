"""Runs: the list, the timeline, and cancelling by hand."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import action, display

from apps.connectors.models import Revision
from apps.core.pages import as_id, cause_link
from apps.core.patience import patiently
from apps.core.readable import duration
from apps.engine import again
from apps.engine.admin.again import RunsAgain
from apps.engine.admin.columns import connector_link, connector_name, contact_link
from apps.engine.admin.events import source
from apps.engine.cancel import cancel_runs
from apps.engine.models import Delay, Event, Run, waits_for
from apps.engine.timeline import timeline

STATE_COLOURS = {
    "due": "info",
    "leased": "info",
    "waiting": "warning",
    "done": "success",
    "stopped": "",
    "failed": "danger",
    "cancelled": "",
}


def by_hand(request: HttpRequest) -> str:
    """The note of what a person ended."""
    return f"Cancelled by {request.user.get_username()}"


def took(run: Run) -> str:
    """Nothing for a run that was run again: people were between its passes."""
    if run.finished_at is None or run.passage > 1:
        return "–"
    return duration(run.finished_at - run.started_at)


def _why(run: Any) -> str:
    if run.state != Run.State.WAITING:
        return str(run.error)
    if run.until:
        return f"Sleeps until {date_format(localtime(run.until), 'DATETIME_FORMAT')}"
    return f"Waits {waits_for(run.queued or '') or 'for an earlier run of its contact to end'}"


def _may_see_calls(request: HttpRequest) -> bool:
    """As the pages of the logs have it: requests and answers hold what customers wrote."""
    may = request.user.has_perm
    sees = may("connectors.view_connector") and may("engine.view_call")
    return bool(may("connectors.change_connector") or sees)


def _started(run: Run) -> QuerySet[Run]:
    """The runs that were started by what this one changed about contacts."""
    made = Event.objects.filter(cause="run", cause_id=run.pk)
    return Run.objects.filter(event__in=made.values("pk")).order_by("pk").defer("values")[:50]


@admin.register(Run)
class RunAdmin(RunsAgain):
    list_display = ["number", "connector_column", "state_label", "contact_column"]
    list_display += ["started_at", "took_column", "why"]
    list_filter = ["state", ("connector", RelatedDropdownFilter)]
    list_filter_submit = True
    search_fields = ["id"]
    search_help_text = "Search by run id"
    actions = ["cancel_selected", "again_selected"]
    page_template = "engine/run.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        asleep = Delay.objects.filter(run=OuterRef("pk"), state=Delay.State.WAITING)
        timed, queued = asleep.exclude(action_uid=None).filter(queue=""), asleep.exclude(queue="")
        runs = super().get_queryset(request).prefetch_related("connector", "contact")
        return runs.defer("values").annotate(
            until=Subquery(timed.values("wake_at")[:1]), queued=Subquery(queued.values("queue")[:1])
        )

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        if search_term:
            queryset = queryset.filter(pk=as_id(search_term))
        return queryset, False

    @display(description="Run")
    def number(self, run: Run) -> str:
        return f"#{run.pk}"

    @display(description="Connector")
    def connector_column(self, run: Run) -> str:
        return connector_name(run)

    @display(description="State", label=STATE_COLOURS)
    def state_label(self, run: Run) -> tuple[str, str]:
        return run.state, run.get_state_display()

    @display(description="Contact")
    def contact_column(self, run: Run) -> SafeString | str:
        return contact_link(run)

    @display(description="Took")
    def took_column(self, run: Run) -> str:
        return took(run)

    @display(description="Why")
    def why(self, run: Any) -> SafeString | str:
        """What it waits for, or why it ended before its end."""
        text = _why(run)
        return format_html('<span class="bo-why">{}</span>', text) if text else "–"

    def page_context(self, request: HttpRequest, row: Run) -> dict[str, Any]:
        numbers = Revision.objects.filter(pk=row.revision_id).values_list("number", flat=True)
        return {
            "connector": connector_link(row),
            "contact": contact_link(row),
            "parent": cause_link(row.cause, row.cause_id) if row.cause == "run" else "",
            "revision": numbers.first(),
            "took": took(row),
            "ended": row.state not in Run.OPEN,
            "may_go_on": row.state not in Run.OPEN and not again.refusals([row]),
            "waits_for": waits_for(getattr(row, "queued", None) or ""),
            "timeline": timeline(row),
            "source": self._source(row),
            "started": _started(row),
            "may_see_calls": _may_see_calls(request),
            "may_cancel_delay": request.user.has_perm("engine.change_delay"),
        }

    def _source(self, run: Run) -> SafeString | str:
        """Where its event came from, if not from outside."""
        events = Event.objects.exclude(source=Event.Source.WEBHOOK).defer("body")
        event = events.filter(pk=run.event_id).first()
        return source(event) if event else ""

    def get_urls(self) -> list[Any]:
        cancel = self.admin_site.admin_view(self.cancel_view)
        return [
            path("<int:pk>/cancel/", cancel, name="engine_run_cancel"),
            *self.again_urls(),
            *super().get_urls(),
        ]

    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """*Cancel run*: asks first, then ends it."""
        if not self.has_act_permission(request):
            raise PermissionDenied
        run = self.find(request, str(pk))
        page = reverse("admin:engine_run_change", args=[run.pk])
        if request.method != "POST":
            question = (
                f"Cancel run {run.pk} of {connector_name(run)}? It does nothing more, and a delay "
                "in it ends. What it has done already, queued messages too, stays."
            )
            return self.ask(request, question, "Cancel run", {}, page)
        if patiently(lambda: cancel_runs([run.pk], by_hand(request))):
            self.message_user(request, f"Run {run.pk} was cancelled.", messages.SUCCESS)
        else:
            self.message_user(request, f"Run {run.pk} had ended already.", messages.WARNING)
        return HttpResponseRedirect(page)

    @action(description="Cancel selected runs", permissions=["act"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Run]) -> HttpResponse | None:
        question = (
            "Cancel the selected runs that have not ended? They do nothing more, and delays in "
            "them end. What they have done already, queued messages too, stays."
        )
        chosen = self.ask_about(request, queryset, "cancel_selected", question, "Cancel runs")
        if isinstance(chosen, HttpResponse):
            return chosen
        count = patiently(lambda: cancel_runs(chosen, by_hand(request)))
        self.message_user(request, f"Cancelled: {count} of {len(chosen)} runs.", messages.SUCCESS)
        return None
