"""A turn: a batch of claimed runs advanced together and committed once.

Everything that a run did in a turn (effects in our tables, queued messages, armed delays, the
timeline, its next position) is in that one transaction: it happened, or it did not.
"""

import logging
from time import monotonic, sleep
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.db.models import F

from apps.core import clock, rows
from apps.core.due import LEASE, is_postgresql, owner
from apps.crm.services import living
from apps.engine import calls, crm_changes
from apps.engine.advance import Story, advance, end, is_transient
from apps.engine.bell import ring
from apps.engine.calls import Flight
from apps.engine.claims import MAX_ATTEMPTS, claim_batch, claim_suspect
from apps.engine.context import AttributeBook, RunContext
from apps.engine.dialling import write_outcomes
from apps.engine.models import Event, Run
from apps.engine.order import release_after
from apps.engine.plan import Plan, compiled

logger = logging.getLogger(__name__)

SECONDS = 0.05
RETRIES = 8
# Runs that write rows of everybody (counters, tags made on the fly …) commit one turn at a time:
# without this lock grouped commits over such rows collapse in deadlocks (docs/adr/0003).
SHARED_LOCK = 7_305_518


# How many runs a turn gets through in its time; found out by doing (see _adapt).
_reach = 20
MOST = 200
# The columns of a run that a turn may change.
_WRITTEN = [
    "state",
    "position",
    "tries",
    "values",
    "contact",
    "calling",
    "error",
    "attempts",
    "lease_until",
    "last_executed_at",
    "finished_at",
]


# Runs that came back with an answer, by id.
Landed = dict[int, Flight]


def take_turn(runs: bool = True, suspects: bool = True) -> int:
    """Go on with the runs whose calls were answered; with `runs`, also claim and advance one batch
    and, with `suspects`, one of these by itself. Returns how many runs were taken."""
    exchange = calls.exchange()
    landed = {flight.run.pk: flight for flight in exchange.answers()}
    batch: list[Run] = []
    suspect: list[Run] = []
    # Those that came back may call again, so their lines are not free.
    room = exchange.room - len(landed)
    if suspects and room > 1:
        suspect = claim_suspect()
    if runs and room > 1:
        batch = claim_batch(min(_reach, room - 1), exchange.crowded())
    if suspect and suspect[0].attempts > MAX_ATTEMPTS:
        give_up(suspect[0])
    elif suspect:
        work_off(suspect)
    taken = len(batch) + len(suspect) + len(landed)
    work_off([*(flight.run for flight in landed.values()), *batch], landed)
    return taken


def work_off(runs: list[Run], landed: Landed | None = None) -> None:
    """Advance all of `runs`, in as many turns as it takes; none stays leased but for a call."""
    landed = {} if landed is None else landed
    while runs:
        left = _turn_with_retries(runs, landed)
        _adapt(len(runs), len(left))
        runs = left
    if landed:
        # Their runs could not go on. What came of the calls is kept all the same.
        write_outcomes(list(landed.values()))


def _adapt(taken: int, left: int) -> None:
    """Claim next what one turn can do: every run in hand costs in each turn that it waits for, and
    is a suspect if the worker dies."""
    global _reach
    if left:
        _reach = max(taken - left, 1)
    elif taken >= _reach:
        _reach = min(_reach * 2, MOST)


def _turn_with_retries(runs: list[Run], landed: Landed) -> list[Run]:
    """One turn; returns the runs that it did not get to. On a transient error the turn is taken
    again from the database; on any other its runs are taken one by one."""
    for attempt in range(RETRIES):
        try:
            return turn(runs, landed)
        except Exception as error:
            transient = isinstance(error, DatabaseError) and is_transient(error)
            if not transient:
                logger.warning(
                    "A turn of %s runs is done again, one by one", len(runs), exc_info=True
                )
                for run in _reload(runs):
                    _alone(run, landed)
                return []
            if not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()
            sleep(0.01 * 2**attempt)
            runs = _reload(runs)
            if not runs:
                return []
    mine = Run.objects.filter(state=Run.State.LEASED, lease_owner=owner())
    mine.filter(pk__in=[run.pk for run in runs]).update(
        state=Run.State.DUE, lease_epoch=F("lease_epoch") + 1
    )
    return []


def _alone(run: Run, landed: Landed) -> None:
    """A turn for one run, whose own errors can harm nobody else: they end it."""
    for attempt in range(RETRIES):
        try:
            turn([run], landed, alone=True)
            return
        except Exception as error:
            if isinstance(error, DatabaseError) and is_transient(error):
                sleep(0.01 * 2**attempt)
            else:
                logger.exception("Run %s broke", run.pk)
                text = str(error).splitlines()[0] if str(error) else type(error).__name__
                _fail(run, f"The run could not be saved: {text}")
                return
        reloaded = _reload([run])
        if not reloaded:
            return
        run = reloaded[0]


def _reload(runs: list[Run]) -> list[Run]:
    """The same runs as the database has them, without those that are no longer ours."""
    mine = Run.objects.filter(
        pk__in=[run.pk for run in runs], state=Run.State.LEASED, lease_owner=owner()
    )
    return list(mine.order_by("pk"))


def _fail(run: Run, error: str) -> None:
    mine = Run.objects.filter(pk=run.pk, state=Run.State.LEASED, lease_owner=owner())
    with transaction.atomic():
        mine.update(state=Run.State.FAILED, error=error[:300], finished_at=clock.now())
        release_after([(run.connector_id, run.line)])


def give_up(run: Run) -> None:
    """End a run that interrupted every worker that touched it."""
    _fail(
        run,
        f"Poison: the run interrupted its worker {run.attempts - 1} times and was ended.",
    )


def turn(runs: list[Run], landed: Landed | None = None, alone: bool = False) -> list[Run]:
    """Advance `runs` in one transaction, for about SECONDS; returns those not reached, still
    leased. Those in `landed` go on from their answers, and leave it when that is committed. Raises
    whatever the database raises; nothing of the turn has happened then."""
    landed = {} if landed is None else landed
    plans = compiled(run.revision_id for run in runs)
    with transaction.atomic():
        if is_postgresql() and any(
            plans[run.revision_id].touches_shared(run.position)
            for run in runs
            if run.revision_id in plans
        ):
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SHARED_LOCK])
        mine, published = fence(runs)
        plans = {pk: plan for pk, plan in plans.items() if pk in published}
        story = Story()
        with connection.execute_wrapper(story.writes), crm_changes.one_look():
            reached = _advance_all(mine, plans, story, landed, alone)
        lost = {run.pk for run in runs} - {run.pk for run in mine}
        over = [pk for pk in (*lost, *(run.pk for run in reached)) if pk in landed]
        story.calls.landed = [landed[pk] for pk in over]
        _write(reached, story)
        story.lines.write()
    for pk in over:
        del landed[pk]
    ring_after_commit(story)
    if any(run.state == Run.State.DUE for run in reached):
        ring()
    calls.exchange().start(story.calls.flights)
    return mine[len(reached) :]


def ring_after_commit(story: Story) -> None:
    """Let the clocks know of delays that end before they would look by themselves."""
    if story.delays:
        ring(min(delay.wake_at for delay in story.delays))


def fence(runs: list[Run]) -> tuple[list[Run], set[int]]:
    """Fence and row lock in one statement: the runs that are still ours, in the order of their
    contacts, so that two turns lock contacts in the same order; and those of their revisions that
    are still there. It writes nothing: a turn is over long before a lease is, and gives its runs
    their new leases itself. (The owner counts as well: a claim that a power cut undid leaves its
    epoch for the next one.)"""
    epochs = {run.pk: run.lease_epoch for run in runs}
    which, given = rows.among("id", epochs)
    lock = "FOR NO KEY UPDATE" if is_postgresql() else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, lease_epoch, revision_id, line, EXISTS ("
            "SELECT 1 FROM connectors_revision WHERE id = revision_id) FROM engine_run"
            f" WHERE state = 'leased' AND lease_owner = %s AND {which} ORDER BY id {lock}",
            [owner(), given],
        )
        found = cursor.fetchall()
    lines = {pk: line for pk, epoch, _, line, _ in found if epoch == epochs[pk]}
    ours = sorted(
        (run for run in runs if run.pk in lines),
        key=lambda run: (run.contact_id or 0, run.pk),
    )
    for run in ours:
        run.line = lines[run.pk]  # another one, when its contact was merged since the claim
    return ours, {revision for _, _, revision, _, is_there in found if is_there}


def _advance_all(
    runs: list[Run], plans: dict[int, Plan], story: Story, landed: Landed, alone: bool
) -> list[Run]:
    until = monotonic() + SECONDS
    events = {flight.event.pk: flight.event for flight in landed.values()}
    events |= rows.by_key(Event, {run.event_id for run in runs} - events.keys())
    contacts = living({run.contact_id for run in runs if run.contact_id})
    refs: dict[Any, Any] = {}
    book = AttributeBook(contact.pk for contact in contacts.values())
    reached = []
    story.lines.look(runs)
    for run in runs:
        plan, event = plans.get(run.revision_id), events.get(run.event_id)
        reached.append(run)
        if plan is None:
            end(run, Run.State.CANCELLED, "The connector was deleted.")
        elif event is None:
            end(run, Run.State.FAILED, "The event of this run was deleted.")
        elif run.pk in landed or not story.lines.holds(run):
            contact = contacts.get(run.contact_id) if run.contact_id else None
            if contact is not None:
                run.contact_id = contact.pk  # another one, when it was merged
            context = RunContext(run, event, plan, contact, refs, book)
            advance(context, story, alone, landed.get(run.pk))
        story.lines.leave(run)
        if monotonic() > until:
            break
    return reached


def _write(runs: list[Run], story: Story) -> None:
    """The runs' new positions, their timeline, their calls and the delays that they armed."""
    rows.insert(story.attempts)
    rows.insert(story.delays)
    story.calls.write()
    answered_by = clock.now() + LEASE + calls.deadline(story.calls.flights)
    for run in runs:
        run.attempts = 0
        run.lease_until = answered_by if run.calling else None
    rows.update(runs, _WRITTEN)
