"""The event source *manual test*: an operator types an event, which runs like a posted one."""

from typing import Any

from django.db import transaction

from apps.connectors.models import Connector
from apps.core import clock
from apps.engine import bodies
from apps.engine.bell import ring
from apps.engine.models import Event, Run
from apps.engine.order import first_place

CONTENT_TYPE = "application/json"


class NotSent(ValueError):
    """The event was not taken; the message is a sentence that says why."""


def refusal(connector: Connector) -> str:
    """Why the connector takes no test event; empty when it does."""
    if not connector.enabled:
        return "The connector is switched off. Switch it on in its settings first."
    if connector.published_id is None:
        return "The connector has not been published yet: a test event runs what is published."
    return ""


def send(connector: Connector, text: str, query: str) -> Run:
    """Store `text` as an event with the custom variables of `query` (as in a URL), and a run of
    the published revision on it. Everything that the steps do is really done. Raises NotSent."""
    refused = refusal(connector)
    if refused or connector.published_id is None:
        raise NotSent(refused)
    raw = text.encode(errors="replace")
    if len(raw) > bodies.limit():
        raise NotSent(f"The event is larger than {bodies.limit():,} bytes.")
    try:
        body = bodies.read(raw, CONTENT_TYPE)
    except bodies.UnreadableBody as error:
        raise NotSent(str(error)) from None
    variables = bodies.query_fields(query.strip().lstrip("?").encode(errors="replace"))
    return _store(connector.pk, connector.published_id, body, variables)


@transaction.atomic
def _store(
    connector_id: int, revision_id: int, body: bodies.Body, variables: dict[str, Any]
) -> Run:
    now = clock.now()
    event = Event.objects.create(
        connector_id=connector_id,
        source=Event.Source.MANUAL,
        received_at=now,
        content_type=CONTENT_TYPE,
        form=body.form,
        body=body.text,
        query=variables,
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
