"""Delays: who sleeps, until when, and waking nobody: cancelling by hand."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import action, display

from apps.core.pages import LargeTableAdmin, link
from apps.core.patience import patiently
from apps.engine import delays
from apps.engine.admin.columns import connector_name
from apps.engine.admin.runs import by_hand
from apps.engine.models import Delay

STATE_COLOURS = {"waiting": "warning", "fired": "success", "cancelled": ""}
ALL = "all"


class StateFilter(SimpleListFilter):
    """Waiting ones, unless another state is asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        others = [choice for choice in Delay.State.choices if choice[0] != Delay.State.WAITING]
        return [*others, (ALL, "All")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        chosen = self.value()
        for value, title in [(None, "Waiting"), *self.lookup_choices]:
            params = {self.parameter_name: value} if value else {}
            yield {
                "selected": chosen == value,
                "query_string": changelist.get_query_string(params, [self.parameter_name]),
                "display": title,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delay]) -> QuerySet[Delay]:
        if self.value() == ALL:
            return queryset
        return queryset.filter(state=self.value() or Delay.State.WAITING)


@admin.register(Delay)
class DelayAdmin(LargeTableAdmin):
    list_display = ["label", "connector_column", "identifier_column", "run_link", "due_at"]
    list_display += ["state_label"]
    list_display_links = None
    list_filter = [StateFilter, ("connector", RelatedDropdownFilter)]
    list_filter_submit = True
    search_fields = ["identifier"]
    search_help_text = "Search by the whole identifier"
    actions = ["cancel_selected"]
    # There may be others: those that have ended are shown on demand.
    none_listed = "No run waits now"

    def get_ordering(self, request: HttpRequest) -> list[str]:
        """What wakes next comes first; what has ended, latest first."""
        return ["-id"] if request.GET.get("state") else ["wake_at", "id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delay]:
        return super().get_queryset(request).prefetch_related("connector")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        if search_term:
            queryset = queryset.filter(identifier=search_term.strip())
        return queryset, False

    @display(description="Connector")
    def connector_column(self, delay: Delay) -> str:
        return connector_name(delay)

    @display(description="Identifier")
    def identifier_column(self, delay: Delay) -> str:
        return delay.identifier or "–"

    @display(description="Run")
    def run_link(self, delay: Delay) -> SafeString:
        return link("admin:engine_run_change", delay.run_id, f"Run {delay.run_id}")

    @display(description="Due at")
    def due_at(self, delay: Delay) -> Any:
        if delay.holds and delay.state == Delay.State.WAITING:
            return "When the runs before it have ended"
        if delay.queue and delay.state == Delay.State.WAITING:
            return f"Waits {delay.waits_for}"
        return delay.wake_at

    @display(description="State", label=STATE_COLOURS)
    def state_label(self, delay: Delay) -> tuple[str, str]:
        return delay.state, delay.get_state_display()

    def change_view(self, request: HttpRequest, object_id: str, *_: Any, **__: Any) -> HttpResponse:
        """A delay's story stands on the page of its run."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        delay = self.find(request, object_id)
        return HttpResponseRedirect(reverse("admin:engine_run_change", args=[delay.run_id]))

    def get_urls(self) -> list[Any]:
        cancel = self.admin_site.admin_view(self.cancel_view)
        return [
            path("<int:pk>/cancel/", cancel, name="engine_delay_cancel"),
            *super().get_urls(),
        ]

    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """*Cancel* beside a waiting delay: asks first."""
        if not self.has_act_permission(request):
            raise PermissionDenied
        delay = self.find(request, str(pk))
        page = reverse("admin:engine_run_change", args=[delay.run_id])
        if request.method != "POST":
            return self.ask(request, _question(delay), "Cancel delay", {}, page)
        if patiently(lambda: delays.cancel_one(delay, by_hand(request))):
            self.message_user(request, "The delay was cancelled.", messages.SUCCESS)
        else:
            self.message_user(request, "The delay had ended already.", messages.WARNING)
        return HttpResponseRedirect(page)

    @action(description="Cancel selected delays", permissions=["act"])
    def cancel_selected(
        self, request: HttpRequest, queryset: QuerySet[Delay]
    ) -> HttpResponse | None:
        question = (
            "Cancel the selected delays? Their runs end as cancelled: what would come after the "
            "delays does not happen."
        )
        chosen = self.ask_about(request, queryset, "cancel_selected", question, "Cancel delays")
        if isinstance(chosen, HttpResponse):
            return chosen
        note = by_hand(request)
        ended = [patiently(partial(delays.cancel_one, Delay(pk=pk), note)) for pk in chosen]
        count = sum(ended)
        self.message_user(request, f"Cancelled: {count} of {len(chosen)} delays.", messages.SUCCESS)
        return None


def _question(delay: Delay) -> str:
    if delay.queue:
        return (
            f'Cancel run {delay.run_id}? It waits {delay.waits_for} at its action "{delay.label}", '
            "which is then not done, nor is what would come after it."
        )
    return (
        f'Cancel the delay "{delay.label}" of run {delay.run_id}? The run ends as cancelled: what '
        "would come after the delay does not happen."
    )
