"""The event source *schedule*: at its times a schedule makes one event and its run, in the one
transaction that also moves it on. Two workers or a kill neither do that twice nor lose it.

Times that pass while nothing works are made up for by one run, for the last of them; how many
there were before it stands in the event as `missed`.
"""

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSimError
from django.db import transaction

from apps.connectors.models import Connector
from apps.core import clock, cron
from apps.engine import bodies, sources
from apps.engine.models import Event, Run, Schedule

# What a schedule itself writes into its events.
OWN = ("schedule", "scheduled_at", "missed")


def plan(schedule: Schedule) -> None:
    """Set when a schedule comes next, counted from now; a switched-off one never comes."""
    schedule.next_at = following(schedule, clock.now()) if schedule.enabled else None


def following(schedule: Schedule, after: datetime) -> datetime:
    return cron.next_times(schedule.cron, ZoneInfo(schedule.timezone), after, 1)[0]


def read_payload(text: str) -> dict[str, Any]:
    """The JSON object that a schedule's events hold; ValueError says what is wrong with it."""
    if not text.strip():
        return {}
    raw = text.encode(errors="replace")
    if len(raw) > bodies.limit() // 2:
        raise ValueError(f"The event is larger than {bodies.limit() // 2:,} bytes.")
    payload = json.loads(bodies.read(raw, sources.CONTENT_TYPE).text)
    if not isinstance(payload, dict):
        raise ValueError('Write a JSON object, such as {"list": "weekly"}.')
    taken = [name for name in OWN if name in payload]
    if taken:
        raise ValueError(f'"{taken[0]}" is filled in by the schedule: choose another name.')
    return payload


def fire(limit: int = 100) -> int:
    """Let the schedules come whose time it is; returns how many."""
    due = Schedule.objects.filter(enabled=True, next_at__lte=clock.now()).order_by("next_at")
    return sum(_fire(pk) for pk in list(due.values_list("pk", flat=True)[:limit]))


@transaction.atomic
def _fire(pk: int) -> bool:
    """False when somebody else has it in hand, or it has changed meanwhile."""
    now = clock.now()
    free = Schedule.objects.select_for_update(skip_locked=True, of=("self",))
    schedule = free.select_related("connector").filter(pk=pk, enabled=True).first()
    if schedule is None or schedule.next_at is None or schedule.next_at > now:
        return False
    connector = schedule.connector
    schedule.note = refusal(connector)
    revision = None if schedule.note else connector.published_id
    try:
        zone = ZoneInfo(schedule.timezone)
        at, missed = cron.passed(schedule.cron, zone, schedule.next_at, now)
        schedule.last_at, schedule.next_at = at, following(schedule, now)
        # What would not have been run was not missed.
        schedule.missed = missed if revision else 0
        schedule.last_run = _start(schedule, revision, at.astimezone(zone)) if revision else None
    except (CronSimError, ZoneInfoNotFoundError, ValueError) as error:
        # Saved by an older version, or the place has lost its timezone: one schedule must not
        # stop the others.
        schedule.enabled, schedule.next_at = False, None
        schedule.note = f"Switched off, because it can't be read any more: {error}"[:300]
    schedule.save(update_fields=["enabled", "next_at", "last_at", "last_run", "missed", "note"])
    return True


def refusal(connector: Connector) -> str:
    """Why the connector takes no event of a schedule; empty when it does."""
    if not connector.enabled:
        return "Not run: the connector is switched off."
    if connector.published_id is None:
        return "Not run: the connector has not been published yet."
    return ""


def _start(schedule: Schedule, revision_id: int, at: datetime) -> Run:
    own = {"schedule": schedule.name, "scheduled_at": at.isoformat(), "missed": schedule.missed}
    body = bodies.Body("json", json.dumps({**read_payload(schedule.payload), **own}))
    source = Event.Source.SCHEDULE
    return sources.start(schedule.connector_id, revision_id, source, body, query={})
