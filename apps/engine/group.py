"""A group of claimed runs, advanced together and committed once.

Everything that a run did in a turn (effects in our tables, queued messages, armed delays, the
timeline, its next position) is in that one transaction: it happened, or it did not.
"""

import logging
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from apps.core import clock, rows
from apps.core.clock import uptime
from apps.core.due import LEASE, is_postgresql, owner
from apps.crm.services import living
from apps.engine import calls, crm_changes, queues
from apps.engine.advance import Story, advance, end
from apps.engine.bell import ring
from apps.engine.calls import Flight
from apps.engine.context import AttributeBook, RunContext
from apps.engine.models import Event, Run
from apps.engine.plan import Plan, compiled

logger = logging.getLogger(__name__)

SECONDS = 0.05
# Runs that write rows of everybody (counters, tags made on the fly …) commit one turn at a time:
# without this lock grouped commits over such rows collapse in deadlocks (docs/adr/0003).
SHARED_LOCK = 7_305_518
# Seconds after its turn began in which a request may leave, and a turn may be committed. Both are
# well under a lease: a worker that was stopped for longer does neither.
LEAVES_WITHIN = 30.0

# The columns of a run that a turn may change.
_WRITTEN = [
    "state",
    "position",
    "tries",
    "values",
    "contact",
    "call",
    "queue",
    "error",
    "attempts",
    "troubles",
    "lease_until",
    "last_executed_at",
    "finished_at",
]


class TooLate(Exception):
    """This process was stopped in the middle of a turn: others may have its runs by now."""


@dataclass(eq=False)
class Claim:
    """A run in this process's hands, as it was read: whoever finds another epoch, or another call
    that the run waits for, has lost it. With `flight` it came back with an answer."""

    run: Run
    flight: Flight | None = None
    call: UUID | None = field(init=False)
    position: int = field(init=False)

    def __post_init__(self) -> None:
        self.call, self.position = self.run.call, self.run.position

    @property
    def name(self) -> tuple[int, int, UUID | None]:
        return (self.run.pk, self.run.lease_epoch, self.call)


def landed(flight: Flight) -> Claim:
    """The claim of a run whose call was answered. (A copy of the run: a turn that fails must not
    leave its traces in what the next one begins with.)"""
    return Claim(rows.twin(flight.run), flight)


def advance_group(claims: list[Claim], story: Story, alone: bool = False) -> list[Claim]:
    """Advance the runs of `claims` in one transaction, for about SECONDS; returns those not
    reached, still leased. Raises whatever the database raises: then nothing of it has happened,
    or the word of its commit was lost (mending.py finds out which)."""
    began = uptime()
    plans = compiled(claim.run.revision_id for claim in claims)
    with transaction.atomic():
        _lock_shared_rows(claims, plans)
        mine, published = fence(claims)
        plans = {pk: plan for pk, plan in plans.items() if pk in published}
        with connection.execute_wrapper(story.writes), crm_changes.one_look():
            reached = _advance_all(mine, plans, story, alone)
        story.calls.landed = _over(claims, mine, reached)
        _write(reached, story)
        story.lines.write()
        if uptime() - began > LEAVES_WITHIN:
            raise TooLate
    after_commit(story, began)
    return mine[len(reached) :]


def after_commit(story: Story, began: float) -> None:
    """What follows from a commit. Nothing here may make it look as if it had not been."""
    exchange = calls.exchange()
    for flight in story.calls.landed:
        exchange.over(flight)
    exchange.start(story.calls.flights, leave_by=began + LEAVES_WITHIN)
    try:
        if story.delays:
            ring(min(delay.wake_at for delay in story.delays))
        if story.goes_on:
            ring()
    except Exception:
        # A hint, after all: drains look by themselves.
        logger.warning("The bell could not be rung", exc_info=True)


def _lock_shared_rows(claims: list[Claim], plans: dict[int, Plan]) -> None:
    if is_postgresql() and any(
        plans[claim.run.revision_id].touches_shared(claim.position)
        for claim in claims
        if claim.run.revision_id in plans
    ):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SHARED_LOCK])


def fence(claims: list[Claim]) -> tuple[list[Claim], set[int]]:
    """Fence and row lock in one statement: the claims that still hold, in the order of their
    contacts, so that two turns lock contacts in the same order; and those of their revisions that
    are still there. It writes nothing: a turn is over long before a lease is, and gives its runs
    their new leases itself. (The owner counts as well: a claim that a power cut undid leaves its
    epoch for the next one.)"""
    which, given = rows.among("id", {claim.run.pk for claim in claims})
    lock = "FOR NO KEY UPDATE" if is_postgresql() else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, lease_epoch, call, line, revision_id, EXISTS ("
            "SELECT 1 FROM connectors_revision WHERE id = revision_id) FROM engine_run"
            f" WHERE state = 'leased' AND lease_owner = %s AND {which} ORDER BY id {lock}",
            [owner(), given],
        )
        found = cursor.fetchall()
    lines = {(pk, epoch, _uuid(call)): line for pk, epoch, call, line, *_ in found}
    mine = []
    for claim in sorted(claims, key=lambda claim: (claim.run.contact_id or 0, claim.run.pk)):
        name = claim.name
        if name in lines:
            # Another one, when its contact was merged since the claim.
            claim.run.line = lines.pop(name)
            mine.append(claim)
    return mine, {revision for *_, revision, is_there in found if is_there}


def _uuid(value: Any) -> UUID | None:
    return UUID(value) if isinstance(value, str) else value


def _over(claims: list[Claim], mine: list[Claim], reached: list[Claim]) -> list[Flight]:
    """The flights that nobody has to wait for when this turn is committed."""
    done, hold = set(map(id, reached)), set(map(id, mine))
    over = []
    for claim in claims:
        if claim.flight is not None and (id(claim) in done or id(claim) not in hold):
            claim.flight.is_stale = id(claim) not in hold
            over.append(claim.flight)
    return over


def _advance_all(
    claims: list[Claim], plans: dict[int, Plan], story: Story, alone: bool
) -> list[Claim]:
    until = monotonic() + SECONDS
    runs = [claim.run for claim in claims]
    events = {c.flight.event.pk: c.flight.event for c in claims if c.flight is not None}
    events |= rows.by_key(Event, {run.event_id for run in runs} - events.keys())
    contacts = living({run.contact_id for run in runs if run.contact_id})
    refs: dict[Any, Any] = {}
    book = AttributeBook(contact.pk for contact in contacts.values())
    reached = []
    story.lines.look(runs)
    for claim in claims:
        run = claim.run
        plan, event = plans.get(run.revision_id), events.get(run.event_id)
        reached.append(claim)
        if plan is None:
            end(run, Run.State.CANCELLED, "The connector was deleted.")
        elif event is None:
            end(run, Run.State.FAILED, "The event of this run was deleted.")
        elif claim.flight is not None or not story.lines.holds(run):
            contact = contacts.get(run.contact_id) if run.contact_id else None
            if contact is not None:
                run.contact_id = contact.pk  # another one, when it was merged
            context = RunContext(run, event, plan, contact, refs, book)
            advance(context, story, alone, claim.flight)
        story.lines.leave(run)
        if monotonic() > until:
            break
    return reached


def _write(claims: list[Claim], story: Story) -> None:
    """The runs' new positions, their timeline, their calls and the delays that they armed."""
    rows.insert(story.attempts)
    rows.insert(story.delays)
    story.calls.write()
    queues.park(story.parked, story.first_look)
    answered_by = clock.now() + LEASE + calls.deadline(story.calls.flights)
    for claim in claims:
        run = claim.run
        _count_attempts(run, moved=run.position != claim.position or run.state in Run.ENDED)
        run.lease_until = answered_by if run.call else None
        story.goes_on = story.goes_on or run.state == Run.State.DUE
    rows.update([claim.run for claim in claims], _WRITTEN)


def _count_attempts(run: Run, moved: bool) -> None:
    """Only a run that got further has shown that it harms no worker. One that sleeps or waits its
    turn gives back the attempt that its claim counted; one that calls keeps it: the answer may be
    what kills."""
    if moved:
        run.attempts = run.troubles = 0
        run.queue = "" if run.state in Run.ENDED else run.queue
    elif run.call is None:
        run.attempts = max(run.attempts - 1, 0)
