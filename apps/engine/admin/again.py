"""*Run again*: choosing where a run goes on, and a page that names what may be done again."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.decorators import action

from apps.core.pages import LargeTableAdmin
from apps.core.patience import patiently
from apps.crm.services import living
from apps.engine import again
from apps.engine.admin.columns import connector_name
from apps.engine.again import Place, Repeat
from apps.engine.models import Attempt, Run
from apps.engine.timeline import icon_of

CONFIRM = "engine/again_confirm.html"
MOST_ADDRESSES = 5


@dataclass(frozen=True)
class RepeatRow:
    repeat: Repeat
    icon: str

    @property
    def to(self) -> str:
        """To whom messages went: +49151… (2), +49152… and 3 more."""
        counts = self.repeat.messages
        named = [
            f"{address} ({count})" if count > 1 else address
            for address, count in list(counts.items())[:MOST_ADDRESSES]
        ]
        more = len(counts) - MOST_ADDRESSES
        return ", ".join(named) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True)
class Part:
    """Runs that go on at the same action of the same revision."""

    connector: str
    count: int
    place: Place
    rows: list[RepeatRow]


def part_of(runs: list[Run], place: Place) -> Part:
    repeats = again.repeats(runs[0].revision_id, runs, place.position)
    rows = [RepeatRow(repeat, icon_of(repeat.place.kind)) for repeat in repeats]
    return Part(connector_name(runs[0]), len(runs), place, rows)


class RunsAgain(LargeTableAdmin):
    """The part of the run's pages that lets runs go on."""

    def again_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.again_view)
        return [path("<int:pk>/again/", view, name="engine_run_again")]

    def again_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Without *from* the list of places; with it the page that asks; a POST does it."""
        if not self.has_act_permission(request):
            raise PermissionDenied
        run = self.find(request, str(pk))
        page = reverse("admin:engine_run_change", args=[run.pk])
        refusal = again.refusals([run])
        if refusal:
            self.message_user(request, refusal[run.pk], messages.WARNING)
            return HttpResponseRedirect(page)
        listed = again.places(run.revision_id)
        chosen = request.GET.get("from")
        if chosen is None:
            return self._choose(request, run, listed)
        place = next((p for p in listed if str(p.position) == chosen), None)
        if place is None:
            raise Http404("There is no such action in the run's revision.")
        if request.method != "POST":
            return self._ask_one(request, run, place)
        started = self._start(request, run, place, request.POST.getlist("seen"))
        if started:
            text = f'Run {run.pk} goes on from "{place.label}" in pass {run.passage + 1}.'
            self.message_user(request, text, messages.SUCCESS)
        else:
            text = f"Run {run.pk} was run again in the meantime. Nothing more was started."
            self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(page)

    def _choose(self, request: HttpRequest, run: Run, listed: list[Place]) -> HttpResponse:
        results = {
            (attempt.kind, str(attempt.action_uid or "")): attempt
            for attempt in Attempt.objects.filter(run=run.pk).order_by("pk")
        }
        rows = [
            (place, icon_of(place.kind), results.get((place.kind, place.uid))) for place in listed
        ]
        steps = groupby(rows, key=lambda row: row[0].step_name)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Run {run.pk} again",
            "opts": self.opts,
            "object": run,
            "steps": [(name, list(inside)) for name, inside in steps],
            "failed_at": run.position if run.state == Run.State.FAILED else None,
            "back": reverse("admin:engine_run_change", args=[run.pk]),
        }
        return TemplateResponse(request, "engine/again.html", context)

    def _ask_one(self, request: HttpRequest, run: Run, place: Place) -> HttpResponse:
        question = (
            f'Run {run.pk} of {connector_name(run)} goes on from "{place.label}", in pass '
            f"{run.passage + 1}{_about(run, place)}. Values from earlier actions are kept."
        )
        return self.ask(
            request,
            question,
            "Run again",
            {"seen": [_seen(run)]},
            reverse("admin:engine_run_again", args=[run.pk]),
            CONFIRM,
            parts=[part_of([run], place)],
            switched_off=not run.connector.enabled,
        )

    @action(description="Run again from the failed action", permissions=["act"])
    def again_selected(self, request: HttpRequest, queryset: QuerySet[Run]) -> HttpResponse | None:
        chosen = list(self.ticked(request, queryset))
        failed = _failed(chosen)
        if not failed:
            text = "None of these runs has failed at an action that it can go on from."
            self.message_user(request, text, messages.WARNING)
            return None
        if not request.POST.get("confirmed"):
            return self._ask_many(request, failed, len(chosen))
        seen = request.POST.getlist("seen")
        count = sum(self._start(request, run, place, seen) for run, place in failed)
        text = f"Run again: {count} of {len(chosen)} runs."
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)
        return None

    def _ask_many(
        self, request: HttpRequest, failed: list[tuple[Run, Place]], chosen: int
    ) -> HttpResponse:
        question = (
            f"{len(failed)} of {chosen} selected runs failed and can go on from the action that "
            "failed. Values from earlier actions are kept."
        )
        groups: dict[tuple[int, int], tuple[Place, list[Run]]] = {}
        for run, place in failed:
            groups.setdefault((run.revision_id, place.position), (place, []))[1].append(run)
        hidden = {
            "action": ["again_selected"],
            "_selected_action": request.POST.getlist("_selected_action"),
            "seen": [_seen(run) for run, _ in failed],
        }
        return self.ask(
            request,
            question,
            "Run again",
            hidden,
            request.get_full_path(),
            CONFIRM,
            parts=[part_of(runs, place) for place, runs in groups.values()],
            several=True,
        )

    def _start(self, request: HttpRequest, run: Run, place: Place, seen: Iterable[str]) -> bool:
        """Start the run if it is as the page showed it."""
        who = request.user.get_username()
        return _seen(run) in seen and patiently(lambda: again.start(run, place, who))


def _about(run: Run, place: Place) -> str:
    """Whom the run is about when it goes on there."""
    if place.position == again.BEGINNING:
        return ", and looks its contact up again"
    known = again.contact_at(run, place.position)
    contact = living([known]).get(known) if known else None
    if contact is None:
        return ", without a contact"
    reached = contact.phone or contact.email
    return f", for {contact}" if str(contact) == reached else f", for {contact} ({reached})"


def _seen(run: Run) -> str:
    """What a page was about, so that sending its form twice starts one pass only."""
    return f"{run.pk}:{run.passage}"


def _failed(runs: list[Run]) -> list[tuple[Run, Place]]:
    """Those that failed and can go on, each with the action that it failed at."""
    refused = again.refusals(runs)
    failed = [run for run in runs if run.state == Run.State.FAILED and run.pk not in refused]
    listed = {pk: again.places(pk) for pk in {run.revision_id for run in failed}}
    return [
        (run, place)
        for run in failed
        for place in listed[run.revision_id]
        if place.position == run.position
    ]
