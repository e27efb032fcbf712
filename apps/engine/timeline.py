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
class Timeline:
    passes: list[Pass]
    # Messages of the run that no entry claims.
    others: list[Message]


def timeline(run: Run) -> Timeline:
    """The run's story; three queries, five with calls, however long it is."""
    attempts = Attempt.objects.filter(run=run.pk).order_by("pk")
    entries = [_entry(attempt) for attempt in attempts]
    _add_delays(run, entries)
    _add_calls(run, entries)
    others = _add_messages(run, entries)
    by_pass = groupby(entries, key=lambda entry: entry.attempt.passage)
    return Timeline([Pass(number, list(listed)) for number, listed in by_pass], others)


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


def _add_calls(run: Run, entries: list[Entry]) -> None:
    """Give each entry the log pages of its requests; a deleted action has none."""
    uids: set[Any] = {e.attempt.action_uid for e in entries if e.attempt.kind == CALLING}
    if not uids:
        return
    there = Action.objects.filter(uid__in=uids, kind=CALLING, step__connector=run.connector_id)
    pages: dict[Any, int] = dict(there.values_list("uid", "pk"))
    made: dict[Any, list[Call]] = {}
    logged = Call.objects.filter(run=run.pk, action_uid__in=pages)
    for call in logged.only("action_uid", "passage", "at").order_by("at"):
        made.setdefault((call.action_uid, call.passage), []).append(call)
    for entry in entries:
        attempt = entry.attempt
        calls = made.get((attempt.action_uid, attempt.passage), [])
        while calls and calls[0].at <= attempt.at:
            log = [pages[attempt.action_uid], calls.pop(0).pk]
            entry.calls.append(reverse("admin:actions_httpapi_log", args=log))


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
