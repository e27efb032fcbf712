"""A run as a story: its attempts in order, with the messages and delays that came of each."""

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from typing import Any

from django.urls import reverse

from apps.connectors.models import Action
from apps.connectors.registry import kinds
from apps.core.readable import duration, pretty_json
from apps.engine.models import Attempt, Call, Delay, Run
from apps.messaging.models import Message

ASLEEP = (Attempt.Result.WAITING, Attempt.Result.RETRYING)
ROUTING = "route_to_connector"
CALLING = "http_api"
_OWN_ICONS = {
    "field_mapping": "person_search",
    "in_order": "format_list_numbered",
    "cancel": "cancel",
    "loop_guard": "sync_problem",
    "again": "replay",
}


@dataclass
class Entry:
    """One entry of the timeline, ready to be shown."""

    attempt: Attempt
    icon: str
    took: str
    went_in: str
    came_out: str
    messages: list[Message] = field(default_factory=list)
    delay: Delay | None = None
    # The run that a routing started.
    routed_to: int | None = None
    # The pages with the requests that it made, as far as they are kept.
    calls: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Pass:
    """What happened between one start of the run and its end; the first one is number 1."""

    number: int
    entries: list[Entry]


@dataclass(frozen=True)
class Asked:
    """A request, and the page with all of it."""

    call: Call
    label: str
    page: str


@dataclass(frozen=True)
class Timeline:
    passes: list[Pass]
    # Messages of the run that no entry claims.
    others: list[Message]
    # Requests that are under way, and those that were when the run ended: no entry tells of them.
    requests: list[Asked]


def timeline(run: Run) -> Timeline:
    """The run's story; four queries, five with calls, however long it is."""
    attempts = Attempt.objects.filter(run=run.pk).order_by("pk")
    entries = [_entry(attempt) for attempt in attempts]
    _add_delays(run, entries)
    requests = _add_calls(run, entries)
    others = _add_messages(run, entries)
    by_pass = groupby(entries, key=lambda entry: entry.attempt.passage)
    return Timeline([Pass(number, list(listed)) for number, listed in by_pass], others, requests)


def icon_of(kind: str) -> str:
    """The icon of an entry of this kind."""
    known = kinds().get(kind)
    return known.icon if known else _OWN_ICONS.get(kind, "help")


def _entry(attempt: Attempt) -> Entry:
    return Entry(
        attempt=attempt,
        icon=icon_of(attempt.kind),
        took=duration(timedelta(microseconds=attempt.duration_us)) if attempt.duration_us else "",
        went_in=_pretty(attempt.went_in),
        came_out=_pretty(attempt.came_out),
        routed_to=attempt.came_out.get("run_id") if attempt.kind == ROUTING else None,
    )


def _pretty(values: Any) -> str:
    return pretty_json(values) if values else ""


def _add_delays(run: Run, entries: list[Entry]) -> None:
    """Each entry that fell asleep gets its delay: the n-th of an action the n-th of that action."""
    asleep: dict[Any, list[Delay]] = {}
    for delay in Delay.objects.filter(run=run.pk).order_by("pk"):
        asleep.setdefault(delay.action_uid, []).append(delay)
    for entry in entries:
        waiting = asleep.get(entry.attempt.action_uid)
        if entry.attempt.result in ASLEEP and waiting:
            entry.delay = waiting.pop(0)


def _add_calls(run: Run, entries: list[Entry]) -> list[Asked]:
    """Give each entry the log pages of its requests; a deleted action has none. Returns the
    requests that no entry is about."""
    there = Action.objects.filter(kind=CALLING, step__connector=run.connector_id)
    actions = {action.uid: action for action in there}
    if not actions:
        return []
    made: dict[Any, list[Asked]] = {}
    logged = Call.objects.filter(run=run.pk, action_uid__in=actions)
    for call in logged.only("action_uid", "passage", "at", "state").order_by("at"):
        action = actions[call.action_uid]
        page = reverse("admin:actions_httpapi_log", args=[action.pk, call.pk])
        asked = Asked(call, str(action), page)
        made.setdefault((call.action_uid, call.passage), []).append(asked)
    for entry in entries:
        attempt = entry.attempt
        calls = made.get((attempt.action_uid, attempt.passage), [])
        while calls and calls[0].call.at <= attempt.at:
            entry.calls.append(calls.pop(0).page)
    return sorted((each for calls in made.values() for each in calls), key=lambda a: a.call.at)


def _add_messages(run: Run, entries: list[Entry]) -> list[Message]:
    """Give each message to the entry that queued it; returns those without one. Their key is
    the engine's (RunContext.key) and the address."""
    queued_by = {
        f"run:{run.pk}:{entry.attempt.passage}:{entry.attempt.action_uid}": entry
        for entry in entries
    }
    others = []
    rows = Message.objects.filter(cause="run", cause_id=run.pk).order_by("pk")
    for message in rows.select_related("channel"):
        entry = queued_by.get((message.key or "").rpartition(":")[0])
        if entry is None:
            others.append(message)
        else:
            entry.messages.append(message)
    return others
