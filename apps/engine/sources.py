"""Events that the house makes itself: each is stored with its run, like a posted one."""

from typing import Any

from django.db import transaction

from apps.core import clock
from apps.engine.bell import ring
from apps.engine.bodies import Body
from apps.engine.models import Event, Run
from apps.engine.order import first_place

CONTENT_TYPE = "application/json"


@transaction.atomic
def start(
    connector_id: int, revision_id: int, source: str, body: Body, query: dict[str, Any]
) -> Run:
    """Store an event and a run of this revision on it, due now."""
    now = clock.now()
    event = Event.objects.create(
        connector_id=connector_id,
        source=source,
        received_at=now,
        content_type=CONTENT_TYPE,
        form=body.form,
        body=body.text,
        query=query,
    )
    run = Run.objects.create(
        event_id=event.pk,
        connector_id=connector_id,
        revision_id=revision_id,
        line=first_place(revision_id),
        wake_at=now,
        started_at=now,
        cause="event",
        cause_id=event.pk,
    )
    ring()
    return run
