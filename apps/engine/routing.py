"""Routing: a run hands its event to another connector, as a child run of its own."""

from dataclasses import dataclass

from apps.connectors.models import Connector
from apps.core import clock
from apps.crm.models import Contact
from apps.engine import chains
from apps.engine.models import Run
from apps.engine.order import first_place


class NotRoutable(ValueError):
    """The target takes no events; the message says why."""


@dataclass(frozen=True)
class Routed:
    """The child run; `stopped` says why it ended at once, if it did."""

    run_id: int
    stopped: str


def route(parent_id: int, target: Connector, contact: Contact | None) -> Routed:
    """Start a run of the target's published revision on the event of the run `parent_id`, for
    `contact` unless the target's field mapping finds another. A chain of runs that came back to
    the target too often, or is too long, gets a child that has ended as *stopped*. Raises
    NotRoutable."""
    if not target.enabled:
        raise NotRoutable(f'The connector "{target}" is switched off.')
    if target.published_id is None:
        raise NotRoutable(f'The connector "{target}" has not been published yet.')
    parent = Run.objects.only("event_id", "connector_id", "chain").get(pk=parent_id)
    chain = chains.after(parent)
    stopped, now = chains.limit(chain, target.pk), clock.now()
    child = Run.objects.create(
        event_id=parent.event_id,
        connector_id=target.pk,
        revision_id=target.published_id,
        contact=contact,
        chain=chain,
        line=first_place(target.published_id),
        state=Run.State.STOPPED if stopped else Run.State.DUE,
        error=stopped,
        wake_at=now,
        started_at=now,
        finished_at=now if stopped else None,
        cause="run",
        cause_id=parent_id,
    )
    if stopped:
        chains.tell([child], stopped)
    return Routed(child.pk, stopped)
