"""Events that the house makes itself: each is stored with its run, like a posted one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.core import clock
from apps.engine import chains
from apps.engine.bell import ring
from apps.engine.bodies import Body
from apps.engine.models import Event, Run
from apps.engine.order import first_place

CONTENT_TYPE = "application/json"


@dataclass(frozen=True)
class Opening:
    """What one event holds and whom its run is about, if that is known without a field mapping."""

    body: Body
    query: dict[str, Any] = field(default_factory=dict)
    contact_id: int | None = None


def start(
    connector_id: int, revision_id: int, source: str, body: Body, query: dict[str, Any]
) -> Run:
    """Store an event and a run of this revision on it, due now."""
    return start_many(connector_id, revision_id, source, [Opening(body, query)])[0]


@transaction.atomic
def start_many(
    connector_id: int,
    revision_id: int,
    source: str,
    openings: Sequence[Opening],
    cause: str = "",
    cause_id: int | None = None,
    chain: chains.Chain | None = None,
    stopped: str = "",
) -> list[Run]:
    """Store an event and a run of this revision for each opening, due now: two statements for any
    number. `chain` are the connectors of the runs that led here; where it is too long, or `stopped`
    says why they must not go on, the runs have ended as *stopped*."""
    now, line = clock.now(), first_place(revision_id)
    events = Event.objects.bulk_create(
        _event(
            opening,
            connector_id=connector_id,
            source=source,
            received_at=now,
            cause=cause,
            cause_id=cause_id,
        )
        for opening in openings
    )
    stopped = stopped or chains.limit(chain or [], connector_id)
    runs = Run.objects.bulk_create(
        _run(event, opening, stopped, now, revision_id=revision_id, chain=chain or [], line=line)
        for event, opening in zip(events, openings, strict=True)
    )
    if stopped:
        chains.tell(runs, stopped)
    else:
        ring()
    return runs


def _event(opening: Opening, **columns: Any) -> Event:
    return Event(
        content_type=CONTENT_TYPE,
        form=opening.body.form,
        body=opening.body.text,
        query=opening.query,
        **columns,
    )


def _run(event: Event, opening: Opening, stopped: str, now: datetime, **columns: Any) -> Run:
    return Run(
        event_id=event.pk,
        connector_id=event.connector_id,
        contact_id=opening.contact_id,
        state=Run.State.STOPPED if stopped else Run.State.DUE,
        error=stopped,
        wake_at=now,
        started_at=now,
        finished_at=now if stopped else None,
        cause="event",
        cause_id=event.pk,
        **columns,
    )
