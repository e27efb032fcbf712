"""Routing: a run hands its event to another connector, as a child run of its own."""

from dataclasses import dataclass

from django.conf import settings

from apps.connectors.models import Connector
from apps.core import clock
from apps.crm.models import Contact
from apps.engine.models import Attempt, Run
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
    chain = [*parent.chain, parent.connector_id]
    stopped, now = _limit(chain, target.pk), clock.now()
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
        _tell(child, stopped)
    return Routed(child.pk, stopped)


def _limit(chain: list[int], target_id: int) -> str:
    """Why a run of the target after `chain` must not go on; empty when it may."""
    if chain.count(target_id) >= settings.MAX_ROTATIONS:
        return f"Loop detected: stopped after {settings.MAX_ROTATIONS} rotations"
    if len(chain) > settings.MAX_HOPS:
        return f"Chain too long: stopped after {settings.MAX_HOPS} hops"
    return ""


def _tell(child: Run, why: str) -> None:
    Attempt.objects.create(
        run_id=child.pk,
        kind="loop_guard",
        label="Loop guard",
        result=Attempt.Result.STOPPED,
        note=why,
        at=child.started_at,
    )
