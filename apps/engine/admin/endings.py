"""Cancellations: very many runs that are being ended, and how far that has come."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from apps.core.pages import LargeTableAdmin, cause_link
from apps.engine.models import Ending

COLOURS = {"working": "info", "waiting": "info", "done": "success", "failed": "danger"}


def state_of(ending: Ending) -> str:
    return "Under way" if ending.state in Ending.OPEN else str(ending.get_state_display())


@admin.register(Ending)
class EndingAdmin(LargeTableAdmin):
    """Whoever sees runs sees what ends them; whoever may cancel runs may let it go on."""

    list_display = ["runs", "which_label", "progress", "state_label", "asked_at", "by"]
    list_display_links = None
    actions = ["go_on"]

    def _may(self, request: HttpRequest, verb: str) -> bool:
        return bool(request.user.has_perm(f"engine.{verb}_run"))

    @display(description="Runs of")
    def runs(self, ending: Ending) -> SafeString:
        """And what they say about why they ended, or why the job did."""
        note = (
            '<div class="bo-two"><span class="bo-name">{}</span>'
            '<span class="bo-note">{}</span></div>'
        )
        return format_html(note, ending.connector_name, ending.note or ending.reason)

    @display(description="Which")
    def which_label(self, ending: Ending) -> str:
        return ending.get_which_display()

    @display(description="Cancelled")
    def progress(self, ending: Ending) -> str:
        """Some of them end by themselves."""
        if ending.state == Ending.State.DONE:
            return f"{ending.done:,}"
        return f"{ending.done:,} of {max(ending.total or 0, ending.done):,}"

    @display(description="State", label=COLOURS)
    def state_label(self, ending: Ending) -> tuple[str, str]:
        return ending.state, state_of(ending)

    @display(description="Asked for")
    def asked_at(self, ending: Ending) -> Any:
        return ending.created_at

    @display(description="By")
    def by(self, ending: Ending) -> SafeString | str:
        return cause_link(ending.cause, ending.cause_id) or "–"

    @action(description="Go on with those that failed", permissions=["act"])
    def go_on(self, request: HttpRequest, queryset: QuerySet[Ending]) -> None:
        chosen = list(self.ticked(request, queryset).values_list("pk", flat=True))
        count = sum(Ending.resume(pk) for pk in chosen)
        level = messages.SUCCESS if count else messages.WARNING
        self.message_user(request, f"Go on: {count} of {len(chosen)} cancellations.", level)
